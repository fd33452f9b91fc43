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
USABLE = 0.95
"""Least share of usable pixels in a patch."""
APART = 0.8
"""A place can be told from another if the DRR's own detail there correlates less with the patch's."""
ASIDE = tuple(
    (round(radius * math.sin(turn)), round(radius * math.cos(turn)))
    for radius in (3, 5)
    for turn in (0.25 * math.pi * step for step in range(8))
)
"""Places beside its own, (row, column), pixels, at which a patch is compared too."""


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
        At the places `ASIDE`, [n, places].
    own
        There, of the patch with the DRR itself, [n, places].
    """

    here: npt.NDArray[np.float64]
    best: npt.NDArray[np.float64]
    rival: npt.NDArray[np.float64]
    aside: npt.NDArray[np.float64]
    own: npt.NDArray[np.float64]


def match_patches(drr: Array, radiograph: Array, usable: Mask) -> Patches:
    """Compare every structured patch of the DRR with the radiograph, in its place and around.

    Parameters
    ----------
    drr, radiograph
        Line integrals, [rows, columns]; pixels that are not usable may hold anything finite.
    usable
        Pixels to compare.
    """
    weight = usable.astype(np.float32)
    made, seen = _detail(drr, weight), _detail(radiograph, weight)
    rows, columns = drr.shape
    corners = [
        (row, column)
        for row in range(0, rows - SIDE + 1, STRIDE)
        for column in range(0, columns - SIDE + 1, STRIDE)
        if usable[row : row + SIDE, column : column + SIDE].mean() >= USABLE
    ]
    pieces = [made[row : row + SIDE, column : column + SIDE] for row, column in corners]
    variance = np.array([piece.var() for piece in pieces])
    # Rounding of a flat image is no structure: float32 keeps 1e-7 of its value.
    least = max(1e-12, STRUCTURED * float(np.quantile(variance, 0.95))) if pieces else 0.0
    chosen = [n for n, strength in enumerate(variance) if strength > least]
    at = [corners[n] for n in chosen]
    of = [np.ascontiguousarray(pieces[n]) for n in chosen]
    found, itself = _correlations(seen, at, of), _correlations(made, at, of)
    apart = np.where(itself < APART, found, -np.inf).max((1, 2), initial=-np.inf)
    row_of, column_of = (REACH + np.array(ASIDE)).T
    return Patches(
        here=found[:, REACH, REACH],
        best=found.max((1, 2), initial=-1.0),
        rival=np.where(np.isfinite(apart), apart, np.nan),
        aside=found[:, row_of, column_of],
        own=itself[:, row_of, column_of],
    )


def _correlations(
    image: Array, corners: Sequence[tuple[int, int]], pieces: Sequence[Array]
) -> npt.NDArray[np.float64]:
    """Of every piece with the image around its corner, up to `REACH` off, [n, rows, columns]."""
    around = cv2.copyMakeBorder(image, REACH, REACH, REACH, REACH, cv2.BORDER_REFLECT)
    side = SIDE + 2 * REACH
    found = [
        cv2.matchTemplate(
            np.ascontiguousarray(around[row : row + side, column : column + side]),
            piece,
            cv2.TM_CCOEFF_NORMED,
        )
        for (row, column), piece in zip(corners, pieces, strict=True)
    ]
    return np.asarray(found, np.float64).reshape(-1, 2 * REACH + 1, 2 * REACH + 1)


def _detail(image: Array, weight: Array) -> Array:
    narrow, wide = (_smoothed(image, weight, sigma) for sigma in DETAIL)
    return np.asarray(narrow - wide, np.float32)


def _smoothed(image: Array, weight: Array, sigma: float) -> Array:
    """Gaussian mean of the usable pixels."""
    total = cv2.GaussianBlur(image * weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    covered = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(total / np.maximum(covered, 1e-3), np.float32)
