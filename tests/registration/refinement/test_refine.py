"""Refinement against closed-form radiographs: the answer is known and no renderer made it."""

import itertools
from dataclasses import replace

import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Detector, Pose
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    ROBUST,
    Channels,
    Level,
    RefineSettings,
    Spread,
    Status,
    View,
    perturbed,
    refine,
)
from napari_xreg.registration.refinement.host import problem

CARM = carm()
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
LEVELS = (Level(48, 4.0), Level(96, None))
SETTINGS = RefineSettings(starts=1, levels=LEVELS, threads=1, keep_images=False)
POINTS = CENTER + torch.tensor(
    [[40.0, 5.0, -30.0], [-35.0, 20.0, 44.0], [10.0, -38.0, 3.0], [0.0, 30.0, -20.0]],
    dtype=torch.float64,
)


@pytest.fixture(scope="module")
def volume():
    return blob_volume()


def _start(seed: int, factor: float = 1.0) -> Pose:
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    return perturbed(TRUE, CENTER, normals, Spread().scaled(factor))[0]


def _error(pose: Pose, true: Pose = TRUE) -> float:
    return float((pose.inverse().apply(POINTS) - true.inverse().apply(POINTS)).norm(dim=1).mean())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recovers_the_pose(volume, seed):
    start = _start(seed)
    assert _error(start) > 5.0
    result = run(refine(volume, View(blob_radiograph(CARM, TRUE), start), settings=SETTINGS))
    # 2 mm voxels, 2.5 mm pixels; depth is the loose direction
    assert _error(result.world_from_camera) < 0.3
    assert result.status is Status.CONVERGED
    assert result
    assert result.simulated


@pytest.mark.slow
def test_the_loss_never_rises_along_accepted_steps_of_a_level(volume):
    view = View(blob_radiograph(CARM, TRUE), _start(3))
    result = run(refine(volume, view, settings=SETTINGS))
    for level in (0, 1):
        losses = [i.loss for i in result.trajectory if i.level == level and i.accepted]
        assert len(losses) > 2
        assert all(b <= a + 1e-9 for a, b in itertools.pairwise(losses))
        # Steps that gain what they promised earn longer ones.
        assert [i.damping for i in result.trajectory if i.level == level][-1] < 1e-3
    assert result.losses["loss"] == min(i.loss for i in result.trajectory if i.level == 1)


@pytest.mark.slow
def test_two_views_move_together_and_fix_the_depth(volume):
    lateral = CARM.world_from_camera(-70.0, 8.0, isocenter=CENTER)
    start = _start(4)
    rigid = start @ TRUE.inverse()
    views = [
        View(blob_radiograph(CARM, TRUE), start),
        View(blob_radiograph(CARM, lateral), rigid @ lateral),
    ]
    one = run(refine(volume, views[0], settings=SETTINGS))
    both = run(refine(volume, views, settings=SETTINGS))
    assert _error(both.world_from_camera) < 0.1
    assert _error(both.views[1], lateral) < 0.1
    assert one.covariance is not None
    assert both.covariance is not None
    depth = TRUE.rotation[:, 2]
    along = [float(depth @ r.covariance[3:, 3:] @ depth) for r in (one, both)]
    assert along[1] < along[0]


@pytest.mark.slow
def test_an_instrument_is_masked_out_or_voted_down(volume):
    spoiled = blob_radiograph(CARM, TRUE)
    image = spoiled.line_integrals.clone()
    image[30:36, 10:95] += 2.0
    mask = torch.ones(96, 104, dtype=torch.bool)
    mask[28:38, 8:97] = False
    start = _start(5)
    covered = type(spoiled)(image, CARM, mask=mask, simulated=True)
    result = run(refine(volume, View(covered, start), settings=SETTINGS))
    assert _error(result.world_from_camera) < 0.4
    # Far from the answer the anatomy is the outlier: only the last level votes.
    robust = (LEVELS[0], Level(96, None, 30, Channels(outlier_scale=3.0)))
    image[30:36, 10:95] -= 1.7
    plain = type(spoiled)(image, CARM, simulated=True)
    errors = [
        _error(
            run(
                refine(
                    volume,
                    View(plain, start),
                    settings=RefineSettings(starts=1, levels=levels, threads=1),
                )
            ).world_from_camera
        )
        for levels in (LEVELS, robust)
    ]
    assert errors[1] < 0.3
    assert errors[1] < errors[0] / 3


