"""Letting outliers have little say: Geman-McClure weights, and a least-squares fit under them."""

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.second_order.channels import OUTLIER_SCALE

Values = npt.NDArray[np.floating]
Matrix = npt.NDArray[np.float64]


def median(values: Values) -> Values:
    """Of the last axis, which stays with length 1, as `numpy.median`, which looks for more than it needs."""
    half = values.shape[-1] // 2
    parted = np.partition(values, half, axis=-1)
    upper = parted[..., half : half + 1]
    if values.shape[-1] % 2:
        return upper
    lower = parted[..., :half].max(-1, keepdims=True)
    found: Values = (lower + upper) / values.dtype.type(2)
    return found


def outlier_weights(
    residual: Values, *, centre: Values | float, scale: float, least: float
) -> Values:
    """``1 / (1 + (r / s)^2)^2`` with s = `scale` robust standard deviations, but at least `least`.

    Parameters
    ----------
    residual
        [*batch n].
    centre
        About which the median absolute deviation is taken, [*batch 1] or one for all.
    """
    spread = 1.4826 * median(np.abs(residual - centre)).astype(np.float64)
    width = np.maximum(scale * spread, least).astype(residual.dtype)
    found: Values = 1.0 / (1.0 + (residual / width) ** 2) ** 2
    return found


def robust_fit(terms: Matrix, values: Matrix, *, rounds: int) -> Values:
    """Coefficients of ``c @ terms ~ values`` by least squares, reweighted `rounds` - 1 times.

    Parameters
    ----------
    terms
        A row for each coefficient, [k n]: sums over its values run through memory.
    """
    w: Values = np.ones(len(values))
    coefficients: Values = np.zeros(len(terms))
    for number in range(rounds):
        if number > 0:
            residual = values - coefficients @ terms
            w = outlier_weights(residual, centre=0.0, scale=OUTLIER_SCALE, least=1e-9)
        coefficients = least_squares(terms, values, w)
    return coefficients


def least_squares(terms: Matrix, values: Matrix, weights: Values) -> Values:
    """Coefficients of ``c @ terms ~ values``; what the values do not determine stays small."""
    gram = (weights * terms) @ terms.T
    gram += 1e-9 * np.trace(gram) * np.eye(len(gram))
    found: Values = np.linalg.solve(gram, terms @ (weights * values))
    return found
