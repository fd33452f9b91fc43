"""What a refinement is asked, and that the answer is the library's own, to the last bit."""

import math

import pytest
import torch
from session_parts import make_radiograph, make_volume

from napari_xreg import registration
from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import Landmark
from napari_xreg.progress import run
from napari_xreg.registration import AdamSettings, Iterate, Level, RefineSettings, View
from napari_xreg.rendering import OutOfMemory
from napari_xreg.session import Session, sample_case
from napari_xreg.workflows import (
    OnCpuInstead,
    RefineRequest,
    refine,
    refine_request,
    refining,
    rig_poses,
)

QUICK = RefineSettings(starts=1, levels=(Level(16, 4.0, iterations=3),), locked=("depth",))
ADAM = AdamSettings(pixels=(16,), iterations=2)


@pytest.fixture
def session():
    made = Session()
    made.patient.set_volume(make_volume())
    made.exposures.add(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    made.exposures.add(make_radiograph(CArmPose(83.0, 5.0, -3.0), 14, 19, 5), name="lateral")
    return made


@pytest.fixture(scope="module")
def case():
    return sample_case(spacing_mm=10.0, pixels=32).session()


def half_painted(session, name):
    """The left half may not be used."""
    rows, columns = session.exposures.named(name).radiograph.carm.detector.shape
    painted = torch.ones(rows, columns, dtype=torch.bool)
    painted[:, : columns // 2] = False
    session.exposures.set_painted(session.exposures.named(name).id, painted)
    return painted


def asked(session, **more):
    return refine_request(session, **more)


def names(session, request):
    return [session.exposures[id].name for id in request.ids]


def test_the_active_radiograph_comes_first_and_the_unticked_is_left_out(session):
    assert names(session, asked(session)) == ["lateral", "frontal"]
    session.exposures.activate(session.exposures.named("frontal").id)
    request = asked(session)
    assert names(session, request) == ["frontal", "lateral"]
    assert [view.world_from_camera for view in request.views] == [
        session.exposures.named(name).world_from_camera for name in ("frontal", "lateral")
    ]
    session.exposures.set_used(session.exposures.named("frontal").id, False)
    assert names(session, asked(session)) == ["lateral"]
    session.exposures.set_used(session.exposures.named("lateral").id, False)
    with pytest.raises(ValueError, match="no radiograph is ticked"):
        asked(session)


def test_what_was_painted_is_left_out_if_it_is_asked_for(session):
    painted = half_painted(session, "lateral")
    masked, bare = (asked(session, use_painted=use).views[0].radiograph for use in (True, False))
    assert torch.equal(masked.usable, painted)
    assert bool(bare.usable.all())


def test_the_rig_of_an_iterate_by_hand():
    # Cameras at (10, 0, 0) and (10, 20, 0). The first goes to the origin and a quarter turn about z,
    # which takes the way between them, +20 y, to -20 x.
    eye = torch.eye(3, dtype=torch.float64)
    rig = [Pose(eye, torch.tensor(p, dtype=torch.float64)) for p in ((10.0, 0, 0), (10.0, 20, 0))]
    first = Pose.exp(torch.tensor([0, 0, math.pi / 2, 0, 0, 0], dtype=torch.float64))
    poses = rig_poses(("a", "b"), rig, first)
    assert poses["a"].translation.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert poses["b"].translation.tolist() == pytest.approx([-20, 0, 0], abs=1e-9)
    assert poses["b"].rotation[:, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-9)


# ---------------------------------------------------------------------- running it


def test_landmarks_of_both_sides_say_where_the_sagittal_plane_is(session):
    assert asked(session).settings.sagittal is None
    sides = {"ASIS left": (21.0, 4.0, 0.0), "ASIS right": (-9.0, 4.0, 2.0)}
    session.landmarks.set([Landmark(name, position=at) for name, at in sides.items()])
    plane = asked(session).settings.sagittal
    assert plane.point.tolist() == [6.0, 4.0, 1.0]
    assert plane.normal.tolist() == [30.0, 0.0, -2.0]
    assert asked(session, settings=ADAM).settings is ADAM


@pytest.mark.slow
@pytest.mark.parametrize("settings", [QUICK, ADAM], ids=["lm", "adam"])
def test_a_request_ends_where_the_library_ends(case, settings):
    request = refine_request(case, settings)
    view = View(case.exposures.active.masked, case.poses.current)
    direct = run(
        registration.refine(
            case.patient.volume, view, settings=settings, isocenter=case.patient.isocenter
        )
    )
    events = []
    answer = run(refine(request), events.append)
    assert torch.equal(answer.world_from_camera.matrix(), direct.world_from_camera.matrix())
    assert answer.losses == direct.losses
    assert [type(event) for event in events] == [Iterate] * len(direct.trajectory)
    assert len(events) <= registration.solver_of(settings).most_iterates(settings)


def test_a_card_that_is_full_is_said_and_the_cpu_goes_on(case, monkeypatch):
    def full(volume, device):
        raise OutOfMemory("no room")

    monkeypatch.setattr(refining, "volume_on", full)
    card = torch.device("cuda:1")
    first = next(refine(refine_request(case, QUICK, device=card)))
    assert first == OnCpuInstead(card)
    view = View(case.exposures.active.radiograph, case.poses.current)
    strict = RefineRequest(case.patient.volume, (view,), QUICK, None, card, cpu_instead=False)
    with pytest.raises(OutOfMemory, match="no room"):
        next(refine(strict))
