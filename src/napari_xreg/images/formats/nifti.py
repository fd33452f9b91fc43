"""NIfTI: voxels in their stored order, placed by the header's sform or qform.

nibabel knows what the header means; sizes and places are checked and the voxels read here.
"""

import gzip
import logging
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from nibabel.nifti1 import Nifti1PairHeader
from nibabel.nifti2 import Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import ReadError, check_file
from napari_xreg.geometry import lps_from_ras
from napari_xreg.images.formats.raw_voxels import Piece, read_voxels
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# xyzt_units, low three bits: mm per unit. 0 (not said) is what many programs write for mm.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# Bounded, so that no text makes the search last.
_LABEL = re.compile(
    rb'<Label\s{1,20}Key="(\d{1,9})"[^>]{0,300}>\s{0,20}<!\[CDATA\[(.{0,200}?)\]\]>'
)
# How far the two placements of one header may lie apart, mm.
_AGREEMENT = 0.1
# Bytes between header and voxels: a table of labels takes some thousands.
_MOST_EXTENSION = 1 << 24
_GZIP = b"\x1f\x8b"
# What the file's first number is: the length of the header.
# Without a handler its words would go to stderr.
_NOBODY = logging.Logger("nobody listens")
_NOBODY.addHandler(logging.NullHandler())
_HEADERS: dict[int, Any] = {348: Nifti1PairHeader, 540: Nifti2PairHeader}
# Header and voxels in one file, or in two.
_ONE_FILE, _TWO_FILES = (b"n+1", b"n+2"), (b"ni1", b"ni2")


def read_nifti(path: Path) -> StoredGrid:
    """The voxels of a ``.nii``, ``.nii.gz`` or ``.hdr``/``.img`` pair, rescaled, and their place.

    No axis is flipped or reordered: the affine says everything. Where the header holds two
    placements (sform and qform) they must agree; a header with none is refused. Whether a file is
    compressed is seen by its contents, not by its name.

    Raises
    ------
    ReadError
        If the file is damaged, is not NIfTI, is not one 3D image of real numbers, or has no place.
    """
    header_file, voxel_file = nifti_files(path)
    try:
        header, stored = _header(path, _start_of(header_file, max(_HEADERS)))
        pair = stored["magic"].item() in _TWO_FILES
        if pair == (header_file == voxel_file):
            raise ReadError(
                f"{path}: the header says that the voxels are in "
                f"{'another file (.img)' if pair else 'the same file'}: copy both, or export it again"
            )
        shape = _shape(path, stored)
        dtype = header.get_data_dtype()
        if dtype.kind not in "iuf":
            raise ReadError(
                f"{path}: voxels are {_kind(dtype)} (datatype {int(stored['datatype'])}); expected "
                "one real number per voxel"
            )
        offset = _offset(path, stored, 0 if pair else header.sizeof_hdr + 4)
        check_size(path, shape, dtype.itemsize)
        world_from_index = _world_from_index(path, header, stored, shape)
        slope, intercept = header.get_slope_inter()
    except (
        HeaderDataError,
        WrapStructError,
        OverflowError,
        ValueError,
    ) as error:
        if isinstance(error, ReadError):
            raise
        raise ReadError(
            f"{path}: this is not a NIfTI file, or its header is damaged ({error}): copy or export "
            "it again"
        ) from error
    values = _voxels(path, voxel_file, offset, math.prod(shape), dtype)
    values = _scaled(values, slope, intercept)
    names = _label_names(_start_of(header_file, _MOST_EXTENSION if pair else offset))
    files = tuple(dict.fromkeys((header_file, voxel_file)))
    return StoredGrid(values.reshape(shape, order="F").T, world_from_index, names, files)


