"""Where the beam reached the detector: the field inside collimator blades or an intensifier circle."""

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.images.intensity.collimator_blades import find_blades

# The search runs on an image of at most this many pixels a side; the mask is pulled in by one of
# its pixels, the blur of a blade's edge.
_SEARCH_SIZE = 320
# An outline is believed when intensity falls by at least this factor (in log) across most of it,
# within a few pixels. A patient's silhouette begins at thickness zero: it falls slowly.
_MIN_STEP = 0.7
_MIN_SHARP_SHARE = 0.75
# A "field" smaller than this share of the image is more likely air beside a dark body.
_MIN_FIELD = 0.25
# Behind a blade there is only scatter. (It fades away from the edge, so it is not even in the log.)
_MAX_BRIGHT_OUTSIDE = 0.01


@dataclass(frozen=True, eq=False)
class CollimatedField:
    """The part of an image that the beam reached.

    Parameters
    ----------
    mask
        True inside.
    shape
        "none" where no edge was found (the mask is then all True), "circle", "rectangle" (four
        sides, any angle) or "polygon".
    outline
        Corners (row, column) of the field, pixels; for a circle points along it. Empty for "none".
    """

    mask: Bool[Tensor, "rows columns"]
    shape: Literal["none", "circle", "rectangle", "polygon"]
    outline: tuple[tuple[float, float], ...] = ()


