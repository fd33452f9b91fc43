"""Evidence: what radiographs say for or against a pose, in figures that know no body part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.images import Radiograph, Volume, without_saturated
from napari_xreg.registration.refinement.views import View, at_pixels
from napari_xreg.registration.verdict.motion import common_motion
from napari_xreg.registration.verdict.patches import Array, Patches, match_patches
from napari_xreg.rendering import render_drr

PIXELS = 256
"""Longer side of what is compared, the part of the radiograph that the CT covers: patches are then
as large against the anatomy whatever the detector."""
VOXELS = 3.6
"""Of the CT across a pixel of what is compared, at most: finer, a DRR shows the voxels, not the bone."""
CONVINCING = 0.6
"""A patch has a say whose best place correlates at least so much: what the radiograph shows at all."""
BETTER = 0.06
"""A place is as good as another if it correlates less by no more."""
FEWEST = 8
"""Convincing patches; with fewer there is nothing to judge by."""


@dataclass(frozen=True)
class Evidence:
    """What the radiographs say of a pose.

    Parameters
    ----------
    settled
        Share of the convincing patches of the DRR that fit nowhere better than where the pose puts
        them, of the places that can be told apart.
    sharpness
        How much worse patches fit a little beside (3 and 5 pixels), of how much worse the DRR fits
        itself there: 1 where the radiograph shows all that the DRR shows, and in that place.
    agreement
        Mean correlation of the patches in their best places: what noise leaves of the first two at
        a right pose.
    patches
        How many convincing patches there are, in all radiographs.
    slack_mm
        How far the patches would let the picture slide along its loosest direction
        (`motion.CommonMotion`), at the patient; of several radiographs the largest.
    drift_mm
        How far from where the pose puts them the patches fit best by their common motion, at the
        patient; of several radiographs the largest.
    """

    settled: float
    sharpness: float
    agreement: float
    patches: int
    slack_mm: float
    drift_mm: float


def evidence_of(volume: Volume, views: Sequence[View]) -> Evidence | None:
    """Compare DRRs at the poses of `views` with their radiographs; None where too little is seen.

    Parameters
    ----------
    volume
        The CT as it was registered, on any device.
    views
        Radiographs with the poses found.
    """
    return weighed(list(that_show([patches_of(volume, view) for view in views]).values()))


def that_show(
    found: Sequence[tuple[Patches, float] | None],
) -> dict[int, tuple[Patches, float]]:
    """Of `patches_of` several radiographs those, by their numbers, that have patches enough to judge by alone.

    That is said by the DRR and by what is usable: whether the radiograph agrees is another matter. All, where none has.
    """
    some = {number: each for number, each in enumerate(found) if each is not None}
    enough = {number: each for number, each in some.items() if len(each[0].here) >= FEWEST}
    return enough or some


def weighed(found: Sequence[tuple[Patches, float]]) -> Evidence | None:
    """The figures of the patches of all radiographs together, each with its `patches_of`."""
    if not found:
        return None
    here, best, rival, aside, own = (
        np.concatenate([getattr(patches, name) for patches, _ in found])
        for name in ("here", "best", "rival", "aside", "own")
    )
    says = [_convincing(patches) for patches, _ in found]
    convincing = np.concatenate(says)
    count = int(convincing.sum())
    if count < FEWEST:
        return None
    here, best, rival = here[convincing], best[convincing], rival[convincing]
    together = [
        (common_motion(patches, say), pixel_mm)
        for (patches, pixel_mm), say in zip(found, says, strict=True)
    ]
    worse, alone = here[:, None] - aside[convincing], 1.0 - own[convincing]
    both = np.isfinite(worse) & np.isfinite(alone)
    return Evidence(
        settled=float((here > rival - BETTER).mean()),
        sharpness=float(worse[both].sum() / max(alone[both].sum(), 1e-6)),
        agreement=float(best.mean()),
        patches=count,
        slack_mm=max(motion.slack * pixel_mm for motion, pixel_mm in together),
        drift_mm=max(motion.drift * pixel_mm for motion, pixel_mm in together),
    )


def _convincing(patches: Patches) -> npt.NDArray[np.bool_]:
    return (patches.best > CONVINCING) & np.isfinite(patches.rival)


def patches_of(volume: Volume, view: View) -> tuple[Patches, float] | None:
    """The patches of one radiograph, and the size of their pixels at the patient, mm.

    None where the CT is not in it.
    """
    radiograph = _where_seen(volume, view)
    if radiograph is None:
        return None
    rows, columns = radiograph.carm.detector.shape
    scale = _pixels(volume, radiograph, view) / max(rows, columns)
    radiograph = radiograph.resize(max(1, round(rows * scale)), max(1, round(columns * scale)))
    seen = radiograph.line_integrals.detach().cpu().float().numpy()
    usable = radiograph.usable.cpu().numpy()
    filled = np.where(usable, seen, np.float32(0.0))
    arm = radiograph.carm
    pixel_mm = max(arm.detector.spacing) * _depth(volume, view) / arm.source_to_detector
    return match_patches(_drr(volume, radiograph, view), filled, usable), pixel_mm


def _depth(volume: Volume, view: View) -> float:
    """Of the middle of the CT, mm from the source."""
    pose = view.world_from_camera.inverse().to(dtype=torch.float64)
    return abs(float(pose.apply(volume.center.double().cpu()[None])[0, 2]))


def _pixels(volume: Volume, radiograph: Radiograph, view: View) -> float:
    """Of the longer side of what is compared: fewer than `PIXELS` for a CT of coarse voxels."""
    arm = radiograph.carm
    side = max(n * s for n, s in zip(arm.detector.shape, arm.detector.spacing, strict=True))
    voxel = math.prod(volume.spacing) ** (1 / 3)
    return min(PIXELS, side * _depth(volume, view) / arm.source_to_detector * VOXELS / voxel)


def _drr(volume: Volume, radiograph: Radiograph, view: View) -> Array:
    pose = view.world_from_camera.to(device=volume.lac.device, dtype=torch.float32)
    drr = render_drr(volume, radiograph.carm, pose, method="joseph")
    image = drr.detach().cpu().float().numpy().reshape(radiograph.carm.detector.shape)
    return np.asarray(image, np.float32)


def _where_seen(volume: Volume, view: View) -> Radiograph | None:
    """The part of the radiograph that the CT covers; None where it covers none."""
    small = at_pixels(view.radiograph, PIXELS // 4)
    covered = _drr(volume, small, view) > 0.0
    if not covered.any():
        return None
    window = []
    for axis, pixels in enumerate(view.radiograph.carm.detector.shape):
        on = np.flatnonzero(covered.any(1 - axis))
        scale = pixels / covered.shape[axis]
        first = max(0, math.floor((on[0] - 1) * scale))
        window.append((first, min(pixels, math.ceil((on[-1] + 2) * scale)) - first))
    (row, rows), (column, columns) = window
    return without_saturated(view.radiograph).crop(row, column, rows, columns)
