"""What is said of radiographs that were refused: only what a trusted trial supports."""

from dataclasses import replace

import pytest
import torch
from session_parts import make_radiograph, make_registration, make_volume, twist

from napari_xreg import registration
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.progress import Control, run
from napari_xreg.registration import Iterate, RefineSettings, Status, View
from napari_xreg.rendering import OutOfMemory
from napari_xreg.simulation import phantom, simulate_radiograph
from napari_xreg.workflows import RefineRequest, TryingOthers, refine
from napari_xreg.workflows.why_refused import why_refused

FIRST = CArm(1010.0, 620.0, Detector((12, 17), (2.0, 2.0), (5.25, 9.5)))
SECOND = CArm(1210.0, 800.0, Detector((12, 17), (2.5, 2.5), (6.0, 7.5)))


def seen(probability, *poses, status=Status.CONVERGED):
    made = make_registration(list(poses), pivot=(0.0, 0.0, 0.0))
    status = status if probability >= 0.9 else Status.NOT_TRUSTED
    return replace(made, status=status, probability=probability, views=tuple(poses))


@pytest.fixture
def views():
    origin = torch.zeros(3, dtype=torch.float64)
    turns = ((FIRST, 0.0), (SECOND, 85.0))
    poses = [carm.world_from_camera(turn, 0.0, isocenter=origin) for carm, turn in turns]
    marks = zip((FIRST, SECOND), "ab", poses, strict=True)
    return [
        View(replace(make_radiograph(CArmPose(5.0, 6.0)), carm=carm, source=f"{letter}.png"), pose)
        for carm, letter, pose in marks
    ]


class Trials:
    """Answers by what is tried: which images, bright or dark, with which camera."""

    def __init__(self, views, answers):
        self.views, self.answers, self.asked = views, answers, []

    def __call__(self, tried):
        tag = " ".join(map(self.tag, tried))
        self.asked.append(tag)
        found = self.answers.get(tag, 0.02)
        if isinstance(found, float):
            found = seen(found, *(view.world_from_camera for view in tried))
        return found

    def tag(self, view):
        image = view.radiograph
        turned = "-" if image.operations else ""
        return f"{turned}{image.source[0]}{'1' if image.carm == FIRST else '2'}"


def test_calibrations_in_the_wrong_order(views):
    refused = seen(0.1, *(view.world_from_camera for view in views))
    trial = Trials(views, {"a2 b1": 0.97})
    (said,) = why_refused(views, refused, trial)
    assert "With their geometries exchanged both radiographs are explained (97 %)" in said
    assert trial.asked == ["a2 b1"]
    tried = []
    why_refused(views, refused, lambda views: tried.append(views) or refused)
    one, other = tried[0]
    assert one.world_from_camera is views[1].world_from_camera
    assert other.world_from_camera is views[0].world_from_camera


def test_each_alone_but_not_together(views):
    first, second = (view.world_from_camera for view in views)
    refused = seen(0.1, first, second)
    # 12 mm across the rays of the second; what is at the pivot appears 12 mm to the side.
    across = second @ twist(0, 0, 0, 12.0, 0, 0)
    trial = Trials(views, {"a1": 0.95, "b2": seen(0.92, across)})
    (said,) = why_refused(views, refused, trial)
    assert "(95 %, 92 %), but not where the others put the patient: 12 mm off, as seen" in said
    # Along the rays it is not seen.
    trial.answers["b2"] = seen(0.92, second @ twist(0, 0, 0, 0, 0, 12.0))
    assert why_refused(views, refused, trial) == ()


def test_a_picture_that_is_inverted(views):
    refused = seen(0.1, *(view.world_from_camera for view in views))
    trial = Trials(views, {"a1": 0.96, "-b2": 0.93})
    (said,) = why_refused(views, refused, trial)
    assert said.startswith("b.png is explained when bright and dark are exchanged (93 %)")
    assert trial.asked == ["a2 b1", "a1", "b2", "-b2"]
    trial = Trials(views, {"-a1": 0.93, "-b2": 0.93})
    assert len(why_refused(views, refused, trial)) == 2
    # One radiograph: it was tried alone already.
    trial = Trials(views, {"-a1": 0.95})
    refused = seen(0.1, views[0].world_from_camera)
    assert "a.png is explained" in why_refused(views[:1], refused, trial)[0]
    assert trial.asked == ["-a1"]