def collimator_mask(intensity: Float[Tensor, "rows columns"]) -> CollimatedField:
    """Find the field inside collimator blades or the circle of an image intensifier.

    Two searches. Straight blades are found by voting along lines at right angles (`find_blades`),
    which works where scatter behind a blade is brighter than the thickest part of the patient. A
    field of any convex shape is found by the hull of what is brighter than a threshold, for the
    threshold with the sharpest outline, if nothing bright lies outside. Where both find
    something the field is what they share. An image without a collimator passes neither: a patient's
    silhouette is not sharp, and air around it is bright.

    Parameters
    ----------
    intensity
        Proportional to the X-ray energy (bone dark). Not line integrals.
    """
    rows, columns = intensity.shape
    whole = CollimatedField(torch.ones(rows, columns, dtype=torch.bool), "none")
    image = np.nan_to_num(
        intensity.detach().cpu().double().numpy(), nan=0.0, posinf=0.0, neginf=0.0
    )
    if min(rows, columns) < 16 or image.max() <= 0:
        return whole
    scale = min(1.0, _SEARCH_SIZE / max(rows, columns))
    small = max(16, round(columns * scale)), max(16, round(rows * scale))
    log_image = _log_image(image, small)
    ratio = np.array([columns / small[0], rows / small[1]])
    hull = _best_hull(log_image)
    blades = find_blades(log_image)
    if hull is None and blades is None:
        return whole
    shape: Literal["circle", "rectangle", "polygon"] = "rectangle"
    inside: NDArray[Any] = np.ones(log_image.shape, np.uint8)
    if hull is not None:
        shape, outline = _simplified(hull, log_image.shape)
        inside = np.zeros(log_image.shape, np.uint8)
        cv2.fillConvexPoly(inside, np.round(hull).astype(np.int32), 1)
        # Image borders are not blades: only pull in where there is an outside.
        inside = cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    if blades is not None and shape != "circle":
        between = inside * blades.inside(log_image.shape, pull_in=1.0)
        if between.mean() > 0.5 * _MIN_FIELD:
            inside, outline = between, _corners(between)
        elif hull is None:
            return whole
    mask = cv2.resize(inside, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
    corners = (outline + 0.5) * ratio - 0.5
    return CollimatedField(
        torch.from_numpy(mask), shape, tuple((float(r), float(c)) for c, r in corners)
    )


def _corners(inside: NDArray[Any]) -> NDArray[Any]:
    """Corners (x, y) of a convex mask with straight sides."""
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    corners = cv2.approxPolyDP(hull, 0.015 * cv2.arcLength(hull, True), True)
    return np.asarray(corners[:, 0, :], dtype=np.float64)


def _log_image(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Smoothed log intensity on the search grid, floored at a 1000th of the bright level."""
    bright = float(np.quantile(image, 0.98))
    smooth = cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    smooth = cv2.medianBlur(smooth, 3)
    floor = max(bright, float(image.max()) * 1e-3) * 1e-3
    return np.asarray(np.log(np.maximum(smooth, floor)), dtype=np.float64)


def _best_hull(log_image: NDArray[Any]) -> NDArray[Any] | None:
    """The convex outline (x, y) with the sharpest edge, if one is believable."""
    low, high = np.quantile(log_image, [0.002, 0.98])
    if high - low < _MIN_STEP:
        return None
    candidates = []
    for fraction in np.linspace(0.08, 0.8, 16):
        threshold = low + fraction * (high - low)
        hull = _bright_hull(log_image, threshold)
        if hull is None:
            continue
        score = _edge_score(log_image, hull, threshold)
        if score > _MIN_SHARP_SHARE:
            candidates.append((score, cv2.contourArea(hull.astype(np.float32)), hull))
    if not candidates:
        return None
    best_score, best_area, _ = max(candidates, key=lambda candidate: candidate[0])
    # A low threshold lies in the blur outside the edge: take the highest that finds the same field.
    same = [
        hull
        for score, area, hull in candidates
        if score > best_score - 0.05 and area > 0.92 * best_area
    ]
    return same[-1]


def _bright_hull(log_image: NDArray[Any], threshold: float) -> NDArray[Any] | None:
    """Convex hull (x, y) of the largest connected region above the threshold."""
    bright: NDArray[Any] = (log_image > threshold).astype(np.uint8)
    # Opening removes what is thinner than 3 pixels: lead letters, dust, single noisy pixels.
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    area = stats[largest, cv2.CC_STAT_AREA]
    if area < 0.02 * bright.size:
        return None
    # Air on both sides of a patient is two regions: join those of similar size.
    keep = np.isin(labels, [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 0.1 * area])
    points = np.argwhere(keep)[:, ::-1].astype(np.int32)
    return np.asarray(cv2.convexHull(points)[:, 0, :], dtype=np.float64)


def _edge_score(log_image: NDArray[Any], hull: NDArray[Any], threshold: float) -> float:
    """Share of the outline across which the image falls sharply; 0 if the outside is not dark."""
    rows, columns = log_image.shape
    inside = np.zeros(log_image.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(hull).astype(np.int32), 1)
    outside = cv2.dilate(inside, np.ones((5, 5), np.uint8)) == 0
    if not 0.01 < outside.mean() < 1 - _MIN_FIELD:
        return 0.0
    # Nothing bright may lie outside; a little noise may.
    if (log_image[outside] > threshold).mean() > _MAX_BRIGHT_OUTSIDE:
        return 0.0
    points, normals = _outline(hull)
    reach = 3.0
    x_in, y_in = (points - reach * normals).T
    x_out, y_out = (points + reach * normals).T
    real = (x_out >= 1) & (x_out <= columns - 2) & (y_out >= 1) & (y_out <= rows - 2)
    if real.sum() < 0.15 * (rows + columns):
        return 0.0
    step = _sample(log_image, x_in, y_in) - _sample(log_image, x_out, y_out)
    return float((step[real] > _MIN_STEP).mean())


def _outline(hull: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points about a pixel apart along a closed convex outline, and their outward normals."""
    center = hull.mean(0)
    points, normals = [], []
    for a, b in zip(hull, np.roll(hull, -1, 0), strict=True):
        edge = b - a
        length = float(np.hypot(*edge))
        if length == 0:
            continue
        normal = np.array([edge[1], -edge[0]]) / length
        if normal @ ((a + b) / 2 - center) < 0:
            normal = -normal
        steps = (np.arange(max(1, round(length))) + 0.5) / max(1, round(length))
        points.append(a + steps[:, None] * edge)
        normals.append(np.broadcast_to(normal, (len(steps), 2)))
    return np.concatenate(points), np.concatenate(normals)


def _sample(image: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    grid = x.astype(np.float32)[None], y.astype(np.float32)[None]
    found = cv2.remap(
        image.astype(np.float32), *grid, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found[0], dtype=np.float64)


def _simplified(
    hull: NDArray[Any], shape: tuple[int, ...]
) -> tuple[Literal["circle", "rectangle", "polygon"], NDArray[Any]]:
    """Name the outline and thin it out."""
    rows, columns = shape
    points, _ = _outline(hull)
    x, y = points.T
    free = (x > 2) & (x < columns - 3) & (y > 2) & (y < rows - 3)
    if free.sum() > 0.5 * len(points):
        a = np.column_stack([2 * x[free], 2 * y[free], np.ones(free.sum())])
        cx, cy, c = np.linalg.lstsq(a, x[free] ** 2 + y[free] ** 2, rcond=None)[0]
        radius = float(np.sqrt(max(c + cx**2 + cy**2, 0.0)))
        residual = np.hypot(x[free] - cx, y[free] - cy) - radius
        if radius > 0 and np.sqrt((residual**2).mean()) < max(0.6, 0.012 * radius):
            return "circle", hull
    perimeter = cv2.arcLength(hull.astype(np.float32), True)
    corners = cv2.approxPolyDP(hull.astype(np.float32), 0.015 * perimeter, True)[:, 0, :]
    name: Literal["rectangle", "polygon"] = "rectangle" if len(corners) == 4 else "polygon"
    return name, np.asarray(corners, dtype=np.float64)
