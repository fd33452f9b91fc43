"""How often a registration succeeded: rates with their intervals, curves, percentiles.

All functions take one error a case, mm. A case without a result is a failure and enters as
infinity; NaN is refused, since dropping it in silence would flatter every rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # its parts are imported when they are used; of them scipy.stats takes most of a second
from torch import Tensor

Errors = Sequence[float] | npt.NDArray[np.floating] | Tensor


@dataclass(frozen=True)
class Rate:
    """A share of cases with its confidence interval.

    Parameters
    ----------
    count, cases
        So many out of so many.
    low, high
        Bounds of the share, in [0, 1].
    confidence
        Of the interval.
    """

    count: int
    cases: int
    low: float
    high: float
    confidence: float = 0.95

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.count / self.cases

    def __str__(self) -> str:
        return (
            f"{100 * self.share:.0f} % ({self.count}/{self.cases}, {100 * self.confidence:.0f} % "
            f"interval {100 * self.low:.0f}-{100 * self.high:.0f} %)"
        )


def submillimeter_success_rate(errors: Errors, *, confidence: float = 0.95) -> Rate:
    """SMSR: share of cases with an error below 1 mm (1 mm itself does not count)."""
    return success_rate(errors, 1.0, confidence=confidence)


def success_rate(errors: Errors, threshold_mm: float, *, confidence: float = 0.95) -> Rate:
    """Share of cases with an error below a threshold, with its Wilson interval."""
    values = checked_errors(errors)
    count = int((values < threshold_mm).sum())
    low, high = wilson_interval(count, values.size, confidence=confidence)
    return Rate(count, values.size, low, high, confidence)


def gross_failure_rate(errors: Errors, threshold_mm: float, *, confidence: float = 0.95) -> Rate:
    """GFR: share of cases beyond a threshold, with its Wilson interval.

    The threshold has no default because papers differ (RayEmb: 10 and 5 mm): print it.
    """
    values = checked_errors(errors)
    count = int((values > threshold_mm).sum())
    low, high = wilson_interval(count, values.size, confidence=confidence)
    return Rate(count, values.size, low, high, confidence)


@dataclass(frozen=True, eq=False)
class SuccessCurve:
    """Share of cases below each threshold.

    Parameters
    ----------
    thresholds_mm
        Ascending, from 0.
    shares
        Success rate at each.
    area
        Area under the curve up to the last threshold, divided by it: in [0, 1], 1 is perfect.
        Exact, whatever the spacing of the thresholds.
    """

    thresholds_mm: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    area: float


def success_curve(errors: Errors, maximum_mm: float, *, points: int = 101) -> SuccessCurve:
    r"""Success rate against the threshold, with the area under it.

    .. math:: A = \frac1{t_{max}} \int_0^{t_{max}} \frac{\#\{e < t\}}{n}\,dt = \frac1n \sum \max(0, 1 - e / t_{max})

    Raises
    ------
    ValueError
        If the largest threshold is not positive or fewer than two points are asked for.
    """
    if not 0 < maximum_mm < float("inf") or points < 2:
        raise ValueError(
            "a success curve needs a positive largest threshold and at least two points: got "
            f"maximum_mm={maximum_mm}, points={points}"
        )
    values = checked_errors(errors)
    thresholds = np.linspace(0.0, maximum_mm, points)
    shares = np.searchsorted(np.sort(values), thresholds, side="left") / values.size
    area = float(below_curve(values, maximum_mm).mean())
    return SuccessCurve(thresholds, shares, area)


def below_curve(values: npt.NDArray[np.float64], maximum_mm: float) -> npt.NDArray[np.float64]:
    return np.clip(1 - values / maximum_mm, 0, 1)


def error_percentiles(
    errors: Errors, percentiles: Sequence[float] = (50.0, 90.0, 95.0)
) -> tuple[float, ...]:
    """Smallest error that at least so many percent of the cases do not exceed, mm.

    An observed error, never a mean of two, so that failures (infinity) do not spoil it.
    """
    values = checked_errors(errors)
    if not all(0 <= p <= 100 for p in percentiles):
        raise ValueError(f"percentiles lie between 0 and 100: got {tuple(percentiles)}")
    found = np.percentile(values, list(percentiles), method="inverted_cdf")
    return tuple(float(value) for value in found)


def wilson_interval(count: int, cases: int, *, confidence: float = 0.95) -> tuple[float, float]:
    r"""Wilson score interval of a share: near its confidence on average, also at 0 and 100 %.

    .. math:: \frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}

    Examples
    --------
    >>> low, high = wilson_interval(45, 50)
    >>> round(low, 3), round(high, 3)
    (0.786, 0.957)
    """
    _check_share(count, cases, confidence)
    z = float(scipy.special.ndtri(0.5 + confidence / 2))
    share = count / cases
    middle = share + z**2 / (2 * cases)
    half = z * float(np.sqrt(share * (1 - share) / cases + z**2 / (4 * cases**2)))
    scale = 1 + z**2 / cases
    # At 0 and at all cases the bound is exact; rounding must not move it.
    low = 0.0 if count == 0 else (middle - half) / scale
    high = 1.0 if count == cases else (middle + half) / scale
    return low, high


def clopper_pearson_interval(
    count: int, cases: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Exact interval of a share: at least its confidence, always; wider than Wilson's."""
    _check_share(count, cases, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(scipy.special.betaincinv(count, cases - count + 1, tail))
    high = (
        1.0
        if count == cases
        else float(scipy.special.betaincinv(count + 1, cases - count, 1 - tail))
    )
    return low, high


def _check_share(count: int, cases: int, confidence: float) -> None:
    if not 0 <= count <= cases or cases < 1:
        raise ValueError(f"a share needs 0 <= count <= cases and a case: got {count} of {cases}")
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence lies between 0 and 1: got {confidence}")


def checked_errors(errors: Errors) -> npt.NDArray[np.float64]:
    if isinstance(errors, Tensor):
        errors = errors.detach().cpu().numpy()
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"one error per case, and at least one case: got shape {values.shape}")
    if np.isnan(values).any():
        raise ValueError(
            f"{int(np.isnan(values).sum())} errors are NaN: enter a case without a result as "
            "infinity, so that it counts as a failure"
        )
    if (values < 0).any():
        raise ValueError(f"errors are distances: got {values.min()} mm")
    return values
