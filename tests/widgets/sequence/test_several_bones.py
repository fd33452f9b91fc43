"""Several bones in the Sequence widget, with a tracking that costs nothing: chosen, looked at, kept, saved, opened again."""

import csv
from dataclasses import replace

import pytest
import torch
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QPalette
from sequence_parts import ARM, LEFT, LONG, NUMBERS, looked_at, tracked

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, write_radiograph
from napari_xreg.records import read_track
from napari_xreg.rendering import render_drr
from napari_xreg.session import (
    BodiesTrack,
    FrameState,
    Track,
    TrackedFrame,
    file_source,
    read_session,
    read_xray,
    write_session,
)
from napari_xreg.viewer import colours_of
from napari_xreg.widgets import SequenceWidget
from napari_xreg.widgets.sequence.strip import COLORS
from napari_xreg.workflows import PATIENT
from napari_xreg.workflows.tracking import in_session

FEMUR, SIDE = 75, 95.0
ASIDE = torch.tensor([0.05, -0.03, 0.02, 1.0, 2.0, -3.0], dtype=torch.float64)
"""How the femur has moved about its pivot since the CT, a frame."""


@pytest.fixture(scope="session")
def cameras(patient, tmp_path_factory):
    """Three frames of two cameras, the phantom at rest; where they stand."""
    folder = tmp_path_factory.mktemp("cameras")
    center = patient.volume.center.double()
    rig = [ARM.world_from_camera(a, -4.0, 2.0, isocenter=center) for a in (7.0, SIDE)]
    for name, pose in zip("ab", rig, strict=True):
        image = render_drr(patient.volume, ARM, pose, method="joseph")
        for number in NUMBERS:
            write_radiograph(
                folder / f"{name}_{number:03d}.npz", Radiograph(image, ARM, simulated=True)
            )
    return folder, rig, center


@pytest.fixture
def asked(monkeypatch):
    """What was asked of a tracking that says the femur turns, and the patient stays; frame 8 of the femur is open."""
    seen = []

    def told(request, *, control=None):
        seen.append(request)
        names = tuple(body.name for body in request.bodies)
        frames = {name: [] for name in names}
        for number in request.frames.numbers:
            camera = request.frames.views(number)[0].world_from_camera
            together = []
            for place, body in enumerate(request.bodies):
                key = request.keys.get(number, (None,) * len(names))[place]
                by = (number - request.start) * ASIDE if place else 0 * ASIDE
                pose = body.world_from_camera[0].left_perturb(by, body.pivot)
                state = FrameState.TRACKED if key is None else FrameState.KEY
                if place and number == 8 and key is None:
                    together.append(
                        TrackedFrame(number, None, FrameState.OPEN, camera, words="gone")
                    )
                else:
                    together.append(
                        TrackedFrame(number, None, state, camera, key or pose, torch.eye(6) * 1e-4)
                    )  # fmt: skip
                frames[names[place]].append(together[-1])
            yield tuple(together)
        tracks = (
            Track(tuple(frames[b.name]), b.pivot, ARM, simulated=True) for b in request.bodies
        )
        n = 6 * len(names)
        return BodiesTrack(names, tuple(tracks), (torch.eye(n).double() * 1e-4,) * len(NUMBERS))

    monkeypatch.setattr(in_session, "track_bodies", told)
    return seen


@pytest.fixture
def widget(cameras, patient, viewer, bench, asked, qtbot):
    """Frame 7 of both cameras in a session of its own; the left femur is ticked."""
    folder, rig, _ = cameras
    session = bench.session
    for each in session.exposures.all:
        session.exposures.remove(each.id)
    session.patient.set_labels(patient.labels)
    for name, pose in zip("ab", rig, strict=True):
        source = file_source(folder / f"{name}_007.npz")
        session.exposures.add(read_xray(source), name=name, start=pose, source=source)
    session.exposures.activate(session.exposures.all[0].id)
    made = SequenceWidget(viewer)
    viewer.window.add_dock_widget(made, name="Sequence", area="right")
    tick(made, qtbot, FEMUR)
    return made


