"""A tracked sequence as a film: the body's edges over each radiograph."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.records import drawing as canvas
from napari_xreg.records.drawing import AFTER, BEFORE, INK, WARNING, Picture
from napari_xreg.records.pictures import SIMULATED, at_display_size
from napari_xreg.rendering import render_drr

PIXELS = 384
"""Longer side of each radiograph."""
GAP = 6


@dataclass(frozen=True, eq=False)
class FrameShown:
    """One frame of a sequence.

    Parameters
    ----------
    views
        The radiograph of each camera with its ``world_from_camera``; None: no pose was found.
    words
        A caption.
    sure
        Whether the pose is trusted.
    """

    views: tuple[tuple[Radiograph, Pose | None], ...]
    words: str
    sure: bool


def track_pictures(volume: Volume, frames: Iterable[FrameShown]) -> Iterator[Picture]:
    """A picture for each frame: all cameras side by side, with the edges of the body where it was found.

    Parameters
    ----------
    volume
        The body, on any device.
    frames
        Asked for one by one.
    """
    for frame in frames:
        panels = [_panel(volume, view, pose, frame.sure) for view, pose in frame.views]
        height = max(len(panel) for panel in panels)
        row = [_as_high(panel, height) for panel in panels]
        simulated = any(radiograph.simulated for radiograph, _ in frame.views)
        strip = np.full(
            (44, sum(panel.shape[1] for panel in row) + GAP * (len(row) - 1), 3),
            canvas.BACKGROUND,
            np.uint8,
        )
        lines = [(frame.words, INK), (SIMULATED if simulated else "", WARNING)]
        yield canvas.grid([row, [canvas.write(strip, lines, (6, 2), size=13)]], gap=GAP)


def _panel(volume: Volume, radiograph: Radiograph, pose: Pose | None, sure: bool) -> Picture:
    shown = at_display_size(radiograph, PIXELS)
    usable = shown.usable.cpu().numpy()
    picture = canvas.grey(shown.line_integrals.cpu().float().numpy(), usable)
    if pose is None:
        return picture
    drr = render_drr(volume, shown.carm, pose.to(dtype=torch.float64), method="joseph")
    edges = canvas.edges(drr.cpu().float().numpy()) & usable
    return canvas.with_edges(picture, edges, AFTER if sure else BEFORE)


def _as_high(picture: Picture, height: int) -> Picture:
    below = np.full((height - len(picture), picture.shape[1], 3), canvas.BACKGROUND, np.uint8)
    return np.vstack([picture, below])
