"""All starts of many cases on their way through the levels, by either backend."""

from dataclasses import replace

import pytest
import torch
from backends import BACKENDS, DEVICE, refined
from blobs import CENTER, bent, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    ROBUST,
    Level,
    RefineSettings,
    Spread,
    Status,
    View,
    perturbed,
    refine,
    refine_many,
)
from napari_xreg.registration.refinement import refine_many as many
from napari_xreg.registration.refinement.problem import Beams
from napari_xreg.registration.refinement.second_order import course
from napari_xreg.registration.refinement.second_order.course import refine_cases
from napari_xreg.registration.refinement.second_order.lm_solver import refine_second_order
from napari_xreg.rendering import OutOfMemory, render_drr

CARM = carm(30, 34)
CARM = replace(CARM, detector=replace(CARM.detector, spacing=(7.6, 7.0), principal_point=(13, 19)))
TRUTHS = [
    CARM.world_from_camera(a, b, c, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
    for a, b, c in ((24.0, -13.0, 5.0), (-60.0, 8.0, 2.0), (70.0, 20.0, -4.0))
]
LEVELS = (Level(17, 8.0, 5), Level(34, 8.0, 8, channels=ROBUST))
SETTINGS = RefineSettings(
    levels=LEVELS, starts=2, carried=(2,), spread=Spread().scaled(0.4), threads=1
)


@pytest.fixture(scope="module")
def volume():
    return blob_volume(8.0)


@pytest.fixture(scope="module")
def cases():
    """Three radiographs, one of them bent and masked, each with a start near its truth."""
    radiographs = [blob_radiograph(CARM, pose) for pose in TRUTHS]
    radiographs[0] = bent(radiographs[0])
    generator = torch.Generator().manual_seed(1)
    normals = torch.randn(3, 1, 6, generator=generator, dtype=torch.float64)
    starts = [
        perturbed(pose, CENTER, n, Spread().scaled(0.4))[0]
        for pose, n in zip(TRUTHS, normals, strict=True)
    ]
    return [(View(radiograph, pose),) for radiograph, pose in zip(radiographs, starts, strict=True)]


def way(a, b):
    points = CENTER + 40 * torch.eye(3, dtype=torch.float64)
    return float((a.inverse().apply(points) - b.inverse().apply(points)).norm(dim=1).max())


def together(name, volume, cases, settings=SETTINGS, **kwargs):
    backend = BACKENDS[name]
    there = volume.to(device=backend.device)
    return run(
        refine_cases(there, cases, settings=settings, pivot=CENTER, backend=backend, **kwargs)
    )


@pytest.fixture(scope="module", params=BACKENDS)
def several(request, volume, cases):
    return request.param, together(request.param, volume, cases)


@pytest.mark.slow
def test_cases_refined_together_are_those_refined_alone(volume, cases, several):
    name, results = several
    for case, found in zip(cases, results, strict=True):
        alone = refined(name, volume, case, SETTINGS, CENTER)
        # Steps are judged by float32 sums, whose order the size of a batch may change.
        assert way(found.world_from_camera, alone.world_from_camera) < 0.01
        assert way(found.world_from_camera, case[0].world_from_camera) > 1.0
        assert found.status is alone.status
        assert found.losses == pytest.approx(alone.losses, rel=1e-3)
        torch.testing.assert_close(found.covariance, alone.covariance, rtol=0.02, atol=1e-6)
        assert [(c.start, c.level) for c in found.candidates] == [
            (c.start, c.level) for c in alone.candidates
        ]
        assert found.simulated


@pytest.mark.slow
def test_starts_advance_together_and_every_step_is_shown(volume, cases):
    case = cases[1]
    found = refined("host", volume, case, SETTINGS, CENTER)
    seen = found.trajectory
    assert [i.index for i in seen] == list(range(len(seen)))
    assert [i.start for i in seen[:4]] == [0, 1, 0, 1]
    assert {i.level for i in seen} == {0, 1}
    assert seen[0].image.shape == (15, 17)
    assert seen[-1].image.shape == (30, 34)
    assert all(set(i.losses) == {"loss", *found.losses} for i in seen)
    # A start among others goes the way that it goes alone.
    single = refined("host", volume, case, replace(SETTINGS, starts=1), CENTER)
    first = [i for i in seen if i.start == 0 and i.level == 0]
    for a, b in zip(first, [i for i in single.trajectory if i.level == 0], strict=True):
        assert a.accepted == b.accepted
        assert (a.loss, a.damping, a.step) == pytest.approx((b.loss, b.damping, b.step), rel=1e-6)
    hidden = replace(SETTINGS, keep_images=False)
    assert {i.image for i in refined("host", volume, case, hidden, CENTER).trajectory} == {None}


def test_bone_is_judged_at_the_first_level_that_needs_it_and_at_the_last(volume, cases):
    """And scatter at the last alone, where the pose is nearly right."""
    judged, used, over = [], [], []

    class Watched(type(BACKENDS["host"])):
        def bone_gains(self, look, poses):
            judged.append(super().bone_gains(look, poses) + 0.1 * len(judged))
            return judged[-1]

        def beams(self, look, poses, whole):
            judged.append(super().beams(look, poses, whole))
            return judged[-1]

        def problem(self, look, of, gains):
            used.append(gains)
            over.append(look.scatter)
            return super().problem(look, of, gains)

    levels = (Level(16, 8.0, 1), *(Level(n, 8.0, 1, channels=ROBUST) for n in (17, 20, 24)))
    refined(Watched(1), volume, cases[1], replace(SETTINGS, levels=levels, starts=1), CENTER)
    assert len(judged) == 2
    assert used[0] is None
    assert used[1] is used[2]
    assert torch.equal(used[1], judged[0])
    assert torch.equal(used[3], judged[1].gains)
    assert over == [None, None, None, judged[1].scatter]
    # Of one level alone, where the pose may be far off, bone is judged and scatter is not.
    refined(Watched(1), volume, cases[1], replace(SETTINGS, levels=levels[-1:], starts=1), CENTER)
    assert len(judged) == 3
    assert over[4] is None


def test_bone_is_judged_by_grey_values_where_edges_say_nothing_of_it(volume, cases):
    used, asked = [], iter([0.25, 0.5])

    class Silent(type(BACKENDS["host"])):
        def bone_gains(self, look, poses):
            return torch.tensor([next(asked)], dtype=torch.float64)

        def beams(self, look, poses, whole):
            return Beams(torch.tensor([torch.nan], dtype=torch.float64), ((None,),))

        def problem(self, look, of, gains):
            used.append(gains.tolist())
            return super().problem(look, of, gains)

    levels = tuple(Level(n, 8.0, 1, channels=ROBUST) for n in (17, 24))
    refined(Silent(1), volume, cases[1], replace(SETTINGS, levels=levels, starts=1), CENTER)
    assert used == [[0.25], [0.5]]


def test_a_level_is_over_where_no_start_goes_on(volume, cases):
    """Its first state is shown, then a turn an iteration; what has ended is not rendered again."""
    turns = []
    settings = replace(SETTINGS, levels=(Level(17, 8.0, 60),))
    run(
        refine_cases(volume, cases[1:2], settings=settings, pivot=CENTER, backend=BACKENDS["host"]),
        turns.append,
    )
    assert 2 < len(turns) < 61
    assert turns[0].step_mm == [0.0, 0.0]
    assert [any(turn.active) for turn in turns] == [True] * (len(turns) - 1) + [False]


@pytest.mark.parametrize("name", BACKENDS)
def test_cancelled_and_without_overlap(volume, cases, name):
    control = Control()
    backend = BACKENDS[name]
    events = refine_second_order(
        volume.to(device=backend.device), cases[1], settings=SETTINGS, pivot=CENTER,
        control=control, backend=backend,
    )  # fmt: skip
    next(events)
    control.cancel()
    assert run(events).status is Status.CANCELLED
    far = CARM.world_from_camera(24.0, -13.0, isocenter=CENTER + 800.0)
    lost = replace(SETTINGS, starts=1, levels=LEVELS[:1])
    nothing = refined(name, volume, [View(cases[1][0].radiograph, far)], lost, CENTER)
    assert nothing.status is Status.NO_OVERLAP
    assert nothing.covariance is None
    assert way(nothing.world_from_camera, far) < 1e-6


class TestRefineMany:
    @pytest.fixture
    def on_a_card(self, monkeypatch):
        """The path of a card, wherever the volume is."""
        monkeypatch.setattr(many, "choose_backend", lambda volume, method: "triton")

    def test_one_after_the_other_on_the_cpu(self, volume, cases):
        seen = []
        quick = replace(SETTINGS, levels=LEVELS[:1], starts=1)
        events = refine_many(volume, [cases[0][0], cases[1]], settings=quick, isocenter=CENTER)
        found = run(events, seen.append)
        assert [number for number, _ in seen] == [0, 1]
        assert [r for _, r in seen] == found
        alone = run(refine(volume, cases[1], settings=quick, isocenter=CENTER))
        assert torch.equal(found[1].world_from_camera.rotation, alone.world_from_camera.rotation)

    def test_geometries_are_not_mixed(self, volume, cases, on_a_card):
        other = CArm(1100.0, 740.0, Detector((30, 34), (7.5, 7.2)))
        odd = View(Radiograph(render_drr(volume, other, TRUTHS[1]), other), TRUTHS[1])
        seen = []
        quick = replace(SETTINGS, levels=LEVELS[:1], starts=1)
        mixed = [cases[1], odd, cases[2]]
        found = run(
            refine_many(volume.to(device=DEVICE), mixed, settings=quick, isocenter=CENTER),
            seen.append,
        )
        assert [number for number, _ in seen] == [0, 2, 1]
        for result, case in zip(found, mixed, strict=True):
            alone = refined("batched", volume, (case,) if case is odd else case, quick, CENTER)
            assert way(result.world_from_camera, alone.world_from_camera) < 0.01

    def test_as_many_at_a_time_as_fit(self, volume, cases, on_a_card, monkeypatch):
        sizes = []
        whole = course.refine_cases

        def full(volume, cases, **kwargs):
            sizes.append(len(cases))
            if len(cases) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(volume, cases, **kwargs)

        monkeypatch.setattr(many, "refine_cases", full)
        quick = replace(SETTINGS, levels=LEVELS[:1], starts=3)
        there = volume.to(device=DEVICE)
        found = run(refine_many(there, cases, settings=quick, isocenter=CENTER))
        assert sizes == [3, 2, 1, 1, 1]
        for case, result in zip(cases, found, strict=True):
            began = result.candidates[-1].initial, case[0].world_from_camera
            assert way(*began) < 100  # each is its own
        monkeypatch.setattr(many, "refine_cases", lambda *a, **k: full(None, [1, 2]))
        with pytest.raises(OutOfMemory, match="a refinement from 3 starts: use a coarser CT"):
            run(refine_many(there, cases[:1], settings=quick, isocenter=CENTER))

    def test_a_bad_radiograph_is_named_before_anything_runs(self, volume, cases):
        flat = Radiograph(torch.ones(30, 34), CARM)
        events = refine_many(volume, [cases[0], View(flat, TRUTHS[0])], settings=SETTINGS)
        with pytest.raises(ValueError, match="case 1: the radiograph has no usable content"):
            next(events)
        with pytest.raises(ValueError, match="case 1 has none"):
            next(refine_many(volume, [cases[0], ()], settings=SETTINGS))

    @pytest.mark.parametrize("card", [False, True])
    def test_cancelled(self, volume, cases, card, monkeypatch):
        if card:
            monkeypatch.setattr(many, "choose_backend", lambda volume, method: "triton")
        control = Control()
        control.cancel()
        found = run(refine_many(volume, cases, settings=SETTINGS, control=control))
        assert len(found) == (3 if card else 1)
        assert all(r.status is Status.CANCELLED for r in found)
