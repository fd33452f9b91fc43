"""One step of Levenberg-Marquardt, on a problem small enough to follow by hand."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.problem import Model
from napari_xreg.registration.refinement.result import Status
from napari_xreg.registration.refinement.second_order.damped_steps import (
    begin,
    levenberg_marquardt,
    step,
    stopping_status,
)

X, RESIDUAL = 3, 6
"""Columns of a model: the shift along x among the slopes, and what is left."""


class Toned:
    """The residual is x less the tone, mm; the tone that belongs to a pose is x less 5."""

    names = ("intensity",)
    pivot = torch.zeros(3, dtype=torch.float64)

    def _model(self, poses, tone):
        self.tried = poses
        left = poses[0].translation[:, 0] - tone
        sums = torch.zeros(len(left), 1, 7, 7, dtype=torch.float64)
        sums[:, 0, X, X], sums[:, 0, RESIDUAL, RESIDUAL] = 1.0, left**2
        sums[:, 0, X, RESIDUAL] = sums[:, 0, RESIDUAL, X] = left
        return Model(sums, torch.ones(1, dtype=torch.float64))

    def begin(self, poses):
        tone = poses[0].translation[:, 0] - 5.0
        return tone, self._model(poses, tone)

    def attempt(self, poses, held, rows):
        return held, self._model(poses, held)

    def renew(self, seen, before, model, taken):
        own, renewed = self.begin(self.tried)
        return torch.where(taken, own, before), renewed.where(taken, model)

    def drrs(self, seen):
        return torch.zeros(len(seen), 1, 1)

    def flat(self, seen, rows):
        raise NotImplementedError

    def correlated_sums(self, seen, rows):
        raise NotImplementedError


def at(x):
    return (Pose(torch.eye(3, dtype=torch.float64)[None], torch.tensor([[x, 0.0, 0.0]]).double()),)


def test_a_step_is_judged_under_the_tone_it_was_computed_with_and_seen_under_its_own_afterwards():
    problem = Toned()
    start = begin(problem, at(4.0))
    assert float(start.seen) == -1.0  # the tone at 4
    assert float(start.model.loss) == 12.5
    tried, after = step(problem, start, 0.01)
    # All the way to the tone but for the damping of a thousandth: 5 / 1.001 from 4.
    assert float(tried.poses[0].translation[0, 0]) == pytest.approx(4.0 - 5.0 / 1.001)
    assert float(tried.model.loss) == pytest.approx(0.5 * (5.0 - 5.0 / 1.001) ** 2)
    assert bool(tried.accepted)  # under its own tone every pose is as good: 12.5
    assert float(after.seen) == pytest.approx(4.0 - 5.0 / 1.001 - 5.0)
    assert float(after.model.loss) == pytest.approx(12.5)


def test_a_stride_makes_a_step_longer_and_it_is_judged_by_what_so_long_a_step_promises():
    """Half as far again as the tone is off: of what a whole step gains, three quarters."""
    problem = Toned()
    tried, after = step(problem, begin(problem, at(4.0)), 0.01, stride=1.5)
    way = 5.0 / (1 / 1.5 + 1e-3)  # the damping is a thousandth of the whole curvature
    assert float(tried.poses[0].translation[0, 0]) == pytest.approx(4.0 - way)
    assert float(tried.step_mm) == pytest.approx(way)
    assert bool(tried.accepted)
    # The promise was kept to the last digit: the damping falls to a third.
    assert float(after.damping) == pytest.approx(1e-3 / 3)


def test_a_step_that_is_short_for_its_damping_is_looked_at_though_the_one_before_was_taken():
    """Damped ten times its curvature the step is a short one of a way that is not."""
    problem = Toned()
    start = begin(problem, at(4.0))
    damped = replace(start, damping=torch.full_like(start.damping, 10.0))
    tried, after = step(problem, damped, 0.01, untried_mm=1.0)
    assert float(tried.step_mm) == pytest.approx(5.0 / 11.0)
    assert not bool(after.ended)


class Known:
    """x is known to be 1 mm, twice as surely as the image says it."""

    def loss(self, poses):
        return (poses[0].translation[:, 0] - 1.0) ** 2

    def gradient(self, poses):
        slope = torch.zeros(1, 6, dtype=torch.float64)
        slope[:, X] = 2.0 * (poses[0].translation[:, 0] - 1.0)
        return slope

    def hessian(self, poses):
        bend = torch.zeros(1, 6, 6, dtype=torch.float64)
        bend[:, X, X] = 2.0
        return bend


def test_what_is_known_beforehand_is_not_strode_past():
    """The image asks for 5, what is known for 3 times 2; only the image's own curvature is stretched."""
    problem = Toned()
    tried, _ = step(problem, begin(problem, at(4.0)), 0.01, pull=Known(), stride=1.5)
    way = (5.0 + 6.0) / (1 / 1.5 + 2.0 + 3e-3)
    assert float(tried.poses[0].translation[0, 0]) == pytest.approx(4.0 - way)


