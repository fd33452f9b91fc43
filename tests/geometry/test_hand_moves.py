"""What is dragged follows the cursor: to the pixel, in both kinds of image."""

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.geometry.hand_moves import deepened, point_under, rolled, shifted, turned

ISOCENTER = (11.0, -23.0, 640.0)


@pytest.fixture(params=[True, False], ids=["mirrored", "not mirrored"])
def carm(request):
    detector = Detector((96, 108), (3.1, 2.7), (41.0, 60.5), mirrored=request.param)
    return CArm(1020.0, 750.0, detector)


@pytest.fixture
def pose(carm):
    return carm.pose_from(CArmPose(31.0, -17.0, 8.0, (12.0, -31.0, 43.0), ISOCENTER))


@pytest.fixture
def pivot():
    return torch.tensor([25.0, -40.0, 655.0], dtype=torch.float64)


def test_a_point_at_the_depth_of_the_pivot_follows_the_cursor(carm, pose, pivot):
    point = point_under(pose, carm, (20.0, 77.0), pivot)
    moved = shifted(pose, carm, (20.0, 77.0), (35.5, 50.0), pivot)
    assert carm.project(point[None], moved)[0].tolist() == pytest.approx([35.5, 50.0])
    assert torch.equal(moved.rotation, pose.rotation)


def test_the_point_under_the_cursor_is_seen_there_and_as_deep_as_the_pivot(carm, pose, pivot):
    point = point_under(pose, carm, (20.0, 77.0), pivot)
    assert carm.project(point[None], pose)[0].tolist() == pytest.approx([20.0, 77.0])
    depth = pose.inverse().apply(torch.stack([point, pivot]))[:, 2]
    assert float(depth[0]) == pytest.approx(float(depth[1]))


def test_dragging_up_enlarges_by_two_millimetres_a_millimetre(carm, pose, pivot):
    nearer = deepened(pose, carm, (50.0, 20.0), (40.0, 25.0))  # 10 rows of 3.1 mm, upwards
    before, after = (p.inverse().apply(pivot[None])[0] for p in (pose, nearer))
    assert (after - before).tolist() == pytest.approx([0.0, 0.0, -62.0])


@pytest.mark.parametrize("way", [(0.0, 6.0), (5.0, 0.0), (-4.0, 3.0)])
def test_the_side_that_faces_the_reader_follows_a_rotation(carm, pose, pivot, way):
    towards = 40.0 if carm.detector.mirrored else -40.0
    near = pivot + towards * pose.rotation[:, 2]
    moved = turned(pose, carm, (30.0, 30.0), (30.0 + way[0], 30.0 + way[1]), pivot)
    at_pivot = carm.project(pivot[None], moved)[0] - carm.project(pivot[None], pose)[0]
    assert at_pivot.abs().max() < 1e-9
    seen = carm.project(near[None], moved)[0] - carm.project(near[None], pose)[0]
    spacing = torch.tensor(carm.detector.spacing, dtype=torch.float64)
    drag = torch.tensor(way, dtype=torch.float64) * spacing
    cosine = torch.dot(seen * spacing, drag) / (torch.linalg.norm(seen * spacing) * drag.norm())
    assert float(cosine) > 0.95  # not 1: the near point is off the central ray


def test_ten_millimetres_turn_by_three_degrees(carm, pose, pivot):
    s_row, s_column = carm.detector.spacing
    moved = turned(pose, carm, (0.0, 0.0), (6.0 / s_row, 8.0 / s_column), pivot)
    turn = torch.rad2deg((moved @ pose.inverse()).log()[:3].norm())
    assert float(turn) == pytest.approx(3.0)


def test_a_roll_goes_round_the_pivot_with_the_cursor(carm, pose, pivot):
    s_row, s_column = carm.detector.spacing
    row, column = carm.project(pivot[None], pose)[0].tolist()
    # A quarter turn, clockwise on the screen: from the right of the pivot to below it.
    moved = rolled(pose, carm, (row, column + 20.0 / s_column), (row + 35.0 / s_row, column), pivot)
    right = point_under(pose, carm, (row, column + 20.0 / s_column), pivot)
    seen = carm.project(right[None], moved)[0].tolist()
    assert seen == pytest.approx([row + 20.0 / s_row, column])


def test_a_roll_on_the_pivot_itself_does_nothing(carm, pose, pivot):
    row, column = carm.project(pivot[None], pose)[0].tolist()
    assert rolled(pose, carm, (row, column), (row + 20.0, column), pivot) is pose
