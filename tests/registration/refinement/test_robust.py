"""Outlier weights by hand, and a line through points of which some lie far off."""

import numpy as np
import pytest

from napari_xreg.registration.refinement.host.robust import median, outlier_weights, robust_fit


def test_weights_worked_by_hand():
    residual = np.array([-1.0, 0.0, 1.0, 2.0, -2.0])
    # median |r| = 1, so s = 3 x 1.4826; (1 / s)^2 = 0.050548, (2 / s)^2 = 0.20219
    weights = outlier_weights(residual, centre=0.0, scale=3.0, least=1e-9)
    assert weights[1] == 1.0
    assert weights[2] == pytest.approx(1 / 1.050548**2, rel=1e-4)
    assert weights[3] == weights[4] == pytest.approx(1 / 1.20219**2, rel=1e-4)


def test_a_perfect_fit_divides_by_no_zero():
    assert (outlier_weights(np.zeros(5), centre=0.0, scale=3.0, least=1e-9) == 1.0).all()


def test_a_line_ignores_points_far_off():
    x = np.linspace(-1, 1, 200)
    y = 0.5 - 2.0 * x + np.random.default_rng(4).normal(0, 0.01, 200)
    y[::8] += 5.0
    terms = np.stack([np.ones(200), x])
    plain, robust = (robust_fit(terms, y, rounds=rounds) for rounds in (1, 6))
    assert abs(plain[0] - 0.5) > 0.5
    np.testing.assert_allclose(robust, [0.5, -2.0], atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 7, 10, 301, 4096])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_median_is_numpys(count, dtype):
    values = np.random.default_rng(count).normal(3.0, 2.0, (3, count)).astype(dtype)
    found = median(values)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.median(values, axis=1, keepdims=True))
