"""What a session says about its changes, and what goes with a CT or a radiograph that changes."""

from dataclasses import replace

import pytest
import torch
from session_parts import (
    close,
    make_labels,
    make_radiograph,
    make_registration,
    make_volume,
    signals_of,
    twist,
)

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark, Volume
from napari_xreg.session import (
    Session,
    Source,
    read_session,
    rotate_exposure,
    same_pose,
    write_session,
)


def isocenter():
    return torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def painted(session, name="lateral"):
    mask = torch.ones(
        session.exposures.named(name).radiograph.carm.detector.shape, dtype=torch.bool
    )
    mask[2, 3] = False
    return mask


def picked():
    return [Landmark("asis", pixel=(3.5, 4.25))]


def result(session):
    return session.results.add(
        make_registration([session.poses.current]), [session.exposures.named("lateral").id], {}
    )


MOVED = twist(0.1, 0.2, 0.3, 4, 5, 6)

# What is done, and every signal it gives, each once.
CHANGES = {
    "set_volume": (lambda s: s.patient.set_volume(make_volume()), {"volume", "history"}),
    "set_labels": (
        lambda s: s.patient.set_labels(make_labels(s.patient.volume)),
        {"volume", "history"},
    ),
    "set_structures": (
        lambda s: s.patient.set_structures([77]),
        {"volume", "radiographs", "pose", "history"},
    ),
    "no structures as before": (lambda s: s.patient.set_structures([]), set()),
    "set_isocenter": (lambda s: s.patient.set_isocenter(isocenter()), {"volume", "history"}),
    "add_radiograph": (
        lambda s: s.exposures.add(make_radiograph()),
        {"radiographs", "active", "history"},
    ),
    "remove the active": (
        lambda s: s.exposures.remove(s.exposures.named("lateral").id),
        {"radiographs", "active", "history"},
    ),
    "remove another": (
        lambda s: s.exposures.remove(s.exposures.named("frontal").id),
        {"radiographs", "history"},
    ),
    "rename": (
        lambda s: s.exposures.rename(s.exposures.named("frontal").id, "ap"),
        {"radiographs", "history"},
    ),
    "replace": (
        lambda s: s.exposures.replace_image(s.exposures.named("lateral").id, make_radiograph()),
        {"radiographs", "history"},
    ),
    "turn": (
        lambda s: s.exposures.replace(rotate_exposure(s.exposures.active, 1)),
        {"radiographs", "pose", "history"},
    ),
    "set_active": (lambda s: s.exposures.activate(s.exposures.named("frontal").id), {"active"}),
    "the active as before": (
        lambda s: s.exposures.activate(s.exposures.named("lateral").id),
        set(),
    ),
    "set_used": (
        lambda s: s.exposures.set_used(s.exposures.named("lateral").id, False),
        {"radiographs", "history"},
    ),
    "used as before": (
        lambda s: s.exposures.set_used(s.exposures.named("lateral").id, True),
        set(),
    ),
    "set_painted": (
        lambda s: s.exposures.set_painted(s.exposures.named("lateral").id, painted(s)),
        {"mask", "history"},
    ),
    "set_start": (
        lambda s: s.exposures.set_start(s.exposures.named("lateral").id, MOVED),
        {"radiographs", "history"},
    ),
    "move": (lambda s: s.poses.move(MOVED), {"pose"}),
    "set_pose": (lambda s: s.poses.set(MOVED, "x"), {"pose", "history"}),
    "set_poses": (
        lambda s: s.poses.set_several({s.exposures.named("frontal").id: MOVED}, "x"),
        {"pose", "history"},
    ),
    "name_pose": (lambda s: s.poses.save("x"), {"history"}),
    "set_landmarks": (
        lambda s: s.landmarks.set([Landmark("asis", position=(1.0, 2.0, 3.0))]),
        {"landmarks", "history"},
    ),
    "set_picked": (
        lambda s: s.landmarks.set_picked(s.exposures.named("lateral").id, picked()),
        {"landmarks", "history"},
    ),
    "add_result": (result, {"results", "history"}),
    "restore": (
        lambda s: s.restore(Session().capture()()),
        {"volume", "radiographs", "active", "history"},
    ),
}
# The same after a drag.
LATER = {
    "undo": (lambda s: s.undo(), {"pose", "history"}),
    "reset": (lambda s: s.poses.reset(), {"pose", "history"}),
    "recall_pose": (lambda s: s.poses.load(s.poses.named[0].id), {"pose", "history"}),
    "forget_pose": (lambda s: s.poses.delete(s.poses.named[0].id), {"history"}),
    "redo without anything": (lambda s: s.redo(), set()),
    "accept": (lambda s: s.results.accept(s.results.named("result 1").id), {"pose", "history"}),
    "discard": (
        lambda s: s.results.discard(s.results.named("result 1").id),
        {"results", "history"},
    ),
    "another CT": (lambda s: s.patient.set_volume(make_volume()), {"volume", "results", "history"}),
    "remove what a result used": (
        lambda s: s.exposures.remove(s.exposures.named("lateral").id),
        {"radiographs", "active", "history", "results"},
    ),
    "turn what a result used": (
        lambda s: s.exposures.replace(rotate_exposure(s.exposures.active, 3)),
        {"radiographs", "pose", "history", "results"},
    ),
}


