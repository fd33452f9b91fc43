"""What every volume reader hands over, and the checks that are the same for all formats."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import claim
from napari_xreg.images.errors import ReadError, UnknownValues
from napari_xreg.images.intensity.attenuation import CT_ENERGY_KEV
from napari_xreg.images.intensity.value_scale import ValueScale
from napari_xreg.images.label_names import label_names
from napari_xreg.images.labels import LabelMap
from napari_xreg.images.volume import Volume, check_affine

# 1024 x 1024 x 1024: attenuation and HU of it take 6 to 8 GB, and as much again while it is read.
MAX_VOXELS = 2**30
_HOUNSFIELD = "HU"
_BEYOND_HU = 100_000
# HU. Fat is at -100, lung at -800: above this a scan holds neither air around nor in the body.
_NO_AIR = -300
# Of a voxel beside the stored ones: rescaled or converted numbers, HU, attenuation.
_MADE_BYTES = 12
# Distances between voxel centres that a scanner of people or bones makes, mm.
_SMALLEST_SPACING, _LARGEST_SPACING = 0.005, 50.0


@dataclass(frozen=True, eq=False)
class StoredGrid:
    """The numbers of a file on their grid.

    Parameters
    ----------
    values
        HU or labels as stored, rescaled, (z, y, x); integers or floats.
    world_from_index
        (x, y, z) of a voxel centre to patient LPS mm, float64.
    names
        What the ids of a label map mean, where the file says so.
    files
        All that was read.
    unit
        What the file says its values are in: "HU", another word, or "" where its kind of file ought
        to say and does not; None where it has no place for it.
    notes
        What was passed over.
    """

    values: NDArray[Any]
    world_from_index: Float[Tensor, "4 4"]
    names: Mapping[int, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    unit: str | None = None
    notes: tuple[str, ...] = ()


def check_size(path: Path, shape: tuple[int, ...], stored_bytes: int) -> None:
    """Refuse, before anything is allocated, what cannot be a volume that fits into memory.

    Parameters
    ----------
    path
        The file, for the message.
    shape
        Numbers of voxels (x, y, z) as the header says.
    stored_bytes
        Of one voxel in the file.
    """
    grid = " x ".join(str(n) for n in shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ReadError(f"{path}: expected a 3D image, got {grid or 'no'} voxels")
    if min(shape) < 2:
        raise ReadError(
            f"{path}: the image is a single slice ({grid} voxels); registration needs a volume of at "
            "least 2 voxels along each axis: choose the whole series or volume"
        )
    if math.prod(shape) > MAX_VOXELS:
        raise ReadError(
            f"{path}: the header announces {grid} voxels, more than the {MAX_VOXELS} (1024^3) that "
            "are read: if the header is right, crop or downsample the volume first"
        )
    claim(math.prod(shape) * (stored_bytes + _MADE_BYTES), f"{path}: a volume of {grid} voxels")


def check_place(path: Path, world_from_index: Float[Tensor, "4 4"]) -> None:
    """Refuse an affine that cannot place voxels, or whose unit cannot be mm."""
    try:
        check_affine(world_from_index)
    except ValueError as error:
        raise ReadError(
            f"{path}: the position of the voxels cannot be used: {error}; write the file again "
            "with the spacing and orientation of the scan"
        ) from error
    spacing = torch.linalg.vector_norm(world_from_index[:3, :3], dim=0).tolist()
    if min(spacing) < _SMALLEST_SPACING or max(spacing) > _LARGEST_SPACING:
        came = " x ".join(f"{s:.4g}" for s in spacing)
        raise ReadError(
            f"{path}: voxels of {came} mm are not those of a CT (expected {_SMALLEST_SPACING} to "
            f"{_LARGEST_SPACING} mm): correct the spacing or its unit in the header"
        )


def volume_from_grid(
    path: Path,
    grid: StoredGrid,
    *,
    energy_kev: float,
    scale: ValueScale | None = None,
    ct_energy_kev: float = CT_ENERGY_KEV,
) -> Volume:
    """Attenuation from what the values mean: as given, as the file says, or as they look.

    Raises
    ------
    UnknownValues
        If nothing was given, and the file and its values do not look like Hounsfield units.
    """
    values = grid.values
    _check_finite(path, values)
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise ReadError(
            f"{path}: every voxel holds {low:g}, so there is nothing to see: choose another volume"
        )
    notes = list(grid.notes)
    if scale is None:
        scale = ValueScale()
        doubt = _doubt(grid, low, high)
        if doubt:
            z, y, x = values.shape
            raise UnknownValues(
                f"{path}: {doubt}. Say what they mean: Hounsfield units (hu, or hu SLOPE INTERCEPT), or a line between two "
                "values of the file (linear AIR BONE)", low, high, (x, y, z),
            )  # fmt: skip
        if low > _NO_AIR:
            notes.append(
                f"no voxel is air (the lowest value is {low:g}, read as HU): where the field is not "
                "cropped inside the body, say what the values mean"
            )
    else:
        notes.append(f"values {low:g} to {high:g} read as {scale.words}, as chosen")
    if scale.is_hu and max(-low, high) > _BEYOND_HU:
        raise ReadError(
            f"{path}: values lie between {low:g} and {high:g}; expected Hounsfield units (air -1000, "
            "water 0, bone 300 to 2000): the rescale slope or the data are damaged"
        )
    lac, hu = scale.attenuation(
        torch.from_numpy(_compact(values)), energy_kev, ct_energy_kev=ct_energy_kev
    )
    if not bool(lac.any()):
        raise ReadError(
            f"{path}: with values read as {scale.words} no voxel attenuates: they lie between "
            f"{low:g} and {high:g}"
        )
    return Volume(lac, grid.world_from_index, hu=hu, notes=tuple(notes))


def _doubt(grid: StoredGrid, low: float, high: float) -> str:
    """Why the values are not taken for Hounsfield units; empty where they are."""
    came = f"values lie between {low:g} and {high:g}"
    if grid.unit == "":
        return f"{came} and the file does not say in which unit, as a cone-beam CT often does not"
    if grid.unit not in (None, _HOUNSFIELD):
        return f"{came} and RescaleType is {grid.unit}, expected Hounsfield units (HU)"
    hounsfield = "expected Hounsfield units (air -1000, water 0, bone 300 to 2000)"
    if low >= 0 and high <= 255:
        return f"{came}; {hounsfield}: this is a label map, an 8-bit or a normalised image"
    if max(-low, high) > _BEYOND_HU:
        return (
            f"{came}; {hounsfield}: the rescale slope or the data are damaged, or of another unit"
        )
    if low >= 0 and grid.unit is None:
        return f"{came}: no voxel is air, and 0 would be water; {hounsfield}"
    return ""


def labels_from_grid(path: Path, grid: StoredGrid, names: Mapping[int, str] | None) -> LabelMap:
    """Ids of structures, once the numbers are whole; named by the caller, else as `label_names`."""
    values = grid.values
    _check_finite(path, values)
    if not np.issubdtype(values.dtype, np.integer):
        fractional = values != np.round(values)
        if fractional.any():
            first = float(values[fractional].flat[0])
            raise ReadError(
                f"{path}: labels are whole numbers, got {first:g}: this is a CT or a probability map, "
                "or a label map that was resampled with interpolation (use nearest neighbour)"
            )
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 2**31 - 1:
        raise ReadError(
            f"{path}: labels must be 0 (background) and above, got {low} to {high}: this looks like a CT"
        )
    ids = torch.from_numpy(values.astype(np.int16 if high < 2**15 else np.int32))
    present = set(np.unique(values).astype(np.int64).tolist())
    if names is None:
        found, origin = label_names(path, grid.names, present)
    else:
        found, origin = {i: name for i, name in names.items() if i in present}, "as said"
    return LabelMap(ids, grid.world_from_index, found, origin if found else "")


def _check_finite(path: Path, values: NDArray[Any]) -> None:
    if np.issubdtype(values.dtype, np.integer):
        return
    bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ReadError(
            f"{path}: {bad} of {values.size} voxels are NaN or infinite: fill what lies outside the "
            "scanned field with air (-1000 HU; 0 in a label map) and save the file again"
        )


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    """Int16 where whole numbers fit, int32, else float32; native byte order, own memory.

    Own memory, since a view into a mapped file would keep the file open and is read-only.
    """
    dtype: type[np.generic] = np.float32
    if np.issubdtype(values.dtype, np.integer):
        fits = values.min() >= -(2**15) and values.max() < 2**15
        dtype = np.int16 if fits else np.int32
    return np.require(values, dtype=dtype, requirements=["C", "W", "O"])
