"""The mask near a rendered bone, against distances worked out by hand."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.registration import cut_end_points, near_bone_mask

# Non-square pixels, the principal point off the middle.
CARM = CArm(1000.0, 500.0, Detector((90, 160), (2.0, 1.0), (50.0, 70.0), mirrored=False))


def ball(radius_mm: float, spacing=(1.0, 1.0, 1.0), size=25) -> Volume:
    """A ball of 0.03/mm about the origin, in an anisotropic grid."""
    sx, sy, sz = spacing
    grid = torch.eye(4)
    grid[0, 0], grid[1, 1], grid[2, 2] = sx, sy, sz
    grid[:3, 3] = -torch.tensor([sx, sy, sz]) * (size - 1) / 2
    axis = torch.arange(size) - (size - 1) / 2
    z, y, x = torch.meshgrid(axis * sz, axis * sy, axis * sx, indexing="ij")
    return Volume(0.03 * (x * x + y * y + z * z <= radius_mm**2).float(), grid)


def camera(x=0.0, y=0.0) -> Pose:
    """500 mm in front of the origin, looking along z, moved sideways."""
    return Pose(torch.eye(3, dtype=torch.float64), torch.tensor([x, y, -500.0]).double())


def extent(mask: torch.Tensor) -> tuple[int, int, int, int]:
    rows, columns = torch.nonzero(mask.any(1))[:, 0], torch.nonzero(mask.any(0))[:, 0]
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_reaches_so_far_from_the_shadow_where_the_bone_is():
    mask = near_bone_mask(ball(8.0), CARM, camera(), 6.0)
    # Magnified twice: 14 mm about the middle are 28 mm on the detector, 14 rows and 28 columns.
    for found, wanted in zip(extent(mask), (36, 64, 42, 98), strict=True):
        assert abs(found - wanted) <= 2
    area = math.pi * 28.0**2 / 2.0  # pixels of 2 mm^2
    assert float(mask.sum()) == pytest.approx(area, rel=0.08)


def test_follows_the_pose_and_several_at_once():
    bone = ball(8.0)
    here, there = camera(), camera(x=20.0, y=-4.0)
    moved = near_bone_mask(bone, CARM, there, 6.0)
    # The camera moves right and up: the bone goes 40 columns left and 4 rows down.
    for found, wanted in zip(extent(moved), (40, 68, 2, 58), strict=True):
        assert abs(found - wanted) <= 2
    both = Pose(
        torch.stack([here.rotation, there.rotation]),
        torch.stack([here.translation, there.translation]),
    )
    single = near_bone_mask(bone, CARM, here, 6.0)
    assert torch.equal(near_bone_mask(bone, CARM, both, 6.0), single | moved)


def test_a_bone_outside_the_image_or_behind_the_source_is_near_nothing():
    assert not near_bone_mask(ball(8.0), CARM, camera(x=300.0), 6.0).any()
    assert not near_bone_mask(
        ball(8.0), CARM, Pose(torch.eye(3), torch.tensor([0.0, 0.0, 99.0])), 6.0
    ).any()
    with pytest.raises(ValueError, match="positive number of mm: got 0"):
        near_bone_mask(ball(8.0), CARM, camera(), 0.0)


def rod() -> Volume:
    """10 x 10 mm across, 40 mm along y: cut flat at its low end, tapered at its high one."""
    lac = torch.zeros(15, 50, 15)
    lac[2:12, 4:44, 2:12] = 0.03
    for step in range(5):
        lac[:, 43 - step] = 0.0
        lac[6 - step : 8 + step, 43 - step, 6 - step : 8 + step] = 0.03
    grid = torch.eye(4)
    grid[:3, 3] = torch.tensor([-7.0, -24.0, -7.0])
    return Volume(lac, grid)


def test_a_cut_end_is_found_and_a_tapered_one_is_not():
    points = cut_end_points(rod())
    # All sides of a square rod are flat: only along y is the low end what a saw leaves ...
    low = points[points[:, 1] == -20.0]
    assert len(low) >= 100
    assert not (points[:, 1] > 18.5).any()
    assert len(cut_end_points(ball(8.0, (0.9, 1.1, 1.3)))) == 0


def test_further_in_is_four_millimetres_along_that_axis():
    """It widens from 6 to 10 voxels within 8 of 0.5 mm along x: 4 mm in it is wider, 1.5 mm in it is not."""
    lac = torch.zeros(6, 16, 44)
    for x in range(40):
        half = min(5, 3 + min(x, 39 - x) // 4)
        lac[2:4, 8 - half : 8 + half, 2 + x] = 0.03
    assert len(cut_end_points(Volume(lac, torch.diag(torch.tensor([0.5, 1.0, 4.0, 1.0]))))) == 0


def test_what_lies_beyond_a_cut_is_left_out():
    ball_of = ball(10.0)
    half = Volume(ball_of.lac.clone(), ball_of.world_from_index)
    half.lac[:, :13] = 0.0  # only y > 0: an equator is cut
    whole = near_bone_mask(half, CARM, camera(), 4.0, leave_out_cut_ends=False)
    cut = near_bone_mask(half, CARM, camera(), 4.0)
    assert bool((whole | ~cut).all())
    # The cut lies at y = 1 mm, row 51, and is drawn a row wider; 4 rows from that nothing is compared.
    assert extent(whole)[0] <= 48
    first = int(torch.nonzero(cut[:, 70])[0])
    assert 55 <= first <= 58
    assert extent(cut)[1] == extent(whole)[1]
