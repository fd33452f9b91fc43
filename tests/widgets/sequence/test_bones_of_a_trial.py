"""The bones of a trial in the Sequence widget, with a tracking that costs nothing: chosen, kept, undone, saved, written."""

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt
from sequence_parts import LEFT, LONG, looked_at, tracked
from session_parts import make_registration
from trial_maker import TRACKED, seen, write_trial
from trial_session import ULNA, opened, shifted, tracked_trial

from napari_xreg.images import LabelMap, Landmark
from napari_xreg.records import read_tra
from napari_xreg.session import (
    BodiesTrack,
    FrameState,
    Track,
    TrackedFrame,
    read_session,
    write_session,
)
from napari_xreg.widgets import SequenceWidget
from napari_xreg.widgets.sequence.several import SeveralBones
from napari_xreg.widgets.sequence.strip import COLORS
from napari_xreg.workflows import PATIENT, TrackSettings, find_sequence, track_request
from napari_xreg.workflows.tracking import in_session

INDEX = (1.0, 4.0, 5.0)
MATRIX = {"rad": TRACKED, "uln": ULNA}
STEP = torch.tensor([0.01, -0.02, 0.01, 0.5, 0.25, -0.5], dtype=torch.float64)


@pytest.fixture
def trial(tmp_path):
    (tmp_path / "trial").mkdir()
    return tracked_trial(tmp_path / "trial")


@pytest.fixture
def asked(monkeypatch):
    """What was asked of a tracking that says bones stay where they start; frame 8 of all but the first is open."""
    seen_ = []

    def told(request, *, control=None):
        seen_.append(request)
        frames = {body.name: [] for body in request.bodies}
        for number in request.frames.numbers:
            camera = request.frames.views(number)[0].world_from_camera
            together = []
            for place, body in enumerate(request.bodies):
                key = request.keys.get(number, (None,) * len(request.bodies))[place]
                if place and number == 8 and key is None:
                    frame = TrackedFrame(number, None, FrameState.OPEN, camera, words="gone")
                else:
                    state = FrameState.TRACKED if key is None else FrameState.KEY
                    pose = key or body.world_from_camera[0]
                    frame = TrackedFrame(number, None, state, camera, pose, torch.eye(6) * 1e-4)
                frames[body.name].append(frame)
                together.append(frame)
            yield tuple(together)
        arm = request.frames.views(7)[0].radiograph.carm
        tracks = (Track(tuple(frames[b.name]), b.pivot, arm) for b in request.bodies)
        return BodiesTrack(tuple(frames), tuple(tracks), (None,) * 3)

    monkeypatch.setattr(in_session, "track_bodies", told)
    return seen_


@pytest.fixture
def widget(trial, viewer, empty_bench, asked, qtbot):
    """Frame 7 of the radius; nothing is ticked yet."""
    opened(trial, session=empty_bench.session)
    made = SequenceWidget(viewer)
    viewer.window.add_dock_widget(made, name="Sequence", area="right")
    listed(made, qtbot)
    qtbot.waitUntil(lambda: made.sequence is not None, timeout=LONG)
    return made


def listed(widget, qtbot, count=3):
    qtbot.waitUntil(lambda: widget.controls.several.trial.count() == count, timeout=LONG)


def tick(widget, qtbot, *names):
    bones = widget.controls.several.trial
    for row in range(bones.count()):
        item = bones.item(row)
        if item.data(Qt.ItemDataRole.UserRole) in names:
            item.setCheckState(Qt.CheckState.Checked)
    wanted = ["rad", *names]
    qtbot.waitUntil(lambda: list(widget.controls.rows.strips) == wanted, timeout=LONG)


def settled(widget, qtbot):
    qtbot.waitUntil(
        lambda: not (widget.looking.busy or widget.controls.several.finding), timeout=LONG
    )


def stands(widget, matrix):
    """Whether every camera sees a voxel of the CT where Autoscoper sees the bone at these poses."""
    session = widget.workbench.session
    volume = session.patient.volume
    world = volume.world_from_index.double() @ torch.tensor([*INDEX, 1.0], dtype=torch.float64)
    for camera, each in enumerate(session.exposures.all):
        pixel = each.radiograph.carm.project(world[:3], each.world_from_camera).tolist()
        assert pixel == pytest.approx(seen(INDEX, camera, matrix), abs=1e-5)


def ct(widget):
    return widget.workbench.session.patient.volume_source.path.rsplit("/", 1)[-1]