def tick(widget, qtbot, *ids):
    structures = widget.controls.several.choice.structures
    qtbot.waitUntil(lambda: structures.listed, timeout=LONG)
    for row in range(structures.list.count()):
        item = structures.list.item(row)
        on = item.data(Qt.ItemDataRole.UserRole) in ids
        item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)


def drawn(widget, qtbot):
    qtbot.waitUntil(lambda: not widget.frames.on_canvas.busy, timeout=LONG)


def visible(widget):
    layers = widget.workbench.viewer.layers
    return {layer.name: layer.visible for layer in layers if layer.name.endswith(("bone)", "CT)"))}


def pose_of(widget, name="a"):
    return widget.workbench.session.exposures.named(name).world_from_camera


def close(one: Pose, other: Pose) -> bool:
    return torch.allclose(one.matrix().double(), other.matrix().double(), rtol=0, atol=1e-6)


def test_bones_have_a_strip_each_and_the_chosen_one_its_curves_and_its_pose(
    widget, asked, cameras, qtbot
):
    tracked(widget, qtbot)
    controls = widget.controls
    assert [body.name for body in asked[-1].bodies] == [PATIENT, "femur_left"]
    assert list(controls.rows.strips) == [PATIENT, "femur_left"]
    assert controls.strip.isHidden()
    assert not controls.rows.isHidden()
    assert controls.words.words.startswith("patient: 3 simulated frames: 3 tracked. femur left: 3 ")
    femur = controls.rows.strips["femur_left"]
    assert [femur.color_of(n) for n in NUMBERS] == [
        COLORS[FrameState.TRACKED], COLORS[FrameState.TRACKED], COLORS[FrameState.OPEN],
    ]  # fmt: skip
    # The patient is chosen first; a click on the femur's last strip but one chooses it and that frame.
    assert widget.shown.chosen == PATIENT
    turn = controls.plots.plots["turn x"].dots.getData()[1]
    assert turn == pytest.approx([0.0] * 3, abs=1e-9)
    where = femur.place_of(6)
    qtbot.mouseClick(femur, LEFT, pos=QPoint(round(where.x()), round(where.y())))
    qtbot.waitUntil(lambda: widget.frames.number == 6, timeout=LONG)
    assert widget.shown.chosen == "femur_left"
    body = asked[-1].bodies[1]
    expected = cameras[1][0].left_perturb(-ASIDE, body.pivot)
    assert close(pose_of(widget), expected)
    # The other camera moves along.
    beside = cameras[1][0].inverse() @ cameras[1][1]
    assert close(pose_of(widget, "b"), expected @ beside)
    # Of the femur itself: the other way than the camera, 0.05 rad about x in a frame.
    turn = controls.plots.plots["turn x"].dots.getData()[1]
    assert turn == pytest.approx([0.0, -2.8648], abs=0.01)
    # In its own colour, which is seen on the dark window as it is.
    own = QColor(colours_of([PATIENT, "femur_left"], PATIENT)["femur_left"])
    assert controls.plots.plots["turn x"].curve.opts["pen"].color() == own
    assert [brush.color() for brush in controls.plots.plots["turn x"].dots.data["brush"]] == [
        own
    ] * 2
    # Against the patient, who stays, it is the same, and without standard deviations of the smooth motion.
    controls.against.setCurrentIndex(controls.against.findData(PATIENT))
    turn = controls.plots.plots["turn x"].dots.getData()[1]
    assert turn == pytest.approx([0.0, -2.8648], abs=0.01)
    # Another bone in the same frame: the C-arm goes to where it stands about it, and back. None of it is a step.
    widget.choose(PATIENT)
    assert close(pose_of(widget), cameras[1][0])
    widget.choose("femur_left")
    assert close(pose_of(widget), expected)
    assert widget.workbench.session.history.undoes == "track the sequence"


