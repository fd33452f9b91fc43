"""NRRD: a header of text that says what and where the voxels are, and the voxels."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from napari_xreg.files import ReadError
from napari_xreg.images.formats.raw_voxels import Encoding, Piece, read_voxels
from napari_xreg.images.formats.text_header import Fields, numbered_files
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# Spaces whose axes are anatomical, and the signs that make LPS of them. "scanner-xyz" is none.
_LPS_SIGNS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
_TYPES = {
    "int8": "i1", "int8_t": "i1", "signed char": "i1",
    "uint8": "u1", "uint8_t": "u1", "uchar": "u1", "unsigned char": "u1",
    "int16": "i2", "int16_t": "i2", "short": "i2", "short int": "i2", "signed short": "i2",
    "signed short int": "i2",
    "uint16": "u2", "uint16_t": "u2", "ushort": "u2", "unsigned short": "u2",
    "unsigned short int": "u2",
    "int32": "i4", "int32_t": "i4", "int": "i4", "signed int": "i4",
    "uint32": "u4", "uint32_t": "u4", "uint": "u4", "unsigned int": "u4",
    "int64": "i8", "int64_t": "i8", "longlong": "i8", "long long": "i8", "long long int": "i8",
    "signed long long": "i8", "signed long long int": "i8",
    "uint64": "u8", "uint64_t": "u8", "ulonglong": "u8", "unsigned long long": "u8",
    "unsigned long long int": "u8",
    "float": "f4", "double": "f8",
}  # fmt: skip
_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw", "gzip": "deflate", "gz": "deflate", "bzip2": "bzip2", "bz2": "bzip2",
    "ascii": "text", "text": "text", "txt": "text",
}  # fmt: skip
_VECTOR = re.compile(r"none|\([^()]*\)")
# An axis of vectors or segments beside the three of space; more no volume has.
_MOST_AXES = 8


def read_nrrd(path: Path) -> StoredGrid:
    """The voxels of a ``.nrrd`` or ``.nhdr`` file and their place in LPS mm.

    Raises
    ------
    ReadError
        If the file is damaged, is not one 3D image of real numbers, or has no place.
    """
    fields, start = _header(path)
    signs = _signs(fields)
    dimension = fields.whole("dimension", 1, _MOST_AXES)
    sizes = fields.wholes("sizes", dimension)
    vectors = [_vector(fields, word) for word in _VECTOR.findall(fields["space directions"])]
    if len(vectors) != dimension:
        raise ReadError(
            f"{path}: 'space directions' must hold one vector for each of {dimension} axes: got "
            f"{fields['space directions']}"
        )
    further = math.prod(size for size, vector in zip(sizes, vectors, strict=True) if vector is None)
    if further != 1:
        raise ReadError(
            f"{path}: expected one value per voxel, got {further} (colour, vectors or overlapping "
            "segments): export one volume or one layer"
        )
    shape = tuple(size for size, vector in zip(sizes, vectors, strict=True) if vector is not None)
    columns = [vector for vector in vectors if vector is not None]
    dtype = _dtype(fields)
    check_size(path, shape, dtype.itemsize)
    matrix = np.eye(4)
    matrix[:3, :3] = np.transpose(columns) * np.reshape(signs, (3, 1))
    origin = _vector(fields, fields["space origin"], "space origin")
    matrix[:3, 3] = np.multiply(origin or (math.nan,) * 3, signs)
    world_from_index = torch.from_numpy(matrix)
    check_place(path, world_from_index)
    encoding = fields.one_of("encoding", _ENCODINGS)
    pieces = _pieces(fields, start, encoding)
    values = read_voxels(path, pieces, math.prod(shape), dtype, encoding)
    files = _all_files(path, pieces)
    return StoredGrid(values.reshape(shape[::-1]), world_from_index, _segment_names(fields), files)


def nrrd_files(path: Path) -> tuple[Path, ...]:
    """The file itself and the data files that its header names.

    Raises
    ------
    ReadError
        If the header is damaged.
    """
    fields, start = _header(path)
    return _all_files(path, _pieces(fields, start, fields.one_of("encoding", _ENCODINGS)))


def _all_files(path: Path, pieces: Sequence[Piece]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys((path, *(piece.file for piece in pieces))))


def _header(path: Path) -> tuple[Fields, int]:
    """The fields, and where in the file the voxels begin if they follow."""
    fields = Fields(path)
    with path.open("rb") as stream:
        if not re.match(rb"NRRD000[1-5]\s*$", fields.line(stream)):
            raise ReadError(
                f"{path}: this is not a NRRD file (it does not begin with NRRD0001 to NRRD0005): "
                "export it again"
            )
        while line := fields.line(stream).rstrip(b"\r\n"):
            key, found, value = line.decode("latin-1").partition(":")
            if found and not key.startswith("#"):
                words = key.strip().lower()
                fields.add(_OTHER_NAMES.get(words, words), value.removeprefix("=").strip())
                if words in ("data file", "datafile") and value.split()[:1] == ["LIST"]:
                    # The names of the files follow to the end.
                    names = stream.read(1 << 20).decode("utf-8", "replace").split("\n")
                    fields.listed = tuple(name.strip() for name in names if name.strip())
                    break
        return fields, stream.tell()


_OTHER_NAMES = {
    "datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip",
}  # fmt: skip


def _signs(fields: Fields) -> tuple[int, int, int]:
    path, space = fields.path, fields.get("space", "").lower()
    if space not in _LPS_SIGNS:
        raise ReadError(
            f"{path}: the field 'space' must name patient axes, such as left-posterior-superior: got "
            f"{space or 'none'}; export the volume with its orientation"
        )
    for field in ("space directions", "space origin"):
        if field not in fields:
            raise ReadError(
                f"{path}: the field '{field}' is missing, so the file does not say where the voxels "
                "lie in the patient: export the volume with its orientation"
            )
    units = set(fields.get("space units", '"mm"').replace('"', " ").split())
    if not units <= {"mm", "millimeter", "millimeters"}:
        raise ReadError(f"{path}: 'space units' must be mm: got {fields['space units']}")
    return _LPS_SIGNS[space]


def _vector(fields: Fields, word: str, field: str = "space directions") -> list[float] | None:
    """``(1,-22,333)``; None for an axis that is not one of space."""
    if word == "none":
        return None
    try:
        numbers = [
            float(part) for part in word.strip().removeprefix("(").removesuffix(")").split(",")
        ]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ReadError(f"{fields.path}: '{field}' must hold three finite numbers: got {word}")
    return numbers


def _dtype(fields: Fields) -> "np.dtype[np.generic]":
    letter = fields.one_of("type", _TYPES)
    if letter[1] == "1" or fields.get("encoding", "").lower() in ("ascii", "text", "txt"):
        return np.dtype(letter)
    return np.dtype(fields.one_of("endian", {"little": "<", "big": ">"}) + letter)


def _pieces(fields: Fields, start: int, encoding: Encoding) -> list[Piece]:
    path = fields.path
    skip = int(fields.whole("byte skip", -1, 1 << 40)) if "byte skip" in fields else 0
    if fields.get("line skip", "0") != "0" or (skip and encoding != "raw"):
        raise ReadError(
            f"{path}: lines or compressed bytes to skip before the voxels are not read: save the "
            "volume as a NRRD of its own"
        )
    if "data file" not in fields:
        return [Piece(path, None if skip < 0 else start + skip)]
    files = fields.listed or numbered_files(fields, "data file")
    return [Piece(path.parent / file, None if skip < 0 else skip) for file in files]


def _segment_names(fields: Fields) -> dict[int, str]:
    """Names of the segments in a segmentation that 3D Slicer saved (``.seg.nrrd``)."""
    names: dict[int, str] = {}
    for key, value in fields.items():
        if re.fullmatch(r"segment\d+_labelvalue", key) and re.fullmatch(r"\d{1,9}", value):
            names[int(value)] = fields.get(key.replace("_labelvalue", "_name"), key)
    return names
