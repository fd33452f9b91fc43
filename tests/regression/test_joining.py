"""Predictions of several radiographs, joined: by hand, and as a law."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.regression import OneView, join_views

ARM = CArm(1020.0, 745.0, Detector((72, 90), (3.7, 3.1), (31.0, 47.5)))
CENTER = torch.tensor([12.0, -31.0, 44.0], dtype=torch.float64)
ABOUT = tuple(CENTER.tolist())
ERRORS = (2.0, 2.0, 2.0, 3.0, 3.0, 30.0)


def camera(primary, secondary=0.0, roll=0.0, offset=(0.0, 0.0, 0.0)):
    return ARM.pose_from(CArmPose(primary, secondary, roll, offset, ABOUT))


def seen(pose):
    """Of the centre, in camera axes."""
    return pose.inverse().apply(CENTER)


def shifted(pose, mm):
    """The camera whose centre appears so much elsewhere, in its own axes."""
    away = torch.tensor(mm, dtype=torch.float64)
    return Pose(pose.rotation, pose.translation - pose.rotation @ away)


def views_at(truth, second, said_first, said_second, errors=(ERRORS, ERRORS)):
    from_second = truth.inverse() @ second
    return [
        OneView(said_first, Pose.identity(dtype=torch.float64), errors[0]),
        OneView(said_second, from_second, errors[1]),
    ]


def test_views_at_right_angles_know_each_others_depth():
    """By hand: the first is 33 mm off in depth, the second is right: along the ray of the first the
    second sees it in its plane, with 3 mm against 30; so 33 / (1 + 100) mm are left."""
    truth, second = camera(0.0), camera(90.0)
    found = join_views(views_at(truth, second, shifted(truth, (0.0, 0.0, 33.0)), second), CENTER)
    off = seen(found.world_from_camera) - seen(truth)
    assert off.tolist() == pytest.approx([0.0, 0.0, 33.0 / 101.0], abs=1e-6)
    # Two views halve the variance of what both see, and 3 mm in the plane is all that is left in depth.
    across = 1.0 / (1 / 3.0**2 + 1 / 30.0**2)
    both = 3.0 / math.sqrt(2)
    assert sorted(found.errors[3:]) == pytest.approx(
        sorted([math.sqrt(across)] * 2 + [both]), rel=1e-4
    )
    assert found.errors[5] == pytest.approx(math.sqrt(across), rel=1e-4)
    assert found.errors[:3] == pytest.approx([2.0 / math.sqrt(2)] * 3, rel=1e-4)
    assert found.apart_mm == pytest.approx(33.0 - 33.0 / 101.0, rel=1e-6)
    assert found.apart_deg == pytest.approx(0.0, abs=1e-6)
    left = (33.0 * 100 / 101 / 30) ** 2 + (33.0 / 101 / 3) ** 2
    assert found.misfit == pytest.approx(math.sqrt(left / 6), rel=1e-4)


def test_views_that_agree_are_left_where_they_are_whatever_they_say_of_their_errors():
    truth, second = camera(14.0, -6.0, 2.0, (30.0, -14.0, 5.0)), camera(-71.0, 20.0, 9.0)
    errors = ((1.0, 2.0, 3.0, 4.0, 5.0, 60.0), (3.0, 1.0, 2.0, 9.0, 2.0, 20.0))
    found = join_views(views_at(truth, second, truth, second, errors), CENTER)
    assert torch.allclose(found.world_from_camera.matrix(), truth.matrix(), atol=1e-7)
    assert found.misfit < 1e-6
    assert all(a < b for a, b in zip(found.errors, errors[0], strict=True))


def test_rotations_are_weighed_as_shifts_are():
    truth, second = camera(0.0), camera(40.0, 10.0)
    turned = truth.left_perturb(
        torch.tensor([0.0, 0.0, math.radians(6.0), 0.0, 0.0, 0.0], dtype=torch.float64), CENTER
    )
    close = (1.0, 1.0, 1.0, 3.0, 3.0, 30.0)
    found = join_views(views_at(truth, second, turned, second, (ERRORS, close)), CENTER)
    # 2 degrees against 1 about every axis: a fifth of the six degrees is believed.
    off = (truth.inverse() @ found.world_from_camera).log()[:3].norm()
    assert math.degrees(off) == pytest.approx(6.0 / 5.0, rel=2e-3)


def test_one_view_is_itself():
    truth = camera(14.0, -6.0, 2.0, (30.0, -14.0, 5.0))
    found = join_views([OneView(truth, Pose.identity(dtype=torch.float64), ERRORS)], CENTER)
    assert torch.allclose(found.world_from_camera.matrix(), truth.matrix(), atol=1e-9)
    assert found.errors == pytest.approx(ERRORS, rel=1e-6)
    assert (found.misfit, found.chance) == (0.0, 1.0)


def test_how_rare_a_difference_is():
    """33 mm of depth against 30 and 3 is nothing; 30 degrees about one axis against 5 and 5 is."""
    truth, second = camera(0.0), camera(90.0)
    near = join_views(views_at(truth, second, shifted(truth, (0.0, 0.0, 33.0)), second), CENTER)
    assert near.chance > 0.9
    turned = second.left_perturb(
        torch.tensor([0.0, 0.0, math.radians(30.0), 0.0, 0.0, 0.0], dtype=torch.float64), CENTER
    )
    unsure = (5.0, 5.0, 5.0, 10.0, 10.0, 20.0)
    far = join_views(views_at(truth, second, truth, turned, (unsure, unsure)), CENTER)
    assert far.chance == pytest.approx(0.0062, abs=2e-4)  # chi-squared of 6: 2 (15 / 5)^2 = 18
    assert far.apart_deg == pytest.approx(15.0, rel=1e-6)
    assert far.apart_mm < 1e-6


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(ValueError, match="one view"):
        join_views([], CENTER)
    bad = OneView(camera(0.0), Pose.identity(dtype=torch.float64), (1.0, 1.0, 0.0, 1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="positive"):
        join_views([bad], CENTER)
    lost = camera(0.0)
    lost = Pose(lost.rotation, lost.translation * math.nan)
    with pytest.raises(ValueError, match="not finite"):
        join_views([OneView(lost, Pose.identity(dtype=torch.float64), ERRORS)], CENTER)