@pytest.mark.slow
def test_locked_parameters_stay(volume):
    start = CARM.world_from_camera(26.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(9.0, -6.0, 9.0))
    settings = RefineSettings(
        starts=1, levels=LEVELS, threads=1, locked=("secondary", "roll", "depth")
    )
    view = View(blob_radiograph(CARM, TRUE), start)
    result = run(refine(volume, view, settings=settings, isocenter=CENTER))
    terms = CARM.carm_pose(result.world_from_camera, CENTER)
    assert terms.secondary_deg == pytest.approx(-13.0, abs=1e-9)
    assert terms.offset_mm[2] == pytest.approx(9.0, abs=1e-9)
    assert terms.primary_deg == pytest.approx(24.0, abs=0.05)
    assert terms.offset_mm[0] == pytest.approx(4.0, abs=0.2)
    # What is given has no error of its own, nor one that the size of the CT would make.
    assert "The depth was locked" in result.words
    assert "±" not in result.words
    along = result.world_from_camera.rotation[:, 2].double()
    assert float(along @ result.scale[3:]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [29, 36])
def test_many_starts_reach_further_than_one(seed):
    volume = blob_volume(8.0)
    arm = replace(CARM, detector=Detector((24, 26), (10.0, 9.6), (11.0, 13.75)))
    view = View(blob_radiograph(arm, TRUE), _start(seed, 4.0))
    assert _error(view.world_from_camera) > 60
    levels = (Level(13, 8.0, 12), Level(26, 8.0, 12))
    settings = RefineSettings(starts=1, levels=levels, threads=1, keep_images=False)
    single = run(refine(volume, view, settings=settings))
    several = replace(settings, starts=16, spread=Spread().scaled(4.0), carried=(3, 1))
    multi = run(refine(volume, view, settings=several))
    assert not single
    assert _error(single.world_from_camera) > 50
    # Voxels of 8 mm leave 2.9 mm.
    assert multi
    assert _error(multi.world_from_camera) < 4
    # The best three go on, and the given one with them.
    assert [c.level for c in multi.candidates] == [1] * 4 + [0] * 16
    assert 0 in {c.start for c in multi.candidates[:4]}


def test_cancel_returns_the_best_so_far(volume):
    control = Control()
    start = _start(6)
    events = refine(
        volume, View(blob_radiograph(CARM, TRUE), start), settings=SETTINGS, control=control
    )
    seen = []
    while True:
        try:
            seen.append(next(events))
        except StopIteration as end:
            result = end.value
            break
        if len(seen) == 5:
            control.cancel()
    assert result.status is Status.CANCELLED
    assert not result
    assert result.losses["loss"] == min(i.loss for i in seen)
    assert _error(result.world_from_camera) < _error(start)


def test_a_start_that_sees_nothing_says_so(volume):
    away = CARM.world_from_camera(0.0, 0.0, isocenter=CENTER, offset_mm=(900.0, 0.0, 0.0))
    result = run(refine(volume, View(blob_radiograph(CARM, TRUE), away), settings=SETTINGS))
    assert result.status is Status.NO_OVERLAP
    assert "move the start" in result.status.value


@pytest.mark.slow
def test_a_wrong_radiograph_is_not_trusted(volume):
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(96, 104, generator=generator)
    radiograph = type(blob_radiograph(CARM, TRUE))(noise, CARM)
    result = run(refine(volume, View(radiograph, TRUE), settings=SETTINGS))
    assert result.status is Status.NOT_TRUSTED


def test_settings_are_checked():
    with pytest.raises(ValueError, match="starts=-1"):
        RefineSettings(starts=-1)
    with pytest.raises(ValueError, match="tolerance"):
        RefineSettings(tolerance_mm=0.0)
    with pytest.raises(ValueError, match="a stride lies between 0 and 2: got 2"):
        RefineSettings(stride=2.0)
    with pytest.raises(ValueError, match="8 pixels"):
        Level(4, None)


def test_the_brightness_of_bone_is_kept_where_the_picture_says_nearly_the_same(volume, monkeypatch):
    """And judged in as few pixels as were asked for; a picture without a verdict has no probability."""
    looks = []
    judged = problem.bone_gain

    def gain(volumes, radiographs, poses, *, threads):
        looks.append(radiographs[0].carm.detector.shape)
        judged(volumes, radiographs, poses, threads=threads)
        return 0.2

    monkeypatch.setattr(problem, "bone_gain", gain)
    view = View(blob_radiograph(CARM, TRUE), _start(0, 0.05))
    once = replace(SETTINGS, levels=(Level(96, None, 2, channels=ROBUST),), bone_pixels=40)
    found = {
        before: run(
            refine(volume, view, settings=replace(once, bone_gain=before), judge=False)
        ).bone_gain
        for before in (None, 0.171, 0.169)
    }
    assert found == {None: 0.2, 0.171: 0.171, 0.169: 0.2}
    assert max(looks[0]) == 40
    bare = run(refine(volume, view, settings=replace(once, bone_pixels=None), judge=False))
    assert max(looks[-1]) == 96
    assert bare.probability is None
    assert bare.covariance is not None
