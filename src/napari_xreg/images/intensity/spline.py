"""A cubic spline through a small table.

scipy.interpolate has it too, and takes half a second to import: every command that reads a CT asks for
water. The numbers are the same.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def cubic_spline(x: Array, y: Array) -> Callable[[Array], Array]:
    """The piecewise cubic with two continuous derivatives through all points, and three at the
    second and the last but one ("not a knot"), which makes the first two pieces one, and the last two.

    Parameters
    ----------
    x, y
        At least four points, x increasing.

    Returns
    -------
    Callable
        Values in the range of `x`.

    References
    ----------
    .. [1] C. de Boor, "A Practical Guide to Splines", 1978, chapter IV.
    """
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    left, right = x[2] - x[0], x[-1] - x[-3]
    # The slope at every point: a row each, before it, at it, behind it.
    before = np.array([*width[1:], right])
    at = np.array([width[1], *(2 * (width[:-1] + width[1:])), width[-2]])
    behind = np.array([left, *width[:-1]])
    wanted = np.empty(len(x))
    wanted[1:-1] = 3 * (width[1:] * rise[:-1] + width[:-1] * rise[1:])
    wanted[0] = ((width[0] + 2 * left) * width[1] * rise[0] + width[0] ** 2 * rise[1]) / left
    wanted[-1] = (
        width[-1] ** 2 * rise[-2] + (2 * right + width[-1]) * width[-2] * rise[-1]
    ) / right
    slopes = _solved(before, at, behind, wanted)
    bend = (slopes[:-1] + slopes[1:] - 2 * rise) / width
    square, cube = (rise - slopes[:-1]) / width - bend, bend / width

    def value(where: Array) -> Array:
        piece = np.clip(np.searchsorted(x, where, side="right") - 1, 0, len(width) - 1)
        t = where - x[piece]
        return y[piece] + slopes[piece] * t + square[piece] * (t * t) + cube[piece] * (t * t * t)

    return value


def _solved(before: Array, at: Array, behind: Array, wanted: Array) -> Array:
    """Of a tridiagonal system, by elimination; rows of a spline need no exchange."""
    at, wanted = at.copy(), wanted.copy()
    for i in range(1, len(at)):
        share = before[i - 1] / at[i - 1]
        at[i] -= share * behind[i - 1]
        wanted[i] -= share * wanted[i - 1]
    wanted[-1] /= at[-1]
    for i in range(len(at) - 2, -1, -1):
        wanted[i] = (wanted[i] - behind[i] * wanted[i + 1]) / at[i]
    return wanted
