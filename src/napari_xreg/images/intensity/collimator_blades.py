"""Straight collimator blades: four edges at right angles, found by voting along straight lines."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_ANGLES_DEG = np.arange(-15.0, 15.01, 0.5)
# Distances in pixels of the search image, which is about 320 pixels wide.
_HALF_STEP = 3
_FAR = (8, 14, 22)
# The fall of log intensity across an edge, median along it. Scatter behind a blade in a thick
# patient leaves no more than this.
_MIN_STEP = 0.15
# Share of the edge along which it falls, less the share along which it rises.
_MIN_VOTE = 0.7
# What a patient's silhouette does beyond its first pixels, and a blade does not: fall further.
_MAX_FURTHER_FALL = 0.4
# A side may hide this much of the image's width.
_MAX_HIDDEN = 0.45


@dataclass(frozen=True)
class Blades:
    """Edges in the frame turned by `angle_deg` about the image's middle; None: no blade there.

    Pixels of the search image; `left` and `right` are columns, `top` and `bottom` rows, all of the
    first or last pixel inside.
    """

    angle_deg: float
    left: int | None
    right: int | None
    top: int | None
    bottom: int | None

    def inside(self, shape: tuple[int, ...], pull_in: float = 0.0) -> NDArray[Any]:
        """True between the blades, for an image of this shape."""
        row, column = np.indices(shape, dtype=np.float64)
        x, y = _turned(column, row, shape, self.angle_deg)
        found = np.ones(shape, bool)
        if self.left is not None:
            found &= x >= self.left + pull_in
        if self.right is not None:
            found &= x <= self.right - pull_in
        if self.top is not None:
            found &= y >= self.top + pull_in
        if self.bottom is not None:
            found &= y <= self.bottom - pull_in
        return found


def find_blades(log_image: NDArray[Any]) -> Blades | None:
    """The blades in a log intensity image; None where there are not at least two.

    An edge is believed if the image falls outwards along most of it, at once, and stays down: a
    metal rod recovers behind its edge, and a silhouette keeps falling.
    """
    smooth = cv2.GaussianBlur(log_image.astype(np.float32), (0, 0), 0.8)
    best_angle, best_score = 0.0, -1.0
    for angle in _ANGLES_DEG:
        image, valid = _rotated(smooth, float(angle))
        score = sum(
            float(np.max(_votes(view, seen), initial=0.0)) ** 2
            for view, seen in _sides(image, valid, (None, None, None, None))
        )
        if score > best_score:
            best_angle, best_score = float(angle), score
    image, valid = _rotated(smooth, best_angle)
    edges: tuple[int | None, ...] = (None, None, None, None)
    for _ in range(3):
        edges = tuple(_edge(view, seen) for view, seen in _sides(image, valid, edges))
    # One dark side alone may be a limb that fills it: blades come in pairs.
    if sum(edge is not None for edge in edges) < 2:
        return None
    rows, columns = log_image.shape
    left, right, top, bottom = edges
    return Blades(
        best_angle,
        left,
        None if right is None else columns - 1 - right,
        top,
        None if bottom is None else rows - 1 - bottom,
    )


def _rotated(image: NDArray[Any], angle_deg: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """The image turned about its middle, and where it has values."""
    rows, columns = image.shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle_deg, 1.0)
    size = (columns, rows)
    turned = cv2.warpAffine(image, turn, size, flags=cv2.INTER_LINEAR)
    valid = cv2.warpAffine(np.ones(image.shape, np.float32), turn, size) > 0.999
    return np.asarray(turned), np.asarray(valid)


def _turned(
    x: NDArray[Any], y: NDArray[Any], shape: tuple[int, ...], angle_deg: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where pixels of the image lie in the turned one: the matrix of `_rotated`."""
    rows, columns = shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle_deg, 1.0)
    return (
        turn[0, 0] * x + turn[0, 1] * y + turn[0, 2],
        turn[1, 0] * x + turn[1, 1] * y + turn[1, 2],
    )


