"""Distances on the sphere, in the plane and on the hyperboloid, by hand; the residual is as long as they are."""

import math

import pytest
import torch

from napari_xreg.similarity import SPACES, placed, residual, squared_distance


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_distance_on_the_sphere_is_the_angle():
    a, b = placed(numbers(3.0, 0.0, 4.0), "sphere"), placed(numbers(0.0, 2.0, 0.0), "sphere")
    assert float(squared_distance(a, b, "sphere")) == pytest.approx((math.pi / 2) ** 2, rel=1e-9)
    # (0.6, 0, 0.8) and (0.8, 0, 0.6): the cosine is 0.96.
    near = placed(numbers(8.0, 0.0, 6.0), "sphere")
    assert float(squared_distance(a, near, "sphere")) == pytest.approx(math.acos(0.96) ** 2)


def test_the_distance_of_the_plane_is_pythagoras():
    found = squared_distance(numbers(1.0, -2.0, 5.0), numbers(4.0, 2.0, 5.0), "euclidean")
    assert float(found) == pytest.approx(25.0)


def test_the_distance_on_the_hyperboloid_is_that_of_arguments_of_sinh():
    # Along one axis a point (cosh u, sinh u) lies u from the top, and two on one line add up.
    a = placed(numbers(math.sinh(0.7), 0.0), "hyperbolic")
    b = placed(numbers(-math.sinh(1.1), 0.0), "hyperbolic")
    assert a.tolist() == pytest.approx([math.cosh(0.7), math.sinh(0.7), 0.0])
    assert float(squared_distance(a, b, "hyperbolic")) == pytest.approx(1.8**2)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("apart", [1e-4, 0.019, 0.021, 0.6])
def test_the_residual_is_as_long_as_the_distance_on_both_sides_of_the_series(space, apart):
    middle = numbers(0.3, -1.2, 0.5)
    a = placed(middle, space)
    b = placed(middle + apart * numbers(1.0, 0.2, -0.4), space)
    squared = squared_distance(a, b, space)
    assert float(residual(a, b, space).square().sum()) == pytest.approx(float(squared), rel=1e-6)
    reached = squared_distance(a, b.float().to(b), space)
    assert float(reached) == pytest.approx(float(squared), rel=1e-2)


@pytest.mark.parametrize("space", SPACES)
def test_derivatives_of_derivatives_agree_with_differences(space):
    fixed = placed(numbers(0.4, -0.3, 0.8), space)

    def of(said):
        return squared_distance(fixed, placed(said, space), space)

    for said in (numbers(0.1, 0.6, 0.2), numbers(0.401, -0.3, 0.8)):
        assert torch.autograd.gradcheck(of, said.clone().requires_grad_())
        assert torch.autograd.gradgradcheck(of, said.clone().requires_grad_(), atol=1e-4)


@pytest.mark.parametrize("space", SPACES)
def test_where_points_are_equal_the_slope_is_zero_and_not_nan(space):
    said = numbers(0.4, -0.3, 0.8).requires_grad_()
    fixed = placed(said.detach(), space)
    (slope,) = torch.autograd.grad(squared_distance(fixed, placed(said, space), space), said)
    torch.testing.assert_close(slope, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
