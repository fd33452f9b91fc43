"""Reprojection error, its derivatives and its losses, by hand and against finite differences."""

import numpy as np
import pytest

from napari_xreg.geometry import CArm, Detector
from napari_xreg.registration.pnp.fit import (
    Observations,
    fit,
    loss_values,
    loss_weights,
    retract,
)

# f = 1000 mm; a row is 0.5 mm, a column 2 mm; the camera is the world.
CARM = CArm(1000.0, 600.0, Detector((90, 70), (0.5, 2.0), (10.0, 20.0), mirrored=True))
EYE, ZERO = np.eye(3), np.zeros(3)
POINT = np.array([[3.0, 4.0, 100.0]])  # row 10 + 1000 4 / (100 0.5) = 90, column 20 - 15 = 5


def seen(root, pixel=(88.0, 6.0), **loss):
    return Observations(POINT, np.array([pixel]), root[None], CARM.camera_matrix().numpy(), **loss)


def test_residual_and_cost_by_hand():
    one = seen(np.eye(2))
    assert one.residuals(EYE, ZERO) == pytest.approx(np.array([[2.0, -1.0]]))
    assert one.cost(EYE, ZERO) == pytest.approx(2.5)
    # Variances 4 of the row and 1/4 of the column: 4 / 4 + 1 / 0.25 = 5; exchanged it were 16.25.
    assert seen(np.diag([0.5, 2.0])).cost(EYE, ZERO) == pytest.approx(2.5)
    assert seen(np.diag([2.0, 0.5])).cost(EYE, ZERO) == pytest.approx(8.125)


def test_derivatives_by_hand():
    hessian, gradient = seen(np.eye(2)).normal_equations(EYE, ZERO, np.array([1.0, -2.0, 50.0]))
    # The camera 1 mm along x: the point 1 mm the other way, the mirrored column +1000 / (100 2) = 5.
    assert hessian[3, 3] == pytest.approx(25.0)
    assert gradient[3] == pytest.approx(-5.0)
    # Along y: the row by -1000 / (100 0.5) = -20.
    assert hessian[4, 4] == pytest.approx(400.0)
    assert gradient[4] == pytest.approx(-40.0)
    # About z: arm (2, 6, 50), the point moves by (6, -2, 0) per radian: -30 columns, -40 rows.
    assert hessian[2, 2] == pytest.approx(2500.0)
    assert gradient[2] == pytest.approx(2 * -40 + -1 * -30)


def test_gradient_is_that_of_the_cost():
    random = np.random.default_rng(3)
    points = random.uniform(-60, 60, (7, 3)) + [5, -40, 700]
    roots = random.uniform(-1, 1, (7, 2, 2)) + 1.5 * np.eye(2)
    pixels = random.uniform(0, 80, (7, 2))
    rotation, translation = retract(EYE, ZERO, random.uniform(-0.2, 0.2, 6), ZERO)
    pivot = np.array([11.0, -7.0, 650.0])
    for loss in ("squared", "huber", "cauchy", "geman-mcclure"):
        k = CARM.camera_matrix().numpy()
        many = Observations(points, pixels, roots, k, loss, 40.0)
        _, gradient = many.normal_equations(rotation, translation, pivot)
        for axis in range(6):
            step = np.zeros(6)
            step[axis] = 1e-6
            ahead = many.cost(*retract(rotation, translation, step, pivot))
            back = many.cost(*retract(rotation, translation, -step, pivot))
            assert (ahead - back) / 2e-6 == pytest.approx(gradient[axis], rel=1e-5)


def test_losses_by_hand():
    nine = np.array([9.0])  # a length of 3
    expected = {"squared": 9.0, "huber": 8.0, "cauchy": 4 * np.log(3.25), "geman-mcclure": 36 / 13}
    for loss, value in expected.items():
        assert loss_values(nine, loss, 2.0) == pytest.approx(value)
    expected = {"squared": 1.0, "huber": 2 / 3, "cauchy": 4 / 13, "geman-mcclure": (4 / 13) ** 2}
    for loss, value in expected.items():
        assert loss_weights(nine, loss, 2.0) == pytest.approx(value)
    # Within the scale Huber's is the squared loss.
    assert loss_values(np.array([3.9]), "huber", 2.0) == pytest.approx(3.9)
    assert loss_weights(np.array([3.9]), "huber", 2.0) == 1.0


def test_a_start_behind_the_source_is_refused_and_a_step_there_taken_back():
    assert fit(seen(np.eye(2)), EYE, np.array([0.0, 0.0, 200.0]), iterations=9) is None
    random = np.random.default_rng(8)
    points = random.uniform(-60, 60, (7, 3)) + [5, -40, 80]  # the source almost among them
    pixels = random.uniform(0, 80, (7, 2))
    roots = np.repeat(np.eye(2)[None], 7, 0)
    many = Observations(points, pixels, roots, CARM.camera_matrix().numpy())
    end = fit(many, EYE, np.array([0.0, 0.0, -5.0]), iterations=200)
    assert end is not None
    assert ((points - end.translation) @ end.rotation)[:, 2].min() > 0
    assert end.cost < many.cost(EYE, np.array([0.0, 0.0, -5.0]))
