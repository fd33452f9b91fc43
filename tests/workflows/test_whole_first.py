"""Structures of a whole CT: the CT finds the patient, then they move by themselves; alone where that is not trusted."""

from dataclasses import replace

import pytest
import torch

from napari_xreg import registration
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, above_water
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import Control, run
from napari_xreg.registration import Iterate, RefineSettings, Registration, Status, View
from napari_xreg.rendering import OutOfMemory, render_drr
from napari_xreg.session import Rendering
from napari_xreg.simulation import phantom
from napari_xreg.workflows import (
    BonesAlone,
    Frames,
    OnCpuInstead,
    RefineRequest,
    TrackRequest,
    TryingOthers,
    refine,
    refining,
    track,
)
from napari_xreg.workflows.whole_first import (
    AGREED,
    STAYS_ALONE,
    STAYS_FIRST,
    WHOLE_FIRST,
    WithTheRest,
    has_a_rest,
    refine_whole_first,
)

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


def answer(case, name, probability, *, off_mm=0.0, status=None):
    """A result of one view, as judged; its pose is so far to the side of the start."""
    aside = torch.tensor([0.0, 0.0, 0.0, off_mm, 0.0, 0.0], dtype=torch.float64)
    start = case[3].world_from_camera
    pose = start.left_perturb(aside, case[1])
    step = Iterate(0, 0, 0, pose, {"loss": 0.5}, seconds=1.5)
    status = status or (Status.CONVERGED if probability >= 0.9 else Status.NOT_TRUSTED)
    return Registration(
        pose, status, {"loss": 0.5}, (step,), case[1], views=(pose,), notes=(name,),
        probability=probability,
    )  # fmt: skip


def answers(monkeypatch, case, whole, first, alone, **of_alone):
    """The two ways answer with these probabilities; which were asked."""
    asked = []

    def way(name, result):
        def go(*args, **kwargs):
            asked.append(name)
            yield from (result.found if name == "first" else result).trajectory
            return result

        return go

    together = WithTheRest(answer(case, "whole", whole), answer(case, "first", first))
    monkeypatch.setattr(refining, "refine_whole_first", way("first", together))
    own = answer(case, "alone", alone, **of_alone)
    monkeypatch.setattr(refining.registration, "refine_near_bone", way("alone", own))
    return asked


BONES = "bone-only CT: rendered above water"


@pytest.mark.parametrize(
    ("whole", "first", "alone", "stays"),
    [
        (0.95, 0.95, 0.99, "first, asked alone"),
        (0.95, 0.4, 0.95, "alone"),
        (0.95, 0.4, 0.2, "first"),
        # Both refused, and not three times as likely: no better.
        (0.95, 0.4, 0.6, "first"),
        (0.95, 0.1, 0.4, "alone"),
        (0.2, 0.4, 0.95, "alone"),
    ],
)
def test_what_is_not_trusted_is_registered_alone_too(monkeypatch, case, whole, first, alone, stays):
    done = answers(monkeypatch, case, whole, first, alone)
    found = run(refine(request(case)))
    assert done == (["first"] if "asked" in stays else ["first", "alone"])
    assert found.probability == (alone if stays == "alone" else first)
    assert found.notes[0] == (BONES if stays == "alone" else WHOLE_FIRST)
    # Which of two it is stands there, new, so that a terminal prints it.
    which = [note for note in found.notes if note in (STAYS_ALONE, STAYS_FIRST)]
    assert which == {"alone": [STAYS_ALONE], "first": [STAYS_FIRST]}.get(stays, [])
    assert [each.index for each in found.trajectory] == list(range(len(done)))
    assert [each.seconds for each in found.trajectory] == [1.5, 3.0][: len(done)]


@pytest.mark.parametrize(
    ("alone", "off_mm", "trusted", "word"),
    [
        (0.3, 0.0, False, "The whole CT, from which"),
        # 3 mm and 5 mm to the side, at the patient: the same place to 4 mm.
        (0.95, 3.0, True, AGREED),
        (0.95, 5.0, True, STAYS_ALONE),
    ],
)
def test_what_rests_on_a_whole_that_was_refused_is_not_trusted(
    monkeypatch, case, alone, off_mm, trusted, word
):
    asked = answers(monkeypatch, case, 0.007, 0.997, alone, off_mm=off_mm)
    found = run(refine(request(case)))
    assert asked == ["first", "alone"]
    assert bool(found) == trusted
    assert any(note.startswith(word) for note in found.notes)
    assert found.probability == (0.95 if word is STAYS_ALONE else 0.997)
    if not trusted:
        assert found.status is Status.NOT_TRUSTED
        assert "(1 % likely)" in found.notes[-1]


