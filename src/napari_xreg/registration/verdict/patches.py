"""Patches: where pieces of a DRR fit best in the radiograph, beside where the pose puts them.

At the right pose a piece of the DRR fits nowhere better than in its own place, whatever the
anatomy, the beam and the settings; at a wrong one the pieces scatter, also where the images as
wholes are alike. What is compared is detail (differences of Gaussians), z-scored piece by piece, so
brightness, contrast and slow shading have no say.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import scipy

from napari_xreg.rendering import side_by_side

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

DETAIL = (1.0, 8.0)
"""Widths of the two Gaussians whose difference is the detail, pixels."""
SIDE = 24
"""Of a patch, pixels."""
STRIDE = 12
REACH = 8
"""How far from its place a patch is looked for, pixels, along rows and columns."""
STRUCTURED = 0.05
"""A patch counts whose variance is at least this share of that of the strongest (95th percentile)."""
USABLE = 0.5
"""Least share of usable pixels in a patch; the others have no say in it."""
APART = 0.8
"""A place can be told from another if the DRR's own detail there correlates less with the patch's."""
ASIDE = tuple(
    (round(radius * math.sin(turn)), round(radius * math.cos(turn)))
    for radius in (3, 5)
    for turn in (0.25 * math.pi * step for step in range(8))
)
"""Places beside its own, (row, column), pixels, at which a patch is compared too."""
INDEPENDENT = SIDE**2 / (4.0 * math.pi * DETAIL[0] ** 2)
"""Pixels of a patch whose noise is independent: white noise through the narrow Gaussian."""
BENT_WITHIN = 3
"""Pixels about its place over which the own correlation of a patch is taken for a parabola."""


@dataclass(frozen=True, eq=False)
class Patches:
    """Structured patches of a DRR in a radiograph.

    Parameters
    ----------
    here
        Normalised cross-correlation where the pose puts them, [n].
    best
        The largest within `REACH`, [n].
    rival
        The largest of those places that the DRR itself tells from the patch's own (`APART`), [n]; NaN
        where there is none: along a straight edge a patch slides.
    aside
        At the places `ASIDE`, [n, places]; NaN where too few pixels are usable.
    own
        There, of the patch with the DRR itself, [n, places]; NaN beyond the picture.
    middle
        Of the patch, (row, column), pixels, [n, 2].
    moved
        From its place to where it fits best, (row, column), pixels, [n, 2].
    bend
        How its own correlation falls off: ``1 - d^T B d / 2`` at a small distance d, [n, 2, 2]; zero
        along an edge.
    share
        Of its pixels that are usable, [n].
    """

    here: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    rival: npt.NDArray[np.float64]
    aside: npt.NDArray[np.float64]
    own: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    moved: npt.NDArray[np.float64]
    bend: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]


def match_patches(drr: Array, radiograph: Array, usable: Mask) -> Patches:
    """Compare every structured patch of the DRR with the radiograph, in its place and around.

    Of each only pixels that are usable count: a mask that follows a bone, or air cut off at white,
    leaves few patches whole.

    Parameters
    ----------
    drr, radiograph
        Line integrals, [rows, columns]; pixels that are not usable may hold anything finite.
    usable
        Pixels to compare.
    """
    everywhere = np.ones(drr.shape, np.float32)
    weight = usable.astype(np.float32)
    # Smoothed over the same pixels as the radiograph, or the edge of a mask would look like a change.
    made, seen, hidden = side_by_side(
        lambda: _detail(drr, everywhere),
        lambda: _detail(radiograph, weight),
        lambda: _detail(drr, weight),
    )
    at, whole = _structured(made, usable)
    masked = [hidden[row : row + SIDE, column : column + SIDE] for row, column in at]
    found, itself = side_by_side(
        lambda: _correlations(seen, weight, at, masked),
        lambda: _correlations(made, everywhere, at, whole),
    )
    known = np.where(np.isnan(found), -np.inf, found)
    # What is NaN is less than nothing: no rival.
    apart = np.where(itself < APART, known, -np.inf).max((1, 2), initial=-np.inf)
    row_of, column_of = (REACH + np.array(ASIDE)).T
    places = known.reshape(len(known), (2 * REACH + 1) ** 2)
    where = np.unravel_index(places.argmax(1), (2 * REACH + 1, 2 * REACH + 1))
    return Patches(
        here=found[:, REACH, REACH],
        best=known.max((1, 2), initial=-1.0),
        rival=np.where(np.isfinite(apart), apart, np.nan),
        aside=found[:, row_of, column_of],
        own=itself[:, row_of, column_of],
        middle=np.array(at, np.float64).reshape(-1, 2) + 0.5 * (SIDE - 1),
        moved=np.stack(where, 1).astype(np.float64) - REACH,
        bend=_bends(itself),
        share=np.array([usable[r : r + SIDE, c : c + SIDE].mean() for r, c in at], np.float64),
    )


def _structured(made: Array, usable: Mask) -> tuple[list[tuple[int, int]], list[Array]]:
    """Corners of the patches that have structure where they are usable, and the patches."""
    corners = [
        (row, column)
        for row in range(0, made.shape[0] - SIDE + 1, STRIDE)
        for column in range(0, made.shape[1] - SIDE + 1, STRIDE)
    ]
    if not corners:
        return [], []
    weight = usable.astype(np.float32)
    count, total, squares = (
        _box_sums(plane)[tuple(np.array(corners).T)]
        for plane in (weight, made * weight, made * made * weight)
    )
    enough = np.rint(count) >= USABLE * SIDE**2
    mean = total / np.maximum(count, 1.0)
    variance = np.where(enough, squares / np.maximum(count, 1.0) - mean * mean, -1.0)
    # Rounding of a flat image is no structure: float32 keeps 1e-7 of its value.
    seen = variance[enough]
    least = max(1e-12, STRUCTURED * float(np.quantile(seen, 0.95))) if seen.size else 0.0
    chosen = [corners[n] for n in np.flatnonzero(enough & (variance > least))]
    return chosen, [made[row : row + SIDE, column : column + SIDE] for row, column in chosen]


def _correlations(
    image: Array, weight: Array, corners: Sequence[tuple[int, int]], pieces: Sequence[Array]
) -> npt.NDArray[np.float64]:
    """Of every piece with the usable pixels around its corner, up to `REACH` off, [n, rows, columns].

    NaN where fewer than `USABLE` of its pixels are usable, so also beyond the border.
    """
    if not pieces:
        return np.zeros((0, 2 * REACH + 1, 2 * REACH + 1))
    # A correlation knows no offset, and of a large one rounding would be left.
    image = image - np.float32((image * weight).sum() / max(float(weight.sum()), 1.0))
    border = (REACH,) * 4
    padded: list[Array] = [
        np.asarray(cv2.copyMakeBorder(plane, *border, cv2.BORDER_CONSTANT, value=0.0), np.float32)
        for plane in (weight, image * weight, image * image * weight)
    ]
    stack = np.stack(pieces)
    centred = stack - stack.mean((1, 2), keepdims=True)
    count, total, squares = (_under(plane, corners) for plane in padded)
    count = np.rint(count)  # of pixels: half of them is half, whatever the sums are rounded to
    side = SIDE + 2 * REACH
    usable, seen = (
        np.stack([plane[r : r + side, c : c + side] for r, c in corners]) for plane in padded[:2]
    )
    own = _conjugate(centred)
    both = _summed(_transform(seen), own)
    # Where every pixel under a piece is usable, the sums over it are those of the whole piece.
    of_piece = np.zeros_like(both)
    of_squares = np.ones_like(both) * (centred * centred).sum((1, 2), keepdims=True)
    partly = (count < SIDE**2).any((1, 2))
    if partly.any():
        holes = _transform(usable[partly])
        of_piece[partly] = _summed(holes, own[partly])
        of_squares[partly] = _summed(holes, _conjugate(centred[partly] * centred[partly]))
    some = np.maximum(count, 1.0)
    spread = np.maximum(squares - total * total / some, 1e-9) * np.maximum(
        of_squares - of_piece * of_piece / some, 1e-9
    )
    value = (both - total * of_piece / some) / np.sqrt(spread)
    return np.where(count >= USABLE * SIDE**2, value, np.nan)


Transform = npt.NDArray[np.complexfloating]


def _transform(planes: npt.NDArray[np.floating]) -> Transform:
    side = SIDE + 2 * REACH
    found: Transform = scipy.fft.rfft2(planes.astype(np.float32), (side, side))
    return found


def _conjugate(pieces: npt.NDArray[np.floating]) -> Transform:
    found: Transform = np.conj(_transform(pieces))
    return found


def _summed(planes: Transform, pieces: Transform) -> npt.NDArray[np.float64]:
    """Over the pixels under the piece at every place: a circular correlation, as far as it does not go round."""
    side = SIDE + 2 * REACH
    places = scipy.fft.irfft2(planes * pieces, (side, side))
    return np.asarray(places[:, : 2 * REACH + 1, : 2 * REACH + 1], np.float64)


def _under(plane: Array, corners: Sequence[tuple[int, int]]) -> npt.NDArray[np.float64]:
    """Sums of a padded image over a square as large as a piece, at every place about each corner."""
    sums, places = _box_sums(plane), 2 * REACH + 1
    return np.stack([sums[r : r + places, c : c + places] for r, c in corners])


def _box_sums(plane: Array) -> npt.NDArray[np.float64]:
    """Over the square as large as a piece whose corner is at each pixel, within the image."""
    sums = cv2.boxFilter(plane, cv2.CV_64F, (SIDE, SIDE), anchor=(0, 0), normalize=False)
    return np.asarray(sums, np.float64)


def _bends(itself: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`Patches.bend` from the own correlations about every piece, by least squares."""
    row, column = np.mgrid[-BENT_WITHIN : BENT_WITHIN + 1, -BENT_WITHIN : BENT_WITHIN + 1]
    near = np.hypot(row, column) <= BENT_WITHIN
    row, column = row[near], column[near]
    basis = 0.5 * np.stack([row * row, 2 * row * column, column * column], 1)
    around = slice(REACH - BENT_WITHIN, REACH + BENT_WITHIN + 1)
    lost = np.nan_to_num(1.0 - itself[:, around, around][:, near])
    rows, both, columns = (lost @ np.linalg.pinv(basis).T).T
    strength, axes = np.linalg.eigh(
        np.stack([np.stack([rows, both], -1), np.stack([both, columns], -1)], -2)
    )
    bend: npt.NDArray[np.float64] = np.einsum(
        "nij,nj,nkj->nik", axes, np.maximum(strength, 0.0), axes
    )
    return bend


def _detail(image: Array, weight: Array) -> Array:
    narrow, wide = (_smoothed(image, weight, sigma) for sigma in DETAIL)
    return np.asarray(narrow - wide, np.float32)


def _smoothed(image: Array, weight: Array, sigma: float) -> Array:
    """Gaussian mean of the usable pixels."""
    total = cv2.GaussianBlur(image * weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    covered = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(total / np.maximum(covered, 1e-3), np.float32)
