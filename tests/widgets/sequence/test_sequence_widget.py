"""The Sequence widget, driven as a person would: track, look at a frame, keep a pose, export."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from qtpy.QtCore import QPoint, Qt
from sequence_parts import ARM, LEFT, LONG, NUMBERS, STEP, looked_at, tracked

from napari_xreg.images import Landmark, Radiograph, write_radiograph
from napari_xreg.records import read_track
from napari_xreg.registration import step_between
from napari_xreg.rendering import render_drr
from napari_xreg.session import (
    FrameState,
    Track,
    TrackedFrame,
    file_source,
    read_session,
    read_xray,
    write_session,
)
from napari_xreg.widgets import SequenceWidget
from napari_xreg.widgets.sequence import controls, widget as widget_module
from napari_xreg.widgets.sequence.strip import COLORS
from napari_xreg.workflows.tracking import in_session
from napari_xreg.workflows.tracking.walk import CANCELLED


@pytest.fixture(scope="session")
def moving(patient, tmp_path_factory):
    """Three frames of the phantom as it moves, and where it was."""
    folder = tmp_path_factory.mktemp("cine")
    center = patient.volume.center.double()
    pose = ARM.world_from_camera(7.0, -4.0, 2.0, isocenter=center)
    truth = {}
    for number in NUMBERS:
        truth[number] = pose = pose.left_perturb(STEP, center)
        image = render_drr(patient.volume, ARM, pose, method="joseph")
        write_radiograph(folder / f"f_{number:03d}.npz", Radiograph(image, ARM, simulated=True))
    return folder, truth, center


@pytest.fixture
def widget(moving, patient, viewer, bench, qtbot):
    """The middle frame in a session of its own, 2 mm and a degree off."""
    folder, truth, center = moving
    session = bench.session
    for each in session.exposures.all:
        session.exposures.remove(each.id)
    source = file_source(folder / "f_007.npz")
    session.exposures.add(
        read_xray(source),
        name="cine",
        start=truth[7].left_perturb(-0.4 * STEP, center),
        source=source,
    )
    made = SequenceWidget(viewer)
    viewer.window.add_dock_widget(made, name="Sequence", area="right")
    made.controls.settings["pixels"].value = 96
    return made


def shown(widget):
    return widget.workbench.session.exposures[widget.sequence.ids[0]]


def test_tracked_looked_at_kept_and_written(widget, moving, qtbot, tmp_path, screenshot):
    folder, truth, center = moving
    session = widget.workbench.session
    tracked(widget, qtbot)
    assert widget.controls.words.words.startswith("3 simulated frames: 3 tracked.")
    assert [widget.controls.strip.color_of(n) for n in NUMBERS] == [COLORS[FrameState.TRACKED]] * 3
    for plot in widget.controls.plots.plots.values():
        assert plot.dots.getData()[0].tolist() == list(NUMBERS)
    # The body's own motion, from the first frame: 0.02 rad about x a frame, the other way of the camera.
    turn = widget.controls.plots.plots["turn x"].dots.getData()[1]
    assert turn[0] == pytest.approx(0.0, abs=1e-9)
    assert np.diff(turn) == pytest.approx([-np.degrees(0.02)] * 2, abs=0.15)
    screenshot(widget, "sequence", 330)

    # The frame that is shown, which was half a step off, is at the pose that was found; one undo takes both back.
    stands = shown(widget).world_from_camera
    assert float(step_between(truth[7], stands, center)[3:].norm()) < 1.0
    session.undo()
    assert session.sequence.track is None
    back = step_between(truth[7], session.poses.current, center)
    assert float(back[3:].norm()) > 1.4
    session.redo()
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)

    # A click on the last cell shows that frame, and the bone where it was found.
    picked = replace(shown(widget), landmarks=(Landmark("A", pixel=(3.0, 4.0)),))
    session.exposures.replace(picked)
    where = widget.controls.strip.place_of(8)
    qtbot.mouseClick(widget.controls.strip, LEFT, pos=QPoint(round(where.x()), round(where.y())))
    qtbot.waitUntil(lambda: shown(widget).source.path.endswith("f_008.npz"), timeout=LONG)
    there = shown(widget)
    expected = read_xray(file_source(folder / "f_008.npz"))
    assert torch.equal(there.radiograph.line_integrals, expected.line_integrals)
    assert there.landmarks == ()
    off = step_between(truth[8], there.world_from_camera, center)
    assert float(off[3:].norm()) < 1.0
    assert "frame 8: tracked" in widget.controls.words.words
    assert widget.controls.number.value() == 8

    # What is right is kept, and tracking goes on from it.
    session.poses.set(truth[8], "by hand")
    widget.controls.key_button.click()
    assert widget.keys == (8,)
    looked_at(widget, 7, qtbot)
    assert widget.controls.number.value() == 7
    tracked(widget, qtbot)
    assert widget.track.frames[2].state is FrameState.KEY
    assert torch.equal(widget.track.frames[2].world_from_camera.matrix(), truth[8].matrix())

    widget.export(tmp_path / "out")
    qtbot.waitUntil((tmp_path / "out" / "track.gif").exists, timeout=LONG)
    assert [row.state for row in read_track(tmp_path / "out" / "track.csv").rows] == [
        "tracked", "tracked", "given",
    ]  # fmt: skip

    # Another CT, and none of it holds.
    session.patient.set_volume(None)
    assert widget.track is None
    assert widget.keys == ()
    assert not widget.controls.plots.isVisible()


def test_one_picture_is_no_sequence(widget, moving, tmp_path, qtbot):
    folder, _, _ = moving
    (tmp_path / "one").mkdir()
    alone = tmp_path / "one" / "f_007.npz"
    alone.write_bytes((folder / "f_007.npz").read_bytes())
    session = widget.workbench.session
    (entry,) = session.exposures.all
    session.exposures.replace(replace(entry, source=file_source(alone)))
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget._kept_words is not None
    assert "is one picture" in widget._kept_words.words
    assert widget.track is None


def test_a_radiograph_that_was_cropped_is_refused_before_anything_is_read(widget, qtbot):
    session = widget.workbench.session
    (entry,) = session.exposures.all
    session.exposures.replace_image(entry.id, entry.radiograph.crop(2, 3, 80, 90))
    qtbot.mouseClick(widget.controls.go, LEFT)
    assert not widget.running
    assert "was cropped, turned or edited" in widget._kept_words.words


# ------------------------------------------------------------------ with a tracking that costs nothing


@pytest.fixture
def requests(monkeypatch):
    """What was asked of a tracking that says every frame stands still."""
    seen = []

    def standing(request, *, control=None):
        seen.append(request)
        frames = []
        for number in request.frames.numbers:
            pose = request.frames.views(number)[0].world_from_camera
            key = request.keys.get(number)
            state = FrameState.TRACKED if key is None else FrameState.KEY
            frames.append(
                TrackedFrame(
                    number, None, state, pose, key or pose, torch.eye(6, dtype=torch.float64) * 1e-4
                )
            )
            yield frames[-1]
        return Track(tuple(frames), request.isocenter, ARM)

    monkeypatch.setattr(in_session, "track", standing)
    return seen


def beside(widget, moving, tmp_path):
    """A second camera, of files of its own; its id."""
    folder, _, center = moving
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    source, session = file_source(tmp_path / "f_007.npz"), widget.workbench.session
    side = ARM.world_from_camera(95.0, 3.0, 1.0, isocenter=center)
    return session.exposures.add(read_xray(source), name="side", start=side, source=source)


def test_a_kept_pose_is_there_again_when_its_frame_is(widget, requests, moving, qtbot):
    _, truth, _ = moving
    session = widget.workbench.session
    tracked(widget, qtbot)
    session.poses.set(truth[7], "by hand")
    widget.controls.key_button.click()
    assert widget.controls.strip.color_of(7) == COLORS[FrameState.KEY]
    looked_at(widget, 8, qtbot)
    assert not widget.controls.forget_button.isEnabled()
    looked_at(widget, 7, qtbot)
    there = shown(widget).world_from_camera.matrix()
    torch.testing.assert_close(there, truth[7].matrix(), rtol=0, atol=1e-9)
    assert "frame 7: given" in widget.controls.words.words
    widget.controls.forget_button.click()
    assert widget.keys == ()
    assert widget.controls.strip.color_of(7) == COLORS[FrameState.TRACKED]


def test_a_pose_is_copied_to_another_frame_by_its_keys(widget, requests, moving, qtbot):
    _, truth, _ = moving
    session, controls = widget.workbench.session, widget.controls
    canvas = widget.workbench.viewer.window._qt_viewer.canvas.native
    shift = Qt.KeyboardModifier.ShiftModifier
    tracked(widget, qtbot)
    assert not controls.paste_button.isEnabled()
    session.poses.set(truth[7], "by hand")
    # A key presses a button that can be used, and a frame may still be on its way.
    qtbot.waitUntil(controls.copy_button.isEnabled, timeout=LONG)
    qtbot.keyClick(canvas, Qt.Key.Key_C, shift)
    qtbot.waitUntil(controls.paste_button.isEnabled, timeout=LONG)
    looked_at(widget, 8, qtbot)
    before = shown(widget).world_from_camera
    assert not torch.equal(before.matrix(), truth[7].matrix())
    qtbot.keyClick(canvas, Qt.Key.Key_I, shift)
    qtbot.waitUntil(lambda: session.history.undoes == "paste the pose of frame 7", timeout=LONG)

    def stands_at(pose):
        there = shown(widget).world_from_camera.matrix()
        torch.testing.assert_close(there, pose.matrix(), rtol=0, atol=1e-9)

    stands_at(truth[7])
    assert session.undo() == "paste the pose of frame 7"
    stands_at(before)
    session.redo()
    qtbot.keyClick(canvas, Qt.Key.Key_K, shift)
    assert widget.keys == (8,)
    looked_at(widget, 6, qtbot)
    looked_at(widget, 8, qtbot)
    stands_at(truth[7])
    assert "Key: Shift+I." in controls.paste_button.toolTip()
    # Other radiographs take it along.
    session.exposures.remove(session.exposures.active.id)
    assert not widget.copied.there
    assert not controls.paste_button.isEnabled()


def test_a_pose_that_is_pasted_too_late_moves_nothing(widget, requests, moving, qtbot):
    _, truth, _ = moving
    tracked(widget, qtbot)
    widget.workbench.session.poses.set(truth[7], "by hand")
    qtbot.mouseClick(widget.controls.copy_button, LEFT)
    looked_at(widget, 8, qtbot)
    late = widget.copied._put
    answers = []
    widget.copied._lane._on_answer = answers.append
    qtbot.mouseClick(widget.controls.paste_button, LEFT)
    qtbot.waitUntil(lambda: bool(answers), timeout=LONG)
    looked_at(widget, 6, qtbot)
    before = shown(widget).world_from_camera
    late(answers[0])
    assert torch.equal(shown(widget).world_from_camera.matrix(), before.matrix())


def test_a_kept_pose_is_that_of_each_camera(widget, requests, moving, qtbot, tmp_path):
    session = widget.workbench.session
    (front,) = session.exposures.all
    side = beside(widget, moving, tmp_path)
    session.exposures.activate(front.id)
    tracked(widget, qtbot)
    widget.controls.key_button.click()
    for active in (side, front.id):
        session.exposures.activate(active)
        tracked(widget, qtbot)
        kept = session.exposures[active].world_from_camera.matrix()
        assert torch.equal(requests[-1].keys[7].matrix(), kept)
        assert widget.keys == (7,)


def test_a_kept_pose_is_of_its_sequence_only(widget, requests, moving, qtbot, tmp_path):
    session = widget.workbench.session
    (front,) = session.exposures.all
    side = beside(widget, moving, tmp_path)
    session.exposures.set_used(side, False)
    session.exposures.activate(front.id)
    tracked(widget, qtbot)
    widget.controls.key_button.click()
    session.exposures.set_used(side, True)
    session.exposures.set_used(front.id, False)
    session.exposures.activate(side)
    tracked(widget, qtbot)
    assert requests[-1].keys == {}
    assert widget.keys == ()
    assert "Kept poses of other radiographs, not used: 1." in widget.controls.words.words


def test_kept_poses_that_were_not_tracked_yet_are_said(
    widget, requests, moving, qtbot, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(widget_module, "tell_written", lambda words, _: said.append(words))
    tracked(widget, qtbot)
    behind = widget.controls.behind
    assert behind.isHidden()
    widget.workbench.session.poses.set(moving[1][7], "by hand")
    widget.controls.key_button.click()
    assert not behind.isHidden()
    widget.export(tmp_path / "out")
    qtbot.waitUntil(lambda: bool(said), timeout=LONG)
    assert said[0].endswith(". Kept poses not tracked yet: Track again.")
    (tmp_path / "file").touch()
    widget.export(tmp_path / "file" / "out")
    qtbot.waitUntil(lambda: widget._kept_words is not None, timeout=LONG)
    refused = widget._kept_words.words
    assert "is a file, or lies below one: name a folder" in refused
    assert "Errno" not in refused
    tracked(widget, qtbot)
    assert behind.isHidden()
    widget.controls.forget_button.click()
    assert not behind.isHidden()
    widget.workbench.session.undo()
    assert behind.isHidden()


@pytest.mark.parametrize("done", [0, 1])
def test_an_early_cancel_leaves_what_was_tracked(
    widget, requests, moving, qtbot, monkeypatch, done
):
    session = widget.workbench.session
    tracked(widget, qtbot)
    earlier = session.sequence.track
    aside = moving[1][7].left_perturb(STEP, moving[2])

    def cancelled(request, *, control=None):
        control.cancel()
        frames = []
        for number in NUMBERS:
            camera = request.frames.views(7)[0].world_from_camera
            frames.append(TrackedFrame(number, None, FrameState.OPEN, camera, words=CANCELLED))
        if done:
            frames[1] = replace(
                frames[1], state=FrameState.TRACKED, words="", world_from_camera=aside,
                covariance=torch.eye(6, dtype=torch.float64) * 1e-4,
            )  # fmt: skip
        yield frames[1]
        return Track(tuple(frames), request.isocenter, ARM, cancelled=True)

    monkeypatch.setattr(in_session, "track", cancelled)
    tracked(widget, qtbot)
    words = widget.controls.words.words
    assert [frame.state for frame in widget.track.frames] == [FrameState.TRACKED] * 3
    assert [widget.controls.strip.color_of(n) for n in NUMBERS] == [COLORS[FrameState.TRACKED]] * 3
    if not done:
        assert session.sequence.track is earlier
        assert "Cancelled before a frame was done: this is what was tracked before." in words
        return
    assert "frames that were not reached are as they were tracked before" in words
    assert torch.equal(widget.track.frames[1].world_from_camera.matrix(), aside.matrix())
    torch.testing.assert_close(shown(widget).world_from_camera.matrix(), aside.matrix())
    for place in (0, 2):
        was = earlier.found.tracks[0].frames[place].world_from_camera
        assert torch.equal(widget.track.frames[place].world_from_camera.matrix(), was.matrix())
    session.undo()
    assert session.sequence.track is earlier


def test_back_to_the_shown_frame_before_another_was_read(widget, requests, qtbot, monkeypatch):
    tracked(widget, qtbot)
    asked = []
    monkeypatch.setattr(widget.frames._lane, "ask", asked.append)
    dropped = []
    monkeypatch.setattr(widget.frames._lane, "drop", lambda: dropped.append(True))
    widget.go_to(8)
    widget.go_to(7)
    assert [number for _, number in asked] == [8]
    assert dropped == [True]
    assert widget.controls.strip._shown == widget.controls.number.value() == 7


def test_arrow_keys_go_over_a_gap_of_the_numbers(widget, requests, moving, qtbot, tmp_path):
    folder, _, _ = moving
    for old, new in ((6, 10), (7, 20), (8, 30)):
        content = (folder / f"f_{old:03d}.npz").read_bytes()
        (tmp_path / f"f_{new:03d}.npz").write_bytes(content)
    session = widget.workbench.session
    source = file_source(tmp_path / "f_020.npz")
    session.exposures.replace(replace(session.exposures.active, source=source))
    tracked(widget, qtbot)
    widget.controls.number.stepDown()
    qtbot.waitUntil(lambda: widget.frames.number == 10, timeout=LONG)
    widget.controls.number.stepUp()
    assert widget.controls.number.value() == 20
    widget.controls.number.stepUp()  # before that one was read
    qtbot.waitUntil(lambda: widget.frames.number == 30, timeout=LONG)
    assert widget.controls.number.value() == 30


def test_other_structures_keep_the_track_and_say_so(widget, requests, patient, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.controls.key_button.click()
    session.patient.set_isocenter(session.patient.isocenter + 1.0)
    assert widget.track is not None
    assert widget.keys == (7,)
    assert "before structures, labels or isocenter were changed" in widget.controls.words.words
    session.undo()
    assert "before structures" not in widget.controls.words.words


def test_a_radiograph_taken_out_while_files_are_looked_at(widget, requests, qtbot):
    session = widget.workbench.session
    qtbot.mouseClick(widget.controls.go, LEFT)
    session.exposures.remove(session.exposures.active.id)
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert (widget.sequence, widget.track) == (None, None)
    assert not widget.controls.export_button.isEnabled()
    assert widget.controls.words.words == controls.HINT


def test_words_follow_undo_and_cancelling_is_said(widget, requests, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    looked_at(widget, 8, qtbot)
    assert widget.controls.words.words.startswith("frame 8")
    # Frames are looked at: undo takes back what was changed.
    assert session.undo() == "track the sequence"
    assert widget.frames.number == 7
    assert widget.controls.words.words.startswith("3 frames, not tracked yet")
    session.redo()
    assert widget.frames.number == 8
    assert widget.controls.words.words.startswith("3 frames: 3 tracked")
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.mouseClick(widget.controls.go, LEFT)
    assert widget.controls.words.words == "Cancelling …"
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def test_nothing_is_tracked_without_a_ct(widget, requests):
    assert widget.controls.go.isEnabled()
    widget.workbench.session.patient.set_volume(None)
    assert not widget.controls.go.isEnabled()


def test_one_bone_too_is_there_again_when_its_session_is_opened(
    widget, requests, moving, qtbot, tmp_path
):
    _, truth, _ = moving
    session = widget.workbench.session
    tracked(widget, qtbot)
    looked_at(widget, 8, qtbot)
    session.poses.set(truth[8], "by hand")
    widget.controls.key_button.click()
    file, *_ = write_session(tmp_path / "work.xreg.json", session)
    opened = read_session(file)
    session.patient.set_volume(None)
    assert (widget.track, widget.keys) == (None, ())
    session.restore(opened.state)
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)
    assert widget.keys == (8,)
    assert widget.controls.strip.color_of(8) == COLORS[FrameState.KEY]
    assert widget.controls.rows.isHidden()
    assert widget.controls.words.words.startswith("3 frames: 3 tracked.")
    looked_at(widget, 6, qtbot)
    tracked(widget, qtbot)
    torch.testing.assert_close(requests[-1].keys[8].matrix(), truth[8].matrix(), rtol=0, atol=1e-9)
    assert requests[-1].start == 6
