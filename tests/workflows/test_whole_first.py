"""Structures of a whole CT: the CT finds the patient, then they move by themselves; alone where that is not trusted."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, above_water
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import Control, run
from napari_xreg.registration import Iterate, RefineSettings, Registration, Status, View
from napari_xreg.rendering import render_drr
from napari_xreg.session import Rendering
from napari_xreg.simulation import phantom
from napari_xreg.workflows import BonesAlone, RefineRequest, refine, refining
from napari_xreg.workflows.whole_first import WHOLE_FIRST, has_a_rest, refine_whole_first

CARM = CArm(1020.0, 750.0, Detector((110, 130), (2.8, 2.4), (58.0, 61.0)))
SETTINGS = RefineSettings(starts=1, keep_images=False, threads=1)
HIP = 77


@pytest.fixture(scope="module")
def case():
    made = phantom(spacing_mm=4.0)
    middle = made.labels.middle([HIP])
    truth = CARM.world_from_camera(12.0, -6.0, isocenter=middle)
    image = render_drr(made.volume, CARM, truth, method="trilinear")
    twist = torch.tensor([0.03, -0.02, 0.04, 6.0, -5.0, 7.0], dtype=torch.float64)
    view = View(
        Radiograph(image, CARM, simulated=True), truth.left_perturb(twist, middle).orthonormal()
    )
    return made, middle, truth, view


def request(case, structures=(HIP,), settings=SETTINGS, **kwargs):
    made, middle, _, view = case
    what = Rendering(made.volume, made.labels, structures)
    return RefineRequest(what, (view,), settings, middle, whole_first=True, **kwargs)


def error_of(found, truth, middle):
    points = middle + 25.0 * torch.eye(3, dtype=torch.float64)
    pose = found.world_from_camera.to(dtype=torch.float64)
    return float(mean_target_registration_error(pose, truth, points))


def test_of_what_there_is_a_rest(case):
    made = case[0]
    bones = above_water(made.volume.restrict(made.labels.mask([HIP, 78])))
    assert has_a_rest(Rendering(made.volume, made.labels, (HIP,)))
    assert not has_a_rest(Rendering(made.volume, made.labels))
    assert not has_a_rest(Rendering(bones, made.labels, (HIP,)))
    assert not has_a_rest(Rendering(made.volume, made.labels, (HIP,), "as read"))


@pytest.mark.slow
def test_a_bone_is_found_with_the_rest_of_its_ct(case):
    _, middle, truth, view = case
    events, found = [], None
    steps = refine(request(case))
    try:
        while True:
            events.append(next(steps))
    except StopIteration as end:
        found = end.value
    assert error_of(Registration(view.world_from_camera, Status.CONVERGED, {}, (), middle), truth, middle) > 8.0  # fmt: skip
    assert error_of(found, truth, middle) < 0.3
    assert found
    assert found.probability > 0.9
    assert torch.equal(found.pivot, middle)
    assert events[0] == BonesAlone((WHOLE_FIRST,))
    assert found.notes[0] == WHOLE_FIRST
    assert not any("compared within" in note for note in found.notes)
    iterates = [event for event in events if isinstance(event, Iterate)]
    assert [each.index for each in iterates] == list(range(len(iterates)))
    assert [each.index for each in found.trajectory] == list(range(len(iterates)))
    seconds = [each.seconds for each in found.trajectory]
    assert seconds == sorted(seconds)
    assert torch.equal(
        found.trajectory[-1].world_from_camera.matrix(), iterates[-1].world_from_camera.matrix()
    )
    assert found.ended_at is not None


def answers(monkeypatch, case, first, alone):
    """The two ways answer with these probabilities; which were asked."""
    asked = []

    def way(name, probability):
        def go(*args, **kwargs):
            asked.append(name)
            pose = case[3].world_from_camera
            step = Iterate(0, 0, 0, pose, {"loss": 0.5}, seconds=1.5)
            yield step
            status = Status.CONVERGED if probability >= 0.9 else Status.NOT_TRUSTED
            return Registration(
                pose, status, {"loss": 0.5}, (step,), case[1], views=(pose,), notes=(name,),
                probability=probability,
            )  # fmt: skip

        return go

    monkeypatch.setattr(refining, "refine_whole_first", way("first", first))
    monkeypatch.setattr(refining.registration, "refine_near_bone", way("alone", alone))
    return asked


@pytest.mark.parametrize(
    ("first", "alone", "asked", "note"),
    [
        (0.95, 0.99, ["first"], WHOLE_FIRST),
        (0.4, 0.95, ["first", "alone"], "bone-only CT: rendered above water"),
        (0.4, 0.2, ["first", "alone"], WHOLE_FIRST),
        (0.4, 0.6, ["first", "alone"], "bone-only CT: rendered above water"),
    ],
)
def test_what_is_not_trusted_is_registered_alone_too(monkeypatch, case, first, alone, asked, note):
    done = answers(monkeypatch, case, first, alone)
    found = run(refine(request(case)))
    assert done == asked
    assert found.notes[0] == note
    assert found.probability == max(first, alone if len(asked) > 1 else 0.0)
    assert [each.index for each in found.trajectory] == list(range(len(asked)))
    assert [each.seconds for each in found.trajectory] == [1.5, 3.0][: len(asked)]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": replace(SETTINGS, locked=("depth",))},
        {"near": None},
        {"structures": ()},
    ],
    ids=["locked", "whole images", "whole CT"],
)
def test_otherwise_all_is_as_it_was(monkeypatch, case, change):
    asked = answers(monkeypatch, case, 0.95, 0.95)
    other = []

    def whole(*args, **kwargs):
        other.append("refine")
        yield from ()
        pose = case[3].world_from_camera
        return Registration(pose, Status.CONVERGED, {"loss": 0.5}, (), case[1], views=(pose,))

    monkeypatch.setattr(refining.registration, "refine", whole)
    run(refine(request(case, **change)))
    assert [*asked, *other] == (["alone"] if "settings" in change else ["refine"])
    # Unless it is asked for, too.
    asked.clear()
    run(refine(replace(request(case), whole_first=False)))
    assert asked == ["alone"]


def test_cancelled_in_the_whole_it_is_no_result_of_the_structures(case):
    made, middle, _, view = case
    control = Control()
    what = Rendering(made.volume, made.labels, (HIP,))
    steps = refine_whole_first(what, (view,), SETTINGS, middle, torch.device("cpu"), control)
    next(steps)
    control.cancel()
    found = run(steps)
    assert found.status is Status.CANCELLED
