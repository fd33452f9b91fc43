"""Looking for a bone at every shift: a bent rod beside a straight one that is nearer."""

import math
from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import View
from napari_xreg.registration.near_bone.search import places_of
from napari_xreg.rendering import render_drr

# Non-square pixels, the principal point off the middle, mirrored or not.
DETECTOR = Detector((200, 260), (1.5, 1.2), (110.0, 120.0), mirrored=False)
CARM = CArm(1000.0, 700.0, DETECTOR)
MIRRORED = replace(CARM, detector=replace(DETECTOR, mirrored=True))
CENTER = torch.zeros(3, dtype=torch.float64)


def rods(*, bent: bool, at_mm: float = 0.0) -> Volume:
    """A rod along z, 8 mm across and 48 mm long; bent, with a foot; voxels 1 x 1.2 x 1.5 mm."""
    spacing, size = (1.0, 1.2, 1.5), (41, 31, 41)
    grid = torch.diag(torch.tensor([*spacing, 1.0]))
    grid[:3, 3] = -torch.tensor([s * (n - 1) / 2 for s, n in zip(spacing, size, strict=True)])
    grid[0, 3] += at_mm
    axes = [s * (torch.arange(n) - (n - 1) / 2) for s, n in zip(spacing, size, strict=True)]
    z, y, x = torch.meshgrid(*reversed(axes), indexing="ij")
    middle = 0.006 * z * z * (1.0 if bent else 0.0)
    inside = (torch.hypot(x - middle, y) < 4.0) & (z.abs() < 24.0)
    foot = (z > 16.0) & (torch.hypot(x - middle, y) < 7.0) & (z.abs() < 24.0)
    return Volume(0.04 * (inside | (foot & bent)).float(), grid)


def poses(carm: CArm) -> tuple[Pose, Pose]:
    return (
        carm.world_from_camera(10.0, 5.0, isocenter=CENTER),
        carm.world_from_camera(80.0, -5.0, isocenter=CENTER),
    )


def taken(carm: CArm, pose: Pose) -> Radiograph:
    """Of the bent rod, and a straight one 14 mm beside it, over a slope of soft tissue."""
    images = [render_drr(v, carm, pose) for v in (rods(bent=True), rods(bent=False, at_mm=14.0))]
    rows = torch.linspace(0.2, 0.8, carm.detector.shape[0])[:, None]
    return Radiograph(images[0] + images[1] + rows, carm)


def moved(pose: Pose, shift: tuple[float, float, float]) -> Pose:
    """Thought to be where the bone would lie shifted so, mm in the world."""
    away = torch.tensor(shift, dtype=torch.float64)
    return Pose(pose.rotation.double(), pose.translation.double() - away)


@pytest.mark.parametrize("carm", [CARM, MIRRORED])
def test_two_views_find_it_in_space_and_not_its_neighbour(carm):
    bone = rods(bent=True)
    off = (11.0, -5.0, 6.0)
    views = [View(taken(carm, pose), moved(pose, off)) for pose in poses(carm)]
    found = places_of(bone, views, [views[0].world_from_camera], 16.0, most=3)
    truth = poses(carm)[0]
    # Starts 11 mm off see the bone under another magnification.
    assert (found[0].pose.translation - truth.translation).norm() < 2.0
    assert torch.equal(found[0].pose.rotation, views[0].world_from_camera.rotation)
    assert found[0].likeness > 0.7
    likeness = [place.likeness for place in found]
    assert likeness == sorted(likeness, reverse=True)


def test_one_view_finds_it_in_its_plane_and_keeps_the_depth():
    truth = poses(CARM)[0]
    view = View(taken(CARM, truth), moved(truth, (9.0, 4.0, -3.0)))
    found = places_of(rods(bent=True), [view], [view.world_from_camera], 14.0, most=1)
    apart = truth.rotation.double().mT @ (found[0].pose.translation - truth.translation.double())
    kept = truth.rotation.double().mT @ torch.tensor([9.0, 4.0, -3.0]).double()
    assert apart[:2].norm() < 1.0
    assert apart[2] == pytest.approx(-float(kept[2]), abs=1e-6)


def test_of_several_orientations_the_right_one_is_chosen():
    truth = poses(CARM)[0]
    view = View(taken(CARM, truth), moved(truth, (6.0, 3.0, 0.0)))
    angle = math.radians(8.0)
    roll = torch.eye(3, dtype=torch.float64)
    roll[:2, :2] = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    wrong = [
        Pose(truth.rotation.double() @ turn, view.world_from_camera.translation)
        for turn in (roll, roll.mT)
    ]
    turned = [wrong[0], view.world_from_camera, wrong[1]]
    found = places_of(rods(bent=True), [view], turned, 10.0, most=1)
    assert torch.equal(found[0].pose.rotation, truth.rotation.double())


def test_masked_pixels_have_no_say():
    truth = poses(CARM)[0]
    whole = taken(CARM, truth)
    values = whole.line_integrals.clone()
    values[:, 150:] = 7.0  # a bright edge along the bone
    left = (torch.arange(260) < 150).expand(200, 260)
    burnt = replace(whole, line_integrals=values, mask=left)
    start = moved(truth, (8.0, 0.0, 0.0))
    found = places_of(rods(bent=True), [View(burnt, start)], [start], 12.0, most=1)
    apart = truth.rotation.double().mT @ (found[0].pose.translation - truth.translation.double())
    assert apart[:2].norm() < 1.2


def test_out_of_sight_there_is_no_place():
    truth = poses(CARM)[0]
    away = moved(truth, (900.0, 0.0, 0.0))
    assert places_of(rods(bent=True), [View(taken(CARM, truth), away)], [away], 10.0, most=2) == []
