"""Local minima of a sampled curve, and how far each one draws; of a sampled map."""

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

LEAST_PROMINENCE = 0.02
"""A dip shallower than this share of the curve's span is a ripple of the sampling, no minimum."""


@dataclass(frozen=True)
class Minimum:
    """A place that a descent ends in.

    Parameters
    ----------
    offset
        Where, between the samples by a parabola through three of them.
    value
        Of the lowest sample.
    basin
        From here to there a descent along the curve ends in this minimum.
    at_edge
        True where the curve is lowest at an end: the minimum itself lies outside.
    """

    offset: float
    value: float
    basin: tuple[float, float]
    at_edge: bool = False


def local_minima(offsets: Values, values: Values) -> tuple[Minimum, ...]:
    """Minima of a curve, deepest first; NaN samples are left out.

    Dips of less than `LEAST_PROMINENCE` of the span are ignored. An end of the curve counts where
    the curve falls towards it.

    Parameters
    ----------
    offsets
        Ascending.
    values
        One per offset.

    Examples
    --------
    >>> found = local_minima(np.arange(5.0), np.array([3.0, 1.0, 3.0, 2.0, 4.0]))
    >>> [(round(m.offset, 3), m.value, m.basin) for m in found]
    [(1.0, 1.0, (0.0, 2.0)), (2.833, 2.0, (2.0, 4.0))]
    """
    known = np.isfinite(values)
    x, y = np.asarray(offsets)[known], np.asarray(values)[known]
    if x.size < 3 or not np.ptp(y) > 0:
        return ()
    # A wall beyond either end makes an end a candidate like any other.
    walled = np.concatenate([[y.max() + np.ptp(y)], y, [y.max() + np.ptp(y)]])
    from scipy.signal import find_peaks  # half a second to import

    lowest = find_peaks(-walled, prominence=LEAST_PROMINENCE * np.ptp(y))[0] - 1
    borders = [0]
    for a, b in itertools.pairwise(lowest):
        borders.append(int(a + np.argmax(y[a : b + 1])))
    borders.append(x.size - 1)
    found = [
        Minimum(
            _vertex(x, y, int(i)),
            float(y[i]),
            (float(x[borders[n]]), float(x[borders[n + 1]])),
            bool(i in (0, x.size - 1)),
        )
        for n, i in enumerate(lowest)
    ]
    return tuple(sorted(found, key=lambda minimum: minimum.value))


def map_minima(values: Values) -> list[tuple[int, int]]:
    """Row and column of the minima of a map, deepest first; NaN samples are left out.

    As water rises from the lowest sample, pools of its eight neighbours grow and meet. The shallower of two that
    meet was a minimum of its own if it was deeper than `LEAST_PROMINENCE` of the span.
    """
    known = np.argwhere(np.isfinite(values))
    if not len(known):
        return []
    heights = values[tuple(known.T)]
    least = LEAST_PROMINENCE * float(np.ptp(heights))
    pool: dict[tuple[int, int], tuple[int, int]] = {}  # sample: the lowest one it flows to
    found = []

    def lowest(place: tuple[int, int]) -> tuple[int, int]:
        while pool[place] != place:
            place = pool[place]
        return place

    for at in np.argsort(heights, kind="stable"):
        row, column = (int(i) for i in known[at])
        beside = {
            lowest((r, c))
            for r in (row - 1, row, row + 1)
            for c in (column - 1, column, column + 1)
            if (r, c) in pool
        }
        pool[row, column] = deepest = min(
            beside, key=lambda place: float(values[place]), default=(row, column)
        )
        for shallow in beside - {deepest}:
            pool[shallow] = deepest
            if values[row, column] - values[shallow] > least:
                found.append(shallow)
    found.append(lowest((int(known[0][0]), int(known[0][1]))))
    return sorted(found, key=lambda place: float(values[place]))


def _vertex(x: Values, y: Values, i: int) -> float:
    """Lowest place of the parabola through sample i and its neighbours; an end stays where it is."""
    if i in (0, x.size - 1):
        return float(x[i])
    a, b, _ = np.polyfit(x[i - 1 : i + 2] - x[i], y[i - 1 : i + 2], 2)
    if not a > 0:
        return float(x[i])
    return float(x[i] + np.clip(-b / (2 * a), x[i - 1] - x[i], x[i + 1] - x[i]))
