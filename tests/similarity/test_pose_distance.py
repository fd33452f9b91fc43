"""Distances of poses and their slopes: by hand, by matrix logarithms and by differences."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import logm

from napari_xreg.geometry import CArm, Detector, Pose, so4_from_pose
from napari_xreg.similarity import METRICS, pair_distances, squared_pose_distance

CARM = CArm(1020.0, 700.0, Detector((40, 32), (7.0, 8.0), (18.0, 15.5)))
ISOCENTER = torch.tensor([12.0, -40.0, 95.0], dtype=torch.float64)
A = CARM.world_from_camera(
    torch.tensor([20.0, -35.0]).double(), torch.tensor([-15.0, 8.0]).double(),
    torch.tensor([4.0, -9.0]).double(), isocenter=ISOCENTER,
    offset_mm=torch.tensor([[5.0, -20.0, 31.0], [-14.0, 9.0, -60.0]]).double(),
)  # fmt: skip


def moved(pose: Pose, *twist: float) -> Pose:
    return pose.left_perturb(torch.tensor(twist, dtype=torch.float64), ISOCENTER)


@pytest.mark.parametrize("metric", METRICS)
def test_a_turn_about_the_isocenter_is_its_angle_and_a_shift_counts_510_mm_a_radian(metric):
    turned = moved(A, 0.0, math.radians(10.0), 0.0, 0.0, 0.0, 0.0)
    found = squared_pose_distance(A, turned, ISOCENTER, metric).sqrt()
    torch.testing.assert_close(found, torch.full((2,), math.radians(10.0)).double())
    shifted = moved(A, 0.0, 0.0, 0.0, 6.0, 0.0, -8.0)
    found = 510.0 * squared_pose_distance(A, shifted, ISOCENTER, metric).sqrt()
    # The polar factor turns by twice atan(t / 1020): 10 mm up to a third-order term.
    torch.testing.assert_close(found, torch.full((2,), 10.0).double(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("embedding", ["double_quaternion", "contraction"])
def test_the_distance_is_that_of_the_matrix_logarithm(embedding):
    other = moved(A, 0.3, -0.2, 0.25, 40.0, -70.0, 25.0)
    home = A.inverse()
    turned = so4_from_pose(other, embedding=embedding, reference=A, pivot=ISOCENTER)
    expected = [np.linalg.norm(logm(each.numpy()).real) ** 2 / 2 for each in turned]
    found = squared_pose_distance(A, other, ISOCENTER, embedding)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)
    assert home.batch_shape == (2,)


def test_the_length_of_the_twist_is_that_of_the_logarithm_of_the_motion():
    twist = (0.3, -0.2, 0.25, 40.0, -70.0, 25.0)
    found = squared_pose_distance(A, moved(A, *twist), ISOCENTER, "se3")
    turn = 0.3**2 + 0.2**2 + 0.25**2
    shift = (40.0**2 + 70.0**2 + 25.0**2) / 510.0**2
    torch.testing.assert_close(found, torch.full((2,), turn + shift).double())


@pytest.mark.parametrize("metric", METRICS)
def test_slopes_are_those_of_differences_for_every_pair(metric):
    b = Pose.stack(
        [
            moved(A[0], 0.3, -0.2, 0.1, 40.0, -7.0, 25.0),
            A[1],
            moved(A[1], 0.0, 0.1, 0.2, -9.0, 60.0, 3.0),
        ]
    )
    distance, slope = pair_distances(A, b, ISOCENTER, metric)
    assert distance.shape == (2, 3)
    assert slope.shape == (2, 3, 6)
    assert float(distance[1, 1]) == pytest.approx(0.0, abs=1e-7)
    step = 1e-6
    for k in range(6):
        unit = step * (1.0 if k < 3 else 510.0)
        ends = []
        for sign in (-1.0, 1.0):
            twist = [0.0] * 6
            twist[k] = sign * unit
            ends.append(pair_distances(A, moved(b, *twist), ISOCENTER, metric)[0])
        difference = (ends[1] - ends[0]) / (2 * step)
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2)):
            assert float(slope[i, j, k]) == pytest.approx(float(difference[i, j]), abs=2e-6)
