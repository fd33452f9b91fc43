"""A CT as a stack of slices in one TIFF file, as Autoscoper and ImageJ keep it.

Such a file says at most how far apart its voxels are, never where they lie in a patient: its world has the
stack's own axes, x along the rows, y down the columns, z from page to page, and its middle is the origin.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_xreg.images.errors import ReadError, UnknownSpacing
from napari_xreg.images.formats.tiff import read_tiff_pages
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

Triple = tuple[float, float, float]
_MM = {
    "mm": 1.0, "millimeter": 1.0, "millimetre": 1.0, "cm": 10.0, "m": 1000.0,
    "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "micrometer": 1e-3, "µm": 1e-3, "μm": 1e-3,
}  # fmt: skip
_OME = re.compile(r'PhysicalSize([XYZ])(Unit)?="([^"]{1,40})"')
_DIFFER = 0.01


def read_tiff_volume(
    path: Path, *, spacing: Triple | None = None, flip: tuple[int, int, int] = (0, 0, 0)
) -> StoredGrid:
    """The voxels of a stack.

    Parameters
    ----------
    spacing
        Along x, y, z (page to page), mm; None: as ImageJ or OME wrote it. (The resolution of a plain
        TIFF is for printers: 72 to the inch says nothing of a scan.)
    flip
        Axes x, y, z that are turned around where they are not 0: what a trial of Autoscoper asks for.

    Raises
    ------
    UnknownSpacing
        If nobody says the spacing.
    ReadError
        If the file is damaged, or no stack.
    """
    values, said = read_tiff_pages(path, _said_spacing)
    if values.ndim != 3 or len(values) < 2:
        raise ReadError(f"{path}: holds one image, no stack of slices: it is no volume")
    z, y, x = values.shape
    check_size(path, (x, y, z), values.dtype.itemsize)
    notes: tuple[str, ...] = ()
    if spacing is None:
        spacing = said
    elif said is not None and any(
        abs(a - b) > _DIFFER * b for a, b in zip(spacing, said, strict=True)
    ):
        header = " x ".join(f"{v:.6g}" for v in said)
        notes = (f"its header says voxels of {header} mm, which were overruled",)
    if spacing is None:
        raise UnknownSpacing(
            f"{path}: a stack of {z} slices of {y} x {x} pixels does not say how far apart its voxels "
            "are: say their spacing along x, y and z in mm, and what its values mean",
            float(values.min()), float(values.max()), (x, y, z),
        )  # fmt: skip
    for axis, turned in zip((2, 1, 0), flip, strict=True):
        if turned:
            values = np.flip(values, axis)
    steps = torch.tensor([*spacing, 1.0], dtype=torch.float64)
    world_from_index = torch.diag(steps)
    world_from_index[:3, 3] = -steps[:3] * torch.tensor([x - 1, y - 1, z - 1]) / 2
    check_place(path, world_from_index)
    return StoredGrid(values, world_from_index, files=(path,), notes=notes)


def _said_spacing(tiff: Any) -> Triple | None:
    """What ImageJ or OME wrote of the voxels, mm; None where anything of it is missing."""
    found = _imagej(tiff) or _ome(tiff)
    return found if found is not None and all(0 < v < np.inf for v in found) else None


def _imagej(tiff: Any) -> Triple | None:
    about = tiff.imagej_metadata or {}
    unit = _MM.get(str(about.get("unit", "")).replace("\\u00B5", "µ"))
    tags = tiff.pages[0].tags
    resolution = [tags[name].value for name in ("XResolution", "YResolution") if name in tags]
    if unit is None or "spacing" not in about or len(resolution) < 2:
        return None
    (x_count, x_of), (y_count, y_of) = resolution
    if not x_count or not y_count:
        return None
    return unit * x_of / x_count, unit * y_of / y_count, unit * float(about["spacing"])


def _ome(tiff: Any) -> Triple | None:
    text = tiff.ome_metadata or ""
    sizes = {axis: value for axis, unit, value in _OME.findall(text) if not unit}
    units = {axis: value for axis, unit, value in _OME.findall(text) if unit}
    try:
        x, y, z = (float(sizes[axis]) * _MM[units.get(axis, "µm")] for axis in "XYZ")
    except (KeyError, ValueError):
        return None
    return x, y, z
