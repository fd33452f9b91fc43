"""Undo of everything: each change taken back and done again, and what the past may cost."""

from dataclasses import replace

import pytest
import torch
from session_parts import close, make_labels, make_radiograph, make_registration, make_volume, twist

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark
from napari_xreg.session import History, Session, SessionState, flip_exposure, rotate_exposure
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
    session.patient.set_structures([77])
    session.landmarks.set([ASIS])
    session.landmarks.set_picked(
        session.exposures.named("lateral").id, [Landmark("asis", pixel=(3.5, 4.25))]
    )
    session.exposures.set_painted(session.exposures.named("lateral").id, mask())
    session.poses.save("kept")
    session.poses.set(MOVED @ session.poses.current, "drag")
    session.results.add(
        make_registration([session.poses.current]), [session.exposures.named("lateral").id], {}
    )
    return session


# What is done, and what undo calls it.
STEPS = {
    "another CT": (lambda s: s.patient.set_volume(make_volume()), "load CT"),
    "no CT": (lambda s: s.patient.set_volume(None), "remove the CT"),
    "another label map": (
        lambda s: s.patient.set_labels(make_labels(s.patient.volume)),
        "load label map",
    ),
    "no label map": (lambda s: s.patient.set_labels(None), "remove the label map"),
    "structures": (lambda s: s.patient.set_structures([25]), "choose structures"),
    "no structures": (lambda s: s.patient.set_structures([]), "use the whole CT"),
    "isocenter": (lambda s: s.patient.set_isocenter(torch.ones(3)), "move the isocenter"),
    "add": (lambda s: s.exposures.add(make_radiograph(), name="ap"), "add radiograph ap"),
    "remove": (
        lambda s: s.exposures.remove(s.exposures.named("lateral").id),
        "remove radiograph lateral",
    ),
    "rename": (
        lambda s: s.exposures.rename(s.exposures.named("lateral").id, "side"),
        "rename lateral to side",
    ),
    "crop": (
        lambda s: s.exposures.replace_image(
            s.exposures.named("lateral").id, s.exposures.active.radiograph.crop(1, 2, 9, 11)
        ),
        "change radiograph lateral",
    ),
    "geometry": (
        lambda s: s.exposures.replace_image(
            s.exposures.named("lateral").id,
            with_distance(s.exposures.active.radiograph, 1234.0),
            why="geometry of lateral",
        ),
        "geometry of lateral",
    ),
    "turn": (
        lambda s: s.exposures.replace(rotate_exposure(s.exposures.active, 1), why="turn lateral"),
        "turn lateral",
    ),
    "flip": (
        lambda s: s.exposures.replace(flip_exposure(s.exposures.active)),
        "change radiograph lateral",
    ),
    "not used": (
        lambda s: s.exposures.set_used(s.exposures.named("lateral").id, False),
        "leave lateral out",
    ),
    "mask": (
        lambda s: s.exposures.set_painted(
            s.exposures.named("frontal").id, torch.zeros(12, 17).bool()
        ),
        "mask on frontal",
    ),
    "no mask": (
        lambda s: s.exposures.set_painted(s.exposures.named("lateral").id, None),
        "clear the mask of lateral",
    ),
    "start": (lambda s: s.exposures.set_start(s.exposures.named("lateral").id), "start of lateral"),
    "landmark added": (
        lambda s: s.landmarks.set([ASIS, Landmark("psis", (4.0, 5.0, 6.0))]),
        "add landmark psis in the CT",
    ),
    "landmark moved": (
        lambda s: s.landmarks.set([Landmark("asis", (7.0, 2.0, 3.0))]),
        "change landmark asis in the CT",
    ),
    "landmark renamed": (
        lambda s: s.landmarks.set([Landmark("left", (1.0, 2.0, 3.0))]),
        "rename landmark asis to left",
    ),
    "all landmarks": (lambda s: s.landmarks.set([]), "remove landmark asis in the CT"),
    "pick": (
        lambda s: s.landmarks.set_picked(
            s.exposures.named("frontal").id, [Landmark("asis", pixel=(1.0, 2.0))]
        ),
        "add landmark asis on frontal",
    ),
    "left out": (
        lambda s: s.landmarks.set_left_out(s.exposures.named("lateral").id, ["asis"]),
        "landmarks used on lateral",
    ),
    "pose": (lambda s: s.poses.set(MOVED, "pose pasted"), "pose pasted"),
    "reset": (lambda s: s.poses.reset(), "reset"),
    "keep": (lambda s: s.poses.save("here"), "save pose 'here'"),
    "forget": (lambda s: s.poses.delete(s.poses.named[0].id), "delete pose 'kept'"),
    "result": (
        lambda s: s.results.add(
            make_registration([s.poses.current]), [s.exposures.named("lateral").id], {}
        ),
        "result 2",
    ),
    "discard": (
        lambda s: s.results.discard(s.results.named("result 1").id),
        "discard result 1",
    ),
    "open": (lambda s: s.restore(Session().capture()()), "open session"),
}


