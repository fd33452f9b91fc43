"""Undo of everything: each change taken back and done again, and what the past may cost."""

from dataclasses import replace

import pytest
import torch
from session_parts import make_labels, make_radiograph, make_registration, make_volume, twist

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark
from napari_xreg.session import History, Session, SessionState
from napari_xreg.session.orientation import flipped, turned
from napari_xreg.session.state import alike

MOVED = twist(0.1, 0.2, 0.3, 4, 5, 6)
ASIS = Landmark("asis", position=(1.0, 2.0, 3.0))


def mask():
    painted = torch.ones(14, 19, dtype=torch.bool)
    painted[2, 3] = False
    return painted


def with_distance(radiograph, mm):
    return replace(radiograph, carm=replace(radiograph.carm, source_to_detector=mm))


@pytest.fixture
def busy(session):
    """Picks, a mask, a landmark, chosen structures, a named pose and a result of the lateral one."""
    session.set_structures([77])
    session.set_landmarks([ASIS])
    session.set_picked("lateral", [Landmark("asis", pixel=(3.5, 4.25))])
    session.set_painted("lateral", mask())
    session.name_pose("kept")
    session.set_pose(MOVED @ session.pose, "drag")
    session.add_result(make_registration([session.pose]), ["lateral"], {})
    return session


# What is done, and what undo calls it.
STEPS = {
    "another CT": (lambda s: s.set_volume(make_volume()), "load CT"),
    "no CT": (lambda s: s.set_volume(None), "remove the CT"),
    "another label map": (lambda s: s.set_labels(make_labels(s.volume)), "load label map"),
    "no label map": (lambda s: s.set_labels(None), "remove the label map"),
    "structures": (lambda s: s.set_structures([25]), "choose structures"),
    "no structures": (lambda s: s.set_structures([]), "use the whole CT"),
    "isocenter": (lambda s: s.set_isocenter(torch.ones(3)), "move the isocenter"),
    "add": (lambda s: s.add_radiograph(make_radiograph(), name="ap"), "add radiograph ap"),
    "remove": (lambda s: s.remove_radiograph("lateral"), "remove radiograph lateral"),
    "rename": (lambda s: s.rename_radiograph("lateral", "side"), "rename lateral to side"),
    "crop": (
        lambda s: s.replace_radiograph("lateral", s.active.radiograph.crop(1, 2, 9, 11)),
        "change radiograph lateral",
    ),
    "geometry": (
        lambda s: s.replace_radiograph(
            "lateral", with_distance(s.active.radiograph, 1234.0), why="geometry of lateral"
        ),
        "geometry of lateral",
    ),
    "turn": (
        lambda s: s.replace_exposure(turned(s.active, 1), why="turn lateral"),
        "turn lateral",
    ),
    "flip": (lambda s: s.replace_exposure(flipped(s.active)), "change radiograph lateral"),
    "not used": (lambda s: s.set_used("lateral", False), "leave lateral out"),
    "mask": (lambda s: s.set_painted("frontal", torch.zeros(12, 17).bool()), "mask on frontal"),
    "no mask": (lambda s: s.set_painted("lateral", None), "clear the mask of lateral"),
    "start": (lambda s: s.set_start("lateral"), "start of lateral"),
    "landmark added": (
        lambda s: s.set_landmarks([ASIS, Landmark("psis", (4.0, 5.0, 6.0))]),
        "add landmark psis in the CT",
    ),
    "landmark moved": (
        lambda s: s.set_landmarks([Landmark("asis", (7.0, 2.0, 3.0))]),
        "change landmark asis in the CT",
    ),
    "landmark renamed": (
        lambda s: s.set_landmarks([Landmark("left", (1.0, 2.0, 3.0))]),
        "rename landmark asis to left",
    ),
    "all landmarks": (lambda s: s.set_landmarks([]), "remove landmark asis in the CT"),
    "pick": (
        lambda s: s.set_picked("frontal", [Landmark("asis", pixel=(1.0, 2.0))]),
        "add landmark asis on frontal",
    ),
    "left out": (lambda s: s.set_left_out("lateral", ["asis"]), "landmarks used on lateral"),
    "pose": (lambda s: s.set_pose(MOVED, "pose pasted"), "pose pasted"),
    "reset": (lambda s: s.reset(), "reset"),
    "keep": (lambda s: s.name_pose("here"), "save pose 'here'"),
    "forget": (lambda s: s.forget_pose("kept"), "delete pose 'kept'"),
    "result": (
        lambda s: s.add_result(make_registration([s.pose]), ["lateral"], {}),
        "refinement 2",
    ),
    "discard": (lambda s: s.discard("refinement 1"), "discard refinement 1"),
    "open": (lambda s: s.restore(Session().state()), "open session"),
}


