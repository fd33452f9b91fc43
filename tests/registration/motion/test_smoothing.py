"""Smoothing against the least squares that it solves, and on motions that turn far."""

import math

import numpy as np
import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import smoothed, step_between

PIVOT = torch.tensor([10.0, -5.0, 30.0], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)


def shifted(x: float) -> Pose:
    return Pose(EYE, torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


def covariance(mm: float) -> torch.Tensor:
    return torch.diag(torch.tensor([0.01, 0.01, 0.01, mm, mm, mm], dtype=torch.float64) ** 2)


def least_squares(places, noise, gaps, way):
    """Place and its deviation in every frame by one dense solve: what the recursions shall come to.

    A gap of two frames is two steps with a frame between that nobody measured. Unknowns are x_t and v_t;
    rows are measurements, ``x_t+1 = x_t + v_t + a / 2``, ``v_t+1 = v_t + a`` with a change a of standard
    deviation `way`, and v_0 about 0 with 50 mm a frame.
    """
    at = np.cumsum([0, *gaps[1:]])
    count = int(at[-1]) + 1
    rows, right = [], []

    def row(entries, value, sd):
        line = np.zeros(2 * count)
        for place, factor in entries.items():
            line[place] = factor / sd
        rows.append(line)
        right.append(value / sd)

    row({count: 1.0}, 0.0, 50.0)
    for step in range(count - 1):
        # The change is told by the velocities; the places follow from it (nearly exactly).
        row({count + step + 1: 1.0, count + step: -1.0}, 0.0, way)
        row({step + 1: 1, step: -1, count + step: -0.5, count + step + 1: -0.5}, 0.0, 1e-6)
    for number, (place, sd) in enumerate(zip(places, noise, strict=True)):
        if place is not None:
            row({int(at[number]): 1.0}, place, sd)
    matrix = np.array(rows)
    normal = matrix.T @ matrix
    solved = np.linalg.solve(normal, matrix.T @ np.array(right))
    return solved[at], np.sqrt(np.diag(np.linalg.inv(normal))[at])


def test_a_shift_is_smoothed_as_the_least_squares_of_all_frames():
    """With a gap of four frames, one frame not measured, and measurements of unlike worth."""
    rng = np.random.default_rng(3)
    gaps = [1, 1, 1, 4, 1, 1, 1, 1, 1, 1]
    noise = [0.3, 0.3, 2.0, 0.3, 0.5, 0.3, 0.3, 0.3, 1.0, 0.3]
    places = [
        math.sin(0.5 * at) * 5 + rng.normal() * sd
        for at, sd in zip(np.cumsum(gaps), noise, strict=True)
    ]
    places[5] = None
    found = smoothed(
        [None if x is None else shifted(x) for x in places],
        [None if x is None else covariance(sd) for x, sd in zip(places, noise, strict=True)],
        PIVOT,
        gaps,
    )
    expected, sd = least_squares(places, noise, gaps, found.way_mm)
    np.testing.assert_allclose([float(p.translation[0]) for p in found.poses], expected, atol=2e-3)
    np.testing.assert_allclose(
        [math.sqrt(float(c[3, 3])) for c in found.covariances], sd, rtol=5e-3
    )


@pytest.fixture(scope="module")
def sequence():
    """60 frames that turn by more than 80 degrees, measured with depth ten times less sure; 6 frames lack."""
    generator = torch.Generator().manual_seed(0)
    sd = torch.tensor([0.005, 0.005, 0.003, 0.3, 0.3, 3.0], dtype=torch.float64)
    pose = Pose.exp(torch.tensor([0.3, -0.2, 0.1, 100.0, 20.0, -600.0], dtype=torch.float64))
    truth, measured = [], []
    for t in range(60):
        step = [0.03 * math.cos(t / 15), 0.01, 0.005 * math.sin(t / 9), math.sin(t / 11), 0.5, 0.3]
        pose = pose.left_perturb(torch.tensor(step, dtype=torch.float64), PIVOT)
        truth.append(pose)
        noise = sd * torch.randn(6, generator=generator, dtype=torch.float64)
        measured.append(None if 25 <= t < 31 else pose.left_perturb(noise, PIVOT))
    spread = torch.diag(sd**2)
    found = smoothed(measured, [None if m is None else spread for m in measured], PIVOT)
    return truth, measured, found


def errors(truth, poses):
    return torch.stack(
        [step_between(a, b, PIVOT) for a, b in zip(truth, poses, strict=True) if b is not None]
    )


def test_a_smooth_motion_is_nearer_the_truth_in_every_component(sequence):
    truth, measured, found = sequence
    before = errors(truth, measured).square().mean(0).sqrt()
    after = errors(truth, found.poses).square().mean(0).sqrt()
    assert bool((after < 0.8 * before).all())
    assert float(after[5]) < 0.5 * float(before[5])


def test_its_covariances_say_how_far_off_it_is(sequence):
    truth, _, found = sequence
    beside = errors(truth, found.poses)
    spread = torch.stack(list(found.covariances))
    squared = torch.einsum("ti,tij,tj->t", beside, torch.linalg.inv(spread), beside)
    assert 0.4 < float(squared.mean()) / 6 < 1.6
    # Where nothing was measured it is less sure, most in the middle.
    sure = spread[:, 3, 3]
    assert float(sure[28]) > 1.5 * float(sure[15])


def test_fewer_than_three_frames_say_nothing_of_a_motion():
    with pytest.raises(ValueError, match="three measured frames or more: got 2"):
        smoothed([shifted(0.0), None, shifted(1.0)], [covariance(1.0)] * 3, PIVOT)