@pytest.mark.parametrize("what", STEPS)
def test_every_change_is_undone_and_done_again(busy, what):
    change, why = STEPS[what]
    before, rendered = busy.state, busy.patient.rendered_volume
    change(busy)
    after = busy.state
    assert not alike(before, after)
    assert busy.history.undoes == why
    assert busy.undo() == why
    assert alike(busy.state, before)
    assert busy.exposures.active.name == "lateral"
    assert torch.equal(busy.patient.rendered_volume.lac, rendered.lac)
    assert busy.history.redoes == why
    assert busy.redo() == why
    assert alike(busy.state, after)
    # And the steps before are still there.
    busy.undo()
    assert busy.undo() == "result 1"
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
    assert {"history"} < set(undone) or what in ("keep", "forget")
    for said in heard:
        assert alike(said.state, busy.state)  # complete before it was said


def test_undo_of_a_pose_keeps_what_was_made_of_the_ct(busy):
    """A refinement that runs compares by identity, and restricting a large CT takes seconds."""
    shown = busy.patient.rendered_volume
    busy.undo()
    busy.undo()
    busy.redo()
    assert busy.patient.rendered_volume is shown


def test_undo_shows_the_same_radiograph_unless_another_came_or_went(busy):
    busy.poses.set(twist(0, 0, 0, 1, 0, 0) @ busy.poses.current, "shift")
    busy.exposures.activate(busy.exposures.named("frontal").id)
    busy.undo()
    assert busy.exposures.active.name == "frontal"
    busy.exposures.activate(busy.exposures.named("lateral").id)
    busy.exposures.remove(busy.exposures.named("lateral").id)
    busy.undo()
    assert busy.exposures.active.name == "lateral"


def test_no_undo_locks_or_unlocks_the_rig(busy):
    busy.poses.rig_locked = False
    busy.undo()
    assert busy.poses.rig_locked is False


def test_what_was_dragged_comes_back_before_another_change_is_undone(busy):
    here = busy.poses.current
    dragged = twist(0, 0, 0, 3, 1, 2) @ here
    busy.poses.move(dragged)
    busy.landmarks.set([])
    assert busy.undo() == "remove landmark asis in the CT"
    assert busy.poses.current is dragged
    assert busy.undo() == "move"
    assert busy.poses.current is here


def test_several_changes_are_one_step_and_all_or_nothing(busy, heard):
    before = busy.state
    with busy.one_step("load sample"):
        busy.patient.set_volume(make_volume())
        busy.landmarks.set([])
        busy.exposures.add(make_radiograph())
    assert busy.undo() == "load sample"
    assert alike(busy.state, before)
    heard.clear()

    def fails_halfway():
        with busy.one_step("load sample"):
            busy.patient.set_volume(None)
            busy.exposures.rename(busy.exposures.named("lateral").id, " ")

    with pytest.raises(ValueError, match="needs a name"):
        fails_halfway()
    assert alike(busy.state, before)
    assert busy.patient.volume is before.volume
    assert not heard  # nobody was told of what was not to be
    assert busy.undo() == "result 1"