def _sides(
    image: NDArray[Any], valid: NDArray[Any], edges: tuple[int | None, ...]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """The image seen from each side as if it were the left one, between the blades known so far."""
    left, right, top, bottom = (edge or 0 for edge in edges)
    rows, columns = image.shape
    middle_rows = slice(top + 2 if top else 0, rows - (bottom + 2 if bottom else 0))
    middle_columns = slice(left + 2 if left else 0, columns - (right + 2 if right else 0))
    return [
        (image[middle_rows], valid[middle_rows]),
        (image[middle_rows, ::-1], valid[middle_rows, ::-1]),
        (image[:, middle_columns].T, valid[:, middle_columns].T),
        (image[::-1, middle_columns].T, valid[::-1, middle_columns].T),
    ]


def _votes(image: NDArray[Any], valid: NDArray[Any]) -> NDArray[Any]:
    """For each column as the edge of a left blade: net share of falling rows."""
    columns = image.shape[1]
    vote = np.full(columns, -1.0)
    if not _is_large_enough(image):
        return vote
    step, seen = _steps(image, valid)
    count = seen.sum(0)
    share = np.clip(step / _MIN_STEP, -1, 1).sum(0) / np.maximum(count, 1)
    share[count < 0.5 * len(image)] = -1
    vote[_HALF_STEP : columns - _HALF_STEP] = share
    limit = int(_MAX_HIDDEN * columns)
    vote[limit:] = -1
    return vote


def _falls(image: NDArray[Any], valid: NDArray[Any]) -> NDArray[Any]:
    """For each column as the edge of a left blade: the median fall of its rows."""
    columns = image.shape[1]
    fall = np.zeros(columns)
    if _is_large_enough(image):
        fall[_HALF_STEP : columns - _HALF_STEP] = np.median(_steps(image, valid)[0], 0)
    return fall


def _is_large_enough(image: NDArray[Any]) -> bool:
    return image.shape[1] > 2 * _HALF_STEP + 2 and len(image) >= 8


def _steps(image: NDArray[Any], valid: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """What each row gains across each column but the outermost, 0 where not seen; where it is seen."""
    width = 2 * _HALF_STEP
    seen = valid[:, width:] & valid[:, :-width]
    return np.where(seen, image[:, width:] - image[:, :-width], 0.0), seen


def _edge(image: NDArray[Any], valid: NDArray[Any]) -> int | None:
    """First column inside a left blade, if there is one."""
    vote, fall = _votes(image, valid), _falls(image, valid)
    strength = vote * fall
    believed = [
        int(c) for c in np.argsort(-strength)[:16] if _is_blade(image, valid, int(c), vote, fall)
    ]
    if not believed:
        return None
    # A rod along a blade is an edge too, but an inner one.
    outermost = [column for column in believed if column <= min(believed) + _HALF_STEP]
    return max(outermost, key=lambda column: strength[column])


def _is_blade(
    image: NDArray[Any], valid: NDArray[Any], at: int, vote: NDArray[Any], fall: NDArray[Any]
) -> bool:
    if vote[at] < _MIN_VOTE or fall[at] < _MIN_STEP:
        return False
    near = _median(image, valid, at - _HALF_STEP)
    inner = _median(image, valid, at + _HALF_STEP)
    step = inner - near
    further = near - _median(image, valid, at - _HALF_STEP - 4)
    # NaN beyond the border compares False: nothing speaks against the edge there.
    if step <= 0 or further > _MAX_FURTHER_FALL * step:
        return False
    far = [_median(image, valid, at - distance) for distance in _FAR]
    return not any(inner - value < 0.5 * step for value in far)


def _median(image: NDArray[Any], valid: NDArray[Any], column: int) -> float:
    """Over the rows that are seen; NaN outside the image."""
    if not 0 <= column < image.shape[1] or valid[:, column].sum() < 8:
        return float("nan")
    return float(np.median(image[valid[:, column], column]))