def test_cancelled_in_the_second_look_it_is_cancelled(monkeypatch, case):
    answers(monkeypatch, case, 0.95, 0.4, 0.0, status=Status.CANCELLED)
    events = refine(request(case, explain=True))
    seen = []
    try:
        while True:
            seen.append(next(events))
    except StopIteration as end:
        found = end.value
    assert found.status is Status.CANCELLED
    assert found.notes[-1].startswith("Cancelled while the structures were registered alone")
    assert not any(isinstance(event, TryingOthers) for event in seen)


def test_a_sequence_begins_with_the_whole_ct_too(monkeypatch, case):
    """Structures are looked for in the first frame as `register` does; in those after it near where they are expected."""
    made, middle, _, view = case
    asked = answers(monkeypatch, case, 0.95, 0.95, 0.95)
    what = Rendering(made.volume, made.labels, (HIP,))
    frames = Frames((3, 4, 5), lambda number: (view,))
    found = run(track(TrackRequest(what, frames, 4, isocenter=middle)))
    # A coarse and a fine look at each of the two others.
    assert asked == ["first", *["alone"] * 4]
    assert found.complete


def test_others_are_tried_of_the_whole_and_against_the_whole(monkeypatch, case):
    """What a trial of the whole CT says is compared with the pose of the whole CT."""
    asked = []
    monkeypatch.setattr(refining, "why_refused", lambda views, found, trial: asked.append(found) or ())  # fmt: skip
    answers(monkeypatch, case, 0.2, 0.4, 0.1)
    run(refine(request(case, explain=True)))
    assert [found.notes for found in asked] == [("whole",)]
    # The whole is explained: there is nothing to ask.
    answers(monkeypatch, case, 0.95, 0.4, 0.1)
    run(refine(request(case, explain=True)))
    assert len(asked) == 1


def test_where_the_whole_does_not_fit_on_the_device_the_processor_stands_in(monkeypatch, case):
    made = case[0]
    there, taken = torch.device("meta"), []

    def on(volume, device):
        if volume is made.volume and device == there:
            raise OutOfMemory("no room")
        return volume

    def first(what, whole_ct, *args, **kwargs):
        taken.append(whole_ct)
        yield from ()
        return WithTheRest(answer(case, "whole", 0.95), answer(case, "first", 0.95))

    monkeypatch.setattr(refining, "volume_on", on)
    monkeypatch.setattr(refining, "refine_whole_first", first)
    events = list(refine(request(case, device=there)))
    assert [event for event in events if isinstance(event, OnCpuInstead)]
    assert taken == [made.volume]
    with pytest.raises(OutOfMemory):
        list(refine(request(case, device=there, cpu_instead=False)))


def test_structures_as_dense_as_the_rest_are_not_told_from_it(monkeypatch, case):
    made, middle, _, view = case
    verdict = "80 % (fitted on simulated radiographs): so many."
    whole = replace(answer(case, "a note", 0.95), notes=("a note", verdict))

    def once(*args, **kwargs):
        yield from ()
        return whole

    monkeypatch.setattr(registration, "refine", once)
    monkeypatch.setattr(
        "napari_xreg.workflows.whole_first.cut_bodies",
        lambda volume, labels, parts: (volume, replace(volume, lac=torch.zeros_like(volume.lac))),
    )
    what = Rendering(made.volume, made.labels, (HIP,))
    both = run(refine_whole_first(what, made.volume, (view,), SETTINGS, middle, None))
    assert both.whole is whole
    assert both.found.status is Status.NOT_TRUSTED
    assert both.found.probability is None
    assert both.found.notes[0] == "a note"
    assert "no denser than what lies around them" in both.found.notes[1]
    assert len(both.found.notes) == 2


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
    asked = answers(monkeypatch, case, 0.95, 0.95, 0.95)
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
    steps = refine_whole_first(what, made.volume, (view,), SETTINGS, middle, control)
    next(steps)
    control.cancel()
    found = run(steps).found
    assert found.status is Status.CANCELLED
    assert found.notes[-1].startswith("This is where the whole CT was, not the structures")
