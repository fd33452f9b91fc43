"""MetaImage: a header of text that says what and where the voxels are, and the voxels."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from napari_xreg.files import ReadError
from napari_xreg.images.formats.raw_voxels import Encoding, Piece, read_voxels
from napari_xreg.images.formats.text_header import Fields, flag, numbered_files
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# MET_LONG has 4 bytes: the format is older than computers whose long has 8.
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
_SPACING = ("ElementSpacing", "ElementSize")
_POSITION = ("Offset", "Origin", "Position")
_ORIENTATION = ("TransformMatrix", "Rotation", "Orientation")


def read_meta_image(path: Path) -> StoredGrid:
    """The voxels of a ``.mha`` or ``.mhd`` file and their place in LPS mm.

    Raises
    ------
    ReadError
        If the file is damaged, is not one 3D image of real numbers, or has no place.
    """
    fields, start = _header(path)
    dimensions = fields.whole("NDims", 1, 10)
    if dimensions != 3:
        raise ReadError(f"{path}: expected a 3D image, got {dimensions} dimensions (NDims)")
    channels = (
        fields.whole("ElementNumberOfChannels", 1, 2**31)
        if "ElementNumberOfChannels" in fields
        else 1
    )
    if channels != 1:
        raise ReadError(
            f"{path}: expected one value per voxel, got {channels} (colour or vectors): export one "
            "volume"
        )
    shape = fields.wholes("DimSize", 3)
    big = flag(fields, "BinaryDataByteOrderMSB", flag(fields, "ElementByteOrderMSB", False))
    dtype = np.dtype(("<", ">")[big] + fields.one_of("ElementType", _TYPES))
    check_size(path, shape, dtype.itemsize)
    world_from_index = torch.from_numpy(_place(fields))
    check_place(path, world_from_index)
    _check_scale(fields)
    encoding = _encoding(fields)
    pieces = _pieces(fields, start, encoding)
    values = read_voxels(path, pieces, math.prod(shape), dtype, encoding)
    files = _all_files(path, pieces)
    return StoredGrid(values.reshape(shape[::-1]), world_from_index, {}, files)


def meta_image_files(path: Path) -> tuple[Path, ...]:
    """The file itself and the data files that its header names.

    Raises
    ------
    ReadError
        If the header is damaged.
    """
    fields, start = _header(path)
    return _all_files(path, _pieces(fields, start, _encoding(fields)))


def _all_files(path: Path, pieces: Sequence[Piece]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((path, *(piece.file for piece in pieces))))


def _header(path: Path) -> tuple[Fields, int]:
    """The fields, and where in the file the voxels begin if they follow."""
    fields = Fields(path)
    with path.open("rb") as stream:
        while "ElementDataFile" not in fields:
            key, found, value = fields.line(stream).decode("latin-1").partition("=")
            if not found:
                break
            fields.add(key.strip(), value.strip())
        if fields.get("ElementDataFile", "").split()[:1] == ["LIST"]:
            listed = stream.read(1 << 20).decode("utf-8", "replace").split("\n")
            fields.listed = tuple(name.strip() for name in listed if name.strip())
        start = stream.tell()
    if "ElementDataFile" not in fields or "DimSize" not in fields:
        raise ReadError(
            f"{path}: this is not a MetaImage file (no DimSize or ElementDataFile): export it again"
        )
    for meaning, names in (
        ("spacing", _SPACING), ("position", _POSITION), ("orientation", _ORIENTATION),
    ):  # fmt: skip
        if not any(name in fields for name in names):
            raise ReadError(
                f"{path}: the {meaning} of the voxels ({names[0]}) is missing: export the volume "
                "with its orientation"
            )
    return fields, start


def _encoding(fields: Fields) -> Encoding:
    if not flag(fields, "BinaryData", True):
        return "text"
    return "deflate" if flag(fields, "CompressedData", False) else "raw"


def _place(fields: Fields) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    spacing = np.array(_numbers(fields, _SPACING, 3))
    if (spacing < 0).any():
        raise ReadError(
            f"{fields.path}: the spacing of the voxels must be positive: got {spacing.tolist()}; "
            "correct the header"
        )
    matrix = np.eye(4)
    # Three numbers for each axis of the grid: columns, written one after the other.
    matrix[:3, :3] = np.reshape(_numbers(fields, _ORIENTATION, 9), (3, 3)).T * spacing
    matrix[:3, 3] = _numbers(fields, _POSITION, 3)
    return matrix


def _numbers(fields: Fields, names: tuple[str, ...], count: int) -> list[float]:
    name = next(name for name in names if name in fields)
    try:
        numbers = [float(word) for word in fields[name].split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ReadError(
            f"{fields.path}: {name} must hold {count} finite numbers: got {fields[name][:60]}"
        )
    return numbers


def _check_scale(fields: Fields) -> None:
    """Few programs apply this scale, so nobody can say whether the voxels are meant with it."""
    for name, nothing in (
        ("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0),
    ):  # fmt: skip
        if name in fields and _numbers(fields, (name,), 1)[0] != nothing:
            raise ReadError(
                f"{fields.path}: {name} is {fields[name]}: save the volume with the scale applied"
            )


def _pieces(fields: Fields, start: int, encoding: Encoding) -> list[Piece]:
    path = fields.path
    skip = fields.whole("HeaderSize", -1, 1 << 40) if "HeaderSize" in fields else 0
    if skip and encoding != "raw":
        raise ReadError(f"{path}: HeaderSize {skip} before voxels that are not raw: save it again")
    if fields["ElementDataFile"].upper() == "LOCAL":
        return [Piece(path, None if skip < 0 else start)]
    files = fields.listed or numbered_files(fields, "ElementDataFile")
    return [Piece(path.parent / file, None if skip < 0 else skip) for file in files]
