"""The pixels near a rendered bone."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.registration.near_bone.cut_ends import cut_end_points
from napari_xreg.rendering import Prepared, march_view, prepare

PIXELS = 160
"""Longer side of the image in which distances are measured."""

FAINTEST = 0.02
"""Share of the largest line integral of the bone; what is fainter is not its shadow."""

LEAST_LEFT = 0.3
"""Of the mask, when cut ends are left out; of a bone seen along its axis nothing would be."""


def near_bone_mask(
    volume: Volume,
    carm: CArm,
    world_from_camera: Pose,
    reach_mm: float,
    *,
    leave_out_cut_ends: bool = True,
) -> Bool[Tensor, "rows columns"]:
    """The pixels within so many millimetres of where a bone is rendered.

    Parameters
    ----------
    volume
        Bones alone, nothing else attenuating (`above_water`).
    carm
        Of the radiograph.
    world_from_camera
        One pose, or several: then near any of them.
    reach_mm
        Measured where the bone is, not on the detector.
    leave_out_cut_ends
        Leave out what is nearer than `reach_mm` to an end where the bone was cut flat, and what lies
        beyond it: there the rendered bone has an edge, and the real one goes on.

    Raises
    ------
    ValueError
        If the reach is not positive.
    """
    if not reach_mm > 0:
        raise ValueError(f"the mask reaches a positive number of mm: got {reach_mm}")
    ready = prepare(volume, packed=True)
    ends = cut_end_points(volume) if leave_out_cut_ends else torch.zeros((0, 3)).double()
    rotations = world_from_camera.rotation.reshape(-1, 3, 3)
    translations = world_from_camera.translation.reshape(-1, 3)
    near = np.zeros(carm.detector.shape, np.bool_)
    for rotation, translation in zip(rotations, translations, strict=True):
        _add(near, ready, carm, Pose(rotation, translation), reach_mm, ends)
    return torch.from_numpy(near)


def box_of(mask: Bool[Tensor, "rows columns"], margin: int) -> tuple[int, int, int, int] | None:
    """First row, first column, rows and columns about a mask; None where it is empty."""
    rows, columns = (torch.nonzero(mask.any(dim=1 - axis))[:, 0] for axis in range(2))
    if not len(rows):
        return None
    top, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    bottom = min(int(rows[-1]) + 1 + margin, mask.shape[0])
    right = min(int(columns[-1]) + 1 + margin, mask.shape[1])
    return top, left, bottom - top, right - left


def window_about(
    corners: Float[Tensor, "n 3"], carm: CArm, pose: Pose, beyond_mm: float
) -> tuple[int, int, int, int] | None:
    """First row, first column, rows and columns about where points are seen; None where that is out
    of sight.

    Parameters
    ----------
    corners
        World, mm.
    beyond_mm
        Further than they are seen, measured where they are.
    """
    seen = carm.project(corners, pose).numpy()
    pixel_mm = pixel_mm_at(carm, pose, corners)
    if not (pixel_mm > 0).all() or not np.isfinite(seen).all():
        return None
    reach = beyond_mm / pixel_mm + 2
    low = np.maximum(np.floor(seen.min(0) - reach), 0).astype(int)
    high = np.minimum(np.ceil(seen.max(0) + reach) + 1, carm.detector.shape).astype(int)
    rows, columns = (int(n) for n in high - low)
    return None if rows < 2 or columns < 2 else (int(low[0]), int(low[1]), rows, columns)


def pixel_mm_at(carm: CArm, pose: Pose, points: Float[Tensor, "n 3"]) -> npt.NDArray[np.float64]:
    """Rows and columns of the detector, demagnified to where points lie; not positive behind it."""
    depth = float(pose.inverse().apply(points)[:, 2].mean())
    return np.asarray(carm.detector.spacing) * depth / carm.source_to_detector


def depth_of(volume: Volume, world_from_camera: Pose) -> float:
    """How far the middle of what is filled lies from the source along the central ray, mm."""
    corners = box_corners(prepare(volume, packed=True))
    return float(world_from_camera.inverse().to(dtype=torch.float64).apply(corners)[:, 2].mean())


def box_corners(ready: Prepared) -> Float[Tensor, "8 3"]:
    """Of the box about what is filled: world mm."""
    z, y, x = ready.values.shape
    ends = (torch.tensor([0.0, n - 1.0]).double() for n in (x, y, z))
    index = torch.cartesian_prod(*ends).numpy() - ready.offset
    return torch.from_numpy(index @ np.linalg.inv(ready.linear).T)


def _add(
    near: npt.NDArray[np.bool_],
    ready: Prepared,
    carm: CArm,
    pose: Pose,
    reach_mm: float,
    ends: Tensor,
) -> None:
    """Mark what is near at one pose."""
    pose = pose.to(dtype=torch.float64)
    corners = box_corners(ready)
    window = window_about(corners, carm, pose, reach_mm)
    if window is None:
        return
    top, left, rows, columns = window
    detector, pixel_mm = carm.detector, pixel_mm_at(carm, pose, corners)
    # Squares of one size, so few that a distance is quickly found.
    side = max(rows * pixel_mm[0], columns * pixel_mm[1]) / PIXELS
    shape = [
        max(2, min(n, round(n * mm / side)))
        for n, mm in zip((rows, columns), pixel_mm, strict=True)
    ]
    part = detector.crop(top, left, rows, columns).resize(*shape)
    image, _ = march_view(ready, replace(carm, detector=part), pose, jacobian=False)
    if not image.max() > 0:
        return
    shadow = image > FAINTEST * image.max()
    sampling = pixel_mm * [rows / shape[0], columns / shape[1]]
    distance, nearest = scipy.ndimage.distance_transform_edt(
        ~shadow, sampling=sampling, return_indices=True
    )
    close = distance <= reach_mm
    end = drawn(ends, replace(carm, detector=part), pose, shadow.shape)
    if end.any():
        beyond = end[tuple(nearest)] & ~shadow
        kept = (
            close
            & ~beyond
            & (scipy.ndimage.distance_transform_edt(~end, sampling=sampling) > reach_mm)
        )
        close = kept if kept.sum() >= LEAST_LEFT * close.sum() else close
    back = [
        np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(int)
        for n, m in zip((rows, columns), shape, strict=True)
    ]
    near[top : top + rows, left : left + columns] |= close[np.ix_(*back)]


def drawn(
    points: Float[Tensor, "n 3"], carm: CArm, pose: Pose, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """The pixels that points fall on, and those beside them."""
    drawn = np.zeros(shape, np.bool_)
    if len(points):
        pixels = carm.project(points, pose).numpy()
        pixels = np.round(pixels[np.isfinite(pixels).all(1)]).astype(int)
        pixels = pixels[((pixels >= 0) & (pixels < shape)).all(1)]
        drawn[pixels[:, 0], pixels[:, 1]] = True
    return (
        np.asarray(scipy.ndimage.binary_dilation(drawn, np.ones((3, 3)))) if drawn.any() else drawn
    )