def test_a_step_that_fails_is_not_taken_for_what_was_moved_before_it(busy):
    steps, moved = len(busy.history), twist(0.0, 0.0, 0.0, 4.0, 0.0, 0.0) @ busy.poses.current
    busy.poses.move(moved)

    def fails():
        with busy.one_step("landmarks", since_recorded=True):
            busy.poses.move(twist(0.0, 0.1, 0.0, 0.0, 0.0, 0.0) @ moved)
            busy.landmarks.set([Landmark("no place", pixel=(1.0, 2.0))])

    with pytest.raises(ValueError, match="need a position"):
        fails()
    assert len(busy.history) == steps
    assert busy.poses.current is busy.exposures.active.world_from_camera
    assert close(busy.poses.current, moved)


def test_a_drag_is_one_step_however_often_it_moves(busy):
    count, start = len(busy.history), busy.poses.current
    for number in range(50):
        busy.poses.move(twist(0, 0, 0, number + 1.0, 0, 0) @ start)
    assert len(busy.history) == count
    busy.poses.record("drag by hand")
    assert len(busy.history) == count + 1
    assert busy.undo() == "drag by hand"
    assert busy.poses.current is start


def test_what_follows_by_itself_is_undone_with_its_cause(busy):
    busy.landmarks.set_picked(
        busy.exposures.named("lateral").id, [Landmark("asis", pixel=(5.5, 6.25))]
    )
    here = busy.poses.current
    busy.poses.move(twist(0, 0, 0, 3, 1, 2) @ here)
    busy.amend()
    assert busy.undo() == "change landmark asis on lateral"
    assert busy.poses.current is here
    busy.redo()
    assert busy.poses.current is not here


def test_a_session_opened_in_place_of_another_is_one_step_and_keeps_its_poses(session, busy):
    other = Session()
    other.exposures.add(make_radiograph(CArmPose(11.0, 3.0)), name="ap")
    other.poses.set(MOVED @ other.poses.current, "first")
    other.poses.set(MOVED @ other.poses.current, "second")
    before = busy.state
    busy.restore(other.capture()())
    assert [record.why for record in busy.capture()().records] == [
        "add radiograph ap", "first", "second",
    ]  # fmt: skip
    assert busy.undo() == "open session"
    assert alike(busy.state, before)
    fresh = Session()
    fresh.restore(other.capture()())
    assert (fresh.undo(), fresh.undo(), fresh.undo()) == ("second", "first", None)
    assert fresh.poses.current is other.exposures.named("ap").start


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
    before, picked = busy.state, busy.exposures.named("lateral").landmarks
    other = make_volume()
    other.world_from_index[:3, 3] += torch.tensor([400.0, -250.0, 90.0])
    assert busy.patient.in_use
    busy.patient.replace(other)
    assert (busy.patient.labels, busy.landmarks.all, busy.results.all, busy.patient.structures) == (
        None,
        (),
        (),
        (),
    )
    assert busy.exposures.named("lateral").landmarks == picked
    # The middle of the new CT (test_session_changes: 17, -15.5, 74 before) is in the middle of
    # the beam: the point in front of the source, at the isocenter's distance of 620 mm.
    for entry in busy.exposures.all:
        pose = entry.world_from_camera
        reached = pose.translation + pose.rotation[:, 2] * 620.0
        assert reached.tolist() == pytest.approx([417.0, -265.5, 164.0])
        assert pose is entry.start
    assert busy.undo() == "replace the patient"
    assert alike(busy.state, before)


def test_a_ct_alone_is_no_patient_that_could_be_mixed_up():
    session = Session()
    session.patient.set_volume(make_volume())
    assert not session.patient.in_use
    session.landmarks.set([ASIS])
    assert session.patient.in_use
