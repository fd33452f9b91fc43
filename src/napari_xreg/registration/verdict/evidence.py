"""Evidence: what radiographs say for or against a pose, in figures that know no body part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from napari_xreg.images import Radiograph, Volume, without_saturated
from napari_xreg.registration.refinement.views import View, at_pixels
from napari_xreg.registration.verdict.patches import Array, Patches, match_patches
from napari_xreg.rendering import render_drr

PIXELS = 256
"""Longer side of what is compared, the part of the radiograph that the CT covers: patches are then
as large against the anatomy whatever the detector."""
CONVINCING = 0.6
"""A patch has a say whose best place correlates at least so much: what the radiograph shows at all."""
BETTER = 0.06
"""A place is as good as the best if it correlates less by no more: along a straight edge many are."""
FEWEST = 8
"""Convincing patches; with fewer there is nothing to judge by."""


@dataclass(frozen=True)
class Evidence:
    """What the radiographs say of a pose.

    Parameters
    ----------
    settled
        Share of the convincing patches of the DRR that fit nowhere better than where the pose puts
        them.
    lift
        By how much that exceeds the share a little beside (3 and 5 pixels off), of what it could
        exceed it by: 1 where the images fit in one place only, 0 where they fit anywhere alike.
    patches
        How many convincing patches there are, in all radiographs.
    """

    settled: float
    lift: float
    patches: int


def evidence_of(volume: Volume, views: Sequence[View]) -> Evidence | None:
    """Compare DRRs at the poses of `views` with their radiographs; None where too little is seen.

    Parameters
    ----------
    volume
        The CT as it was registered, on any device.
    views
        Radiographs with the poses found.
    """
    found = [patches for view in views if (patches := patches_of(volume, view)) is not None]
    return weighed(found)


def weighed(found: Sequence[Patches]) -> Evidence | None:
    """The figures of the patches of all radiographs together."""
    if not found:
        return None
    here, best, aside = (
        np.concatenate([getattr(patches, name) for patches in found])
        for name in ("here", "best", "aside")
    )
    convincing = best > CONVINCING
    count = int(convincing.sum())
    if count < FEWEST:
        return None
    least = best[convincing] - BETTER
    settled = float((here[convincing] > least).mean())
    beside = float((aside[convincing] > least[:, None]).mean())
    return Evidence(settled, (settled - beside) / max(1.0 - beside, 0.05), count)


def patches_of(volume: Volume, view: View) -> Patches | None:
    """The patches of one radiograph; None where the CT is not in it."""
    radiograph = _where_seen(volume, view)
    if radiograph is None:
        return None
    rows, columns = radiograph.carm.detector.shape
    scale = PIXELS / max(rows, columns)
    radiograph = radiograph.resize(max(1, round(rows * scale)), max(1, round(columns * scale)))
    seen = radiograph.line_integrals.detach().cpu().float().numpy()
    usable = radiograph.usable.cpu().numpy()
    filled = np.where(usable, seen, np.float32(0.0))
    return match_patches(_drr(volume, radiograph, view), filled, usable)


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
