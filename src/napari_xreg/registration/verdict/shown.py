"""How much of what is registered a radiograph shows: of a bone beyond the picture it says nothing."""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume, without_saturated
from napari_xreg.registration.near_bone.mask import box_corners
from napari_xreg.registration.refinement.views import View
from napari_xreg.rendering import march_view, prepare

PIXELS = 96
"""Longer side of the image in which that is measured, about all that is registered, in the picture or not."""


def share_shown(volume: Volume, view: View) -> float:
    """Share of the structure of a DRR (the sum of its slopes) that falls on usable pixels of the radiograph.

    Parameters
    ----------
    volume
        What is registered, on any device.
    view
        The radiograph, and where its camera stands.

    Returns
    -------
    float
        0 to 1; 0 too where a part of what is registered does not lie before the source.
    """
    ready = prepare(volume.to(device="cpu"), packed=True)
    pose = view.world_from_camera.to(device="cpu", dtype=torch.float64)
    radiograph = without_saturated(view.radiograph)
    corners = radiograph.carm.project(box_corners(ready), pose).numpy()
    if not np.isfinite(corners).all():
        return 0.0
    carm, rows, columns = _about(radiograph.carm, corners.min(0), corners.max(0))
    image, _ = march_view(ready, carm, pose, jacobian=False)
    slopes = np.hypot(*np.gradient(image))
    usable = radiograph.usable.cpu().numpy()
    here = [(0 <= at) & (at < size) for at, size in zip((rows, columns), usable.shape, strict=True)]
    shown = usable[np.ix_(rows[here[0]], columns[here[1]])]
    whole = float(slopes.sum())
    return float(slopes[np.ix_(*here)][shown].sum()) / whole if whole > 0 else 0.0


def _about(
    carm: CArm, low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[CArm, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A detector about all between two pixels (row, column), and the given one's row of each row, and column of each column."""
    detector = carm.detector
    side_mm = float(((high - low) * detector.spacing).max()) / PIXELS
    steps = [side_mm / mm for mm in detector.spacing]
    firsts = [float(at) - step for at, step in zip(low, steps, strict=True)]
    rows, columns = (
        first + step * np.arange(math.ceil((end - first) / step) + 2)
        for first, end, step in zip(firsts, high, steps, strict=True)
    )
    middle = [
        (at - first) / step for at, first, step in zip(detector.center, firsts, steps, strict=True)
    ]
    wider = Detector(
        (len(rows), len(columns)), (side_mm, side_mm), (middle[0], middle[1]), detector.mirrored
    )
    return replace(carm, detector=wider), np.rint(rows).astype(int), np.rint(columns).astype(int)