@pytest.mark.parametrize("what", STEPS)
def test_every_change_is_undone_and_done_again(busy, what):
    change, why = STEPS[what]
    before, rendered = busy.state(), busy.rendered_volume
    change(busy)
    after = busy.state()
    assert not alike(before, after)
    assert busy.history.undoes == why
    assert busy.undo() == why
    assert alike(busy.state(), before)
    assert busy.state().active == "lateral"
    assert torch.equal(busy.rendered_volume.lac, rendered.lac)
    assert busy.history.redoes == why
    assert busy.redo() == why
    assert alike(busy.state(), after)
    # And the steps before are still there.
    busy.undo()
    assert busy.undo() == "refinement 1"
    assert busy.undo() == "drag"


@pytest.mark.parametrize("what", STEPS)
def test_an_undo_says_what_changed_and_no_more(busy, heard, what):
    """The signals of an undo are among those of the change itself, which said each difference."""
    STEPS[what][0](busy)
    done = {said.name for said in heard}
    heard.clear()
    busy.undo()
    undone = [said.name for said in heard]
    assert len(undone) == len(set(undone))
    assert set(undone) <= done
    assert {"history_changed"} < set(undone) or what in ("keep", "forget")
    for said in heard:
        assert alike(said.state, busy.state())  # complete before it was said


def test_undo_of_a_pose_keeps_what_was_made_of_the_ct(busy):
    """A refinement that runs compares by identity, and restricting a large CT takes seconds."""
    shown = busy.rendered_volume
    busy.undo()
    busy.undo()
    busy.redo()
    assert busy.rendered_volume is shown


def test_undo_shows_the_same_radiograph_unless_another_came_or_went(busy):
    busy.set_pose(twist(0, 0, 0, 1, 0, 0) @ busy.pose, "shift")
    busy.set_active("frontal")
    busy.undo()
    assert busy.active.name == "frontal"
    busy.set_active("lateral")
    busy.remove_radiograph("lateral")
    busy.undo()
    assert busy.active.name == "lateral"


def test_no_undo_locks_or_unlocks_the_rig(busy):
    busy.rig_locked = False
    busy.undo()
    assert busy.rig_locked is False


def test_what_was_dragged_comes_back_before_another_change_is_undone(busy):
    here = busy.pose
    dragged = twist(0, 0, 0, 3, 1, 2) @ here
    busy.move(dragged)
    busy.set_landmarks([])
    assert busy.undo() == "remove landmark asis in the CT"
    assert busy.pose is dragged
    assert busy.undo() == "move"
    assert busy.pose is here


def test_several_changes_are_one_step_and_all_or_nothing(busy, heard):
    before = busy.state()
    with busy.one_step("load sample"):
        busy.set_volume(make_volume())
        busy.set_landmarks([])
        busy.add_radiograph(make_radiograph())
    assert busy.undo() == "load sample"
    assert alike(busy.state(), before)
    heard.clear()

    def fails_halfway():
        with busy.one_step("load sample"):
            busy.set_volume(None)
            busy.rename_radiograph("lateral", " ")

    with pytest.raises(ValueError, match="needs a name"):
        fails_halfway()
    assert alike(busy.state(), before)
    assert busy.volume is before.volume
    assert heard[-1].state.volume is before.volume  # whoever followed is told
    assert busy.undo() == "refinement 1"


