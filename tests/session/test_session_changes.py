"""What a session says about its changes, and what goes with a CT or a radiograph that changes."""

from dataclasses import replace

import pytest
import torch
from session_parts import close, make_labels, make_radiograph, make_registration, make_volume, twist

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark
from napari_xreg.session import Session, Source
from napari_xreg.session.orientation import turned


def isocenter():
    return torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def painted(session, name="lateral"):
    mask = torch.ones(session.exposure(name).radiograph.carm.detector.shape, dtype=torch.bool)
    mask[2, 3] = False
    return mask


def picked():
    return [Landmark("asis", pixel=(3.5, 4.25))]


def result(session):
    return session.add_result(make_registration([session.pose]), ["lateral"], {})


MOVED = twist(0.1, 0.2, 0.3, 4, 5, 6)

# What is done, and every signal it gives, each once.
CHANGES = {
    "set_volume": (lambda s: s.set_volume(make_volume()), {"volume", "history"}),
    "set_labels": (lambda s: s.set_labels(make_labels(s.volume)), {"volume", "history"}),
    "set_structures": (lambda s: s.set_structures([77]), {"volume", "history"}),
    "no structures as before": (lambda s: s.set_structures([]), set()),
    "set_isocenter": (lambda s: s.set_isocenter(isocenter()), {"volume", "history"}),
    "add_radiograph": (
        lambda s: s.add_radiograph(make_radiograph()),
        {"radiographs", "active", "history"},
    ),
    "remove the active": (
        lambda s: s.remove_radiograph("lateral"),
        {"radiographs", "active", "history"},
    ),
    "remove another": (lambda s: s.remove_radiograph("frontal"), {"radiographs", "history"}),
    "rename": (lambda s: s.rename_radiograph("frontal", "ap"), {"radiographs", "history"}),
    "replace": (
        lambda s: s.replace_radiograph("lateral", make_radiograph()),
        {"radiographs", "history"},
    ),
    "turn": (
        lambda s: s.replace_exposure(turned(s.active, 1)),
        {"radiographs", "mask", "landmarks", "pose", "history"},
    ),
    "set_active": (lambda s: s.set_active("frontal"), {"active"}),
    "the active as before": (lambda s: s.set_active("lateral"), set()),
    "set_used": (lambda s: s.set_used("lateral", False), {"radiographs", "history"}),
    "used as before": (lambda s: s.set_used("lateral", True), set()),
    "set_painted": (lambda s: s.set_painted("lateral", painted(s)), {"mask", "history"}),
    "set_start": (lambda s: s.set_start("lateral", MOVED), {"radiographs", "history"}),
    "move": (lambda s: s.move(MOVED), {"pose"}),
    "set_pose": (lambda s: s.set_pose(MOVED, "x"), {"pose", "history"}),
    "set_poses": (lambda s: s.set_poses({"frontal": MOVED}, "x"), {"pose", "history"}),
    "name_pose": (lambda s: s.name_pose("x"), {"history"}),
    "set_landmarks": (
        lambda s: s.set_landmarks([Landmark("asis", position=(1.0, 2.0, 3.0))]),
        {"landmarks", "history"},
    ),
    "set_picked": (lambda s: s.set_picked("lateral", picked()), {"landmarks", "history"}),
    "add_result": (result, {"results", "history"}),
    "restore": (
        lambda s: s.restore(Session().state()),
        {"volume", "radiographs", "active", "pose", "history", "landmarks", "mask", "results"},
    ),
}
# The same after a drag.
LATER = {
    "undo": (lambda s: s.undo(), {"pose", "history"}),
    "reset": (lambda s: s.reset(), {"pose", "history"}),
    "recall_pose": (lambda s: s.recall_pose("kept"), {"pose", "history"}),
    "forget_pose": (lambda s: s.forget_pose("kept"), {"history"}),
    "redo without anything": (lambda s: s.redo(), set()),
    "accept": (lambda s: s.accept("refinement 1"), {"pose", "history"}),
    "discard": (lambda s: s.discard("refinement 1"), {"results", "history"}),
    "another CT": (lambda s: s.set_volume(make_volume()), {"volume", "results", "history"}),
    "remove what a result used": (
        lambda s: s.remove_radiograph("lateral"),
        {"radiographs", "active", "history", "results"},
    ),
    "turn what a result used": (
        lambda s: s.replace_exposure(turned(s.active, 3)),
        {"radiographs", "mask", "landmarks", "pose", "history", "results"},
    ),
}


