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


def robust_fit(basis: Matrix, values: Matrix, *, rounds: int) -> Values:
    """Coefficients of ``basis @ c ~ values`` by least squares, reweighted `rounds` - 1 times."""
    w: Values = np.ones(len(values))
    coefficients: Values = np.zeros(basis.shape[1])
    for number in range(rounds):
        if number > 0:
            residual = values - basis @ coefficients
            w = outlier_weights(residual, centre=0.0, scale=OUTLIER_SCALE, least=1e-9)
        coefficients = least_squares(basis, values, w)
    return coefficients


def least_squares(basis: Matrix, values: Matrix, weights: Values) -> Values:
    """Coefficients of ``basis @ c ~ values``; what the values do not determine stays small."""
    gram = basis.T @ (weights[:, None] * basis)
    gram += 1e-9 * np.trace(gram) * np.eye(len(gram))
    found: Values = np.linalg.solve(gram, basis.T @ (weights * values))
    return found