def test_a_drag_is_one_step_however_often_it_moves(busy):
    count, start = len(busy.history), busy.pose
    for number in range(50):
        busy.move(twist(0, 0, 0, number + 1.0, 0, 0) @ start)
    assert len(busy.history) == count
    busy.record("drag by hand")
    assert len(busy.history) == count + 1
    assert busy.undo() == "drag by hand"
    assert busy.pose is start


def test_what_follows_by_itself_is_undone_with_its_cause(busy):
    busy.set_picked("lateral", [Landmark("asis", pixel=(5.5, 6.25))])
    here = busy.pose
    busy.move(twist(0, 0, 0, 3, 1, 2) @ here)
    busy.amend()
    assert busy.undo() == "change landmark asis on lateral"
    assert busy.pose is here
    busy.redo()
    assert busy.pose is not here


def test_a_session_opened_in_place_of_another_is_one_step_and_keeps_its_poses(session, busy):
    other = Session()
    other.add_radiograph(make_radiograph(CArmPose(11.0, 3.0)), name="ap")
    other.set_pose(MOVED @ other.pose, "first")
    other.set_pose(MOVED @ other.pose, "second")
    before = busy.state()
    busy.restore(other.state())
    assert [record.why for record in busy.state().records] == [
        "add radiograph ap", "first", "second",
    ]  # fmt: skip
    assert busy.undo() == "open session"
    assert alike(busy.state(), before)
    fresh = Session()
    fresh.restore(other.state())
    assert (fresh.undo(), fresh.undo(), fresh.undo()) == ("second", "first", None)
    assert fresh.pose is other.exposure("ap").start


# ------------------------------------------------------------------ what the past costs


def state_of(volume, **values):
    return SessionState(volume=volume, **values)


def test_a_history_forgets_the_oldest():
    history = History(SessionState(), limit=3)
    for number in range(5):
        history.record(str(number), SessionState(landmarks=(ASIS,) * number))
    assert [moment.why for moment in history.records] == ["2", "3", "4"]
    assert (history.at, history.can_redo, history.can_undo) == (2, False, True)


def test_the_past_is_bounded_in_bytes():
    # A CT: 5 x 6 x 7 voxels, float32 and int16, and 4 x 4 float64: 210 * 6 + 128 = 1388 bytes.
    volumes = [make_volume() for _ in range(5)]
    history = History(SessionState(), spare_bytes=3 * 1388)
    for number, volume in enumerate(volumes):
        history.record(str(number), state_of(volume))
        # The same CT again costs nothing.
        history.record(f"{number} again", state_of(volume, landmarks=(ASIS,)))
    assert [moment.why for moment in history.records][:2] == ["1", "1 again"]
    assert len(history) == 8
    assert history.now.state.volume is volumes[-1]


def test_the_last_step_is_kept_whatever_it_costs():
    history = History(state_of(make_volume()), spare_bytes=0)
    first = history.now.state.volume
    history.record("load CT", state_of(make_volume()))
    assert history.undo().state.volume is first


def test_another_patient_takes_nothing_of_the_first_along(busy):
    before, picked = busy.state(), busy.exposure("lateral").landmarks
    other = make_volume()
    other.world_from_index[:3, 3] += torch.tensor([400.0, -250.0, 90.0])
    assert busy.has_patient
    busy.replace_patient(other)
    assert (busy.labels, busy.landmarks, busy.results, busy.structures) == (None, (), (), ())
    assert busy.exposure("lateral").landmarks == picked
    # The middle of the new CT (test_session_changes: 17, -15.5, 74 before) is in the middle of
    # the beam: the point in front of the source, at the isocenter's distance of 620 mm.
    for entry in busy.exposures:
        pose = entry.world_from_camera
        reached = pose.translation + pose.rotation[:, 2] * 620.0
        assert reached.tolist() == pytest.approx([417.0, -265.5, 164.0])
        assert pose is entry.start
    assert busy.undo() == "replace the patient"
    assert alike(busy.state(), before)


def test_a_ct_alone_is_no_patient_that_could_be_mixed_up():
    session = Session()
    session.set_volume(make_volume())
    assert not session.has_patient
    session.set_landmarks([ASIS])
    assert session.has_patient