def said_once(heard, act, session, expected):
    act(session)
    final = session.capture()()
    assert sorted(said.name for said in heard) == sorted(expected)
    # Whoever listens to the first signal already sees the change as a whole.
    for said in heard:
        for field in ("volume", "structures", "active", "at", "isocenter"):
            was, is_now = getattr(said.state, field), getattr(final, field)
            same = was is is_now if isinstance(was, torch.Tensor) else was == is_now
            assert same, (said.name, field)
        assert len(said.state.results) == len(final.results)
        assert [e.world_from_camera for e in said.state.exposures] == [
            e.world_from_camera for e in final.exposures
        ]


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_said_once_and_when_it_is_complete(session, heard, what):
    said_once(heard, CHANGES[what][0], session, CHANGES[what][1])


@pytest.mark.parametrize("what", LATER)
def test_later_changes(session, heard, what):
    session.poses.save("kept")
    result(session)
    session.poses.set(MOVED @ session.poses.current, "drag")
    heard.clear()
    said_once(heard, LATER[what][0], session, LATER[what][1])


def test_two_sessions_do_not_mix(session):
    other = Session()
    said = []
    for name, signal in signals_of(other).items():
        signal.connect(lambda name=name: said.append(name))
    session.poses.set(MOVED, "drag")
    session.patient.set_volume(make_volume())
    session.exposures.remove(session.exposures.named("lateral").id)
    assert said == []
    assert other.exposures.all == ()
    assert other.undo() is None
    assert other.patient.volume is None


# ------------------------------------------------------------------ the CT


def test_structures_restrict_what_is_rendered(session):
    assert session.patient.rendered_volume is session.patient.volume
    session.patient.set_structures([77, 77])
    assert session.patient.structures == (77,)
    shown = session.patient.rendered_volume
    assert shown is session.patient.rendered_volume  # remembered: it is made once
    inside = session.patient.labels.ids == 77
    shown = session.patient.rendering.restricted()
    assert torch.equal(shown.lac[inside], session.patient.volume.lac[inside])
    assert float(shown.lac[~inside].abs().max()) == 0.0
    session.patient.set_structures([])
    assert session.patient.rendered_volume is session.patient.volume
    with pytest.raises(ValueError, match=r"none of the labels \[5\] occurs"):
        session.patient.set_structures([5])
    session.patient.set_labels(None)
    with pytest.raises(ValueError, match="load one first"):
        session.patient.set_structures([77])


def test_labels_belong_to_a_ct(session):
    labels = session.patient.labels
    with pytest.raises(ValueError, match="load the CT first"):
        Session().patient.set_labels(labels)
    session.patient.set_structures([25])
    session.patient.set_volume(make_volume())
    assert session.patient.labels is None
    assert session.patient.structures == ()
    with pytest.raises(ValueError, match="same grid"):
        session.patient.set_labels(replace(labels, ids=labels.ids[:-1]))


def test_the_isocenter_is_the_middle_of_the_ct_unless_set(session):
    # Middle voxel (x, y, z) index (3, 2.5, 2) of 2 x 3 x 5 mm from (11, -23, 64).
    assert session.patient.isocenter.tolist() == [17.0, -15.5, 74.0]
    given = isocenter()
    session.patient.set_isocenter(given)
    given += 5.0
    assert session.patient.isocenter.tolist() == [1.0, 2.0, 3.0]
    session.patient.set_isocenter(None)
    assert session.patient.isocenter.tolist() == [17.0, -15.5, 74.0]
    for wrong in (torch.tensor([1.0, float("nan"), 2.0]), torch.zeros(2)):
        with pytest.raises((ValueError, TypeError)):
            session.patient.set_isocenter(wrong)


