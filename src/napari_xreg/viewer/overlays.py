"""Pictures that compare a DRR with the radiograph: difference, checkerboard, edges. Arrays only.

Both pictures are line integrals, but of different tone (scatter, beam hardening, a CT's own
scale), so they are compared after standardising over the usable pixels: zero mean, unit variance.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

CHECKERS = 8
"""Tiles along the shorter side of a checkerboard."""

EDGE_SHARES = (0.80, 0.93)
"""Share of pixels weaker than Canny's lower and upper threshold."""


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
    _sizes: dict[
        tuple[int, int],
        tuple[Float[ndarray, "rows columns"], Bool[ndarray, "rows columns"], float, float],
    ] = field(default_factory=dict, repr=False)

    def standardised(self, shape: tuple[int, int]) -> Float[ndarray, "rows columns"]:
        """The radiograph at this size, zero mean and unit variance where it is usable."""
        picture, _, mean, deviation = self._at(shape)
        return (picture - mean) / deviation

    def difference(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """Standardised radiograph minus standardised DRR: positive where the radiograph is denser.

        In standard deviations of the radiograph; zero where a pixel is not usable.
        """
        picture, usable, _, deviation = self._at(drr.shape)
        matched = self.in_tone(drr)
        return np.where(usable, (picture - matched) / deviation, 0.0).astype(np.float32)

    def checkerboard(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """Radiograph and DRR in alternating tiles, the DRR in the radiograph's tone.

        The first tile (first row, first column) is the radiograph's.
        """
        picture = self._at(drr.shape)[0]
        return np.where(_tiles(drr.shape), picture, self.in_tone(drr)).astype(np.float32)

    def in_tone(self, drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
        """The DRR with the radiograph's mean and variance over the usable pixels."""
        _, usable, mean, deviation = self._at(drr.shape)
        its_mean, its_deviation = _moments(drr, usable)
        return ((drr - its_mean) * (deviation / its_deviation) + mean).astype(np.float32)

    def _at(
        self, shape: tuple[int, int]
    ) -> tuple[Float[ndarray, "rows columns"], Bool[ndarray, "rows columns"], float, float]:
        if shape not in self._sizes:
            if len(self._sizes) > 3:
                self._sizes.clear()
            picture = resample(self.picture, shape)
            # A coarse pixel is usable where more than half of its area is.
            usable = resample(self.usable.astype(np.float32), shape) > 0.5
            self._sizes[shape] = (picture, usable, *_moments(picture, usable))
        return self._sizes[shape]


def edges(drr: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows columns"]:
    """1 on the contours of a DRR (Canny), 0 elsewhere; nothing for an empty picture."""
    smooth = cv2.GaussianBlur(drr, (0, 0), 1.0)
    down, right = cv2.Sobel(smooth, cv2.CV_32F, 0, 1), cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
    strength = np.hypot(down, right)
    seen = strength[strength > 1e-3 * strength.max()] if strength.max() > 0 else strength[:0, 0]
    if not seen.size:
        return np.zeros(drr.shape, np.float32)
    scale = 20000.0 / float(strength.max())
    low, high = (float(v) * scale for v in np.quantile(seen, EDGE_SHARES))
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
) -> Float[ndarray, "rows columns"]:
    """The same area with another number of pixels: outer edges stay in place."""
    if picture.shape == tuple(shape):
        return picture
    smaller = shape[0] < picture.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resampled: Float[ndarray, "rows columns"] = cv2.resize(
        picture, (shape[1], shape[0]), interpolation=how
    )
    return resampled


def robust_limits(
    picture: Float[ndarray, "rows columns"], usable: Bool[ndarray, "rows columns"] | None = None
) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of what is usable and finite; always an interval."""
    seen = np.isfinite(picture) if usable is None else np.isfinite(picture) & usable
    if not seen.any():
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(picture[seen], (0.5, 99.5)))
    return (low, high) if high > low else (low, low + 1.0)


def _moments(
    picture: Float[ndarray, "rows columns"], usable: Bool[ndarray, "rows columns"]
) -> tuple[float, float]:
    seen = picture[usable] if usable.any() else picture.ravel()
    deviation = float(seen.std())
    return float(seen.mean()), deviation if deviation > 1e-12 else 1.0


@lru_cache(maxsize=4)
def _tiles(shape: tuple[int, int]) -> Bool[ndarray, "rows columns"]:
    side = max(1.0, min(shape) / CHECKERS)
    rows, columns = (np.arange(n) // side for n in shape)
    tiles: Bool[ndarray, "rows columns"] = (rows[:, None] + columns[None, :]) % 2 == 0
    return tiles
