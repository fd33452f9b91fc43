"""Local minima of curves drawn by hand."""

import numpy as np
import pytest

from napari_xreg.registration import local_minima
from napari_xreg.registration.landscape.minima import map_minima


def test_two_dips_the_deeper_first_and_the_ridge_between():
    x = np.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0])
    y = np.array([9.0, 4.0, 8.0, 7.0, 1.0, 5.0, 9.5])
    deep, shallow = local_minima(x, y)
    # parabola through (0, 7), (10, 1), (20, 5): vertex at 10 + 10 (7 - 5) / (2 (7 - 2 + 5))
    assert deep.offset == pytest.approx(11.0)
    assert deep.value == 1.0
    assert deep.basin == (-10.0, 30.0)
    # through (-30, 9), (-20, 4), (-10, 8): -20 + 10 (9 - 8) / (2 (9 - 8 + 8))
    assert shallow.offset == pytest.approx(-20 + 10 / 18)
    assert shallow.basin == (-30.0, -10.0)
    assert not deep.at_edge
    assert not shallow.at_edge


def test_a_curve_that_falls_to_an_end_says_so():
    (only,) = local_minima(np.arange(4.0), np.array([3.0, 2.0, 1.5, 1.25]))
    assert only.at_edge
    assert only.offset == 3.0
    assert only.basin == (0.0, 3.0)


def test_samples_not_computed_are_left_out():
    x = np.arange(7.0)
    y = np.array([5.0, np.nan, 1.0, np.nan, np.nan, 2.0, 4.0])
    (only,) = local_minima(x, y)
    assert only.value == 1.0
    # parabola through x = 0, 2, 5 (5, 1, 2): slopes -2 and 1/3, so a = 7/15, b at 2 = -2 + 2 * 7/15
    assert only.offset == pytest.approx(2 + (16 / 15) / (14 / 15))


def test_a_ripple_is_no_minimum():
    x = np.linspace(-3, 3, 61)
    y = x**2 + 0.02 * np.sin(40 * x)
    assert len(local_minima(x, y)) == 1


@pytest.mark.parametrize("y", [[1.0, 1.0, 1.0], [np.nan, 1.0, 2.0], [np.nan] * 3])
def test_nothing_to_find(y):
    assert local_minima(np.arange(3.0), np.array(y)) == ()


def test_pools_of_a_map_meet_and_the_deeper_stays():
    # 1 and 2 are apart by a ridge of 6 and 7 all over; 6.1 beside 6.05 is a ripple; the edge counts.
    values = np.array(
        [
            [5.0, 6.0, 8.0, 7.00, 9.0],
            [1.0, 6.0, 8.0, 6.05, 8.0],
            [5.0, 7.0, 8.0, 6.10, 2.0],
            [9.0, 9.0, 9.0, 9.00, 9.0],
        ]
    )
    assert map_minima(values) == [(1, 0), (2, 4)]
    values[0, 1:3] = 2.5  # a way of its own from the first to the ridge: a pool, 2.5 against 5
    assert map_minima(values) == [(1, 0), (2, 4)]
    values[0, 1] = 6.0  # 2.5 is now shut in by 6 and more
    assert map_minima(values) == [(1, 0), (2, 4), (0, 2)]
    values[2, 4] = np.nan
    values[1, 3] = np.nan
    assert map_minima(values) == [(1, 0), (0, 2), (2, 3)]


def test_of_two_pools_beside_a_low_ridge_the_deeper_one_is_the_minimum():
    # The ridge of 1.05 is less than 2 % of 8 above either.
    assert map_minima(np.array([[1.0, 1.05, 1.01, 9.0]])) == [(0, 0)]
    assert map_minima(np.array([[1.01, 1.05, 1.0, 9.0]])) == [(0, 2)]


@pytest.mark.parametrize("value", [3.0, np.nan])
def test_a_level_map_has_at_most_one_minimum(value):
    assert map_minima(np.full((3, 4), value)) == ([(0, 0)] if value == 3.0 else [])
