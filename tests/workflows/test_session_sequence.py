"""The sequence of a session: what goes along when another frame is shown, and what does not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Landmark, Radiograph, ReadError, Volume, write_radiograph
from napari_xreg.registration import Registration, Status
from napari_xreg.session import (
    ALONE,
    SequenceTrack,
    Session,
    file_source,
    read_session,
    read_xray,
    write_session,
)
from napari_xreg.workflows import (
    Frames,
    SessionSequence,
    carried_poses,
    read_frame,
    sequence_of,
    sequence_request,
    show_frame,
)

ARM = CArm(1020.0, 750.0, Detector((5, 7), (6.8, 9.8), (2.5, 2.0)))
POSE = ARM.world_from_camera(7.0, -4.0, 2.0, isocenter=torch.zeros(3, dtype=torch.float64))


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 4):
        picture = Radiograph(number + torch.arange(35.0).reshape(5, 7), ARM, simulated=True)
        write_radiograph(tmp_path / f"f_{number:03d}.npz", picture)
    return tmp_path


@pytest.fixture
def session(folder):
    """Of frame 2."""
    made, source = Session(), file_source(folder / "f_002.npz")
    made.exposures.add(read_xray(source), name="cine", start=POSE, source=source, truth=POSE)
    return made


def show(session, number):
    sequence = sequence_of(sequence_request(session))
    show_frame(session, sequence, read_frame(sequence, number), {})
    return session.exposures.active


def test_what_was_found_on_another_frame_does_not_go_along(session):
    entry = session.exposures.active
    painted = torch.ones(5, 7, dtype=torch.bool)
    session.exposures.set_painted(entry.id, painted)
    found = Registration(
        POSE, Status.CONVERGED, {"loss": 0.5}, (), torch.zeros(3, dtype=torch.float64)
    )
    session.results.add(found, [entry.id], {})
    shown = show(session, 4)
    assert shown.radiograph.line_integrals[0, 0] == 4.0
    assert session.results.all == ()
    assert shown.truth is None
    assert shown.painted is painted  # of the camera
    assert session.undo() == "frame 4"
    assert len(session.results.all) == 1
    assert session.exposures.active.truth is not None


def test_what_was_picked_on_a_frame_comes_back_with_it_and_is_saved(session, tmp_path):
    id = session.exposures.active.id
    marks = {n: (Landmark("A", pixel=(n / 2, 4.0)), Landmark("B", pixel=(1.0, n))) for n in (2, 4)}
    session.exposures.replace(replace(session.exposures.active, truth=None), why="said")
    session.landmarks.set_picked(id, marks[2])
    session.landmarks.set_left_out(id, ["B"])
    assert show(session, 4).landmarks == ()
    session.landmarks.set_picked(id, marks[4])
    assert show(session, 1).landmarks == ()
    assert session.history.undoes == "add 2 landmarks on cine"  # frames were looked at: no steps
    for number, left_out in ((2, ("B",)), (4, ())):
        shown = show(session, number)
        assert (shown.landmarks, shown.left_out) == (marks[number], left_out)
    # What is taken away on a frame stays away.
    session.landmarks.set_picked(id, ())
    show(session, 1)
    assert show(session, 4).landmarks == ()
    write_session(tmp_path / "s.xreg.json", session)
    opened = read_session(tmp_path / "s.xreg.json")
    shown = show(opened, 2)
    assert (shown.landmarks, shown.left_out) == (marks[2], ("B",))
    assert shown.of_frames == {}


def a_bone():
    return Volume(torch.zeros(4, 3, 2), torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0])))


def test_what_was_picked_is_of_a_bone_and_a_frame_and_is_saved(session, tmp_path):
    """Landmarks pair by name: those of another bone, of the same name, would be taken for this one's."""
    id, bones = session.exposures.active.id, {name: a_bone() for name in ("radius", "ulna")}
    session.exposures.replace(replace(session.exposures.active, truth=None), why="said")
    session.patient.show_bone(bones["radius"], None, {}, name="radius", before=None, shown={})

    def choose(where, name, before):
        number = sequence_of(sequence_request(where)).shown_in(where)
        where.patient.show_bone(bones[name], None, {}, name=name, before=before, shown={id: number})
        return where.exposures[id]

    radius = {
        n: (Landmark("tip", pixel=(n / 2, 4.0)), Landmark("B", pixel=(1.0, n))) for n in (2, 4)
    }
    ulna = (Landmark("tip", pixel=(7.0, 3.0)),)
    session.landmarks.set_picked(id, radius[2])
    session.landmarks.set_left_out(id, ["B"])
    show(session, 4)
    session.landmarks.set_picked(id, radius[4])
    bare = choose(session, "ulna", "radius")
    assert (bare.landmarks, bare.left_out, dict(bare.of_frames)) == ((), (), {})
    session.landmarks.set_picked(id, ulna)
    assert show(session, 2).landmarks == ()
    # The ulna is left at another frame than the radius was.
    write_session(tmp_path / "s.xreg.json", session)
    for where in (session, read_session(tmp_path / "s.xreg.json")):
        shown = choose(where, "radius", "ulna")
        assert (shown.landmarks, shown.left_out) == (radius[2], ("B",))
        assert show(where, 4).landmarks == radius[4]
        assert choose(where, "ulna", "radius").landmarks == ulna
        assert show(where, 2).landmarks == ()


