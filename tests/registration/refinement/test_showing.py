"""Levels by the size of what is registered, a given start that is not lost, and a bounded depth."""

from dataclasses import replace

import pytest
import torch
from backends import BACKENDS, refined
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import (
    COARSE_TO_FINE,
    Level,
    RefineSettings,
    Spread,
    Status,
    View,
)
from napari_xreg.registration.refinement.second_order.damped_steps import begin, better_of
from napari_xreg.registration.refinement.second_order.depth import DepthBounds, furthest_mm
from napari_xreg.registration.refinement.second_order.look import look_at
from napari_xreg.registration.refinement.second_order.usable_levels import (
    levels_that_show,
    thickness_mm,
)

CARM = carm(120, 130)
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))


def rod(thick_mm, *, turned=False):
    """A square rod of 60 mm on an oblique, anisotropic grid."""
    spacing = torch.tensor([1.5, 1.0, 2.0], dtype=torch.float64)
    matrix = torch.eye(4, dtype=torch.float64)
    axes = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(3)).double())
    matrix[:3, :3] = (axes[0] if turned else torch.eye(3)) * spacing
    lac = torch.zeros(40, 80, 50)
    n = [
        round(size / s)
        for size, s in zip((thick_mm, 60.0, thick_mm), spacing.tolist(), strict=True)
    ]
    lac[5 : 5 + n[2], 10 : 10 + n[1], 8 : 8 + n[0]] = 0.03
    return Volume(lac, matrix)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("thick", [12.0, 24.0])
def test_a_rod_is_as_thick_as_it_is(thick, turned):
    # Its box is 60 mm long, and air around it counts for nothing.
    assert thickness_mm(rod(thick, turned=turned)) == pytest.approx(thick, rel=0.1)
    assert thickness_mm(Volume(torch.zeros(4, 5, 6), torch.eye(4))) == 0.0


def test_a_rod_that_grows_in_place_is_thicker():
    volume = rod(12.0)
    assert thickness_mm(volume) == pytest.approx(12.0, rel=0.1)
    volume.lac.copy_(rod(24.0).lac)
    assert thickness_mm(volume) == pytest.approx(24.0, rel=0.1)


def _shown(thick, pixels=(1000, 900), mask=None):
    # 400 mm at the detector, 290 at the isocenter: 9.1 mm a pixel at 32, 4.5, 2.3 and 1.1.
    arm = replace(
        CARM,
        detector=replace(CARM.detector, shape=pixels, spacing=(0.4, 0.4), principal_point=None),
    )
    image = torch.rand(pixels, generator=torch.Generator().manual_seed(1))
    view = View(Radiograph(image, arm, mask=mask), TRUE)
    return levels_that_show(rod(thick), [[view]], COARSE_TO_FINE)


def test_levels_begin_where_two_and_a_half_pixels_lie_across():
    for thick, numbers in ((10.0, [2, 3]), (20.0, [1, 2, 3]), (5.0, [3])):
        levels, notes = _shown(thick)
        assert list(levels) == numbers
        assert len(notes) == 4 - len(numbers)
    levels, notes = _shown(10.0)
    assert notes[0].startswith("The level of 32 pixels was left out: what is registered is 1.1 pix")
    assert levels[3] == COARSE_TO_FINE[3]
    assert _shown(20.0)[0][1].voxel_mm == 3.0


def test_voxels_are_no_coarser_than_pixels_may_be():
    view = View(blob_radiograph(CARM, TRUE), TRUE)
    levels, _ = levels_that_show(rod(12.0), [[view]], [Level(120, 6.0), Level(130, None)])
    assert levels[0].voxel_mm == pytest.approx(4.8, rel=0.1)


def test_a_mask_that_leaves_too_little_takes_a_coarse_level_away():
    mask = torch.zeros(1000, 900, dtype=torch.bool)
    mask[400:600, 300:600] = True  # 60,000 pixels: 61 of them at 32, 246 at 64
    levels, notes = _shown(200.0 / 4, mask=mask)
    assert list(levels) == [1, 2, 3]
    assert notes == ("The level of 32 pixels was left out: 61 usable pixels are left there.",)


def test_a_patient_as_large_as_the_image_keeps_every_level():
    view = View(blob_radiograph(CARM, TRUE), TRUE)
    levels, notes = levels_that_show(blob_volume(4.0), [[view]], COARSE_TO_FINE)
    assert tuple(levels.values()) == COARSE_TO_FINE
    assert notes == ()