def said_once(heard, act, session, expected):
    act(session)
    final = session.state()
    names = [said.name.removesuffix("_changed") for said in heard]
    assert sorted(names) == sorted(expected)
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
    session.name_pose("kept")
    result(session)
    session.set_pose(MOVED @ session.pose, "drag")
    heard.clear()
    said_once(heard, LATER[what][0], session, LATER[what][1])


def test_two_sessions_do_not_mix(session):
    other = Session()
    said = []
    for name in ("volume_changed", "pose_changed", "radiographs_changed", "history_changed"):
        getattr(other, name).connect(lambda name=name: said.append(name))
    session.set_pose(MOVED, "drag")
    session.set_volume(make_volume())
    session.remove_radiograph("lateral")
    assert said == []
    assert other.exposures == ()
    assert other.undo() is None
    assert other.volume is None


# ------------------------------------------------------------------ the CT


def test_structures_restrict_what_is_rendered(session):
    assert session.rendered_volume is session.volume
    session.set_structures([77, 77])
    assert session.structures == (77,)
    shown = session.rendered_volume
    assert shown is session.rendered_volume  # remembered: it is made once
    inside = session.labels.ids == 77
    assert torch.equal(shown.lac[inside], session.volume.lac[inside])
    assert float(shown.lac[~inside].abs().max()) == 0.0
    session.set_structures([])
    assert session.rendered_volume is session.volume
    with pytest.raises(ValueError, match=r"none of the labels \[5\] occurs"):
        session.set_structures([5])
    session.set_labels(None)
    with pytest.raises(ValueError, match="load one first"):
        session.set_structures([77])


def test_labels_belong_to_a_ct(session):
    labels = session.labels
    with pytest.raises(ValueError, match="load the CT first"):
        Session().set_labels(labels)
    session.set_structures([25])
    session.set_volume(make_volume())
    assert session.labels is None
    assert session.structures == ()
    with pytest.raises(ValueError, match="same grid"):
        session.set_labels(replace(labels, ids=labels.ids[:-1]))


def test_the_isocenter_is_the_middle_of_the_ct_unless_set(session):
    # Middle voxel (x, y, z) index (3, 2.5, 2) of 2 x 3 x 5 mm from (11, -23, 64).
    assert session.isocenter.tolist() == [17.0, -15.5, 74.0]
    given = isocenter()
    session.set_isocenter(given)
    given += 5.0
    assert session.isocenter.tolist() == [1.0, 2.0, 3.0]
    session.set_isocenter(None)
    assert session.isocenter.tolist() == [17.0, -15.5, 74.0]
    for wrong in (torch.tensor([1.0, float("nan"), 2.0]), torch.zeros(2)):
        with pytest.raises((ValueError, TypeError)):
            session.set_isocenter(wrong)


@pytest.mark.parametrize("nominal", [None, CArmPose(31.0, -12.0, 4.0)])
def test_it_does_not_matter_which_file_is_opened_first(nominal):
    one, other = Session(), Session()
    one.set_volume(make_volume())
    one.add_radiograph(make_radiograph(nominal))
    other.add_radiograph(make_radiograph(nominal))
    other.set_volume(make_volume())
    for session in (one, other):
        assert close(session.pose, session.active.start, 0)
    assert close(one.pose, other.pose)
    assert other.undo() == "load CT"
    assert close(other.pose, other.active.start, 0)