def test_a_cropped_radiograph_keeps_what_was_picked_where_another_bone_is_chosen(session):
    """The other bone's would lie elsewhere on it; they wait for the whole picture."""
    entry = session.exposures.active
    marks = {
        "radius": (Landmark("A", pixel=(3.0, 4.0)),),
        "ulna": (Landmark("B", pixel=(2.0, 3.0)),),
    }
    bones = {name: a_bone() for name in marks}

    def choose(name, before):
        session.patient.show_bone(
            bones[name], None, {}, name=name, before=before, shown={entry.id: 2}
        )

    choose("radius", None)
    session.landmarks.set_picked(entry.id, marks["radius"])
    choose("ulna", "radius")
    session.exposures.replace_image(entry.id, entry.radiograph.crop(1, 2, 4, 5))
    session.landmarks.set_picked(entry.id, marks["ulna"])
    choose("radius", "ulna")
    assert session.exposures[entry.id].landmarks == marks["ulna"]
    session.exposures.replace_image(entry.id, entry.radiograph, source=entry.source)
    choose("ulna", "radius")
    choose("radius", "ulna")
    assert session.exposures[entry.id].landmarks == marks["radius"]


def test_what_was_picked_on_a_crop_goes_as_a_step(session):
    """On the whole frame it would lie elsewhere."""
    entry, sequence = session.exposures.active, sequence_of(sequence_request(session))
    session.exposures.replace(replace(entry, truth=None), why="said")
    session.exposures.replace_image(entry.id, entry.radiograph.crop(1, 2, 4, 5))
    session.landmarks.set_picked(entry.id, [Landmark("A", pixel=(3.0, 4.0))])
    for number in (4, 2):
        show_frame(session, sequence, read_frame(sequence, number), {})
    assert session.exposures.active.landmarks == ()
    assert session.undo() == "frame 4"
    assert [mark.name for mark in session.exposures.active.landmarks] == ["A"]


def test_a_frame_that_is_looked_at_belongs_to_the_step_before(session):
    entry = session.exposures.active
    session.exposures.replace(replace(entry, truth=None), why="said")
    turned = POSE.left_perturb(torch.full((6,), 0.25, dtype=torch.float64), torch.zeros(3).double())
    sequence, steps = sequence_of(sequence_request(session)), len(session.history)
    for number, poses in ((4, {}), (1, {entry.id: turned})):
        show_frame(session, sequence, read_frame(sequence, number), poses, moved=False)
    assert (len(session.history), session.history.undoes) == (steps, "said")
    assert torch.equal(session.poses.current.matrix(), turned.matrix())
    session.undo()
    assert session.exposures.active.radiograph.line_integrals[0, 0] == 2.0
    assert session.redo() == "said"
    assert session.exposures.active.radiograph.line_integrals[0, 0] == 1.0
    # A pose that only the session has does not give way without a step.
    session.poses.move(POSE)
    show_frame(session, sequence, read_frame(sequence, 4), {}, moved=True)  # none to give way to
    assert session.history.undoes == "move"
    show_frame(session, sequence, read_frame(sequence, 2), {entry.id: turned}, moved=True)
    assert session.undo() == "frame 2"
    assert torch.equal(session.poses.current.matrix(), POSE.matrix())


def test_what_fails_while_it_is_looked_at_changed_nothing(session):
    before, steps = session.state, len(session.history)

    def looked():
        with session.look():
            session.exposures.set_used(session.exposures.active.id, False)
            session.exposures.remove("nothing")

    with pytest.raises(KeyError):
        looked()
    assert session.state is before
    assert len(session.history) == steps