def nifti_files(path: Path) -> tuple[Path, Path]:
    """The file of the header and that of the voxels: the same one, or the two of a pair.

    Raises
    ------
    ReadError
        If the other one of a pair is missing.
    """
    other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix.lower())
    if other is None:
        return path, path
    if path.suffix.isupper():
        other = other.upper()
    partner = path.with_suffix(other)
    if not partner.exists():
        raise ReadError(f"{path}: the other file of the pair (.hdr, .img) is missing: copy both")
    check_file(partner)
    return (path, partner) if other.lower() == ".img" else (partner, path)


def is_nifti_pair(path: Path) -> bool:
    """Whether it is one of the two files of a pair: other programs use these endings too."""
    if path.suffix.lower() not in (".hdr", ".img"):
        return False
    try:
        start = _start_of(nifti_files(path)[0], 348)
    except (ReadError, OSError):
        return False
    return start[344:347] in _TWO_FILES or start[4:7] in _TWO_FILES


def _start_of(file: Path, count: int) -> bytes:
    """The first bytes: the header, or what lies between it and the voxels as well."""
    try:
        with (gzip.open if _is_gzip(file) else open)(file, "rb") as stream:
            return bytes(stream.read(count))
    except (OSError, EOFError, zlib.error) as error:
        raise ReadError(
            f"{file}: the file ends early or is damaged ({error}): copy or export it again"
        ) from error


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == _GZIP


def _header(path: Path, start: bytes) -> tuple[Any, Any]:
    """The header as nibabel corrects it, and as the file has it: 0 for a spacing becomes 1 there."""
    sizes = {int.from_bytes(start[:4], order): order for order in ("little", "big")}
    size = next((size for size in sizes if size in _HEADERS), None)
    if size is None:
        raise ReadError(
            f"{path}: this is not a NIfTI file, or its header is damaged: copy or export it again"
        )
    if len(start) < size:
        raise ReadError(
            f"{path}: the header is damaged, it ends after {len(start)} of {size} bytes: copy it again"
        )
    kind, order = _HEADERS[size], {"little": "<", "big": ">"}[sizes[size]]
    stored = kind(start[:size], order, check=False)
    if stored["magic"].item()[:3] not in (*_ONE_FILE, *_TWO_FILES):
        raise ReadError(
            f"{path}: this is Analyze, not NIfTI: it does not say where the voxels lie in the "
            "patient; export it as NIfTI with its orientation"
        )
    header = stored.copy()
    # Judged by `_offset`; nibabel stumbles over some values.
    header["vox_offset"] = 0
    header.check_fix(logger=_NOBODY)
    return header, stored


def _shape(path: Path, stored: Any) -> tuple[int, ...]:
    """Three numbers of voxels; trailing axes of length 1 are dropped."""
    count = int(stored["dim"][0])
    if not 1 <= count <= 7:
        raise ReadError(f"{path}: the header is damaged: an image of {count} dimensions (dim)")
    shape = tuple(int(n) for n in stored["dim"][1 : count + 1])
    if any(n != 1 for n in shape[3:]):
        raise ReadError(
            f"{path}: expected one 3D volume, got {len(shape)} dimensions "
            f"({' x '.join(map(str, shape))}): save the volume to register as its own file"
        )
    return shape[:3] + (1,) * (3 - len(shape))


def _kind(dtype: np.dtype[Any]) -> str:
    return "complex numbers" if dtype.kind == "c" else "colours"


def _offset(path: Path, stored: Any, least: int) -> int:
    """Bytes before the voxels; 0 in one file says: right behind the header, as nibabel reads it."""
    offset = float(stored["vox_offset"])
    if offset == 0:
        return least
    if not least <= offset <= _MOST_EXTENSION or offset != int(offset):
        raise ReadError(
            f"{path}: the header says that the voxels begin after {offset:g} bytes (vox_offset); "
            f"expected {least} or a little more: the header is damaged, export the volume again"
        )
    return int(offset)