def test_another_ct_of_the_patient_moves_no_pose_that_was_set(session):
    session.set_pose(MOVED @ session.pose, "registered")
    before, starts = session.pose, [entry.start for entry in session.exposures]
    moved = make_volume()
    moved.world_from_index[:3, 3] += 40.0
    session.set_volume(moved)
    assert session.pose is before
    assert [entry.start for entry in session.exposures] == starts


def test_a_file_that_knows_its_isocenter_keeps_it():
    session = Session()
    session.add_radiograph(make_radiograph(CArmPose(5.0, 6.0, 0.0, isocenter=(9.0, 8.0, 7.0))))
    before = session.pose
    session.set_volume(make_volume())
    assert session.pose is before
    # The central ray passes through it: source + z * 620 mm.
    reached = before.translation + before.rotation[:, 2] * 620.0
    assert reached.tolist() == pytest.approx([9.0, 8.0, 7.0])


# ------------------------------------------------------------------ radiographs


def test_names_are_made_unique(session):
    names = [session.add_radiograph(make_radiograph(), name="frontal") for _ in range(2)]
    assert names == ["frontal 2", "frontal 3"]
    assert session.active.name == "frontal 3"
    with pytest.raises(ValueError, match="needs a name"):
        session.add_radiograph(make_radiograph(), name=" ")
    assert len(session.exposures) == 4


def test_a_removed_radiograph_leaves_no_trace_in_the_named_poses(session):
    session.name_pose("kept")
    session.remove_radiograph("lateral")
    assert session.active.name == "frontal"
    assert set(session.named_poses["kept"].poses) == {"frontal"}
    again = session.add_radiograph(make_radiograph(CArmPose(70.0, 2.0)), name="lateral")
    assert again == "lateral"
    session.remove_radiograph("lateral")
    session.remove_radiograph("frontal")
    assert session.active is None
    assert not session.named_poses


def test_another_image_keeps_what_still_fits(session):
    session.set_painted("lateral", painted(session))
    session.set_picked("lateral", picked())
    pose = session.pose
    carm = replace(session.active.radiograph.carm, source_to_detector=1234.0)
    session.replace_radiograph("lateral", replace(session.active.radiograph, carm=carm))
    assert session.active.painted is not None
    assert session.active.landmarks == tuple(picked())
    assert not session.active.edited  # an override changes no pixel
    session.replace_radiograph("lateral", session.active.radiograph.crop(1, 2, 9, 11))
    assert session.active.painted is None
    assert session.active.landmarks == ()
    assert session.active.edited
    assert session.pose is pose
    again = Source("/cropped.npz")
    session.replace_radiograph("lateral", session.active.radiograph, source=again)
    assert session.active.source is again
    assert not session.active.edited


def test_the_named_poses_turn_with_a_radiograph(session):
    session.name_pose("kept")
    session.replace_exposure(turned(session.active, 1))
    assert session.active.edited
    now = session.pose
    session.set_pose(MOVED @ now, "drag")
    session.recall_pose("kept")
    assert close(session.pose, now)


def test_what_refinement_is_given(session):
    session.set_used("frontal", False)
    session.set_painted("lateral", painted(session))
    (view,) = session.views()
    assert view.world_from_camera is session.pose
    assert int((~view.radiograph.usable).sum()) == 1
    assert not view.radiograph.usable[2, 3]


def test_landmarks_need_what_they_are_for(session):
    with pytest.raises(ValueError, match="need a position"):
        session.set_landmarks(picked())
    with pytest.raises(ValueError, match="need a pixel"):
        session.set_picked("lateral", [Landmark("asis", position=(1.0, 2.0, 3.0))])
    with pytest.raises(ValueError, match="asis came twice"):
        session.set_picked("lateral", picked() * 2)
    with pytest.raises(ValueError, match="rows and columns"):
        session.set_painted("lateral", torch.ones(3, 4, dtype=torch.bool))
    assert session.active.landmarks == ()
    assert session.active.painted is None