def test_a_bone_lies_in_another_frame_as_it_did_though_the_c_arm_moved():
    def at(*shift, turned=False):
        quarter = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]  # x goes to y
        rotation = torch.tensor(quarter) if turned else torch.eye(3)
        return Pose(rotation.double(), torch.tensor(shift, dtype=torch.float64))

    # Two cameras; a header moves the first by 5 mm along x of the rig between frames 1 and 4, and turns it.
    rig = {
        1: (at(0.0, 0.0, 700.0), at(-3.0, 2.0, 650.0)),
        4: (at(5.0, 0.0, 700.0, turned=True), at(-3.0, 2.0, 650.0)),
    }
    read = []

    def views(number):
        read.append(number)
        return tuple(SimpleNamespace(world_from_camera=pose) for pose in rig[number])

    sequence = SessionSequence(Frames((1, 4), views, None, ""), 1, ("a", "b"), (), ())
    body = at(11.0, -7.0, 1.0, turned=True)  # how the rig lies to the bone in frame 1
    poses = {id: body @ pose for id, pose in zip("ab", rig[1], strict=True)}
    there = carried_poses(sequence, poses, 1, 4)
    # (5, 0, 700) turned to (0, 5, 700), and two quarter turns.
    torch.testing.assert_close(there["a"].translation, torch.tensor([11.0, -2.0, 701.0]).double())
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0])).double()
    torch.testing.assert_close(there["a"].rotation, half)
    torch.testing.assert_close(there["b"].matrix(), poses["b"].matrix())
    read.clear()
    assert carried_poses(sequence, poses, 1, 1) == poses
    assert read == []


def test_a_geometry_that_was_typed_is_that_of_every_frame(session):
    entry = session.exposures.active
    typed = replace(ARM, source_to_detector=1100.0)
    declared = CArmPose(30.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    session.exposures.replace_image(
        entry.id, replace(entry.radiograph, carm=typed, nominal=declared), why="geometry"
    )
    sequence = sequence_of(sequence_request(session))
    assert [sequence.frames.views(n)[0].radiograph.carm for n in (1, 2, 4)] == [typed] * 3
    assert torch.equal(sequence.frames.views(4)[0].world_from_camera.matrix(), POSE.matrix())
    shown = show(session, 1)
    assert (shown.radiograph.carm, shown.radiograph.nominal) == (typed, declared)
    assert shown.radiograph.line_integrals[0, 0] == 1.0
    assert not shown.edited
    assert show(session, 4).radiograph.carm == typed  # on from a frame where nobody typed it


def test_a_geometry_that_was_typed_fits_frames_of_the_same_size_only(session, folder):
    small = CArm(1020.0, 750.0, Detector((4, 7), (6.8, 9.8), (2.0, 2.0)))
    write_radiograph(
        folder / "f_005.npz", Radiograph(torch.arange(28.0).reshape(4, 7), small, simulated=True)
    )
    assert show(session, 5).radiograph.carm == small
    session.undo()
    entry = session.exposures.active
    typed = replace(ARM, source_to_detector=1100.0)
    session.exposures.replace_image(entry.id, replace(entry.radiograph, carm=typed))
    with pytest.raises(ReadError, match=r"rows and columns \(4, 7\) are not those of the frame"):
        show(session, 5)


def test_none_is_ticked(session):
    session.exposures.set_used(session.exposures.active.id, False)
    with pytest.raises(ValueError, match="no radiograph is ticked"):
        sequence_request(session)
    with pytest.raises(ValueError, match="there is no radiograph"):
        sequence_request(Session())


def test_a_track_is_of_the_same_radiographs_and_files(session, folder, tmp_path_factory):
    first = sequence_of(sequence_request(session))
    track = SequenceTrack(
        first.ids, tuple(source(2) for source in first.sources), 2, (1, 2, 4), {ALONE: ()}
    )
    show(session, 4)
    assert sequence_of(sequence_request(session)).is_of(track)
    assert not sequence_of(sequence_request(session)).is_of(replace(track, start=3))
    assert not first.is_of(replace(track, radiographs=("another",)))
    other = tmp_path_factory.mktemp("other")
    for file in folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    source = file_source(other / "f_004.npz")
    session.exposures.replace(replace(session.exposures.active, source=source))
    assert not sequence_of(sequence_request(session)).is_of(track)