def test_a_step_that_is_short_enough_is_taken_without_a_look():
    problem = Toned()
    start = begin(problem, at(4.0))
    looked = []
    attempt = problem.attempt
    problem.attempt = lambda poses, held, rows: looked.append(rows) or attempt(poses, held, rows)
    tried, after = step(problem, start, 0.01, untried_mm=5.0)
    assert not bool(looked[0].any())
    assert float(after.poses[0].translation[0, 0]) == pytest.approx(4.0 - 5.0 / 1.001)
    assert bool(after.ended)
    assert not bool(after.active)
    # All that is known is of the pose before it.
    assert float(after.seen) == -1.0
    assert float(after.model.loss) == float(tried.model.loss) == 12.5
    _, longer = step(problem, start, 0.01, untried_mm=4.9)
    assert bool(looked[1].all())
    assert float(longer.seen) == pytest.approx(4.0 - 5.0 / 1.001 - 5.0)


class Uphill(Toned):
    """Whatever is tried is worse: the slope promises what is not there."""

    def attempt(self, poses, held, rows):
        seen, model = super().attempt(poses, held, rows)
        return seen, replace(model, sums=model.sums + 100.0)


def test_a_step_that_is_short_for_being_damped_is_not_taken_without_a_look():
    """Of 5 mm, damped more and more: 0.5 mm are no sign of the optimum, and it stalls where it began."""
    problem = Uphill()
    start = begin(problem, at(4.0))
    *_, (_, after) = levenberg_marquardt(
        problem, start, iterations=30, tolerance_mm=0.01, untried_mm=1.0
    )
    assert bool(after.ended)
    assert not bool(after.active)
    assert float(after.poses[0].translation[0, 0]) == 4.0
    end = stopping_status(
        12.5, after.model.hessian[0], after.model.gradient[0], 0.01, untried_mm=1.0
    )
    assert end is Status.STALLED


def test_after_one_that_was_taken_it_is():
    problem = Toned()
    start = begin(problem, at(4.0))
    rejected = replace(start, growth=4.0 * torch.ones(1, dtype=torch.float64))
    _, after = step(problem, rejected, 0.01, untried_mm=6.0)
    assert not bool(after.ended)  # looked at, and taken
    _, after = step(problem, after, 0.01, untried_mm=6.0)
    assert bool(after.ended)


@pytest.mark.parametrize(("untried_mm", "status"), [(4.9, Status.STALLED), (5.1, Status.CONVERGED)])
def test_an_end_is_near_within_a_step_that_would_have_been_taken_unseen_and_no_farther(
    untried_mm, status
):
    model = begin(Toned(), at(4.0)).model
    end = stopping_status(12.5, model.hessian[0], model.gradient[0], 0.01, untried_mm=untried_mm)
    assert end is status
