"""Which levels show enough of what is registered: by how thick it is, and by what may be used.

A metacarpal of 10 mm is one pixel wide in a radiograph of 370 mm at 32 pixels: refined there, a
right pose is left by centimetres.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from napari_xreg.images import Volume
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.views import View

ACROSS = 2.5
"""So many pixels, and voxels, must what is registered be thick. With 4, a radius was not looked at with
64 pixels, and 3 of 6 starts from 6 mm ended within 1 mm; with 2.5, 5 of 6 (two real views)."""

USABLE = 100
"""So many pixels must be usable, where a mask takes more than half of them."""


_thicknesses: "WeakKeyDictionary[Volume, tuple[int, float]]" = WeakKeyDictionary()


def levels_that_show(
    volume: Volume, cases: Sequence[Sequence[View]], levels: Sequence[Level]
) -> tuple[Mapping[int, Level], tuple[str, ...]]:
    """Levels that show enough, by their number, their voxels fine enough; and what is left out.

    The last is always among them.
    """
    # Of a volume without attenuation nothing can be said.
    thick = thickness_mm(volume) or math.inf
    shown: dict[int, Level] = {}
    notes = []
    for number, level in enumerate(levels):
        pixel = max(_pixel_mm(view, level.pixels) for views in cases for view in views)
        usable = min(_usable(view, level.pixels) for views in cases for view in views)
        enough = usable >= USABLE
        last = number == len(levels) - 1
        if last or (thick >= ACROSS * pixel and enough):
            voxel = level.voxel_mm
            if voxel is not None:
                voxel = min(voxel, thick / ACROSS)
            shown[number] = replace(level, voxel_mm=voxel)
        else:
            why = (
                f"what is registered is {thick / pixel:.1f} pixels thick there"
                if enough
                else f"{usable:.0f} usable pixels are left there"
            )
            notes.append(f"The level of {level.pixels} pixels was left out: {why}.")
    return shown, tuple(notes)


def thickness_mm(volume: Volume) -> float:
    """How thick what attenuates is, across its thinnest direction.

    Of the box whose attenuation is spread as widely there: the square root of 12 variances.
    """
    version = 0 if volume.lac.is_inference() else volume.lac._version
    known = _thicknesses.get(volume)
    if known is None or known[0] != version:  # changed in place
        known = _thicknesses[volume] = version, _thickness_mm(volume)
    return known[1]


def _thickness_mm(volume: Volume) -> float:
    # Every so many voxels: 2 mm and more tell.
    steps = [max(1, round(2.0 / spacing)) for spacing in volume.spacing]
    some = volume.lac[:: steps[2], :: steps[1], :: steps[0]].detach().clamp_min(0).double().cpu()
    total = float(some.sum())
    if total <= 0:
        return 0.0
    matrix = volume.world_from_index.detach().cpu().double()
    z, y, x = (torch.arange(n, dtype=torch.float64) for n in some.shape)
    index = [x * steps[0], y * steps[1], z * steps[2]]
    sums = [some.sum((0, 1)), some.sum((0, 2)), some.sum((1, 2))]
    mean = [float(w @ at) / total for w, at in zip(sums, index, strict=True)]
    away = [at - m for at, m in zip(index, mean, strict=True)]
    pairs = {(0, 1): some.sum(0), (0, 2): some.sum(1), (1, 2): some.sum(2)}
    spread = torch.zeros(3, 3, dtype=torch.float64)
    for axis in range(3):
        spread[axis, axis] = float(sums[axis] @ away[axis] ** 2) / total
    for (a, b), plane in pairs.items():
        spread[a, b] = spread[b, a] = float(away[b] @ plane @ away[a]) / total
    world = matrix[:3, :3] @ spread @ matrix[:3, :3].T
    thinnest = float(torch.linalg.eigvalsh(world)[0])
    return float((12 * max(thinnest, 0.0)) ** 0.5)


def _pixel_mm(view: View, pixels: int) -> float:
    """Of a level, demagnified to the isocenter."""
    carm = view.radiograph.carm
    coarser = max(1.0, max(carm.detector.shape) / pixels)
    on_detector: float = max(carm.detector.spacing) * coarser
    return on_detector * carm.source_to_isocenter / carm.source_to_detector


def _usable(view: View, pixels: int) -> float:
    """How many pixels of a level may be used; infinitely many where a mask leaves half of them."""
    radiograph = view.radiograph
    share = float(radiograph.usable.double().mean())
    coarser = max(1.0, max(radiograph.carm.detector.shape) / pixels)
    rows, columns = radiograph.carm.detector.shape
    return math.inf if share >= 0.5 else share * rows * columns / coarser**2
