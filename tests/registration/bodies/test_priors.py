"""What is known beforehand of bodies: what it costs, and its slopes."""

import math

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import Expected, ExpectedBetween
from napari_xreg.registration.bodies.priors import PriorPull, check_priors
from napari_xreg.registration.refinement.second_order.depth import SAYS_LITTLE

PIVOTS = torch.tensor([[12.0, -40.0, 7.0], [-30.0, 5.0, 61.0]], dtype=torch.float64)
COVARIANCE = torch.diag(torch.tensor([0.02, 0.05, 0.04, 2.0, 3.0, 5.0]).double()) ** 2


def turned(*twist: float) -> Pose:
    return Pose.exp(torch.tensor(twist, dtype=torch.float64))


def batch(*poses: Pose) -> tuple[Pose, ...]:
    return tuple(Pose(pose.rotation[None], pose.translation[None]) for pose in poses)


# Two bodies in two views each, no pose near another.
POSES = batch(
    turned(0.3, -0.2, 0.5, 20.0, -400.0, 33.0), turned(-0.4, 0.9, 0.1, 300.0, 20.0, -50.0),
    turned(0.2, 0.6, -0.3, -15.0, -390.0, 60.0), turned(0.8, 0.1, 0.4, 320.0, -10.0, 12.0),
)  # fmt: skip
LOSSES = torch.tensor([0.4], dtype=torch.float64)


def test_a_body_off_by_two_deviations_costs_half_their_square():
    shifted = torch.tensor([0.0, 0.0, 0.0, 0.0, 6.0, 0.0], dtype=torch.float64)
    expected = POSES[2].left_perturb(-shifted, PIVOTS[1])
    pull = PriorPull(
        [Expected(1, Pose(expected.rotation[0], expected.translation[0]), COVARIANCE)],
        PIVOTS,
        LOSSES,
    )
    assert float(pull.loss(POSES)) == pytest.approx(SAYS_LITTLE * 0.4 * 0.5 * 2.0**2, rel=1e-6)


@pytest.mark.parametrize("expected", [turned(0.1, 0.2, math.nan, 1.0, 2.0, 3.0), "between"])
def test_an_expected_pose_that_is_no_number_is_refused(expected):
    if expected == "between":
        gone = Pose(torch.eye(3).double(), torch.tensor([0.0, math.inf, 0.0]).double())
        prior = ExpectedBetween(1, 0, gone, COVARIANCE)
    else:
        prior = Expected(1, expected, COVARIANCE)
    with pytest.raises(ValueError, match="must be finite"):
        check_priors([prior], 2)


def test_bodies_that_turn_together_cost_nothing():
    between = POSES[0] @ POSES[2].inverse()
    expected = Pose(between.rotation[0], between.translation[0])
    pull = PriorPull([ExpectedBetween(0, 1, expected, COVARIANCE)], PIVOTS, LOSSES)
    assert float(pull.loss(POSES)) == pytest.approx(0.0, abs=1e-12)
    # One motion of the cameras, the same for both bodies.
    moved = turned(0.0, 0.1, -0.2, 3.0, 4.0, 5.0)
    together = batch(*(Pose(p.rotation[0], p.translation[0]) @ moved for p in POSES))
    assert float(pull.loss(together)) == pytest.approx(0.0, abs=1e-9)
    # The first alone turns by 3 deviations about its own pivot.
    twist = torch.tensor([0.06, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    alone = (POSES[0].left_perturb(twist, PIVOTS[0]), *POSES[1:])
    assert float(pull.loss(alone)) == pytest.approx(SAYS_LITTLE * 0.4 * 0.5 * 9.0, rel=1e-6)


@pytest.mark.parametrize("which", ["expected", "between"])
def test_slopes_are_those_of_the_twists(which):
    off = turned(0.05, -0.08, 0.06, 3.0, -4.0, 2.0)
    at = [Pose(p.rotation[0], p.translation[0]) for p in POSES]
    prior = (
        Expected(1, off @ at[2], COVARIANCE)
        if which == "expected"
        else ExpectedBetween(1, 0, off @ at[2] @ at[0].inverse(), COVARIANCE)
    )
    pull = PriorPull([prior], PIVOTS, LOSSES)
    step = 1e-5
    for axis in range(12):
        twist = torch.zeros(2, 6, dtype=torch.float64)
        twist.view(-1)[axis] = step
        ends = [
            tuple(
                pose.left_perturb(sign * twist[place // 2], PIVOTS[place // 2])
                for place, pose in enumerate(POSES)
            )
            for sign in (1.0, -1.0)
        ]
        slope = float(pull.loss(ends[0]) - pull.loss(ends[1])) / (2 * step)
        scale = max(1e-6, float(pull.gradient(POSES).abs().max()))
        assert math.isclose(
            float(pull.gradient(POSES)[0, axis]), slope, rel_tol=1e-5, abs_tol=1e-6 * scale
        )


def test_the_matrix_is_that_of_gauss_and_newton():
    between = POSES[0] @ POSES[2].inverse()
    expected = Pose(between.rotation[0], between.translation[0])
    pull = PriorPull([ExpectedBetween(0, 1, expected, COVARIANCE)], PIVOTS, LOSSES)
    matrix = pull.hessian(POSES)[0]
    # Where nothing is off, the bend of the loss itself.
    step, twist = 1e-4, torch.zeros(12, dtype=torch.float64)
    twist[[1, 8, 9]] = torch.tensor([1.0, -0.7, 20.0], dtype=torch.float64)
    moved = tuple(
        pose.left_perturb(step * twist.view(2, 6)[place // 2], PIVOTS[place // 2])
        for place, pose in enumerate(POSES)
    )
    assert float(pull.loss(moved)) == pytest.approx(
        0.5 * step**2 * float(twist @ matrix @ twist), rel=1e-3
    )
