"""A heatmap over its radiograph, for a file."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, pixels_between
from napari_xreg.images import Radiograph
from napari_xreg.rayemb import PointHeatmaps
from napari_xreg.records import drawing

PIXELS = 480


def heatmap_picture(
    radiograph: Radiograph,
    maps: PointHeatmaps,
    row: int,
    *,
    caption: Sequence[str],
) -> drawing.Picture:
    """Two panels: where the point may be, with its 95 % ellipse; similarity, from 0 to 1.

    The left one is as bright as a pixel is probable beside the most probable one; the right one has
    the same scale for every point, so heatmaps compare.

    Parameters
    ----------
    maps, row
        Heatmaps of points, and which of them.
    caption
        Lines below.
    """
    detector = radiograph.carm.detector
    scale = PIXELS / max(detector.shape)
    rows, columns = (max(1, round(side * scale)) for side in detector.shape)
    shown = radiograph.resize(rows, columns)
    usable = shown.usable.cpu().numpy()
    base = drawing.grey(shown.line_integrals.cpu().float().numpy(), usable)
    probability, grid, found = maps.probability[row], maps.grid, maps.found
    share = _sampled(probability / probability.max().clamp_min(1e-12), grid, shown.carm)
    heat = _colored(share, cv2.COLORMAP_INFERNO)
    opacity = (0.75 * np.sqrt(share) * usable)[..., None]
    left = ((1 - opacity) * base + opacity * heat).astype(np.uint8)
    left = _ellipse(left, found.pixels[row], found.covariances[row], radiograph.carm, shown.carm)
    even = _sampled(maps.similarity[row], grid, shown.carm)
    right = _colored(even, cv2.COLORMAP_VIRIDIS)
    right[~usable] //= 4
    panels = [drawing.titled(left, "where it may be, 95 % ellipse"),
              drawing.titled(right, "similarity, 0 (dark) to 1 (yellow)")]  # fmt: skip
    picture = drawing.grid([panels])
    lines = [(text, drawing.INK) for text in caption]
    if radiograph.simulated:
        lines.append(("SIMULATED radiograph", drawing.WARNING))
    strip = np.full((12 + 20 * len(lines), picture.shape[1], 3), drawing.BACKGROUND, np.uint8)
    return np.vstack([picture, drawing.write(strip, lines, (10, 2))])


def _sampled(values: Float[Tensor, "h w"], grid: CArm, shown: CArm) -> np.ndarray:
    """On the shown pixels; rays decide, so a mirrored detector stays right."""
    rows, columns = shown.detector.shape
    at = torch.cartesian_prod(torch.arange(rows).double(), torch.arange(columns).double())
    where = pixels_between(at, shown, grid).float().numpy().reshape(rows, columns, 2)
    image = values.detach().cpu().float().numpy()
    return cv2.remap(
        image, where[..., 1], where[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def _colored(values: np.ndarray, colors: int) -> drawing.Picture:
    level = (255 * np.clip(np.nan_to_num(values), 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(level, colors)[..., ::-1])


def _ellipse(
    picture: drawing.Picture,
    peak: Float[Tensor, "2"],
    covariance: Float[Tensor, "2 2"],
    carm: CArm,
    shown: CArm,
) -> drawing.Picture:
    """Peak as a cross, and the ellipse that holds 95 % of a normal distribution."""
    root = torch.linalg.cholesky(covariance.double() + 1e-9 * torch.eye(2))
    angle = torch.linspace(0, 2 * torch.pi, 65, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()])
    outline = peak.double() + (5.991**0.5 * root @ circle).T
    cross = peak.double()[None]
    out = np.ascontiguousarray(picture)
    line = pixels_between(outline, carm, shown).flip(1).round().int().numpy()
    cv2.polylines(
        out, [line], isClosed=True, color=drawing.AFTER, thickness=1, lineType=cv2.LINE_AA
    )
    x, y = pixels_between(cross, carm, shown)[0].flip(0).round().int().tolist()
    cv2.drawMarker(out, (x, y), drawing.AFTER, cv2.MARKER_CROSS, 13, 1, cv2.LINE_AA)
    return out
