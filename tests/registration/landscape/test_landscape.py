"""The loss around a pose, on closed-form images: the deepest place is the truth, and on its side."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry.carm import CARM_PARAMETERS
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    ROBUST,
    Channels,
    LandscapeSettings,
    Level,
    RefineSettings,
    View,
    gradient,
    intensity,
    loss_landscape,
    refine,
)
from napari_xreg.registration.landscape.result import empty_landscape, shifted_pose

CARM = carm(72, 78)
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
PLAIN = Level(48, 4.0, channels=Channels())
SETTINGS = LandscapeSettings(
    range_deg=12.0,
    range_mm=24.0,
    range_depth_mm=90.0,
    samples=13,
    pair=None,
    level=PLAIN,
    threads=1,
)


@pytest.fixture(scope="module")
def volume():
    return blob_volume(4.0)


@pytest.fixture(scope="module")
def radiograph():
    return blob_radiograph(CARM, TRUE)


def _displaced(**offsets):
    return shifted_pose(CARM, CARM.carm_pose(TRUE, CENTER), offsets)


def test_offsets_are_added_to_the_terms_of_the_c_arm():
    center = CARM.carm_pose(TRUE, CENTER)
    moved = shifted_pose(
        CARM,
        center,
        {"primary": 2.0, "secondary": -3.0, "roll": 4.0, "x": 5.0, "y": -7.0, "depth": 11.0},
    )
    terms = CARM.carm_pose(moved, CENTER)
    assert (terms.primary_deg, terms.secondary_deg, terms.roll_deg) == pytest.approx((26, -16, 9))
    assert terms.offset_mm == pytest.approx((9.0, -13.0, 20.0))
    assert terms.isocenter == pytest.approx(tuple(CENTER.tolist()))


@pytest.mark.slow
@pytest.mark.parametrize("measure", ["refinement", "NCC", "mNCC and gNCC (xvr)"])
def test_every_section_through_the_truth_is_lowest_there(volume, radiograph, measure):
    settings = replace(SETTINGS, measure=measure)
    found = run(loss_landscape(volume, View(radiograph, TRUE), settings=settings, isocenter=CENTER))
    assert found.complete
    assert found.simulated
    assert tuple(found.profiles) == CARM_PARAMETERS
    for name, profile in found.profiles.items():
        best = profile.minima[0]
        step = profile.offsets[1] - profile.offsets[0]
        assert abs(best.offset) < 0.3 * step, name
        assert best.value < 0.1
        assert profile.losses.max() > 1.2 * best.value


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("primary", 4.0),
        ("secondary", -6.0),
        ("roll", 8.0),
        ("x", 12.0),
        ("y", -8.0),
        ("depth", 60.0),
    ],
)
def test_the_way_back_has_the_other_sign(volume, radiograph, name, offset):
    view = View(radiograph, _displaced(**{name: offset}))
    settings = replace(SETTINGS, parameters=(name,))
    found = run(loss_landscape(volume, view, settings=settings, isocenter=CENTER))
    profile = found.profiles[name]
    step = profile.offsets[1] - profile.offsets[0]
    assert profile.minima[0].offset == pytest.approx(-offset, abs=0.3 * step)
    assert profile.unit == ("degrees" if name in CARM_PARAMETERS[:3] else "mm")


def test_the_map_has_its_first_parameter_along_rows(volume, radiograph):
    view = View(radiograph, _displaced(roll=-6.0, x=16.0))
    settings = replace(SETTINGS, parameters=(), pair=("roll", "x"), pair_samples=7)
    found = run(loss_landscape(volume, view, settings=settings, isocenter=CENTER))
    assert found.profiles == {}
    # 7 samples: every 4 degrees, every 8 mm; the truth lies between 4 and 8, and on -16
    assert found.pair.best[0] in (4.0, 8.0)
    assert found.pair.best[1] == -16.0
    assert found.pair.losses.shape == (7, 7)


def test_the_centre_scores_what_the_refinement_scores(volume, radiograph):
    channels = Channels((*intensity(0.6), *gradient(1.0)))
    level = Level(48, 4.0, channels=channels)
    pose = _displaced(primary=3.0, y=5.0)
    view = View(radiograph, pose)
    once = RefineSettings(starts=1, levels=(replace(level, iterations=1),), keep_images=False)
    begun = run(refine(volume, view, settings=once, isocenter=CENTER)).trajectory[0]
    settings = replace(SETTINGS, level=level, parameters=("x",), samples=3)
    samples = list(loss_landscape(volume, view, settings=settings, isocenter=CENTER))
    (middle,) = [s for s in samples if s.offset == (0.0,)]
    assert middle.loss == pytest.approx(begun.loss / 1.6, rel=1e-5)
    assert {"loss": begun.loss, **middle.terms} == pytest.approx(dict(begun.losses), rel=1e-5)


def test_the_robust_level_of_the_refinement_works_too(volume, radiograph):
    settings = replace(SETTINGS, level=Level(48, 4.0, channels=ROBUST), parameters=("primary", "x"))
    found = run(loss_landscape(volume, View(radiograph, TRUE), settings=settings, isocenter=CENTER))
    for profile in found.profiles.values():
        assert abs(profile.minima[0].offset) < 0.5


def test_several_radiographs_move_together(volume, radiograph):
    # Along its own depth a view is flat; seen from the side the same motion is plain.
    side = CARM.world_from_camera(-66.0, -13.0, 5.0, isocenter=CENTER)
    offset = 30.0
    start = _displaced(depth=offset)
    motion = start @ TRUE.inverse()
    views = [View(radiograph, start), View(blob_radiograph(CARM, side), motion @ side)]
    settings = replace(SETTINGS, parameters=("depth",), measure="NCC")
    alone = run(loss_landscape(volume, views[0], settings=settings, isocenter=CENTER)).profiles[
        "depth"
    ]
    both = run(loss_landscape(volume, views, settings=settings, isocenter=CENTER)).profiles["depth"]
    assert both.minima[0].offset == pytest.approx(-offset, abs=4.0)
    assert np.ptp(both.losses) > 3 * np.ptp(alone.losses)
    terms = next(loss_landscape(volume, views, settings=settings, isocenter=CENTER)).terms
    assert set(terms) == {"NCC[1]", "NCC[2]"}


@pytest.mark.parametrize("measure", ["refinement", "NCC", "mNCC and gNCC (xvr)"])
def test_an_image_without_the_patient_explains_nothing(volume, radiograph, measure):
    settings = replace(SETTINGS, parameters=("y",), samples=3, range_mm=900.0, measure=measure)
    found = run(loss_landscape(volume, View(radiograph, TRUE), settings=settings, isocenter=CENTER))
    assert found.profiles["y"].losses[[0, 2]] == pytest.approx([1.0, 1.0])


@pytest.mark.slow
def test_every_place_comes_once_and_all_sections_grow_together(volume, radiograph):
    settings = replace(SETTINGS, samples=9, pair=("y", "depth"), pair_samples=4)
    samples = list(
        loss_landscape(volume, View(radiograph, TRUE), settings=settings, isocenter=CENTER)
    )
    assert len(samples) == settings.total == 6 * 9 + 5 * 5
    assert len({(s.parameters, s.index) for s in samples}) == len(samples)
    coarse = {(s.parameters[0], s.offset[0]) for s in samples[:18]}
    assert coarse == {
        (name, x)
        for name, reach in zip(CARM_PARAMETERS, (12, 12, 12, 24, 24, 90), strict=True)
        for x in (-reach, 0, reach)
    }
    shown = empty_landscape(CARM, TRUE, CENTER, settings)
    assert np.isnan(shown.profiles["x"].losses).all()
    for sample in samples:
        shown.set(sample)
    again = run(loss_landscape(volume, View(radiograph, TRUE), settings=settings, isocenter=CENTER))
    for name, profile in again.profiles.items():
        assert np.array_equal(shown.profiles[name].losses, profile.losses)
    assert np.array_equal(shown.pair.losses, again.pair.losses)


def test_two_losses_are_sampled_at_the_same_places_each_as_by_itself(volume, radiograph):
    view = View(radiograph, _displaced(primary=3.0, y=5.0))
    few = replace(SETTINGS, parameters=("x", "roll"), samples=5, pair=("x", "roll"), pair_samples=3)
    both = replace(few, measure="NCC", beside="refinement")
    samples = []
    found = run(loss_landscape(volume, view, settings=both, isocenter=CENTER), samples.append)
    assert len(samples) == both.total == 2 * few.total
    assert [s.measure for s in samples] == ["NCC", "refinement"] * few.total
    assert found.complete
    assert found.beside.complete
    shown = empty_landscape(CARM, view.world_from_camera, CENTER, both)
    for sample in samples:
        shown.set(sample)
    for each, again, measure in zip(found.each, shown.each, ("NCC", "refinement"), strict=True):
        alone = replace(few, measure=measure)
        single = run(loss_landscape(volume, view, settings=alone, isocenter=CENTER))
        assert single.beside is None
        assert each.settings == again.settings == alone
        for name, profile in single.profiles.items():
            assert np.array_equal(each.profiles[name].losses, profile.losses)
            assert np.array_equal(again.profiles[name].losses, profile.losses)
        assert np.array_equal(each.pair.losses, single.pair.losses)


def test_a_learned_similarity_is_asked_at_the_poses_of_all_radiographs(volume, radiograph):
    side = CARM.world_from_camera(-66.0, -13.0, 5.0, isocenter=CENTER)
    views = (View(radiograph, TRUE), View(blob_radiograph(CARM, side), side))
    made = []

    def learned(ct, seen, pivot, threads):
        made.append((ct is volume, len(seen), pivot.tolist(), threads))

        def loss(poses):
            away = [
                float((p.translation - v.world_from_camera.translation).norm())
                for p, v in zip(poses, seen, strict=True)
            ]
            return sum(away), {"first": away[0], "second": away[1]}

        return loss

    settings = replace(
        SETTINGS, parameters=("x",), samples=3, measure="learned similarity", beside="NCC"
    )
    assert settings.learned
    assert not SETTINGS.learned
    asked = {"settings": settings, "isocenter": CENTER}
    found = run(loss_landscape(volume, views, **asked, learned=learned))
    assert made == [(True, 2, CENTER.tolist(), 1)]
    # The rig is moved by 24 mm as a whole.
    assert found.profiles["x"].losses == pytest.approx([48.0, 0.0, 48.0], abs=1e-6)
    assert found.beside.profiles["x"].losses[1] < 0.1
    with pytest.raises(ValueError, match="needs weights"):
        next(loss_landscape(volume, views, **asked))


def test_cancelled_it_gives_what_it_has(volume, radiograph):
    control = Control()
    events = loss_landscape(
        volume, View(radiograph, TRUE), settings=SETTINGS, isocenter=CENTER, control=control
    )
    taken = list(itertools.islice(events, 20))
    control.cancel()
    found = run(events)
    assert not found.complete
    assert sum(np.isfinite(p.losses).sum() for p in found.profiles.values()) == len(taken) == 20


@pytest.mark.slow
def test_masked_pixels_have_no_say(volume, radiograph):
    spoiled = radiograph.line_integrals.clone()
    spoiled[:40, :30] = 9.0
    mask = torch.ones(72, 78, dtype=torch.bool)
    mask[:40, :30] = False
    clean, covered = (
        replace(radiograph, line_integrals=image, mask=mask)
        for image in (radiograph.line_integrals, spoiled)
    )
    for measure in ("refinement", "NCC", "mNCC and gNCC (xvr)"):
        settings = replace(SETTINGS, parameters=("x",), measure=measure)
        losses = [
            run(loss_landscape(volume, View(r, TRUE), settings=settings, isocenter=CENTER))
            .profiles["x"]
            .losses
            for r in (clean, covered)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
        assert losses[0].min() < 0.05


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"range_mm": 0.0}, "ranges"),
        ({"samples": 2}, "at least 3 samples"),
        ({"parameters": ("tilt",)}, "tilt"),
        ({"pair": ("x", "x")}, "two different"),
        ({"parameters": (), "pair": None}, "none given"),
        ({"measure": "blur"}, "blur"),
        ({"beside": "blur"}, "blur"),
        ({"measure": "NCC", "beside": "NCC"}, "two different losses"),
    ],
)
def test_wrong_settings_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        replace(SETTINGS, **wrong)


@pytest.mark.parametrize("measure", ["refinement", "NCC"])
def test_a_constant_radiograph_is_refused(volume, radiograph, measure):
    blank = replace(radiograph, line_integrals=torch.full((72, 78), 40.3))
    settings = replace(SETTINGS, measure=measure)
    with pytest.raises(ValueError, match="constant"):
        next(loss_landscape(volume, View(blank, TRUE), settings=settings))
    with pytest.raises(ValueError, match="at least one radiograph"):
        next(loss_landscape(volume, [], settings=settings))