def off_start(widget, cameras):
    """The first camera elsewhere than where any bone was found; where that is."""
    off = cameras[1][0].left_perturb(-0.7 * ASIDE, cameras[2])
    session = widget.workbench.session
    session.poses.set(off, "by hand", exposure=session.exposures.named("a").id)
    return off


def test_after_tracking_the_c_arm_stands_where_the_chosen_bone_was_found(
    widget, asked, cameras, qtbot
):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.choose("femur_left")
    looked_at(widget, 6, qtbot)
    found = pose_of(widget)
    off = off_start(widget, cameras)
    assert not close(found, off)
    widget.go_to(6)  # a click on the cell of the frame that is shown
    assert close(pose_of(widget), found)
    assert session.undo() == "frame 6"
    # Of the femur, that is chosen meanwhile, and not of the patient, who was when it began.
    widget.choose(PATIENT)
    earlier = session.sequence.track
    off_start(widget, cameras)
    qtbot.mouseClick(widget.controls.go, LEFT)
    qtbot.waitUntil(lambda: len(asked) == 2, timeout=LONG)
    widget.choose("femur_left")
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
    assert widget.shown.chosen == "femur_left"
    expected = widget.track.frames[0].world_from_camera
    assert close(pose_of(widget), expected)
    assert close(expected, asked[-1].bodies[1].world_from_camera[0])
    assert not close(pose_of(widget), off)
    assert session.undo() == "track the sequence"
    assert session.sequence.track is earlier
    assert close(pose_of(widget), off)
    assert widget.shown.chosen == PATIENT


def test_the_chosen_row_and_the_c_arm_are_of_one_bone(widget, cameras, viewer, qtbot, tmp_path):
    session = widget.workbench.session
    tracked(widget, qtbot)
    looked_at(widget, 6, qtbot)
    widget.choose("femur_left")
    femur = pose_of(widget)
    assert not close(femur, cameras[1][0])
    # A pose that was set by hand and not kept comes back with one undo.
    off = off_start(widget, cameras)
    widget.choose(PATIENT)
    assert close(pose_of(widget), cameras[1][0])
    assert session.undo() == "frame 6"
    assert close(pose_of(widget), off)
    assert widget.shown.chosen == "femur_left"
    assert [i.row() for i in widget.controls.rows.selectionModel().selectedRows()] == [1]
    assert session.undo() == "by hand"
    assert close(pose_of(widget), femur)
    assert widget.shown.chosen == "femur_left"
    file, *_ = write_session(tmp_path / "work.xreg.json", session)
    assert read_session(file).sequence.track.chosen == "femur_left"
    widget.tear_down()
    again = SequenceWidget(viewer)
    viewer.window.add_dock_widget(again, name="Sequence again", area="right")
    assert again.shown.chosen == "femur_left"
    qtbot.waitUntil(lambda: again.sequence is not None, timeout=LONG)
    again.controls.key_button.click()
    assert again.keys == (6,)
    assert close(again.shown.known.track.keys("femur_left")[6][again.sequence.ids[0]], femur)


def test_ticks_and_frames_say_which_bones_are_drawn(widget, qtbot):
    tracked(widget, qtbot)
    drawn(widget, qtbot)
    assert visible(widget) == {"patient (rest of the CT)": True, "femur left (bone)": True}
    looked_at(widget, 8, qtbot)  # the femur is not found there
    drawn(widget, qtbot)
    assert visible(widget) == {"patient (rest of the CT)": True, "femur left (bone)": False}
    rows = widget.controls.rows
    rows.item(0, 0).setCheckState(Qt.CheckState.Unchecked)
    looked_at(widget, 7, qtbot)
    drawn(widget, qtbot)
    assert visible(widget) == {"patient (rest of the CT)": False, "femur left (bone)": True}
    layer = next(e for e in widget.workbench.viewer.layers if e.name == "femur left (bone)")
    layer.visible = False
    assert rows.ticked == {PATIENT: False, "femur_left": False}
    rows.tick("femur_left", True)
    tracked(widget, qtbot)
    drawn(widget, qtbot)
    # The layers are those of before: napari draws them meanwhile.
    assert layer in widget.workbench.viewer.layers
    assert rows.ticked == {PATIENT: False, "femur_left": True}
    assert visible(widget) == {"patient (rest of the CT)": False, "femur left (bone)": True}
    # One bone again: nothing of them is left.
    tick(widget, qtbot)
    assert widget.controls.several.bones == {}
    widget.workbench.session.exposures.remove(widget.workbench.session.exposures.all[1].id)
    assert visible(widget) == {}
    assert not widget.controls.rows.isVisible()


