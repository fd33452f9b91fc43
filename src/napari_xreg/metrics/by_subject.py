"""What a table of several patients says beside its rates: intervals over patients, success by start."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_xreg.metrics.success import Errors, Rate, below_curve, checked_errors, success_rate

OfDraws = Callable[[npt.NDArray[np.float64], npt.NDArray[np.int64]], npt.NDArray[np.float64]]
"""A figure: of errors in ascending order (n,) and how often each is drawn (draws, n), a number a draw."""


def mean_of_draws(of: Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]) -> OfDraws:
    """Mean of a function of the error that is finite also at infinity, as a share is (true or false).

    Examples
    --------
    >>> mean_of_draws(lambda error: error < 2.0)(np.array([0.5, 3.0]), np.array([[1, 3]])).tolist()
    [0.25]
    """

    def figure(
        values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = (counts * of(values)).sum(axis=1) / counts.sum(axis=1)
        return found

    return figure


def area_of_draws(maximum_mm: float) -> OfDraws:
    """Area under the curve of `success_curve`."""
    return mean_of_draws(lambda values: below_curve(values, maximum_mm))


def percentile_of_draws(percent: float) -> OfDraws:
    """An observed error, as of `error_percentiles`."""

    def figure(
        values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        drawn = counts.cumsum(axis=1)
        before = np.maximum(np.ceil(drawn[:, -1:] * (percent / 100) - 1), 0)
        found: npt.NDArray[np.float64] = values[(drawn <= before).sum(axis=1)]
        return found

    return figure


@dataclass(frozen=True)
class Interval:
    """A figure with its bounds.

    Parameters
    ----------
    value, low, high
        In the figure's unit; infinite where failures reach it.
    subjects
        How many were drawn from: with one, nothing is known of others and the bounds are the figure.
    """

    value: float
    low: float
    high: float
    subjects: int

    @property
    def bounds(self) -> tuple[float, float] | None:
        """`low` and `high`; None of one subject."""
        return (self.low, self.high) if self.subjects > 1 else None


_AT_ONCE = 10**6
"""Errors, in all draws that are looked at together: 8 MB for each of a figure's arrays."""


def bootstrap_over_subjects(
    errors: Errors,
    subjects: Sequence[Hashable],
    figure: OfDraws,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A figure, and its percentile interval, patients drawn with replacement.

    Cases of one patient are alike: an interval over cases as if they were independent is too narrow.
    (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 8: clusters.)

    Parameters
    ----------
    errors
        Of every case; infinity where there is no result.
    subjects
        Whose each case is.
    figure
        Of the errors of the cases drawn: `mean_of_draws`, `percentile_of_draws`, `area_of_draws`.
    resamples, confidence, seed
        How many draws, the interval's confidence, and of what they are drawn.

    Raises
    ------
    ValueError
        If there is not one subject for each error.
    """
    values = checked_errors(errors)
    if len(subjects) != values.size:
        raise ValueError(f"one subject a case: got {len(subjects)} of {values.size} cases")
    numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subjects))}
    order, count = np.argsort(values), len(numbers)
    values, whose = values[order], np.array([numbers[each] for each in subjects])[order]
    whole = float(figure(values, np.ones((1, values.size), dtype=np.int64))[0])
    if count == 1:
        return Interval(whole, whole, whole, 1)
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    times = np.stack([np.bincount(draw, minlength=count) for draw in draws])
    parts = np.array_split(times, -(-resamples * values.size // _AT_ONCE))
    found = np.concatenate([figure(values, part[:, whose]) for part in parts])
    tail = 50.0 * (1.0 - confidence)
    # An observed figure: between a number and infinity there is no mean.
    low, high = np.percentile(found, [tail, 100.0 - tail], method="inverted_cdf")
    return Interval(whole, float(low), float(high), count)


@dataclass(frozen=True)
class StartBin:
    """Cases whose start was so far off: from `low` (included) to `high` mm; of them, successes."""

    low: float
    high: float
    rate: Rate | None

    @property
    def words(self) -> str:
        """Its bounds."""
        return f"{self.low:g}+" if self.high == float("inf") else f"{self.low:g}-{self.high:g}"


def success_by_start(
    errors: Errors,
    starts: Errors,
    *,
    threshold_mm: float = 2.0,
    width_mm: float = 10.0,
    last_mm: float = 60.0,
) -> tuple[StartBin, ...]:
    """Share of cases that end below a threshold, by how far off they began.

    Parameters
    ----------
    errors, starts
        Of result and start, mm, in the order of the cases.
    threshold_mm
        What a success is (van de Kraats et al. 2005: 2 mm).
    width_mm, last_mm
        Of a bin; what begins farther off than the last is in one.
    """
    ended, began = checked_errors(errors), checked_errors(starts)
    if ended.size != began.size:
        raise ValueError(f"a start for each result: got {began.size} and {ended.size}")
    edges = [*np.arange(0.0, last_mm, width_mm).tolist(), last_mm, float("inf")]
    bins = []
    for low, high in pairwise(edges):
        inside = (began >= low) & ((began < high) | (high == float("inf")))
        rate = success_rate(ended[inside], threshold_mm) if inside.any() else None
        bins.append(StartBin(low, high, rate))
    return tuple(bins)


def capture_range(bins: Sequence[StartBin], *, share: float = 0.95) -> float:
    """How far off starts may be so that such a share of every bin up to there succeeds, mm.

    Bins without a case say nothing and are passed over. (van de Kraats et al. 2005.)
    """
    reached = 0.0
    for each in bins:
        if each.rate is None:
            continue
        if each.rate.share < share:
            break
        reached = each.low if each.high == float("inf") else each.high
    return reached
