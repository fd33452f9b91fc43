"""A refinement that looks near the bone alone: simulated views of the phantom's hip bone, two at once."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import ABOVE_WATER, Radiograph, above_water
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    AdamSettings,
    Hypothesis,
    NearBone,
    RefineSettings,
    Registration,
    Spread,
    Status,
    View,
    near_bone_mask,
    near_bone_view,
    near_bone_words,
    refine_near_bone,
)
from napari_xreg.registration.near_bone import refining, starting
from napari_xreg.registration.near_bone.search import Place
from napari_xreg.rendering import render_drr
from napari_xreg.session import Rendering
from napari_xreg.simulation import phantom
from napari_xreg.workflows import BonesAlone, RefineRequest, refine

CARM = CArm(1020.0, 750.0, Detector((150, 220), (2.0, 1.4), (80.0, 100.0)))


@pytest.fixture(scope="module")
def hip():
    """One hip bone as read, and the whole."""
    made = phantom(spacing_mm=3.0)
    return made.volume, made.volume.restrict(made.labels.mask([77]))


@pytest.fixture(scope="module")
def views(hip):
    """Of the whole patient, with air that is saturated; start off by 4 mm and 2 deg."""
    whole, bone = hip
    isocenter = torch.nonzero(bone.lac > 0).double().mean(0).flip(0)
    matrix = bone.world_from_index.double()
    isocenter = matrix[:3, :3] @ isocenter + matrix[:3, 3]
    twist = torch.tensor([0.02, -0.02, 0.02, 2.0, -2.0, 3.0], dtype=torch.float64)
    made = []
    for primary, secondary in ((20.0, -5.0), (-60.0, 10.0)):
        truth = CARM.world_from_camera(primary, secondary, isocenter=isocenter)
        image = render_drr(whole, CARM, truth, method="joseph")
        radiograph = Radiograph(image, CARM, mask=image > 0.02)
        made.append((View(radiograph, truth.left_perturb(twist, isocenter)), truth))
    return tuple(view for view, _ in made), made[0][1], isocenter


def error_of(result, truth, isocenter):
    points = isocenter + 30.0 * torch.eye(3, dtype=torch.float64)
    found = result.world_from_camera.to(dtype=torch.float64)
    return float(mean_target_registration_error(found, truth, points))


SETTINGS = RefineSettings(starts=1, keep_images=False, threads=1)


@pytest.mark.slow
def test_a_bone_among_others_is_found(hip, views):
    seen, truth, isocenter = views
    bone = above_water(hip[1])
    result = run(refine_near_bone(bone, seen, settings=SETTINGS, isocenter=isocenter))
    assert error_of(result, truth, isocenter) < 0.5
    assert error_of(result, truth, isocenter) < 0.2 * error_of_start(seen, truth, isocenter)
    assert result.covariance is not None
    assert [iterate.index for iterate in result.trajectory] == list(range(len(result.trajectory)))
    assert {iterate.level for iterate in result.trajectory} == {
        1,
        2,
        3,
    }  # a search stands in for the first
    assert len(result.views) == 2
    rig = seen[0].world_from_camera.inverse() @ seen[1].world_from_camera
    kept = result.views[0].inverse() @ result.views[1]
    assert torch.allclose(kept.matrix().double(), rig.matrix().double(), atol=1e-3)


def error_of_start(seen, truth, isocenter):
    points = isocenter + 30.0 * torch.eye(3, dtype=torch.float64)
    return float(mean_target_registration_error(seen[0].world_from_camera, truth, points))


def test_a_view_is_cropped_to_the_mask_and_keeps_its_geometry(hip, views):
    (view, _), truth, isocenter = views
    bone = above_water(hip[1])
    near = near_bone_view(bone, view, truth, 5.0)
    assert near is not None
    shape = near.radiograph.carm.detector.shape
    assert shape[0] * shape[1] < 0.8 * 150 * 220
    pixel = near.radiograph.carm.project(isocenter, truth)
    whole = view.radiograph.carm.project(isocenter, truth)
    crop = near.radiograph.operations[-2]
    assert torch.allclose(pixel + torch.tensor([crop.row, crop.column]), whole)
    assert int(near.radiograph.usable.sum()) < 0.5 * int(view.radiograph.usable.sum())


@pytest.mark.slow
def test_every_place_is_followed_and_the_images_lie_in_the_whole_frame(hip, views):
    seen, _, isocenter = views
    settings = dataclasses.replace(
        SETTINGS, starts=3, spread=Spread(1.0, 2.0, 2.0), keep_images=True,
        levels=SETTINGS.levels[:2],
    )  # fmt: skip
    result = run(
        refine_near_bone(above_water(hip[1]), seen, settings=settings, isocenter=isocenter)
    )
    numbers = {candidate.start for candidate in result.candidates}
    assert numbers == set(range(len(numbers)))  # the given one, places that were found
    assert 2 <= len(numbers) <= 5
    assert {iterate.start for iterate in result.trajectory if iterate.level == 0} == numbers
    assert result.notes[0] == "The bone was looked for within 4 mm of the start."
    image = result.trajectory[0].image
    assert image is not None
    assert image.shape == (150, 220)
    bone = render_drr(
        above_water(hip[1]), CARM, result.trajectory[0].world_from_camera, method="joseph"
    )
    both = torch.stack([image.flatten(), bone.flatten()])
    assert float(torch.corrcoef(both)[0, 1]) > 0.8


@pytest.mark.slow
def test_what_others_propose_has_masks_of_its_own(hip, views):
    seen, truth, isocenter = views
    far = torch.tensor([0.0, 0.3, 0.0, 60.0, 0.0, 0.0], dtype=torch.float64)
    lost = seen[0].world_from_camera.left_perturb(far, isocenter)
    back = lost @ seen[0].world_from_camera.inverse()
    moved = [dataclasses.replace(v, world_from_camera=back @ v.world_from_camera) for v in seen]
    beside = (Hypothesis(seen[0].world_from_camera, "a network"),)
    settings = dataclasses.replace(SETTINGS, origin="a hand", beside=beside)
    result = run(
        refine_near_bone(above_water(hip[1]), moved, settings=settings, isocenter=isocenter)
    )
    assert error_of(result, truth, isocenter) < 0.5
    assert [candidate.origin for candidate in result.ranking] == ["a network", "a hand"]


@pytest.mark.slow
def test_cancelling_returns_what_was_reached(hip, views):
    seen, _, isocenter = views
    control = Control()
    events = refine_near_bone(
        above_water(hip[1]), seen, settings=SETTINGS, isocenter=isocenter, control=control
    )
    next(events)
    control.cancel()
    result = run(events)
    assert result.status is Status.CANCELLED
    assert result.covariance is None


@pytest.mark.slow
def test_solvers_for_comparison_begin_at_the_given_pose(hip, views):
    """... as their start errors are measured there; 3 mm in space could be searched away."""
    seen, _, isocenter = views
    settings = AdamSettings(pixels=(32,), iterations=3, keep_images=False)
    result = run(
        refine_near_bone(above_water(hip[1]), seen[:1], settings=settings, isocenter=isocenter)
    )
    assert len(result.trajectory) == 3
    first = result.trajectory[0].world_from_camera
    assert torch.allclose(first.matrix().double(), seen[0].world_from_camera.matrix().double())
    assert not any("looked for" in note for note in result.notes)
    near = NearBone(5.0, 14.0)
    assert near_bone_words(near) == "compared within 5 mm of the rendered bone"
    words = "compared within 14 mm of the bone as rendered at the start"
    assert near_bone_words(near, settings) == words


def test_each_proposed_pose_has_the_depth_and_the_reach_of_its_own_spread(hip, views, monkeypatch):
    (view, _), _, isocenter = views
    given = view.world_from_camera.to(dtype=torch.float64)
    sight = given.rotation[:, 2]
    nearer = Pose(given.rotation, given.translation + 60.0 * sight)
    found = Pose(nearer.rotation, nearer.translation + 5.0 * given.rotation[:, 0])
    searched, refined = [], []

    def places_of(volume, views, turned, reach_mm, *, most):
        searched.append(reach_mm)
        return [Place(found, 0.9)] if len(searched) == 2 else []

    def solve(volume, views, *, settings, pivot, control):
        pose = views[0].world_from_camera
        refined.append((settings.depth, settings.spread))
        yield from ()
        return Registration(pose, Status.CONVERGED, {"loss": 0.5}, (), pivot, views=(pose,))

    monkeypatch.setattr(starting, "places_of", places_of)
    monkeypatch.setattr(refining, "solver_of", lambda settings: SimpleNamespace(solve=solve))
    own, others = Spread(3.0, 4.0, 5.0), Spread(6.0, 15.0, 30.0)
    settings = dataclasses.replace(
        SETTINGS, levels=SETTINGS.levels[-1:], spread=own,
        beside=(Hypothesis(nearer, "a network", 1, others),),
    )  # fmt: skip
    result = run(
        refine_near_bone(above_water(hip[1]), view, settings=settings, isocenter=isocenter)
    )
    assert searched == [8.0, 30.0]  # twice the spread in plane
    assert result.notes[0] == "The bone was looked for within 30 mm of the start."
    assert [spread for _, spread in refined] == [own, others, others]
    assert [depth.sigma_mm for depth, _ in refined] == [5.0, 30.0, 30.0]
    away = float(sight @ (isocenter - given.translation))
    # Found 5 mm across the line of sight: as far away as the network thought.
    assert [depth.mm for depth, _ in refined] == pytest.approx([away, away - 60.0, away - 60.0])
    both = [starting.Start(given, Hypothesis(given), True, mm) for mm in (20.0, 8.0, 8.0, 0.0)]
    words = "The bone was looked for within 8 and 20 mm of the starting poses."
    assert starting.searched_words(both) == (words,)
    assert starting.searched_words(both[-1:]) == ()


def test_what_is_not_looked_for_is_compared_more_widely_at_first():
    near = NearBone(5.0, 18.0)
    assert [near.at(level) for level in range(4)] == [18.0, 9.0, 5.0, 5.0]


@pytest.mark.slow
def test_slivers_of_a_mask_that_vanish_at_a_coarse_level_leave_the_whole_image(hip, views):
    seen, _, isocenter = views
    bone, striped = above_water(hip[1]), []
    every_eighth = torch.arange(CARM.detector.shape[1]) % 8 == 0
    for view in seen:
        near = near_bone_mask(bone, CARM, view.world_from_camera, 45.0)
        mask = view.radiograph.usable & (~near | every_eighth)
        radiograph = dataclasses.replace(view.radiograph, mask=mask)
        striped.append(dataclasses.replace(view, radiograph=radiograph))
        assert near_bone_view(bone, striped[-1], view.world_from_camera, 20.0) is not None
    coarse = dataclasses.replace(SETTINGS, levels=SETTINGS.levels[:1])
    near = NearBone(reach_mm=20.0)
    result = run(refine_near_bone(bone, striped, near=near, settings=coarse, isocenter=isocenter))
    assert 0.0 < result.losses["loss"] < 2.0


@pytest.mark.slow
def test_the_workflow_does_so_by_itself_for_bones_alone(hip, views):
    seen, _, isocenter = views
    whole, bone = hip
    short = dataclasses.replace(SETTINGS, levels=SETTINGS.levels[:1])
    events = []
    request = RefineRequest(bone, seen, short, isocenter)
    found = run(refine(request), events.append)
    said = (ABOVE_WATER, "compared within 5 mm of the rendered bone")
    assert events[0] == BonesAlone(said)
    assert found.notes[:2] == said
    for other in (
        dataclasses.replace(request, volume=whole),
        dataclasses.replace(request, volume=Rendering(bone, None, attenuation="as read")),
    ):
        events = []
        assert not set(said) & set(run(refine(other), events.append).notes)
        assert not any(isinstance(event, BonesAlone) for event in events)
    events = []
    run(refine(dataclasses.replace(request, near=None)), events.append)
    assert events[0] == BonesAlone((ABOVE_WATER,))


def test_rounds_near_a_bone_are_two_turned_and_searched_more_widely(hip, views, monkeypatch):
    seen, _, isocenter = views
    asked = []

    def refined(volume, host, views, near, settings, pivot, control, judge):
        around = starting.searched_mm(*starting.hypotheses(views, settings), settings)
        asked.append((settings.starts, settings.spread, around))
        yield from ()
        pose = views[0].world_from_camera
        return Registration(
            pose, Status.NOT_TRUSTED, {"loss": 0.5}, (), pivot, views=(pose,), probability=0.1
        )

    monkeypatch.setattr(refining, "_refined", refined)
    for settings, wanted in (
        (
            dataclasses.replace(SETTINGS, starts=0, spread=Spread(3.0, 8.0, 15.0)),
            [(1, Spread(3.0, 8.0, 15.0), 16.0), (16, Spread(6.0, 16.0, 30.0), 30.0)],
        ),
        # A number that was said is used as it is; what is locked is known.
        (dataclasses.replace(SETTINGS, starts=5), [(5, Spread(), 20.0)]),
        (dataclasses.replace(SETTINGS, starts=0, locked=("roll",)), [(1, Spread(), 0.0)]),
    ):
        asked.clear()
        run(refine_near_bone(above_water(hip[1]), seen, settings=settings, isocenter=isocenter))
        assert asked == wanted


def test_a_search_stands_in_for_a_coarse_first_level_of_three(hip, views):
    def left_out(settings):
        return starting.levels_left_out(starting.hypotheses(views[0], settings), settings)

    assert left_out(SETTINGS) == 1
    unsearched = Hypothesis(views[1], spread=Spread(1.0, 0.0, 1.0))
    for other in (
        # Nothing is looked for around one of them.
        dataclasses.replace(SETTINGS, beside=(unsearched,)),
        dataclasses.replace(SETTINGS, levels=SETTINGS.levels[1:]),
        dataclasses.replace(SETTINGS, levels=SETTINGS.levels[:2]),
        dataclasses.replace(SETTINGS, locked=("depth",)),
        dataclasses.replace(SETTINGS, spread=Spread(3.0, 0.0, 15.0)),
    ):
        assert left_out(other) == 0


def test_locked_parameters_stay_and_nothing_is_looked_for(hip, views):
    seen, _, isocenter = views
    short = dataclasses.replace(SETTINGS, levels=SETTINGS.levels[:1], locked=("roll", "depth"))
    found = run(refine_near_bone(above_water(hip[1]), seen[0], settings=short, isocenter=isocenter))
    assert {candidate.start for candidate in found.candidates} == {0}
    before, after = (
        CARM.carm_pose(pose, isocenter) for pose in (seen[0].world_from_camera, found.views[0])
    )
    assert after.roll_deg == pytest.approx(before.roll_deg, abs=1e-6)
    assert after.offset_mm[2] == pytest.approx(before.offset_mm[2], abs=1e-6)


def test_what_is_saturated_is_said_of_the_whole_picture(hip, views):
    """50 of 150 rows, counted before anything is cropped."""
    seen, _, isocenter = views
    view = seen[0]
    values = view.radiograph.line_integrals
    values = values + torch.linspace(0.0, 0.5, values.numel()).reshape(values.shape)  # no other
    values[:50] = float(values.max()) + 1.0
    burnt = dataclasses.replace(view.radiograph, line_integrals=values, mask=None)
    control = Control()
    control.cancel()
    found = run(
        refine_near_bone(
            above_water(hip[1]),
            dataclasses.replace(view, radiograph=burnt),
            settings=SETTINGS, isocenter=isocenter, control=control,
        )
    )  # fmt: skip
    assert found.notes[0] == "33 % of the pixels are saturated: not compared."
