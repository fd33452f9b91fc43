"""What a table of several patients says beside its rates: intervals over patients, success by start."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from napari_xreg.metrics.success import Errors, Rate, checked_errors, success_rate


@dataclass(frozen=True)
class Interval:
    """Bounds of a figure.

    Parameters
    ----------
    low, high
        In the figure's unit; infinite where failures reach it.
    subjects
        How many were drawn from: with one, nothing is known of others and the bounds are the figure.
    """

    low: float
    high: float
    subjects: int


def bootstrap_over_subjects(
    errors: Errors,
    subjects: Sequence[Hashable],
    figure: Callable[[npt.NDArray[np.float64]], float],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a figure, patients drawn with replacement.

    Cases of one patient are alike: an interval over cases as if they were independent is too narrow.
    (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 8: clusters.)

    Parameters
    ----------
    errors
        Of every case; infinity where there is no result.
    subjects
        Whose each case is.
    figure
        Of the errors of the cases drawn.
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
    cases: dict[Hashable, list[int]] = {}
    for number, subject in enumerate(subjects):
        cases.setdefault(subject, []).append(number)
    groups = [values[numbers] for numbers in cases.values()]
    if len(groups) == 1:
        whole = figure(values)
        return Interval(whole, whole, 1)
    draws = np.random.default_rng(seed).integers(len(groups), size=(resamples, len(groups)))
    found = np.array([figure(np.concatenate([groups[i] for i in draw])) for draw in draws])
    tail = 50.0 * (1.0 - confidence)
    # An observed figure: between a number and infinity there is no mean.
    low, high = np.percentile(found, [tail, 100.0 - tail], method="inverted_cdf")
    return Interval(float(low), float(high), len(groups))


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