@pytest.mark.parametrize("nominal", [None, CArmPose(31.0, -12.0, 4.0)])
def test_it_does_not_matter_which_file_is_opened_first(nominal):
    one, other = Session(), Session()
    one.patient.set_volume(make_volume())
    one.exposures.add(make_radiograph(nominal))
    other.exposures.add(make_radiograph(nominal))
    other.patient.set_volume(make_volume())
    for session in (one, other):
        assert close(session.poses.current, session.exposures.active.start, 0)
    assert close(one.poses.current, other.poses.current)
    assert other.undo() == "load CT"
    assert close(other.poses.current, other.exposures.active.start, 0)


def test_another_ct_of_the_patient_moves_no_pose_that_was_set(session):
    session.poses.set(MOVED @ session.poses.current, "registered")
    before, starts = session.poses.current, [entry.start for entry in session.exposures.all]
    moved = make_volume()
    moved.world_from_index[:3, 3] += 40.0
    session.patient.set_volume(moved)
    assert session.poses.current is before
    assert [entry.start for entry in session.exposures.all] == starts


def test_structures_are_what_an_assumed_start_looks_at():
    session = Session()
    session.patient.set_volume(make_volume())
    session.patient.set_labels(make_labels(session.patient.volume))
    rig = (make_radiograph(CArmPose(5.0, 6.0, 0.0)), make_radiograph(CArmPose(80.0, 6.0, 0.0)))
    ids = [session.exposures.add(one) for one in rig]

    def looked_at(id):
        """What lies on the central ray at the isocenter's distance."""
        at = session.exposures[id]
        depth = at.radiograph.carm.source_to_isocenter
        return at.world_from_camera.apply(torch.tensor([0.0, 0.0, depth]).double()).tolist()

    session.patient.set_structures([77])
    assert session.patient.isocenter.tolist() == [16.0, -15.5, 71.5]
    for id in ids:
        assert looked_at(id) == pytest.approx([16.0, -15.5, 71.5])
        assert same_pose(session.exposures[id].start, session.exposures[id].world_from_camera)
    assert session.undo() == "choose structures"
    assert looked_at(ids[0]) == pytest.approx([17.0, -15.5, 74.0])
    session.redo()
    session.patient.set_labels(None)
    assert looked_at(ids[1]) == pytest.approx([17.0, -15.5, 74.0])
    # What somebody moved stays.
    session.patient.set_labels(make_labels(session.patient.volume))
    session.poses.set(twist(0, 0, 0, 1, 2, 3) @ session.poses.current, "drag")
    stood = looked_at(ids[1])
    session.patient.set_structures([25])
    assert looked_at(ids[1]) == stood
    assert session.patient.middle.tolist() == [18.0, -9.5, 81.5]


def test_a_file_that_knows_its_isocenter_keeps_it():
    session = Session()
    session.exposures.add(make_radiograph(CArmPose(5.0, 6.0, 0.0, isocenter=(9.0, 8.0, 7.0))))
    before = session.poses.current
    session.patient.set_volume(make_volume())
    assert session.poses.current is before
    # The central ray passes through it: source + z * 620 mm.
    reached = before.translation + before.rotation[:, 2] * 620.0
    assert reached.tolist() == pytest.approx([9.0, 8.0, 7.0])


# ------------------------------------------------------------------ radiographs


def test_names_are_made_unique(session):
    added = [session.exposures.add(make_radiograph(), name="frontal") for _ in range(2)]
    names = [session.exposures[id].name for id in added]
    assert names == ["frontal 2", "frontal 3"]
    assert session.exposures.active.name == "frontal 3"
    with pytest.raises(ValueError, match="needs a name"):
        session.exposures.add(make_radiograph(), name=" ")
    assert len(session.exposures.all) == 4


def test_a_removed_radiograph_leaves_no_trace_in_the_named_poses(session):
    session.poses.save("kept")
    session.exposures.remove(session.exposures.named("lateral").id)
    assert session.exposures.active.name == "frontal"
    (kept,) = session.poses.named
    assert set(kept.poses) == {session.exposures.named("frontal").id}
    again = session.exposures.add(make_radiograph(CArmPose(70.0, 2.0)), name="lateral")
    assert session.exposures[again].name == "lateral"
    session.exposures.remove(session.exposures.named("lateral").id)
    session.exposures.remove(session.exposures.named("frontal").id)
    assert session.exposures.active is None
    assert not session.poses.named


