"""The spline of the attenuation tables."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from napari_xreg.images.intensity.spline import cubic_spline


def test_it_is_the_cubic_that_its_points_lie_on():
    x = np.array([-1.0, 0.0, 0.5, 2.0, 3.5])
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.25])
    where = np.linspace(-1.0, 3.5, 19)
    np.testing.assert_allclose(cubic_spline(x, cubic(x))(where), cubic(where), atol=1e-13)


@pytest.mark.parametrize("count", [4, 5, 11])
def test_it_is_scipys(count):
    rng = np.random.default_rng(count)
    x, y = np.cumsum(rng.uniform(0.2, 2.0, count)), rng.normal(size=count)
    where = np.linspace(x[0], x[-1], 101)
    np.testing.assert_allclose(cubic_spline(x, y)(where), CubicSpline(x, y)(where), atol=1e-12)
