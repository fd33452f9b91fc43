"""Pictures that compare a DRR with the radiograph: difference, checkerboard, edges. Arrays only.

Both pictures are line integrals, but of different tone (scatter, beam hardening, a CT's own
scale), so they are compared after standardising over the usable pixels: zero mean, unit variance.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from napari_xreg.metrics import is_flat

CHECKERS = 8
"""Tiles along the shorter side of a checkerboard."""

EDGE_SHARES = (0.80, 0.93)
"""Share of pixels weaker than Canny's lower and upper threshold."""


@dataclass(frozen=True, eq=False)
class _AtSize:
    picture: Float[ndarray, "rows columns"]
    usable: Bool[ndarray, "rows columns"]
    typical: Bool[ndarray, "rows columns"]
    mean: float
    deviation: float


@dataclass(frozen=True, eq=False)
class Reference:
    """The radiograph that DRRs of various sizes are compared with; resampled once per size.

    Parameters
    ----------
    picture
        Line integrals, finite.
    usable
        True for the pixels that means and variances are taken over.
    """

    picture: Float[ndarray, "rows columns"]
    usable: Bool[ndarray, "rows columns"]
    _sizes: dict[tuple[int, int], "_AtSize"] = field(default_factory=dict, repr=False)

    def difference(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """Standardised radiograph minus standardised DRR: positive where the radiograph is denser.

        In standard deviations of the radiograph; zero where a pixel is not usable.
        """
        its = self._at(drr.shape)
        apart = (its.picture - self.in_tone(drr)) / its.deviation
        return np.where(its.usable, apart, 0.0).astype(np.float32)

    def checkerboard(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """Radiograph and DRR in alternating tiles, the DRR in the radiograph's tone.

        The first tile (first row, first column) is the radiograph's.
        """
        picture = self._at(drr.shape).picture
        return np.where(_tiles(drr.shape), picture, self.in_tone(drr)).astype(np.float32)

    def swipe(
        self, drr: Float[ndarray, "rows columns"], share: float
    ) -> Float[ndarray, "rows columns"]:
        """The radiograph at the left, up to this share of the width, else the DRR in its tone."""
        left = np.arange(drr.shape[1]) < round(share * drr.shape[1])
        picture = self._at(drr.shape).picture
        return np.where(left[None], picture, self.in_tone(drr)).astype(np.float32)

    def in_tone(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """The DRR with the radiograph's mean and variance over the typical pixels."""
        its = self._at(drr.shape)
        mean, deviation = _moments(drr, its.typical)
        return ((drr - mean) * (its.deviation / deviation) + its.mean).astype(np.float32)

    def _at(self, shape: tuple[int, int]) -> "_AtSize":
        if shape not in self._sizes:
            if len(self._sizes) > 3:
                self._sizes.clear()
            picture = resample(self.picture, shape)
            # A coarse pixel is usable where more than half of its area is.
            usable = resample(self.usable.astype(np.float32), shape) > 0.5
            # Metal and direct beam are no measure of the tone of bone.
            low, high = robust_limits(picture, usable)
            typical = usable & (picture >= low) & (picture <= high)
            self._sizes[shape] = _AtSize(picture, usable, typical, *_moments(picture, typical))
        return self._sizes[shape]


def edges(drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
    """1 on the contours of a DRR (Canny), 0 elsewhere; nothing for a constant picture."""
    smooth = cv2.GaussianBlur(drr, (0, 0), 1.0)
    down, right = cv2.Sobel(smooth, cv2.CV_32F, 0, 1), cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    strength = np.hypot(down, right)
    seen = strength[strength > 1e-3 * strength.max()] if strength.max() > 0 else strength[:0, 0]
    if not seen.size or is_flat(torch.from_numpy(drr.ravel())):
        return np.zeros(drr.shape, np.float32)
    scale = 20000.0 / float(strength.max())
    low, high = (min(float(v) * scale, 18000.0) for v in np.quantile(seen, EDGE_SHARES))
    found = cv2.Canny(
        (right * scale).astype(np.int16),
        (down * scale).astype(np.int16),
        low,
        high,
        L2gradient=True,
    )
    return (found > 0).astype(np.float32)


def resample(
    picture: Float[ndarray, "rows columns"], shape: tuple[int, int]
) -> Float[ndarray, "new_rows new_columns"]:
    """The same area with another number of pixels: outer edges stay in place."""
    if picture.shape == tuple(shape):
        return picture
    smaller = shape[0] < picture.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resampled: Float[ndarray, "new_rows new_columns"] = cv2.resize(
        picture, (shape[1], shape[0]), interpolation=how
    )
    return resampled


def robust_limits(
    picture: Float[ndarray, "rows columns"],
    usable: Bool[ndarray, "rows columns"] | None = None,
    *,
    low_share: float = 0.005,
) -> tuple[float, float]:
    """Contrast limits of what is usable and finite; always an interval.

    The 0.5th and 99.5th percentile, and no further from the median than three times the 10th and
    the 90th are: metal takes a few percent of a picture and would leave the bones dark.

    Parameters
    ----------
    low_share
        Another lower percentile, as a share: what is below is not shown.
    """
    seen = np.isfinite(picture) if usable is None else np.isfinite(picture) & usable
    if not seen.any():
        return 0.0, 1.0
    shares = (low_share, 0.1, 0.5, 0.9, 0.995)
    low, tenth, median, ninetieth, high = (float(v) for v in np.quantile(picture[seen], shares))
    if median > tenth:
        low = max(low, median - 3 * (median - tenth))
    if ninetieth > median:
        high = min(high, median + 3 * (ninetieth - median))
    rounding = 1e-6 * max(abs(low), abs(high))
    return (low, high) if high - low > rounding else (low, low + 1.0)


def _moments(
    picture: Float[ndarray, "rows columns"], usable: Bool[ndarray, "rows columns"]
) -> tuple[float, float]:
    seen = picture[usable] if usable.any() else picture.ravel()
    flat = is_flat(torch.from_numpy(seen.ravel()))
    return float(seen.mean()), 1.0 if flat else float(seen.std())


@lru_cache(maxsize=4)
def _tiles(shape: tuple[int, int]) -> Bool[ndarray, "rows columns"]:
    side = max(1.0, min(shape) / CHECKERS)
    rows, columns = (np.arange(n) // side for n in shape)
    tiles: Bool[ndarray, "rows columns"] = (rows[:, None] + columns[None, :]) % 2 == 0
    return tiles
