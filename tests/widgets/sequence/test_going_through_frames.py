"""Frames are looked at: by napari's slider and its play button, before anything is tracked, and at no cost to undo."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from sequence_parts import ARM, LONG, STEP, looked_at, tracked

from napari_xreg.images import Radiograph, write_radiograph
from napari_xreg.session import FrameState, Track, TrackedFrame, file_source, read_xray
from napari_xreg.widgets import SequenceWidget
from napari_xreg.workflows import read_frame
from napari_xreg.workflows.tracking import in_session

COUNT = 24


@pytest.fixture(scope="session")
def cine(tmp_path_factory):
    """Frames whose first pixel is their number."""
    folder = tmp_path_factory.mktemp("long")
    for number in range(1, COUNT + 1):
        picture = torch.linspace(0.0, 1.0, 96 * 108).reshape(96, 108).clone()
        picture[0, 0] = number
        write_radiograph(folder / f"f_{number:03d}.npz", Radiograph(picture, ARM, simulated=True))
    return folder


def pose_in(number, center):
    return ARM.world_from_camera(7.0, -4.0, 2.0, isocenter=center).left_perturb(
        (number - 7) * 0.1 * STEP, center
    )


@pytest.fixture
def told(monkeypatch, patient):
    """A tracking that says where the bone is; what it was asked."""
    asked, center = [], patient.volume.center.double()

    def walk(request, *, control=None):
        asked.append(request)
        frames = []
        for number in request.frames.numbers:
            camera = request.frames.views(number)[0].world_from_camera
            key = request.keys.get(number)
            state = FrameState.TRACKED if key is None else FrameState.KEY
            found = key or pose_in(number, center)
            covariance = torch.eye(6, dtype=torch.float64) * 1e-4
            frames.append(TrackedFrame(number, None, state, camera, found, covariance))
            yield frames[-1]
        return Track(tuple(frames), request.isocenter, ARM)

    monkeypatch.setattr(in_session, "track", walk)
    return asked


@pytest.fixture
def widget(cine, patient, viewer, bench, told, qtbot):
    session = bench.session
    for each in session.exposures.all:
        session.exposures.remove(each.id)
    source, center = file_source(cine / "f_007.npz"), patient.volume.center.double()
    session.exposures.add(read_xray(source), name="cine", start=pose_in(7, center), source=source)
    made = SequenceWidget(viewer)
    viewer.window.add_dock_widget(made, name="Sequence", area="right")
    qtbot.waitUntil(lambda: made.sequence is not None, timeout=LONG)
    return made


def seen(widget):
    """The number of the frame that is on the canvas."""
    layer = widget.workbench.canvas.layer("radiograph")
    return round(float(np.asarray(layer.data)[0, 0]))


def test_frames_are_shown_and_poses_kept_before_anything_is_tracked(widget, told, patient, qtbot):
    session, center = widget.workbench.session, patient.volume.center.double()
    assert widget.track is None
    assert widget.controls.words.words.startswith("24 frames, not tracked yet")
    kept = {}
    for number in (3, 12, 20):
        looked_at(widget, number, qtbot)
        session.poses.set(pose_in(number, center), "by hand")
        widget.controls.key_button.click()
        kept[number] = session.poses.current.matrix()
    assert widget.keys == (3, 12, 20)
    looked_at(widget, 3, qtbot)
    torch.testing.assert_close(session.poses.current.matrix(), kept[3], rtol=0, atol=1e-12)
    assert session.undo() == "keep the pose of frame 20"
    session.redo()
    looked_at(widget, 12, qtbot)
    tracked(widget, qtbot)
    assert sorted(told[-1].keys) == [3, 12, 20]
    assert torch.equal(told[-1].keys[20].matrix(), kept[20])
    assert told[-1].start == 12


def test_frames_that_are_looked_at_are_no_steps_of_undo(widget, patient, qtbot):
    session, center = widget.workbench.session, patient.volume.center.double()
    tracked(widget, qtbot)
    steps = len(session.history)
    for number in (8, 9, 24, 1, 13):
        looked_at(widget, number, qtbot)
    assert len(session.history) == steps
    session.poses.set(pose_in(13.4, center), "by hand")
    by_hand = session.poses.current.matrix()
    widget.controls.key_button.click()
    for number in (2, 17):
        looked_at(widget, number, qtbot)
    assert session.undo() == "keep the pose of frame 13"
    assert (seen(widget), widget.keys) == (13, ())
    assert torch.equal(session.poses.current.matrix(), by_hand)
    assert session.redo() == "keep the pose of frame 13"
    assert (seen(widget), widget.keys) == (17, (13,))


def test_a_pose_that_was_not_kept_is_one_undo_away(widget, patient, qtbot):
    session, center = widget.workbench.session, patient.volume.center.double()
    tracked(widget, qtbot)
    session.poses.set(pose_in(7.5, center), "by hand")
    by_hand = session.poses.current.matrix()
    steps = len(session.history)
    for number in (8, 9, 10):
        looked_at(widget, number, qtbot)
    assert len(session.history) == steps + 1
    session.undo()
    assert seen(widget) == 7
    assert torch.equal(session.poses.current.matrix(), by_hand)


def test_undo_of_the_first_track_leaves_the_frames(widget, qtbot):
    session, viewer = widget.workbench.session, widget.workbench.viewer
    tracked(widget, qtbot)
    looked_at(widget, 9, qtbot)
    layers = list(viewer.layers)
    session.undo()
    assert widget.track is None
    assert not widget.controls.export_button.isEnabled()
    assert list(viewer.layers) == layers
    looked_at(widget, 11, qtbot)
    assert seen(widget) == 11


def test_naparis_own_slider_goes_through_the_frames(widget, patient, qtbot):
    viewer, session = widget.workbench.viewer, widget.workbench.session
    center = patient.volume.center.double()
    tracked(widget, qtbot)
    assert viewer.dims.nsteps[0] == COUNT
    assert viewer.dims.current_step[0] == 6
    viewer.dims.set_current_step(0, 11)
    qtbot.waitUntil(lambda: widget.frames.number == 12, timeout=LONG)
    assert seen(widget) == widget.controls.number.value() == 12
    expected = pose_in(12, center).matrix()
    torch.testing.assert_close(session.poses.current.matrix(), expected, rtol=0, atol=1e-9)
    widget.controls.number.setValue(5)
    qtbot.waitUntil(lambda: widget.frames.number == 5, timeout=LONG)
    assert viewer.dims.current_step[0] == 4


def test_of_frames_that_come_faster_than_they_are_read_the_last_is_shown(widget, qtbot):
    """As napari plays them; those that could not be read in time are left out, none waits its turn."""
    viewer, session = widget.workbench.viewer, widget.workbench.session
    tracked(widget, qtbot)
    steps, asked, shown = len(session.history), [], []
    go_on = threading.Event()
    widget.frames.shown.connect(lambda: shown.append(seen(widget)))

    def read(wanted):
        asked.append(wanted[1])
        go_on.wait(LONG / 1000)
        return read_frame(*wanted)

    widget.frames._lane._work = read
    viewer.dims.set_current_step(0, 9)
    qtbot.waitUntil(lambda: asked == [10], timeout=LONG)
    for place in range(10, 20):
        viewer.dims.set_current_step(0, place)
    go_on.set()
    qtbot.waitUntil(lambda: widget.frames.number == 20, timeout=LONG)
    assert asked == shown == [10, 20]
    assert viewer.dims.current_step[0] == 19
    assert widget.controls.number.value() == 20
    assert len(session.history) == steps


def show_again(widget, qtbot):
    """After a change of the session: the files were looked at again."""
    qtbot.waitUntil(lambda: not widget.looking.busy, timeout=LONG)


def test_distances_that_were_typed_hold_for_all_frames(widget, qtbot):
    exposures = widget.workbench.session.exposures
    (before,) = exposures.all
    arm = replace(ARM, source_to_detector=1070.0)
    exposures.replace_image(before.id, replace(before.radiograph, carm=arm))
    show_again(widget, qtbot)
    looked_at(widget, 8, qtbot)
    assert (seen(widget), exposures.all[0].radiograph.carm) == (8, arm)


def test_of_a_cropped_radiograph_there_are_no_frames(widget, qtbot):
    session = widget.workbench.session
    (before,) = session.exposures.all
    session.exposures.replace_image(before.id, before.radiograph.crop(10, 9, 50, 60))
    show_again(widget, qtbot)
    widget.go_to(8)
    assert widget.sequence is None
    assert session.exposures.all[0].radiograph.carm.detector.shape == (50, 60)
    session.undo()
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)
    looked_at(widget, 8, qtbot)
    assert seen(widget) == 8


def test_a_second_radiograph_goes_along(widget, cine, patient, qtbot):
    exposures, source = widget.workbench.session.exposures, file_source(cine / "f_007.npz")
    start = pose_in(7, patient.volume.center.double())
    exposures.add(read_xray(source), name="other", start=start, source=source)
    show_again(widget, qtbot)
    looked_at(widget, 9, qtbot)
    assert [round(float(e.radiograph.line_integrals[0, 0])) for e in exposures.all] == [9, 9]
    exposures.remove(exposures.all[-1].id)
    show_again(widget, qtbot)
    looked_at(widget, 4, qtbot)
    assert len(widget.sequence.ids) == 1


def test_a_crop_after_tracking_is_one_undo_away(widget, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    (before,) = session.exposures.all
    session.exposures.replace_image(before.id, before.radiograph.crop(10, 9, 50, 60))
    for number in (8, 9):
        looked_at(widget, number, qtbot)
    assert session.undo() == "frame 8"
    assert session.exposures.all[0].radiograph.carm.detector.shape == (50, 60)