def test_choosing_a_bone_brings_its_ct_and_the_cameras_about_it(widget, asked, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    assert widget.shown.chosen == "rad"
    steps = len(session.history)
    widget.choose("uln")
    assert ct(widget) == "uln.tif"
    stands(widget, ULNA)
    settled(widget, qtbot)
    assert widget.shown.chosen == "uln"
    assert list(widget.controls.rows.strips) == ["rad", "uln"]
    assert len(session.history) == steps  # looked at
    # Where "reset" goes is that bone's own start, too.
    session.poses.set(session.poses.current.left_perturb(STEP, torch.zeros(3).double()), "by hand")
    session.poses.reset()
    stands(widget, ULNA)
    tracked(widget, qtbot)
    assert [body.name for body in asked[-1].bodies] == ["rad", "uln"]
    assert asked[-1].near is not None
    assert widget.shown.chosen == "uln"
    assert ct(widget) == "uln.tif"
    widget.choose("rad")
    assert ct(widget) == "rad.tif"
    stands(widget, TRACKED)
    # In other frames too, and back: the track stays.
    looked_at(widget, 6, qtbot)
    widget.choose("uln")
    stands(widget, ULNA)
    assert widget.track is not None
    assert session.history.undoes == "track the sequence"


def test_undo_and_redo_bring_bone_cameras_and_track_together(widget, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    tracked(widget, qtbot)
    widget.choose("uln")
    moved = session.poses.current.left_perturb(STEP, torch.zeros(3).double())
    session.poses.set(moved, "by hand")
    widget.controls.key_button.click()
    assert widget.keys == (7,)
    widget.choose("rad")
    assert widget.keys == ()
    assert session.undo() == "keep the pose of frame 7"
    assert (ct(widget), widget.shown.chosen, widget.keys) == ("uln.tif", "uln", ())
    assert session.undo() == "by hand"
    stands(widget, ULNA)
    assert session.undo() == "track the sequence"
    assert widget.track is None
    assert ct(widget) == "rad.tif"
    stands(widget, TRACKED)
    while session.redo():
        pass
    settled(widget, qtbot)
    assert (ct(widget), widget.shown.chosen) == ("rad.tif", "rad")
    widget.choose("uln")
    assert widget.keys == (7,)
    torch.testing.assert_close(session.poses.current.matrix(), moved.matrix())


def test_results_of_a_bone_are_one_undo_away_and_its_landmarks_come_back(widget, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    tracked(widget, qtbot)
    session.landmarks.set([Landmark("tip", (1.0, 2.0, 3.0))])
    widget.choose("uln")
    assert session.landmarks.all == ()
    assert session.history.undoes == "add landmark tip in the CT"  # looked at
    widget.choose("rad")
    assert [mark.name for mark in session.landmarks.all] == ["tip"]
    session.results.add(
        make_registration([session.poses.current]), [session.exposures.active.id], {}
    )
    widget.choose("uln")
    assert session.results.all == ()
    assert session.undo() == "choose a bone"
    assert (ct(widget), widget.shown.chosen) == ("rad.tif", "rad")
    assert len(session.results.all) == 1


def test_what_was_picked_for_a_bone_comes_back_with_it_at_its_own_frame(widget, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    tracked(widget, qtbot)
    id, first = session.exposures.active.id, widget.frames.number
    session.landmarks.set_picked(id, [Landmark("tip", pixel=(3.0, 4.0))])
    widget.choose("uln")
    assert session.exposures[id].landmarks == ()
    looked_at(widget, 8, qtbot)
    widget.choose("rad")
    assert session.exposures[id].landmarks == ()  # picked on another frame
    looked_at(widget, first, qtbot)
    assert [mark.pixel for mark in session.exposures[id].landmarks] == [(3.0, 4.0)]


def test_a_pose_is_pasted_for_the_bone_that_it_is_of(widget, qtbot):
    """Each has a CT of its own: the same numbers put another one anywhere."""
    tick(widget, qtbot, "uln")
    paste, copied = widget.controls.paste_button, widget.copied
    qtbot.mouseClick(widget.controls.copy_button, LEFT)
    looked_at(widget, 8, qtbot)
    assert paste.isEnabled()
    widget.choose("uln")
    assert not paste.isEnabled()
    before = widget.frames.rig()
    copied.paste()  # by its key
    assert widget.frames.rig() == before
    assert "CTs of their own" in paste.toolTip()
    widget.choose("rad")
    assert paste.isEnabled()


def test_another_ct_that_is_none_of_the_bones_ends_it(widget, patient, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    tracked(widget, qtbot)
    session.patient.set_volume(patient.volume)
    assert widget.track is None
    assert widget.controls.several.trial.count() == 0
    session.undo()
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)
    assert widget.track is not None
    listed(widget, qtbot)
    assert list(widget.controls.several.bones) == ["rad", "uln"]


def test_a_bone_that_nobody_has_placed_is_asked_for(widget, asked, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "mc3")
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert "in frame 7 no pose of mc3 is known" in widget._kept_words.words
    assert asked == []
    before = session.poses.current.matrix()
    widget.choose("mc3")
    assert ct(widget) == "mc3.tif"
    assert torch.equal(session.poses.current.matrix(), before)  # it lies as the radius did
    assert "no pose is known. Bring the bone to where it is" in widget.controls.words.words
    drr = widget.workbench.canvas.layer("DRR")
    qtbot.waitUntil(lambda: drr.visible, timeout=LONG)  # or it would not be seen at all
    widget.controls.key_button.click()
    assert widget.keys == ()
    assert "The C-arm stands where rad was found" in widget._kept_words.words
    there = session.poses.current.left_perturb(STEP, torch.zeros(3).double())
    session.poses.set(there, "by hand")
    widget.controls.key_button.click()
    assert widget.keys == (7,)
    settled(widget, qtbot)
    tracked(widget, qtbot)
    rad, mc3 = asked[-1].keys[7]
    assert rad is None
    torch.testing.assert_close(mc3.matrix(), there.matrix())


def test_the_trial_s_own_poses_are_kept_by_one_click(widget, asked, qtbot):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    assert not widget.controls.trial_button.isHidden()
    # Shown before they are kept, and not yet of the next tracking.
    looked_at(widget, 8, qtbot)
    stands(widget, shifted(TRACKED, 8))
    looked_at(widget, 7, qtbot)
    assert widget.keys == ()
    widget.controls.trial_button.click()
    assert widget.keys == (7, 8)
    assert widget.controls.rows.strips["uln"].color_of(7) == COLORS[FrameState.KEY]
    assert widget.controls.trial_button.isHidden()
    tracked(widget, qtbot)
    assert sorted(asked[-1].keys) == [7, 8]
    session.undo()
    assert session.undo() == "keep the trial's poses"
    assert widget.keys == ()
    assert not widget.controls.trial_button.isHidden()


def test_saved_opened_and_written_for_autoscoper(widget, asked, qtbot, tmp_path):
    session = widget.workbench.session
    tick(widget, qtbot, "uln")
    tracked(widget, qtbot)
    widget.choose("uln")
    widget.controls.key_button.click()
    (tmp_path / "work").mkdir()
    file, *_ = write_session(tmp_path / "work" / "work.xreg.json", session)
    session.patient.set_volume(None)
    for each in session.exposures.all:
        session.exposures.remove(each.id)
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    session.restore(read_session(moved / "work" / file.name).state)
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)
    listed(widget, qtbot)
    assert (ct(widget), widget.shown.chosen, widget.keys) == ("uln.tif", "uln", (7,))
    assert list(widget.controls.several.bones) == ["rad", "uln"]
    stands(widget, ULNA)
    widget.choose("rad")
    assert ct(widget) == "rad.tif"
    stands(widget, TRACKED)
    widget.export(moved / "out")
    qtbot.waitUntil((moved / "out" / "between.csv").exists, timeout=LONG)
    for name, frames in (("rad", (6, 7, 8)), ("uln", (6, 7))):
        lines = read_tra(moved / "out" / name / "autoscoper.tra", 1)
        for number, (line,) in zip((6, 7, 8), lines, strict=True):
            assert (line is not None) == (number in frames)
            if line is not None:
                np.testing.assert_allclose(line.matrix().numpy(), MATRIX[name], atol=1e-6)
    tracked(widget, qtbot)
    assert asked[-1].keys[7][1] is not None


@pytest.fixture
def several(qtbot):
    made = SeveralBones()
    qtbot.addWidget(made)
    yield made
    made.close_lane()


def labelled(volume):
    voxels = torch.zeros(volume.shape, dtype=torch.int16)
    voxels[1:3, 1:4, 1:3] = 3
    return LabelMap(voxels, volume.world_from_index)


@pytest.mark.parametrize("there", [True, False], ids=["one bone", "trial gone"])
def test_a_label_map_says_the_bones_where_the_trial_lists_none(tmp_path, several, qtbot, there):
    path = write_trial(tmp_path, frames=(6, 7), bones=("rad",))
    session, _ = opened(path)
    session.patient.set_labels(labelled(session.patient.volume))
    if not there:
        path.unlink()
    several.follow(session.patient.labels, session.patient.volume_source)
    qtbot.waitUntil(lambda: several.choice.isVisibleTo(several), timeout=LONG)
    qtbot.waitUntil(lambda: not several.finding, timeout=LONG)
    assert not several.trial.isVisibleTo(several)
    several.choose([(3,)])
    assert list(several.bones.values()) == [(3,)]
    assert several.words.words.startswith("Ticked bones") == there
    # Cut out of this CT, as of any other.
    found = find_sequence(track_request(session, TrackSettings(), several.bones))
    assert found.own == {}
    assert [body.name for body in found.bodies] == [PATIENT, *several.bones]


def test_the_two_lists_are_never_shown_together(trial, several, qtbot):
    session, _ = opened(trial)
    several.follow(labelled(session.patient.volume))  # its structures are not known yet
    several.follow(None, session.patient.volume_source)
    qtbot.waitUntil(lambda: several.trial.isVisibleTo(several), timeout=LONG)
    qtbot.wait(300)
    assert not several.choice.isVisibleTo(several)
    assert several.words.words.startswith("Ticked bones of the trial")