def _voxels(path: Path, file: Path, offset: int, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    if _is_gzip(file):
        return read_voxels(path, [Piece(file, 0, offset)], count, dtype, "deflate")
    return read_voxels(path, [Piece(file, offset)], count, dtype, "raw")


def _scaled(stored: NDArray[Any], slope: float | None, intercept: float | None) -> NDArray[Any]:
    """Stored numbers times slope plus intercept; integers stay integers where nothing is scaled."""
    if slope is None or intercept is None or (slope == 1 and intercept == 0):
        return stored
    # float32 holds 24 bits: whole CT numbers of 16 bits are exact, larger types need float64.
    wide = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    scaled: NDArray[Any] = stored.astype(wide)
    # What overflows is infinite, and refused as such.
    with np.errstate(all="ignore"):
        np.multiply(scaled, wide(slope), out=scaled)
        np.add(scaled, wide(intercept), out=scaled)
    return scaled


def _label_names(between: bytes) -> dict[int, str]:
    """The label table that TotalSegmentator writes behind the header (a Caret extension in XML)."""
    return {int(key): name.decode("utf-8", "replace") for key, name in _LABEL.findall(between)}


def _world_from_index(
    path: Path, header: Any, stored: Any, shape: tuple[int, ...]
) -> Float[Tensor, "4 4"]:
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        raise ReadError(f"{path}: unknown unit of length {unit} in xyzt_units; expected mm (2)")
    sform, qform = (
        None if affine is None else torch.as_tensor(affine, dtype=torch.float64)
        for affine in (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0])
    )
    pixdim = torch.from_numpy(stored["pixdim"][1:4].astype(np.float64))
    if not bool((pixdim > 0).all()):
        raise ReadError(
            f"{path}: the spacing of the voxels must be positive: got {_numbers(pixdim)} in pixdim; "
            "correct the header"
        )
    if sform is not None:
        _check_spacing(path, pixdim, sform)
    chosen = sform if sform is not None else qform
    if chosen is None:
        raise ReadError(
            f"{path}: neither sform nor qform is set, so the file does not say where the voxels lie "
            "in the patient: export it again with its orientation"
        )
    if sform is not None and qform is not None:
        apart = _corners_apart(sform, qform, shape) * _MM_PER_UNIT[unit]
        if not apart <= _AGREEMENT:
            raise ReadError(
                f"{path}: the header's two placements, sform (code {int(header['sform_code'])}) and "
                f"qform (code {int(header['qform_code'])}), are {apart:.1f} mm apart: set the code "
                "of the wrong one to 0"
            )
    to_mm = torch.diag(torch.tensor([_MM_PER_UNIT[unit]] * 3 + [1.0], dtype=torch.float64))
    world_from_index = lps_from_ras(to_mm @ chosen)
    check_place(path, world_from_index)
    return world_from_index


def _check_spacing(path: Path, pixdim: Float[Tensor, "3"], sform: Float[Tensor, "4 4"]) -> None:
    """Spacing stands in the header twice. Where it differs nobody can say which one was meant."""
    spacing = torch.linalg.vector_norm(sform[:3, :3], dim=0)
    if not bool(torch.isclose(spacing, pixdim, rtol=1e-2, atol=1e-3).all()):
        raise ReadError(
            f"{path}: the spacing of the voxels is {_numbers(spacing)} in sform and "
            f"{_numbers(pixdim)} in pixdim: correct the wrong one"
        )


def _numbers(values: Float[Tensor, "3"]) -> str:
    return " x ".join(f"{value:.4g}" for value in values.tolist())


def _corners_apart(
    one: Float[Tensor, "4 4"], other: Float[Tensor, "4 4"], shape: tuple[int, ...]
) -> float:
    ends = [torch.tensor([0.0, n - 1.0], dtype=torch.float64) for n in shape]
    corners = torch.cartesian_prod(*ends)
    difference = one - other
    moved = corners @ difference[:3, :3].T + difference[:3, 3]
    return float(torch.linalg.vector_norm(moved, dim=1).max())
