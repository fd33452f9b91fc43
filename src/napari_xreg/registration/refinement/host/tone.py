"""How the grey values of a radiograph follow from those of a DRR.

Beam hardening, scatter and a detector's response bend line integrals; the heel effect and
vignetting tilt them. Both are smooth, so they are fitted and taken out before the comparison:
``radiograph ~ f(DRR) + g(row, column)`` with f a monotone cubic and g a quadratic. Without that,
the bent profile of a rounded edge looks like an edge elsewhere, and the depth pays for it.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.host.robust import robust_fit

Array = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

DEGREE = 3
ROUNDS = 4
MOST_PIXELS = 10_000  # enough for ten numbers
FAINTEST = 0.2  # span of f, in standard deviations of the radiograph: less is a chance fit
GENTLEST = 0.2  # slope of f, as a share of its mean: flatter would blind the comparison


@dataclass(frozen=True, eq=False)
class Tone:
    """A fitted ``f`` and ``g``.

    Parameters
    ----------
    middle, width
        DRR values are centred and scaled by these before the cubic; outside middle +- width f
        goes on as a straight line.
    curve
        Coefficients of f, lowest power first.
    field
        g over the image [rows, columns].
    """

    middle: float
    width: float
    curve: tuple[float, ...]
    field: Array

    def apply(self, image: Array) -> tuple[Array, Array]:
        """f of an image, and its slope f' pixel by pixel."""
        x = (image - np.float32(self.middle)) / np.float32(self.width)
        inside = np.clip(x, -1.0, 1.0)
        value, slope = _polynomial(inside, self.curve), _polynomial(inside, _slopes(self.curve))
        value += slope * (x - inside)
        return value.astype(np.float32), (slope / self.width).astype(np.float32)


def fit_tone(
    image: Array,
    target: Array,
    usable: npt.NDArray[np.intp],
) -> Tone | None:
    """Fit f and g robustly (reweighted least squares); None where the fit would not be monotone.

    Parameters
    ----------
    image
        The DRR.
    target
        The radiograph, of the same shape.
    usable
        Flat indices of the pixels to use.
    """
    rows, columns = image.shape
    sample = _sample(image, target, usable)
    if sample is None:
        return None
    u, place, y, middle, width, _ = sample
    for degree in range(DEGREE, 0, -1):
        beta = robust_fit(np.stack([*_powers(u, degree), *place]), y, rounds=ROUNDS)
        curve = tuple(float(b) for b in beta[: degree + 1])
        slopes = _polynomial(np.linspace(-1, 1, 21), _slopes(curve))
        says_something = 2 * slopes.mean() > FAINTEST * y.std()
        if says_something and slopes.min() > GENTLEST * slopes.mean():
            field = beta[degree + 1 :] @ _whole_field(rows, columns)
            return Tone(
                middle,
                width,
                curve,
                field.reshape(rows, columns).astype(np.float32),
            )
    return None


def tone_basis(
    image: Array, target: Array, usable: npt.NDArray[np.intp]
) -> "tuple[Matrix, Matrix, npt.NDArray[np.intp], float] | None":
    """Rows ``1, u, u^2, u^3`` and the field at a sample of pixels, for a joint fit.

    Returns the rows, the radiograph there, which pixels they are, and the width by which u was
    scaled; None where the image is flat.
    """
    sample = _sample(image, target, usable)
    if sample is None:
        return None
    u, place, y, _, width, chosen = sample
    return np.stack([*_powers(u, DEGREE), *place]), y, chosen, width


def _powers(u: Matrix, degree: int) -> list[Matrix]:
    """From 1 to the degree: a product each, ``**`` costs more."""
    powers = [np.ones_like(u)]
    for _ in range(degree):
        powers.append(powers[-1] * u)
    return powers


def _polynomial(x: npt.NDArray[np.floating], curve: Sequence[float]) -> Matrix:
    """In float64; coefficients as of `Tone`. (numpy's own takes twice as long.)"""
    value = np.full(x.shape, curve[-1], np.float64)
    for coefficient in curve[-2::-1]:
        value *= x
        value += coefficient
    return value


def _slopes(curve: Sequence[float]) -> list[float]:
    """Coefficients of the derivative."""
    return [power * float(curve[power]) for power in range(1, len(curve))]


def _sample(
    image: Array, target: Array, usable: npt.NDArray[np.intp]
) -> "tuple[Matrix, Matrix, Matrix, float, float, npt.NDArray[np.intp]] | None":
    rows, columns = image.shape
    if usable.size == 0:
        return None
    chosen = usable[:: max(1, usable.size // MOST_PIXELS)]
    x, y = image.ravel()[chosen].astype(np.float64), target.ravel()[chosen].astype(np.float64)
    low, high = np.percentile(x, [1.0, 99.0])
    if not high > low:
        return None
    middle, width = float(low + high) / 2, float(high - low) / 2
    u = np.clip((x - middle) / width, -1.0, 1.0)
    r, c = chosen // columns, chosen % columns
    place = _field_basis(2 * r / max(rows - 1, 1) - 1, 2 * c / max(columns - 1, 1) - 1)
    return u, place, y, middle, width, chosen


@functools.lru_cache(maxsize=4)
def _whole_field(rows: int, columns: int) -> Matrix:
    """`_field_basis` at every pixel: the same at every iteration of a level."""
    rr = np.linspace(-1, 1, rows)[:, None] + np.zeros(columns)
    cc = np.zeros((rows, 1)) + np.linspace(-1, 1, columns)
    return _field_basis(rr.ravel(), cc.ravel())


def _field_basis(
    row: npt.NDArray[np.float64], column: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Quadratic in position without its constant (that belongs to f), [5 n]."""
    return np.stack([row, column, row * row, row * column, column * column])