def test_rounds_of_track_cancel_and_undo_leave_the_same_layers(widget, qtbot):
    """napari may be drawing them at any time: none is taken out of its list."""
    session, viewer = widget.workbench.session, widget.workbench.viewer
    gone = []
    tracked(widget, qtbot)
    drawn(widget, qtbot)
    layers = [layer for layer in viewer.layers if layer.name.endswith(("bone)", "CT)"))]
    assert len(layers) == 2
    viewer.layers.events.removed.connect(lambda event: gone.append(event.value.name))
    for turn in range(6):
        qtbot.mouseClick(widget.controls.go, LEFT)
        if turn % 2:
            qtbot.mouseClick(widget.controls.go, LEFT)
        qtbot.waitUntil(lambda: not widget.running, timeout=LONG)
        while session.sequence.track is not None:
            session.undo()
        viewer.screenshot(flash=False)
        assert not any(layer.visible for layer in layers)
        session.redo()
        viewer.screenshot(flash=False)
        drawn(widget, qtbot)
    assert gone == []
    assert [layer in viewer.layers for layer in layers] == [True, True]
    assert visible(widget) == {"patient (rest of the CT)": True, "femur left (bone)": True}


def test_a_pose_is_kept_of_one_bone(widget, asked, cameras, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.choose("femur_left")
    looked_at(widget, 8, qtbot)
    kept = cameras[1][0].left_perturb(2 * ASIDE, cameras[2])
    session.poses.set(kept, "by hand")
    widget.controls.key_button.click()
    assert widget.keys == (8,)
    assert widget.controls.words.words == "frame 8: given"
    assert widget.controls.rows.strips["femur_left"].color_of(8) == COLORS[FrameState.KEY]
    assert widget.controls.rows.strips[PATIENT].color_of(8) == COLORS[FrameState.TRACKED]
    assert not widget.controls.forget_button.isHidden()
    widget.choose(PATIENT)
    assert widget.keys == ()
    assert not widget.controls.forget_button.isEnabled()
    widget.choose("femur_left")
    assert close(pose_of(widget), kept)
    tracked(widget, qtbot)
    # From frame 8: of the patient, not chosen, from where it was found there; the femur's pose is given.
    again = asked[-1]
    assert again.start == 8
    patients, femurs = again.keys[8]
    assert patients is None
    assert close(femurs, kept)
    assert close(again.bodies[0].world_from_camera[0], cameras[1][0])
    assert close(again.bodies[1].world_from_camera[0], kept)
    assert close(
        again.bodies[1].world_from_camera[1], kept @ cameras[1][0].inverse() @ cameras[1][1]
    )
    # Undone, the track before it is there, with its key.
    assert session.undo() == "track the sequence"
    assert widget.track.frames[2].state is FrameState.OPEN
    assert widget.keys == (8,)
    widget.controls.forget_button.click()
    assert widget.keys == ()
    assert widget.controls.rows.strips["femur_left"].color_of(8) == COLORS[FrameState.OPEN]
    session.undo()
    assert widget.keys == (8,)


def test_where_another_bone_was_found_is_no_pose_of_one_that_was_not(widget, cameras, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    looked_at(widget, 8, qtbot)  # the femur is not found there
    widget.choose("femur_left")
    widget.controls.key_button.click()
    assert widget.keys == ()
    assert "stands where patient was found" in widget._kept_words.words
    session.poses.set(cameras[1][0].left_perturb(ASIDE, cameras[2]), "by hand")
    widget.controls.key_button.click()
    assert widget.keys == (8,)


def test_another_label_map_is_said_and_ticks_come_back(widget, patient, qtbot):
    session, several = widget.workbench.session, widget.controls.several
    tracked(widget, qtbot)
    said = "Tracked before structures, labels or isocenter were changed."
    ids, names = patient.labels.ids, dict(patient.labels.names)
    names.pop(FEMUR, None)
    other = replace(patient.labels, ids=ids.where(ids != FEMUR, 0), names=names)
    session.patient.set_labels(other)
    qtbot.waitUntil(lambda: not several.finding, timeout=LONG)
    assert said in widget.controls.words.words
    assert several.bones == {}
    session.undo()
    qtbot.waitUntil(lambda: several.bones == {"femur_left": (FEMUR,)}, timeout=LONG)
    assert said not in widget.controls.words.words
    # What was ticked by hand, and not tracked yet, too.
    other = next(id for id in patient.labels.present() if id != FEMUR)
    tick(widget, qtbot, FEMUR, other)
    ticked = several.bones
    assert len(ticked) == 2
    session.patient.set_labels(None)
    assert several.bones == {}
    session.undo()
    qtbot.waitUntil(lambda: several.bones == ticked, timeout=LONG)


def test_a_track_of_other_voxels_is_not_drawn_with_these(widget, patient, viewer, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.tear_down()
    moved = patient.labels.ids.roll(2, dims=2)
    session.patient.set_labels(replace(patient.labels, ids=moved))
    again = SequenceWidget(viewer)
    viewer.window.add_dock_widget(again, name="Sequence again", area="right")
    qtbot.waitUntil(lambda: again._kept_words is not None, timeout=LONG)
    assert "the label map is no longer what was tracked" in again._kept_words.words
    assert again.track is not None
    assert again.sequence is None
    again.tear_down()
    session.patient.set_labels(replace(patient.labels))  # read again: the same voxels
    again = SequenceWidget(viewer)
    viewer.window.add_dock_widget(again, name="Sequence once more", area="right")
    qtbot.waitUntil(lambda: again.sequence is not None, timeout=LONG)
    # Titles, axes and the mark of the frame are in the ink of the window, though they were made before it.
    plots = again.controls.plots
    ink = plots.palette().color(QPalette.ColorRole.WindowText)
    assert ink.lightness() > 128
    for plot in plots.plots.values():
        assert plot.line.pen.color() == ink
        assert plot.plot.getAxis("left").textPen().color() == ink
        assert plot.plot.titleLabel.opts["color"] == ink.name()


def test_kept_poses_of_both_cameras_hold_for_one(widget, asked, qtbot):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.controls.key_button.click()
    side = session.exposures.named("b")
    session.exposures.set_used(side.id, False)
    tracked(widget, qtbot)
    assert asked[-1].keys[7][0] is not None
    assert "not used" not in widget.controls.words.words
    session.exposures.set_used(side.id, True)
    tracked(widget, qtbot)
    assert widget.keys == (7,)


def test_what_was_registered_of_a_bone_is_where_it_starts(widget, asked, cameras, qtbot):
    from napari_xreg.registration import Registration, Status

    session = widget.workbench.session
    found = cameras[1][0].left_perturb(ASIDE, cameras[2])
    views = (found, found @ cameras[1][0].inverse() @ cameras[1][1])
    result = Registration(found, Status.CONVERGED, {"loss": 0.5}, (), cameras[2], views=views)
    session.results.add(result, [e.id for e in session.exposures.all], {"bone": "femur_left"})
    tracked(widget, qtbot)
    assert close(asked[-1].bodies[0].world_from_camera[0], cameras[1][0])
    assert close(asked[-1].bodies[1].world_from_camera[0], found)


def test_all_bones_are_written_as_the_command_line_writes_them(widget, qtbot, tmp_path):
    tracked(widget, qtbot)
    widget.export(tmp_path / "out")
    between = tmp_path / "out" / "between.csv"
    qtbot.waitUntil(between.exists, timeout=LONG)
    for bone, states in (
        (PATIENT, ["tracked"] * 3),
        ("femur_left", ["tracked", "tracked", "open"]),
    ):
        rows = read_track(tmp_path / "out" / bone / "track.csv").rows
        assert [row.state for row in rows] == states
    lines = between.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(lines[1:]))
    assert [(r["frame"], r["one"], r["other"], r["state"]) for r in rows] == [
        ("6", PATIENT, "femur_left", "tracked"), ("7", PATIENT, "femur_left", "tracked"),
        ("8", PATIENT, "femur_left", "open"),
    ]  # fmt: skip


def test_a_session_that_is_opened_again_goes_on_with_its_track(
    widget, asked, cameras, viewer, qtbot, tmp_path
):
    session = widget.workbench.session
    tracked(widget, qtbot)
    widget.choose("femur_left")
    looked_at(widget, 6, qtbot)
    widget.controls.key_button.click()
    stood = pose_of(widget)
    file, *_ = write_session(tmp_path / "work.xreg.json", session)
    opened = read_session(file)
    session.patient.set_volume(None)
    assert widget.track is None
    session.restore(opened.state)
    assert [s.color_of(6) for s in widget.controls.strips] == [
        COLORS[FrameState.TRACKED], COLORS[FrameState.KEY],
    ]  # fmt: skip
    qtbot.waitUntil(lambda: widget.sequence is not None, timeout=LONG)
    qtbot.waitUntil(lambda: widget.controls.several.bones == {"femur_left": (FEMUR,)}, timeout=LONG)
    assert widget.frames.number == 6
    assert close(pose_of(widget), stood)
    assert widget.controls.export_button.isEnabled()
    looked_at(widget, 7, qtbot)
    widget.choose("femur_left")
    assert widget.keys == (6,)
    assert close(pose_of(widget), cameras[1][0])
    tracked(widget, qtbot)
    assert close(asked[-1].keys[6][1], stood)
    assert asked[-1].keys[6][0] is None


def test_a_track_whose_files_are_gone_is_still_shown(widget, cameras, qtbot, tmp_path):
    session = widget.workbench.session
    tracked(widget, qtbot)
    state = session.state
    session.patient.set_volume(None)
    source = file_source(cameras[0] / "a_007.npz")
    alone = tmp_path / "a_007.npz"
    alone.write_bytes((cameras[0] / "a_007.npz").read_bytes())
    first = replace(state.exposures[0], source=replace(source, path=str(alone)))
    session.restore(replace(state, exposures=(first, *state.exposures[1:])))
    qtbot.waitUntil(lambda: widget._kept_words is not None, timeout=LONG)
    assert "Its frames cannot be shown" in widget._kept_words.words
    assert widget.track is not None
    assert widget.controls.plots.plots["turn x"].dots.getData()[0].tolist() == list(NUMBERS)
    # Its tables can be written all the same.
    assert widget.controls.export_button.isEnabled()
    widget.export(tmp_path / "out")
    between = tmp_path / "out" / "between.csv"
    qtbot.waitUntil(between.exists, timeout=LONG)
    rows = read_track(tmp_path / "out" / "femur_left" / "track.csv").rows
    assert [row.state for row in rows] == ["tracked", "tracked", "open"]
    assert not (tmp_path / "out" / "femur_left" / "track.gif").exists()


def test_closed_while_it_runs_the_frames_so_far_reach_the_session(widget, monkeypatch, qtbot):
    session = widget.workbench.session
    qtbot.mouseClick(widget.controls.go, LEFT)
    job = widget._job
    widget.tear_down()
    qtbot.waitUntil(lambda: not job.running, timeout=LONG)
    assert session.sequence.track is not None
