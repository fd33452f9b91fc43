"""The additive ellipsoids: closed form, and what they leave on a grid."""

import numpy as np
import pytest
import torch
from ellipsoids import AttenuatingEllipsoid, ellipsoid_line_integrals, ellipsoid_volume

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.simulation import (
    Ellipsoid,
    sphere,
)

BODIES = (
    AttenuatingEllipsoid(Ellipsoid(np.array([12.0, -31.0, 44.0]), (31.0, 23.0, 27.0)), 0.02),
    AttenuatingEllipsoid(sphere(np.array([20.0, -25.0, 52.0]), 7.0), 0.03),
    AttenuatingEllipsoid(sphere(np.array([3.0, -38.0, 36.0]), 6.0), -0.015),
)


def test_attenuations_add_up_along_the_ray():
    source = torch.tensor([12.0, -31.0, -500.0], dtype=torch.float64)
    r = torch.tensor([[0.0, 0.0, 1000.0], [400.0, 0.0, 1000.0]], dtype=torch.float64)
    two = (
        AttenuatingEllipsoid(Ellipsoid(np.array([12.0, -31.0, 44.0]), (31.0, 23.0, 27.0)), 0.02),
        AttenuatingEllipsoid(sphere(np.array([12.0, -31.0, 50.0]), 7.0), 0.03),
    )
    # 54 mm x 0.02 + 14 mm x 0.03; the other ray misses.
    assert ellipsoid_line_integrals(two, source, r).tolist() == pytest.approx([1.50, 0.0])


def test_a_batch_of_poses_is_one_row_each():
    carm = CArm(1000.0, 600.0, Detector((3, 4), (20.0, 30.0)))
    poses = carm.world_from_camera(
        torch.tensor([0.0, 40.0]), torch.tensor([5.0, -10.0]), isocenter=(12.0, -31.0, 44.0)
    )
    source, r = carm.rays(poses)
    both = ellipsoid_line_integrals(BODIES, source, r)
    assert both.shape == (2, 12)
    second = ellipsoid_line_integrals(BODIES, source[1], r[1])
    assert torch.equal(both[1], second)
    assert not torch.allclose(both[0], second)


def test_the_grid_holds_the_right_amount_in_the_right_place():
    volume = ellipsoid_volume(
        BODIES[:2], spacing_mm=2.0, shape=(41, 37, 43), origin_mm=(-30.5, -67.0, 4.0)
    )
    total = float(volume.lac.sum()) * 2.0**3
    exact = 4 / 3 * np.pi * (0.02 * 31 * 23 * 27 + 0.03 * 7**3)
    assert total == pytest.approx(exact, rel=1e-3)
    # First moment: half a voxel off would be 1 mm.
    z, y, x = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float64) for n in volume.shape), indexing="ij"
    )
    weight = volume.lac.double() / volume.lac.double().sum()
    index = torch.stack([(weight * x).sum(), (weight * y).sum(), (weight * z).sum()])
    world = volume.world_from_index[:3, :3] @ index + volume.world_from_index[:3, 3]
    share = np.array([0.02 * 31 * 23 * 27, 0.03 * 7**3])
    share = share / share.sum()
    expected = share[0] * BODIES[0].ellipsoid.center + share[1] * BODIES[1].ellipsoid.center
    assert world.tolist() == pytest.approx(expected.tolist(), abs=0.01)


def test_what_lies_beyond_the_grid_is_left_out():
    volume = ellipsoid_volume(
        BODIES[:1], spacing_mm=4.0, shape=(3, 4, 5), origin_mm=(500.0, 0.0, 0.0)
    )
    assert float(volume.lac.abs().max()) == 0.0


def test_rays_are_not_projected_through_the_detector():
    carm = CArm(300.0, 200.0, Detector((1, 1), (1.0, 1.0)))
    # The detector stands at the centre of the ball: half of it is behind.
    pose = carm.pose_from(
        CArmPose(17.0, 9.0, isocenter=(1.0, 2.0, 3.0), offset_mm=(0.0, 0.0, -100.0))
    )
    source, r = carm.rays(pose)
    ball = AttenuatingEllipsoid(sphere(np.array([1.0, 2.0, 3.0]), 8.0), 0.5)
    assert float(ellipsoid_line_integrals([ball], source, r)) == pytest.approx(4.0)
