"""Undo, redo, the rigid rig, named poses: laws, and one motion worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, strategies as st
from session_parts import close, make_radiograph, make_registration, twist

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.session import Session

numbers = st.floats(-1.0, 1.0)
twists = st.tuples(*[numbers] * 3, *[st.floats(-60.0, 60.0)] * 3)


def relative(session):
    a, b = (entry.world_from_camera for entry in session.exposures.all)
    return a.inverse() @ b


def poses_of(session):
    return {entry.name: entry.world_from_camera for entry in session.exposures.all}


def two_views(locked=True):
    made = Session()
    made.poses.rig_locked = locked
    made.exposures.add(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    made.exposures.add(make_radiograph(CArmPose(83.0, 5.0, -3.0)), name="lateral")
    return made


def test_the_rig_moves_as_one_by_hand():
    # The active camera stands at (10, 20, 30), the other at (1, 2, 3). The active one is carried
    # a quarter turn about the world's z axis: (x, y) -> (-y, x), so to (-20, 10, 30); the other
    # must be carried to (-2, 1, 3), and its x axis from (1, 0, 0) to (0, 1, 0).
    session = two_views()
    eye = torch.eye(3, dtype=torch.float64)
    here, there = (
        Pose(eye, torch.tensor(p, dtype=torch.float64)) for p in ((10.0, 20, 30), (1.0, 2, 3))
    )
    session.poses.set_several(
        {session.exposures.named("lateral").id: here, session.exposures.named("frontal").id: there},
        "placed",
    )
    quarter = Pose.exp(torch.tensor([0, 0, math.pi / 2, 0, 0, 0], dtype=torch.float64))
    session.poses.move(quarter @ here)
    frontal, lateral = poses_of(session).values()
    assert lateral.translation.tolist() == pytest.approx([-20.0, 10.0, 30.0])
    assert frontal.translation.tolist() == pytest.approx([-2.0, 1.0, 3.0])
    assert frontal.rotation[:, 0].tolist() == pytest.approx([0.0, 1.0, 0.0])


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["frontal", "lateral"]), twists), max_size=5))
def test_a_locked_rig_stays_rigid(moves):
    session = two_views()
    before = relative(session)
    for name, numbers in moves:
        pose = session.exposures.named(name).world_from_camera
        session.poses.move(twist(*numbers) @ pose, exposure=session.exposures.named(name).id)
        assert close(session.exposures.named(name).world_from_camera, twist(*numbers) @ pose)
    assert close(relative(session), before, 1e-8)


def test_an_unlocked_rig_does_not_move_the_others():
    session = two_views(locked=False)
    before = poses_of(session)["frontal"]
    session.poses.set(twist(0.1, 0.2, 0.3, 4, 5, 6) @ session.poses.current, "drag")
    assert poses_of(session)["frontal"] is before


def test_a_radiograph_that_comes_later_joins_the_rig():
    # Both headers are of one rig. The patient was moved before the second was opened.
    session, reference = Session(), two_views()
    session.exposures.add(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    session.poses.set(twist(0.1, -0.2, 0.05, 7, -8, 9) @ session.poses.current, "drag")
    session.exposures.add(make_radiograph(CArmPose(83.0, 5.0, -3.0)), name="lateral")
    assert close(relative(session), relative(reference))
    assert close(session.exposures.active.start, reference.exposures.active.start)
    assert session.undo() == "add radiograph lateral"
    assert [entry.name for entry in session.exposures.all] == ["frontal"]
    assert session.undo() == "drag"
    assert close(
        session.exposures.named("frontal").world_from_camera,
        session.exposures.named("frontal").start,
    )
    session.redo()
    session.redo()
    assert close(relative(session), relative(reference))


def test_a_start_that_is_given_is_where_it_stands():
    session = two_views()
    session.poses.set(twist(0.1, 0, 0, 0, 5, 0) @ session.poses.current, "drag")
    start = twist(0.3, 0.2, 0.1, 1, 2, 3)
    added = session.exposures.add(make_radiograph(), start=start)
    assert session.exposures[added].world_from_camera is start


# ------------------------------------------------------------------ undo and redo


@pytest.mark.slow
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("set"), twists),
            st.tuples(st.just("drag"), twists),
            st.tuples(st.sampled_from(["undo", "redo", "reset", "recall"]), st.none()),
        ),
        max_size=9,
    )
)
def test_undo_and_redo_undo_each_other(actions):
    session = two_views()
    kept = session.poses.save("kept")
    beginning = session.history.at
    for action, numbers in actions:
        if action == "undo" and session.history.at == beginning:
            continue
        if action == "set":
            session.poses.set(twist(*numbers) @ session.poses.current, "set")
        elif action == "drag":
            session.poses.move(twist(*numbers) @ session.poses.current)
        elif action == "recall":
            session.poses.load(kept)
        elif action == "reset":
            session.poses.reset()
        else:
            getattr(session, action)()
        for moment in session.history.records[beginning:]:
            assert moment.state.poses.keys() == session.state.poses.keys()
    here = poses_of(session)
    session.poses.record("settled")
    if session.history.at == beginning:
        return
    undone = session.undo()
    assert not all(close(poses_of(session)[key], here[key], 0) for key in here)
    assert session.redo() == undone
    assert all(close(poses_of(session)[key], here[key], 0) for key in here)


@given(st.integers(1, 6))
def test_undo_to_the_beginning_and_back(count):
    session = two_views()
    seen = [poses_of(session)]
    for number in range(count):
        session.poses.set(
            twist(0.01, 0, 0, number + 1.0, 0, 0) @ session.poses.current, f"move {number}"
        )
        seen.append(poses_of(session))
    undone = []
    for _ in range(count):
        undone.append(session.undo())
        expected = seen[-1 - len(undone)]
        assert all(poses_of(session)[key] is expected[key] for key in expected)
    assert undone == [f"move {n}" for n in reversed(range(count))]
    while session.redo() is not None:
        pass
    assert all(poses_of(session)[key] is seen[-1][key] for key in seen[-1])


def test_a_move_after_undo_drops_what_was_undone(session):
    start = session.poses.current
    session.poses.set(twist(0, 0, 0, 1, 2, 3) @ start, "first")
    session.undo()
    session.poses.set(twist(0, 0, 0, 9, 8, 7) @ start, "second")
    assert session.redo() is None
    assert session.undo() == "second"
    assert session.poses.current is start


def test_what_was_dragged_and_not_recorded_is_not_lost(session):
    start = session.poses.current
    dragged = twist(0, 0, 0, 3, 1, 2) @ start
    session.poses.move(dragged)
    assert session.undo() == "move"
    assert session.poses.current is start
    assert session.redo() == "move"
    assert session.poses.current is dragged


def test_a_record_of_nothing_is_no_step(session):
    length = len(session.history)
    session.poses.record("released")
    session.poses.set(session.poses.current, "the same")
    session.poses.reset()
    assert len(session.history) == length


def test_poses_are_kept_in_double_precision_without_gradients(session):
    single = twist(0.1, 0.2, 0.3, 4, 5, 6)
    single = Pose(
        single.rotation.float().requires_grad_(), single.translation.float().requires_grad_()
    )
    session.poses.set(single, "from a network")
    assert session.poses.current.rotation.dtype == torch.float64
    assert not session.poses.current.rotation.requires_grad
    assert close(session.poses.current, twist(0.1, 0.2, 0.3, 4, 5, 6), 1e-5)


# ------------------------------------------------------------------ names, results


def test_named_poses(session):
    start = session.poses.current
    kept = session.poses.save("before")
    session.poses.set(twist(0.1, 0, 0, 4, 0, 0) @ start, "drag")
    session.poses.load(kept)
    assert session.poses.current is start
    assert session.history.records[-1].why == "pose 'before'"
    assert session.undo() == "pose 'before'"
    session.poses.delete(kept)
    assert not session.poses.named
    with pytest.raises(ValueError, match="needs a name"):
        session.poses.save(" ")


def test_reset_goes_back_to_every_start(session):
    starts = {entry.name: entry.start for entry in session.exposures.all}
    session.poses.set(twist(0.1, 0, 0.2, 4, 0, 1) @ session.poses.current, "drag")
    session.poses.reset()
    assert all(poses_of(session)[key] is starts[key] for key in starts)
    assert session.undo() == "reset"


def test_an_accepted_result_takes_the_rest_of_the_rig_along(session):
    before = relative(session)
    found = twist(0.1, 0.2, -0.1, 5, -6, 7) @ session.poses.current
    name = session.results.add(
        make_registration([found]), [session.exposures.named("lateral").id], {"method": "lm"}
    )
    assert session.poses.current is not found
    session.results.accept(name)
    assert session.poses.current is found
    assert close(relative(session), before)
    assert session.undo() == "result 1 accepted"


def test_an_accepted_result_of_both_views(session):
    found = [twist(0.1, 0, 0, 1, 2, 3), twist(0, 0.3, 0, 4, 5, 6)]
    name = session.results.add(
        make_registration(found),
        [session.exposures.named("lateral").id, session.exposures.named("frontal").id],
        {},
    )
    session.results.accept(name)
    assert poses_of(session) == {"frontal": found[1], "lateral": found[0]}
    with pytest.raises(ValueError, match="poses of 2 radiographs, but 1 are named"):
        session.results.add(make_registration(found), [session.exposures.named("frontal").id], {})


def test_results_are_numbered_and_discarded(session):
    first = session.results.add(
        make_registration([session.poses.current]), [session.exposures.named("lateral").id], {}
    )
    second = session.results.add(
        make_registration([session.poses.current]), [session.exposures.named("lateral").id], {}
    )
    names = [session.results[id].name for id in (first, second)]
    assert names == ["result 1", "result 2"]
    session.results.discard(first)
    assert [result.id for result in session.results.all] == [second]


def test_moving_without_a_radiograph():
    for act in (
        lambda s: s.poses.move(Pose.identity()),
        lambda s: s.poses.set(Pose.identity(), "x"),
    ):
        with pytest.raises(ValueError, match="load one first"):
            act(Session())
    assert Session().undo() is None
    assert Session().redo() is None


@pytest.mark.slow
def test_a_rig_stays_a_rig_through_a_long_drag():
    """The pose of a file may be off a rotation by 1e-5; two thousand moves of a mouse must not add that up."""
    made = two_views(locked=False)
    other = made.exposures.named("frontal").world_from_camera
    pose = made.poses.current
    pose = Pose(pose.rotation * (1 + 1e-5), pose.translation)
    made.poses.move(pose)
    made.poses.rig_locked = True
    step = torch.tensor([1e-4, -2e-4, 1e-4, 0.02, 0.01, -0.03], dtype=torch.float64)
    expected = other
    for _ in range(2000):
        pose = pose.left_perturb(step, torch.zeros(3, dtype=torch.float64))
        expected = expected.left_perturb(step, torch.zeros(3, dtype=torch.float64))
        made.poses.move(pose)
    found = made.exposures.named("frontal").world_from_camera
    assert torch.allclose(found.matrix(), expected.matrix(), atol=1e-6, rtol=0)
