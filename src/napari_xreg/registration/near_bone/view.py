"""Radiographs masked and cropped to what is near a rendered bone."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Crop, Radiograph, Volume
from napari_xreg.registration.near_bone.mask import (
    box_corners,
    box_of,
    near_bone_mask,
    window_about,
)
from napari_xreg.registration.refinement.views import View, at_pixels
from napari_xreg.rendering import prepare

FRAME_PIXELS = 256
"""Longer side of the image of an iteration."""

MARGIN = 4 / 32
"""Of the cropped image, about the mask: what filters reach at the coarsest level."""

FEWEST = 64
"""Usable pixels near the bone, at the level's resolution; with fewer the whole image is compared."""


def near_bone_view(volume: Volume, view: View, pose: Pose, reach_mm: float) -> View | None:
    """The view masked and cropped to what is near the bone at a pose; None if that is too little.

    Parameters
    ----------
    volume
        Bones alone, on the processor.
    pose
        Of this view's camera; the view keeps its own.
    """
    return near_bones_view([volume], view, [pose], reach_mm)


def near_bones_view(
    volumes: Sequence[Volume],
    view: View,
    poses: Sequence[Pose],
    reach_mm: float,
    pixels: int | None = None,
) -> View | None:
    """The view masked and cropped to what is near any of several bones; None if that is too little.

    Parameters
    ----------
    volumes, poses
        Of every bone, as of `near_bone_view`.
    pixels
        Of a level, longer side: slivers of a mask vanish there. None: in full.
    """
    radiograph = view.radiograph
    poses = [pose.to(dtype=torch.float64) for pose in poses]
    windows = []
    for volume, pose in zip(volumes, poses, strict=True):
        corners = box_corners(prepare(volume, packed=True))
        longest = float((corners.amax(0) - corners.amin(0)).max()) + 2 * reach_mm
        window = window_about(corners, radiograph.carm, pose, reach_mm + 2 * MARGIN * longest)
        if window is not None:
            windows.append(window)
    if not windows:
        return None
    # Of millions of pixels only these are looked at.
    start, size = _about_all(windows)
    part = radiograph.crop(*start, *size)
    used = part.usable.cpu()
    near = [
        near_bone_mask(volume, part.carm, pose, reach_mm)
        for volume, pose in zip(volumes, poses, strict=True)
    ]
    mask = torch.stack(near).any(0)
    box = box_of(mask & used, 0)
    if box is None or int((mask & used).sum()) < FEWEST:
        return None
    margin = round(MARGIN * max(box[2:]))
    top, left, rows, columns = box_of(mask & used, margin) or box
    part = radiograph.crop(start[0] + top, start[1] + left, rows, columns)
    part = part.with_mask(
        mask[top : top + rows, left : left + columns],
        f"within {reach_mm:g} mm of the rendered bone",
    )
    if pixels is not None and int(at_pixels(part, pixels).usable.sum()) < FEWEST:
        return None
    return replace(view, radiograph=part)


def _about_all(
    windows: Sequence[tuple[int, int, int, int]],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column, and size, of the window about several."""
    top, left = (min(window[axis] for window in windows) for axis in (0, 1))
    bottom, right = (max(window[axis] + window[axis + 2] for window in windows) for axis in (0, 1))
    return (top, left), (bottom - top, right - left)


def looked(
    volume: Volume, views: Sequence[View], reach_mm: float, pixels: int
) -> tuple[View, ...] | None:
    """Every view near the bone at its own pose; None if one of them has too little there, or a level
    of so many pixels would hardly show it: slivers of a mask vanish.
    """
    found = [near_bone_view(volume, view, view.world_from_camera, reach_mm) for view in views]
    kept = tuple(
        view
        for view in found
        if view is not None and int(at_pixels(view.radiograph, pixels).usable.sum()) >= FEWEST
    )
    return kept if len(kept) == len(found) else None


def in_whole_frame(
    image: Float[Tensor, "rows columns"], part: Radiograph, whole: Radiograph
) -> Float[Tensor, "frame_rows frame_columns"]:
    """The image of a part of a radiograph where it belongs in the whole one, zero around it.

    Parameters
    ----------
    part
        `near_bone_view` of `whole`, or `whole` itself.
    """
    since = part.operations[len(whole.operations) :]
    done = next((each for each in since if isinstance(each, Crop)), None)
    if done is None:
        return image
    share = min(1.0, FRAME_PIXELS / max(done.of))
    frame = torch.zeros(tuple(max(1, round(n * share)) for n in done.of), dtype=image.dtype)
    top, left = round(done.row * share), round(done.column * share)
    rows = max(1, min(round(done.rows * share), frame.shape[0] - top))
    columns = max(1, min(round(done.columns * share), frame.shape[1] - left))
    small = torch.nn.functional.interpolate(
        image.detach().cpu()[None, None], (rows, columns), mode="bilinear", antialias=True
    )
    frame[top : top + rows, left : left + columns] = small[0, 0]
    return frame