def test_a_trial_that_is_only_likelier_is_said_carefully(views):
    refused = seen(0.1, *(view.world_from_camera for view in views))
    trial = Trials(views, {"a2 b1": 0.4})
    (said,) = why_refused(views, refused, trial)
    assert said.startswith(
        "Both radiographs fit better with their geometries exchanged (40 % likely, against 10 %; not trusted either)"
    )
    # Everything else is tried all the same: what is trusted goes before, and of careful words the likeliest.
    assert trial.asked == ["a2 b1", "a1", "b2", "-a1", "-b2"]
    (said,) = why_refused(views, refused, Trials(views, {"a2 b1": 0.4, "-b2": 0.8}))
    assert said.startswith(
        "b.png fits better when bright and dark are exchanged (80 % likely, against 2 %; not trusted either)"
    )
    (said,) = why_refused(views, refused, Trials(views, {"a2 b1": 0.8, "-b2": 0.95}))
    assert said.startswith("b.png is explained when bright and dark are exchanged (95 %)")
    # Too little, or hardly more than the result itself; each alone explained and in one place.
    assert why_refused(views, refused, Trials(views, {"a2 b1": 0.28})) == ()
    likely = seen(0.2, *(view.world_from_camera for view in views))
    assert why_refused(views, likely, Trials(views, {"a2 b1": 0.55})) == ()
    assert why_refused(views, refused, Trials(views, {"a2 b1": 0.4, "a1": 0.95, "b2": 0.95})) == ()
    # Of one radiograph it is the result that the trial is beside.
    one = seen(0.2, views[0].world_from_camera)
    assert why_refused(views[:1], one, Trials(views, {"-a1": 0.55})) == ()
    assert "against 20 %" in why_refused(views[:1], one, Trials(views, {"-a1": 0.65}))[0]


def test_nothing_is_said_that_no_trial_supports(views):
    poses = [view.world_from_camera for view in views]
    trial = Trials(views, {})
    assert why_refused(views, seen(0.1, *poses), trial) == ()
    trial.asked.clear()
    assert why_refused(views, seen(0.95, *poses), trial) == ()
    stopped = replace(seen(0.1, *poses), status=Status.CANCELLED)
    assert why_refused(views, stopped, trial) == ()
    assert trial.asked == []


def test_after_a_trial_that_was_cancelled_none_is_begun(views):
    refused = seen(0.1, *(view.world_from_camera for view in views))
    stopped = replace(seen(0.1, views[0].world_from_camera), status=Status.CANCELLED)
    trial = Trials(views, {"a1": stopped, "-b2": 0.93})
    assert why_refused(views, refused, trial) == ()
    assert trial.asked == ["a2 b1", "a1"]


@pytest.mark.parametrize(
    "error", [ValueError, OutOfMemory, RuntimeError, ZeroDivisionError, MemoryError]
)
def test_a_trial_that_fails_costs_no_result(views, error):
    def trial(_):
        raise error("of the trial")

    refused = seen(0.1, *(view.world_from_camera for view in views))
    assert why_refused(views, refused, trial) == ()


def test_two_radiographs_are_at_most_five_trials(views):
    refused = seen(0.1, *(view.world_from_camera for view in views))
    trial = Trials(views, {})
    why_refused(views, refused, trial)
    assert trial.asked == ["a2 b1", "a1", "b2", "-a1", "-b2"]


class Refused:
    """In place of `registration.refine`: refused at once; every registration makes one iteration."""

    def __init__(self):
        self.went_on = []

    def __call__(self, volume, views, *, control, **_):
        yield Iterate(0, 0, 0, views[0].world_from_camera, {"loss": 0.5})
        assert not control.paused  # it would wait for ever
        self.went_on.append(control.proceed())
        status = Status.NOT_TRUSTED if self.went_on[-1] else Status.CANCELLED
        return replace(seen(0.1, *(view.world_from_camera for view in views)), status=status)


def test_trials_are_announced_and_neither_paused_nor_stepped(views, monkeypatch):
    once = Refused()
    monkeypatch.setattr(registration, "refine", once)
    control = Control()
    request = RefineRequest(make_volume(), tuple(views), near=None, explain=True)
    refined = refine(request, control=control)
    control.step()  # the registration's only iteration; after it the user's control waits
    assert [type(event) for event in (next(refined), next(refined))] == [Iterate, TryingOthers]
    assert control.paused
    found = run(refined)
    assert found.status is Status.NOT_TRUSTED
    assert once.went_on == 6 * [True]
    # Cancelled while others are tried: the result stays, and one trial ends.
    once.went_on.clear()
    refined = refine(request, control=(control := Control()))
    events = [next(refined), next(refined)]
    control.cancel()
    assert run(refined).status is Status.NOT_TRUSTED
    assert len(events) == 2
    assert once.went_on == [True, False]


@pytest.mark.slow
def test_a_refused_radiograph_is_tried_inverted():
    made = phantom(spacing_mm=4.0)
    carm = CArm(1020.0, 750.0, Detector((96, 96), (3.6, 3.6)))
    middle = made.volume.center.double()
    truth = carm.world_from_camera(2.0, -1.0, isocenter=middle + torch.tensor([3.0, -4.0, 2.0]))
    shot = simulate_radiograph(
        made.volume, None, carm, truth, severity="clean", seed=170
    ).radiograph
    start = View(shot.invert(), carm.world_from_camera(0.0, 0.0, isocenter=middle))
    asked = RefineRequest(
        made.volume, (start,), RefineSettings(starts=1, keep_images=False), middle, explain=True
    )
    found = run(refine(asked))
    assert not found
    assert "is explained when bright and dark are exchanged" in found.notes[-1]
    # Unless it is asked for, nothing is tried.
    assert "exchanged" not in run(refine(replace(asked, explain=False))).notes[-1]