def test_another_image_keeps_what_still_fits(session):
    session.exposures.set_painted(session.exposures.named("lateral").id, painted(session))
    session.landmarks.set_picked(session.exposures.named("lateral").id, picked())
    pose = session.poses.current
    carm = replace(session.exposures.active.radiograph.carm, source_to_detector=1234.0)
    session.exposures.replace_image(
        session.exposures.named("lateral").id,
        replace(session.exposures.active.radiograph, carm=carm),
    )
    assert session.exposures.active.painted is not None
    assert session.exposures.active.landmarks == tuple(picked())
    assert not session.exposures.active.edited  # an override changes no pixel
    session.exposures.replace_image(
        session.exposures.named("lateral").id, session.exposures.active.radiograph.crop(1, 2, 9, 11)
    )
    assert session.exposures.active.painted is None
    assert session.exposures.active.landmarks == ()
    assert session.exposures.active.edited
    assert session.poses.current is pose
    again = Source("/cropped.npz")
    session.exposures.replace_image(
        session.exposures.named("lateral").id, session.exposures.active.radiograph, source=again
    )
    assert session.exposures.active.source is again
    assert not session.exposures.active.edited


def test_the_named_poses_turn_with_a_radiograph(session):
    kept = session.poses.save("kept")
    session.exposures.replace(rotate_exposure(session.exposures.active, 1))
    assert session.exposures.active.edited
    now = session.poses.current
    session.poses.set(MOVED @ now, "drag")
    session.poses.load(kept)
    assert close(session.poses.current, now)


def test_what_refinement_is_given(session):
    session.exposures.set_used(session.exposures.named("frontal").id, False)
    session.exposures.set_painted(session.exposures.named("lateral").id, painted(session))
    (view,) = session.exposures.views()
    assert view.world_from_camera is session.poses.current
    assert int((~view.radiograph.usable).sum()) == 1
    assert not view.radiograph.usable[2, 3]


def test_landmarks_need_what_they_are_for(session):
    with pytest.raises(ValueError, match="need a position"):
        session.landmarks.set(picked())
    with pytest.raises(ValueError, match="need a pixel"):
        session.landmarks.set_picked(
            session.exposures.named("lateral").id, [Landmark("asis", position=(1.0, 2.0, 3.0))]
        )
    with pytest.raises(ValueError, match="asis came twice"):
        session.landmarks.set_picked(session.exposures.named("lateral").id, picked() * 2)
    with pytest.raises(ValueError, match="rows and columns"):
        session.exposures.set_painted(
            session.exposures.named("lateral").id, torch.ones(3, 4, dtype=torch.bool)
        )
    assert session.exposures.active.landmarks == ()
    assert session.exposures.active.painted is None


def test_landmarks_and_isocenter_of_a_bone_come_back_with_it_and_are_saved(tmp_path):
    session = Session()
    bones = {"radius": make_volume(), "ulna": make_volume()}

    def show(where, name, before):
        where.patient.show_bone(bones[name], None, {}, name=name, before=before, shown={})

    session.patient.set_volume(bones["radius"])
    tip, head = (
        Landmark("tip", position=(1.0, 2.0, 3.0)),
        Landmark("head", position=(4.0, 5.0, 6.0)),
    )
    session.landmarks.set([tip])
    session.patient.set_isocenter(isocenter())
    show(session, "ulna", "radius")
    assert session.landmarks.all == ()
    assert session.state.isocenter is None
    session.landmarks.set([head])
    write_session(tmp_path / "s.xreg.json", session)
    for each in (session, read_session(tmp_path / "s.xreg.json")):
        assert each.landmarks.all == (head,)
        show(each, "radius", "ulna")
        assert each.landmarks.all == (tip,)
        assert each.state.isocenter.tolist() == isocenter().tolist()
        show(each, "ulna", "radius")
        assert each.landmarks.all == (head,)
    # Another patient has none of them.
    session.patient.replace(make_volume())
    assert dict(session.state.of_bones) == {}


def test_vessels_are_drawn_as_read_while_every_radiograph_is_subtracted():
    """A vessel volume looks like bones alone, of which only what stands out from water is drawn."""
    session = Session()
    vessels = torch.zeros(9, 11, 8)
    vessels[2:4, :, 3:5], vessels[:, 5, 4] = 0.03, 0.05
    session.patient.set_volume(Volume(vessels, make_volume().world_from_index))
    assert session.patient.rendering.above_water
    session.exposures.add(replace(make_radiograph(), subtracted=True), name="dsa")
    drawn = session.patient.rendering
    assert not drawn.above_water
    assert session.patient.rendering is drawn  # not computed again
    session.exposures.add(make_radiograph(seed=5), name="plain")
    assert session.patient.rendering.above_water
    session.exposures.remove(session.exposures.named("plain").id)
    assert not session.patient.rendering.above_water
