"""NIfTI: voxels in their stored order, placed by the header's sform or qform."""

import re
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.geometry.frames import lps_from_ras
from napari_xreg.images.errors import ReadError
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# xyzt_units, low three bits: mm per unit. 0 (not said) is what many programs write for mm.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_LABEL = re.compile(r'<Label\s+Key="(\d+)"[^>]*>\s*<!\[CDATA\[(.*?)\]\]>')
# How far the two placements of one header may lie apart, mm.
_AGREEMENT = 0.1


def read_nifti(path: Path) -> StoredGrid:
    """The voxels of a ``.nii``, ``.nii.gz`` or ``.hdr``/``.img`` pair, rescaled, and their place.

    No axis is flipped or reordered: the affine says everything. Where the header holds two
    placements (sform and qform) they must agree; a header with none is refused.

    Raises
    ------
    ReadError
        If the file is damaged, is not NIfTI, is not one 3D image of real numbers, or has no place.
    """
    try:
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise ReadError(
                f"{path}: this is {type(image).__name__}, not NIfTI: it does not say where the "
                "voxels lie in the patient; export it as NIfTI with its orientation"
            )
        shape = _shape(path, tuple(int(n) for n in image.shape))
        dtype = image.get_data_dtype()
        if dtype.kind not in "iuf":
            raise ReadError(
                f"{path}: voxels are {_kind(dtype)} (datatype "
                f"{int(image.header['datatype'])}); expected one real number per voxel"
            )
        world_from_index = _world_from_index(path, image, shape)
        values = _values(image).reshape(shape, order="F")
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError(f"{path}: not enough memory for this volume: crop it first") from error
    except (
        nibabel.filebasedimages.ImageFileError,
        nibabel.spatialimages.HeaderDataError,
        nibabel.wrapstruct.WrapStructError,
    ) as error:
        raise ReadError(
            f"{path}: this is not a NIfTI file, or its header is damaged: copy or export it again"
        ) from error
    except FileNotFoundError as error:
        raise ReadError(
            f"{path}: the other file of the pair (.hdr, .img) is missing: copy both"
        ) from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ReadError(
            f"{path}: the file ends early or is damaged: copy or export it again"
        ) from error
    return StoredGrid(values.T, world_from_index, _label_names(image))


def _label_names(image: Any) -> dict[int, str]:
    """The label table that TotalSegmentator writes behind the header (a Caret extension in XML)."""
    names: dict[int, str] = {}
    for extension in image.header.extensions:
        text = extension.content.decode("utf-8", errors="replace")
        names.update({int(key): name for key, name in _LABEL.findall(text)})
    return names


def _shape(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Three numbers of voxels; trailing axes of length 1 are dropped."""
    if any(n != 1 for n in shape[3:]):
        raise ReadError(
            f"{path}: expected one 3D volume, got {len(shape)} dimensions "
            f"({' x '.join(map(str, shape))}): save the volume to register as its own file"
        )
    shape = shape[:3] + (1,) * (3 - len(shape))
    check_size(path, shape)
    return shape


def _kind(dtype: np.dtype[Any]) -> str:
    return "complex numbers" if dtype.kind == "c" else "colours"


def _values(image: Any) -> NDArray[Any]:
    """Stored numbers times slope plus intercept; integers stay integers where nothing is scaled."""
    # The header of a loaded image no longer knows its scale: nibabel moves it to the data.
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    stored = image.dataobj.get_unscaled()
    if slope == 1 and intercept == 0:
        return np.asarray(stored)
    # float32 holds 24 bits: whole CT numbers of 16 bits are exact, larger types need float64.
    wide = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    scaled = stored.astype(wide)
    scaled *= wide(slope)
    scaled += wide(intercept)
    return scaled


def _world_from_index(path: Path, image: Any, shape: tuple[int, ...]) -> Float[Tensor, "4 4"]:
    header = image.header
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_PER_UNIT:
        raise ReadError(f"{path}: unknown unit of length {unit} in xyzt_units; expected mm (2)")
    sform, qform = (
        None if affine is None else torch.as_tensor(affine, dtype=torch.float64)
        for affine in (header.get_sform(coded=True)[0], header.get_qform(coded=True)[0])
    )
    pixdim = _stored_pixdim(image)
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


def _stored_pixdim(image: Any) -> Float[Tensor, "3"]:
    """The spacing as the file has it: nibabel takes 1 for 0 and drops a minus sign while loading."""
    holder = image.file_map.get("header", image.file_map["image"])
    with holder.get_prepare_fileobj("rb") as file:
        header = type(image.header).from_fileobj(file, check=False)
    return torch.from_numpy(header["pixdim"][1:4].astype(np.float64))


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
