"""Success rates, curves and intervals against published or hand-computed numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.metrics import (
    clopper_pearson_interval,
    error_percentiles,
    gross_failure_rate,
    submillimeter_success_rate,
    success_curve,
    success_rate,
    wilson_interval,
)

# Ten cases: four below 1 mm, one exactly 1 mm, two beyond 10 mm of which one has no result.
ERRORS = [0.2, 0.5, 0.7, 0.9, 1.0, 1.5, 3.0, 6.0, 12.0, float("inf")]


def test_submillimeter_means_below_one():
    rate = submillimeter_success_rate(ERRORS)
    assert (rate.count, rate.cases, rate.share) == (4, 10, 0.4)
    assert (rate.low, rate.high) == pytest.approx((0.1682, 0.6873), abs=1e-4)
    assert str(rate) == "40 % (4/10, 95 % interval 17-69 %)"


def test_gross_failures_count_cases_without_a_result():
    assert gross_failure_rate(ERRORS, 10.0).count == 2
    assert gross_failure_rate(ERRORS, 5.0).count == 3
    assert gross_failure_rate(ERRORS, 12.0).count == 1
    assert success_rate(ERRORS, 2.0).count == 6


def test_tensors_and_arrays_are_taken():
    for errors in (torch.tensor(ERRORS), np.array(ERRORS), tuple(ERRORS)):
        assert submillimeter_success_rate(errors).count == 4


def test_success_curve_and_its_area():
    # 4 mm: (0.95 + 0.875 + 0.825 + 0.775 + 0.75 + 0.625 + 0.25) / 10.
    curve = success_curve(ERRORS, 4.0, points=5)
    assert curve.thresholds_mm.tolist() == [0, 1, 2, 3, 4]
    assert curve.shares.tolist() == [0, 0.4, 0.6, 0.6, 0.7]
    assert curve.area == pytest.approx(0.505, abs=1e-12)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30))
def test_area_is_the_integral_of_the_curve(errors):
    curve = success_curve(errors, 10.0, points=20001)
    integral = np.trapezoid(curve.shares, curve.thresholds_mm) / 10.0
    assert curve.area == pytest.approx(integral, abs=2e-3)


def test_percentiles_are_observed_errors():
    assert error_percentiles(ERRORS, (50, 60, 90, 95)) == (1.0, 1.5, 12.0, float("inf"))
    assert error_percentiles([3.0, 1.0]) == (1.0, 3.0, 3.0)


def test_wilson_interval():
    # Newcombe 1998, table I (method 3): 81/263, 15/148, 0/20, 1/29.
    for count, cases, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson_interval(count, cases) == pytest.approx((low, high), abs=5.1e-5)


def test_clopper_pearson_interval():
    # Newcombe 1998, table I (method 5).
    for count, cases, low, high in (
        (81, 263, 0.2527, 0.3676),
        (15, 148, 0.0578, 0.1617),
        (0, 20, 0.0000, 0.1684),
        (1, 29, 0.0009, 0.1776),
    ):
        assert clopper_pearson_interval(count, cases) == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize("interval", [wilson_interval, clopper_pearson_interval])
@given(cases=st.integers(1, 200), data=st.data())
def test_intervals_hold_the_share_and_mirror(interval, cases, data):
    count = data.draw(st.integers(0, cases))
    low, high = interval(count, cases)
    assert 0 <= low <= count / cases <= high <= 1
    mirrored = interval(cases - count, cases)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_what_cannot_be_a_list_of_errors_is_refused():
    with pytest.raises(ValueError, match="infinity"):
        submillimeter_success_rate([0.3, float("nan")])
    with pytest.raises(ValueError, match="at least one case"):
        submillimeter_success_rate([])
    with pytest.raises(ValueError, match="distances"):
        success_rate([-0.3], 1.0)
    with pytest.raises(ValueError, match="positive largest threshold"):
        success_curve([0.3], 0.0)
    with pytest.raises(ValueError, match="got 5 of 4"):
        wilson_interval(5, 4)
    with pytest.raises(ValueError, match="confidence"):
        clopper_pearson_interval(1, 4, confidence=95)
    with pytest.raises(ValueError, match="percentiles"):
        error_percentiles([1.0], [101])