@pytest.mark.parametrize("name", BACKENDS)
def test_the_better_of_two_poses_is_begun_from(name):
    volume, backend = blob_volume(8.0), BACKENDS[name]
    arm = carm(30, 34)
    views = [View(blob_radiograph(arm, TRUE), TRUE)]
    look = look_at(volume.to(device=backend.device), [views], Level(30, None), CENTER)
    problem = backend.problem(look, torch.tensor([0, 0, 0]), None)
    off = TRUE.left_perturb(torch.tensor([0.03, 0, 0, 6.0, 0, 0]).double(), CENTER)
    here = Pose.stack([off, TRUE, off]).to(device=backend.device)
    other = Pose.stack([TRUE, off, TRUE]).to(device=backend.device)
    state = begin(problem, (here,))
    rows = torch.tensor([True, True, False], device=backend.device)
    found = better_of(problem, state, (other,), rows)
    wanted = torch.stack([TRUE.translation, TRUE.translation, off.translation])
    torch.testing.assert_close(found.poses[0].translation.cpu(), wanted)
    truly = begin(problem, found.poses)
    torch.testing.assert_close(found.model.loss, truly.model.loss)
    assert found.model.loss[0] < 0.1 * found.model.loss[2]


def test_a_given_start_is_not_lost_to_a_level_that_cannot_see():
    """The coarse level looks at a picture of something else."""
    arm = carm(96, 104)
    radiograph = blob_radiograph(arm, TRUE)
    stripes = torch.sin(torch.arange(96.0) * 2 * torch.pi / 48)[:, None] * 3
    spoiled = replace(radiograph, line_integrals=radiograph.line_integrals + stripes)
    edges = replace(Level(96, None).channels, compared=Level(96, None).channels.compared[1:])
    levels = (Level(13, 8.0, 12), Level(96, None, 6, channels=edges))
    settings = RefineSettings(starts=1, levels=levels, threads=1, keep_images=False)
    found = refined("host", blob_volume(4.0), [View(spoiled, TRUE)], settings, CENTER)
    seen = found.trajectory
    lost = next(i for i in reversed(seen) if i.level == 0 and i.accepted).world_from_camera
    assert float((lost.translation - TRUE.translation).norm()) > 5.0
    begun = next(i for i in seen if i.level == 1).world_from_camera
    torch.testing.assert_close(begun.matrix(), TRUE.matrix())


def test_bounds_move_a_camera_back_along_its_line_of_sight():
    # Two cameras; the second one's depth is 30 mm beyond the bound of 50, the first is within.
    given = Pose.stack([TRUE, TRUE])
    axis = TRUE.rotation[:, 2]
    bounds = DepthBounds(given, CENTER, 50.0)
    moved = Pose(given.rotation, given.translation + torch.stack([-20 * axis, -80 * axis]))
    (kept,) = bounds.kept((moved,))
    torch.testing.assert_close(kept.translation[0], moved.translation[0])
    torch.testing.assert_close(kept.translation[1], TRUE.translation - 50 * axis)
    assert bounds.reached(moved).tolist() == [False, True]
    assert bounds.reached(kept).tolist() == [False, True]
    assert furthest_mm(15.0) == 150.0
    assert furthest_mm(0.0) == 20.0


@pytest.mark.parametrize("name", BACKENDS)
def test_a_depth_that_runs_away_is_stopped_and_named(name):
    """A start 90 mm too near, and a spread that says 3 mm."""
    arm = carm(40, 44)
    start = Pose(TRUE.rotation, TRUE.translation + 90.0 * TRUE.rotation[:, 2])
    view = View(blob_radiograph(arm, TRUE), start)
    free = RefineSettings(starts=1, levels=(Level(40, 8.0, 20),), threads=1, keep_images=False)
    near = replace(free, spread=Spread(3.0, 3.0, 3.0))
    volume = blob_volume(8.0)
    found = refined(name, volume, [view], free, CENTER)
    assert found.status is Status.CONVERGED
    assert found.notes == ()
    stopped = refined(name, volume, [view], near, CENTER)
    assert stopped.status is not Status.CONVERGED
    assert stopped.notes[-1].startswith("The depth ran 30 mm from the start and was stopped there")
    depths = [
        float(TRUE.rotation[:, 2] @ (CENTER - i.world_from_camera.translation))
        for i in (stopped.trajectory[0], stopped.trajectory[-1])
    ]
    assert abs(depths[1] - depths[0]) < 31
