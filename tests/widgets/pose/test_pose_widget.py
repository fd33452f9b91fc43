"""The Pose widget in a real viewer, driven as a person would."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QColor, QImage, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.viewer.detector.pose_handles import RING
from napari_xreg.widgets.landmarks.widget import LandmarksWidget
from napari_xreg.widgets.pose import shortcuts
from napari_xreg.widgets.pose.rows import side_of
from napari_xreg.widgets.pose.shortcuts import PRESETS, SHORTCUTS, answer_with
from napari_xreg.widgets.pose.widget import PoseWidget
from napari_xreg.widgets.sequence.autoscoper_keys import AutoscoperKeys
from napari_xreg.widgets.sequence.keys import SEQUENCE_SHORTCUTS

CONTROL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
PLAIN = Qt.KeyboardModifier.NoModifier
LEFT, RIGHT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.NoButton


@pytest.fixture
def viewer(lent_viewer):
    """Shown: a canvas that was never drawn does not know where the mouse is in the world."""
    viewer = lent_viewer(show=True)
    viewer.window.resize(800, 560)
    return viewer


@pytest.fixture
def widget(bench, viewer, painted):
    """Docked in its viewer, with the first DRR painted."""
    widget = PoseWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Pose")
    painted(bench)
    yield widget
    widget.tear_down()


@pytest.fixture
def undocked(bench, viewer, painted):
    """A Pose widget that leaves the canvas its width."""
    widget = PoseWidget(viewer)
    painted(bench)
    yield widget
    widget.tear_down()


@pytest.fixture
def canvas(bench):
    """napari's canvas, which mouse and keys go to."""
    native = bench.viewer.window._qt_viewer.canvas.native
    QTest.qWait(100)
    return native


def send(canvas, kind, point, button, buttons, modifiers):
    event = QMouseEvent(
        kind, QPointF(point), QPointF(canvas.mapToGlobal(point)), button, buttons, modifiers
    )
    QApplication.sendEvent(canvas, event)


def drag(canvas, way, *, button=LEFT, modifiers=CONTROL, steps=4, start=None, before_release=None):
    """Press, move in steps, release; canvas pixels (x, y)."""
    begin = start or QPoint(canvas.width() // 2, canvas.height() // 2)
    send(canvas, QEvent.Type.MouseButtonPress, begin, button, button, modifiers)
    for k in range(1, steps + 1):
        there = begin + QPoint(round(way[0] * k / steps), round(way[1] * k / steps))
        send(canvas, QEvent.Type.MouseMove, there, NONE, button, modifiers)
        QTest.qWait(20)  # vispy drops moves that come within 10 ms
    if before_release is not None:
        before_release()
    send(canvas, QEvent.Type.MouseButtonRelease, there, button, NONE, modifiers)


def records(bench):
    return [record.why for record in bench.session.history.records]


def test_shows_the_pose_in_carm_terms(bench, widget):
    carm = bench.session.exposures.active.radiograph.carm
    terms = {"primary": 12.5, "secondary": -8.25, "roll": 3.5}
    pose = carm.world_from_camera(
        *terms.values(), isocenter=bench.session.patient.isocenter, offset_mm=(4.0, -7.5, 21.25)
    )
    bench.session.poses.set(pose, "elsewhere")
    shown = {name: row.field.value() for name, row in widget.carm.rows.items()}
    assert shown == pytest.approx({**terms, "x": 4.0, "y": -7.5, "depth": 21.25})
    assert widget.carm.rows["secondary"].slider.value() == 0  # the middle of what it can reach
    assert widget.carm.rows["secondary"].side.text() == "caudal"


def test_a_typed_number_changes_that_one_alone(bench, widget, qtbot):
    terms = ("primary", "secondary", "roll", "x", "y", "depth")
    assert set(widget.carm.rows) == set(terms)
    # All undone again, so that each begins at the nominal pose.
    for name in terms:
        field = widget.carm.rows[name].field
        field.setFocus()
        field.selectAll()
        qtbot.keyClicks(field, "-6.5")
        qtbot.keyClick(field, Qt.Key.Key_Return)
        shown = {key: row.field.value() for key, row in widget.carm.rows.items()}
        assert shown == pytest.approx({**dict.fromkeys(shown, 0.0), name: -6.5}, abs=1e-6)
        why = f"{widget.carm.rows[name].term.label.lower()} changed"
        qtbot.waitUntil(lambda why=why: records(bench)[-1] == why)
        qtbot.mouseClick(widget.poses.undo_button, LEFT)
        assert field.value() == pytest.approx(0.0, abs=1e-6)
        qtbot.mouseClick(widget.poses.redo_button, LEFT)
        assert field.value() == pytest.approx(-6.5)
        qtbot.mouseClick(widget.poses.undo_button, LEFT)


def test_arrows_of_a_field_go_by_the_step_and_are_one_change(bench, widget, qtbot):
    before = len(records(bench))
    widget.carm.angle_step.setValue(2.5)
    field = widget.carm.rows["secondary"].field
    for _ in range(3):
        qtbot.keyClick(field, Qt.Key.Key_Up)
    assert field.value() == pytest.approx(7.5)
    qtbot.waitUntil(lambda: len(records(bench)) == before + 1)
    qtbot.wait(50)
    assert len(records(bench)) == before + 1


def test_undo_brings_the_last_radiograph_back(bench, widget, qtbot):
    bench.session.exposures.remove(bench.session.exposures.named("frontal").id)
    assert bench.session.exposures.active is None
    assert not widget.poses.keep_button.isEnabled()
    assert widget.poses.undo_words.text() == "Undo: remove radiograph frontal"
    qtbot.mouseClick(widget.poses.undo_button, LEFT)
    assert bench.session.exposures.active.name == "frontal"
    assert widget.poses.keep_button.isEnabled()
    qtbot.mouseClick(widget.poses.redo_button, LEFT)
    assert bench.session.exposures.active is None


def test_a_drr_only_where_the_radiograph_is_masked_is_as_good_as_none(
    bench, widget, qtbot, painted
):
    session = bench.session
    image = painted(bench).image > 0
    assert image.any()
    shape = session.exposures.active.radiograph.carm.detector.shape
    assert image.shape == tuple(shape)  # so that the mask below is the very complement
    session.exposures.set_painted(session.exposures.active.id, torch.from_numpy(~image))
    painted(bench)
    qtbot.waitUntil(lambda: "usable pixels" in widget.hint.words, timeout=10_000)
    assert widget.poses.centre_button.isEnabled()
    qtbot.waitUntil(lambda: widget.reading.similarity.text() == "—", timeout=10_000)


def test_an_empty_drr_says_so_and_the_ct_is_brought_back(bench, widget, qtbot, painted):
    session = bench.session
    pose = session.poses.current
    away = replace(pose, translation=pose.translation + torch.tensor([900.0, 300.0, 500.0]))
    session.poses.set(away, "away")
    painted(bench)
    qtbot.waitUntil(lambda: "misses the CT" in widget.hint.words, timeout=10_000)
    assert widget.poses.centre_button.isEnabled()
    qtbot.waitUntil(
        lambda: widget.reading.similarity.text() == "—", timeout=10_000
    )  # not "NCC 0.000"
    qtbot.mouseClick(widget.poses.centre_button, LEFT)
    distance = session.exposures.active.radiograph.carm.source_to_isocenter
    reached = session.poses.current.translation + distance * session.poses.current.rotation[:, 2]
    assert reached.tolist() == pytest.approx(session.patient.volume.center.tolist())
    assert torch.equal(session.poses.current.rotation, pose.rotation)
    painted(bench)
    qtbot.waitUntil(lambda: widget.hint.words == "", timeout=10_000)
    assert session.undo() == "centre the CT"


def test_a_dragged_slider_is_one_change(bench, widget, qtbot, painted):
    before = len(records(bench))
    slider = widget.carm.rows["x"].slider
    slider.setSliderDown(True)
    assert bench.preview.dragging
    for value in (100, 250, 400):
        slider.setSliderPosition(value)
    assert bench.session.poses.current is not None
    assert len(records(bench)) == before
    slider.setSliderDown(False)
    assert not bench.preview.dragging
    assert records(bench)[before:] == ["x changed"]
    assert (
        painted(bench).image.shape == bench.session.exposures.active.radiograph.carm.detector.shape
    )
    assert widget.carm.rows["x"].field.value() == pytest.approx(
        4.0
    )  # hundredths of a mm from where it was
    assert slider.value() == 0  # and can go on from here
    slider.setSliderDown(True)
    slider.setSliderPosition(-50)
    slider.setSliderDown(False)
    assert widget.carm.rows["x"].field.value() == pytest.approx(3.5)


def test_control_drag_takes_the_isocenter_along(bench, widget, canvas, painted):
    carm = bench.session.exposures.active.radiograph.carm
    center = bench.session.patient.isocenter[None]
    before = carm.project(center, bench.session.poses.current)[0]
    count = len(records(bench))
    camera = bench.viewer.scene.camera
    where, zoom = camera.center, camera.zoom
    drag(canvas, (40, -25))
    after = carm.project(center, bench.session.poses.current)[0]
    s_row, s_column = carm.detector.spacing
    moved = ((after - before) * torch.tensor([s_row, s_column])).tolist()
    assert moved == pytest.approx([-25 / zoom, 40 / zoom], abs=0.5 / zoom)
    assert records(bench)[count:] == ["drag"]
    assert camera.center == where
    assert camera.zoom == zoom
    latest = painted(bench)
    assert latest.image.shape == carm.detector.shape


def test_control_right_drag_up_enlarges(bench, widget, canvas):
    zoom = bench.viewer.scene.camera.zoom
    drag(canvas, (0, -30), button=RIGHT)
    assert widget.carm_pose().offset_mm == pytest.approx((0.0, 0.0, 60 / zoom), abs=1.0 / zoom)
    assert records(bench)[-1] == "depth by hand"
    assert bench.viewer.scene.camera.zoom == zoom


def test_control_shift_drag_turns_about_the_chosen_landmark(bench, widget, canvas):
    index = widget.view.pivot.count() - 1
    widget.view.pivot.setCurrentIndex(index)
    mark = bench.session.landmarks.all[-1]
    assert widget.view.pivot.currentText() == mark.name
    carm = bench.session.exposures.active.radiograph.carm
    point = torch.tensor(mark.position, dtype=torch.float64)[None]
    before = carm.project(point, bench.session.poses.current)[0]
    zoom = bench.viewer.scene.camera.zoom
    drag(canvas, (30, 0), modifiers=CONTROL | SHIFT)
    after = carm.project(point, bench.session.poses.current)[0]
    assert after.tolist() == pytest.approx(before.tolist(), abs=1e-6)
    # The near side (the chest) follows to the right: the C-arm turns the other way, to RAO.
    assert widget.carm_pose().primary_deg == pytest.approx(-0.3 * 30 / zoom, rel=0.05)
    assert records(bench)[-1] == "rotation by hand"


def test_rotation_about_the_point_under_the_cursor_keeps_it(bench, widget, canvas):
    widget.view.pivot.setCurrentIndex(1)
    carm = bench.session.exposures.active.radiograph.carm
    start = bench.session.poses.current
    begin = QPoint(canvas.width() // 2 + 60, canvas.height() // 2 - 35)
    drag(canvas, (20, 15), modifiers=CONTROL | SHIFT, start=begin)
    # The one line through the pivot that the rotation leaves is no matter: the pivot itself is
    # found as the point at the isocenter's depth that did not move.
    motion = bench.session.poses.current @ start.inverse()
    assert float(motion.log()[:3].norm()) > 0.02
    middle = np.array(bench.viewer.scene.camera.center[-2:])
    zoom = bench.viewer.scene.camera.zoom
    row_mm, column_mm = middle + np.array([-35, 60]) / zoom
    s_row, s_column = carm.detector.spacing
    pixel = (row_mm / s_row, column_mm / s_column)
    from napari_xreg.geometry.hand_moves import point_under

    point = point_under(start, carm, pixel, bench.session.patient.isocenter)
    seen = carm.project(point[None], bench.session.poses.current)[0].tolist()
    # A mouse stands on whole pixels of the screen, the middle of the canvas may not.
    assert abs(seen[0] - pixel[0]) < 1 / zoom / s_row
    assert abs(seen[1] - pixel[1]) < 1 / zoom / s_column


def test_control_shift_right_drag_rolls(bench, widget, canvas):
    begin = QPoint(canvas.width() // 2 + 80, canvas.height() // 2)
    drag(canvas, (0, 60), button=RIGHT, modifiers=CONTROL | SHIFT, start=begin)
    pose = widget.carm_pose()
    assert abs(pose.roll_deg) == pytest.approx(np.degrees(np.arctan2(60, 80)), abs=2.0)
    assert pose.primary_deg == pytest.approx(0.0, abs=1e-6)
    assert records(bench)[-1] == "roll"


def test_a_drag_without_control_pans_the_canvas_only(bench, widget, canvas):
    pose, where = bench.session.poses.current, bench.viewer.scene.camera.center
    drag(canvas, (30, 10), modifiers=PLAIN)
    assert bench.session.poses.current is pose
    assert bench.viewer.scene.camera.center != where


def at_mm(bench, canvas, down, right):
    """Where a place on the detector, mm, is on napari's canvas."""
    camera = bench.viewer.scene.camera
    middle = np.array([canvas.height(), canvas.width()]) / 2
    row, column = middle + camera.zoom * (np.array([down, right]) - np.array(camera.center[-2:]))
    return QPoint(round(column), round(row))


def test_handles_shift_and_roll_with_the_plain_mouse_and_pan_elsewhere(
    bench, widget, canvas, painted
):
    handles, camera = bench.canvas.handles, bench.viewer.scene.camera
    widget.view.handles.setChecked(True)
    painted(bench)
    radius = RING * min(bench.canvas.carm.detector.size_mm)
    centre, (down, right) = camera.center, handles.centre
    drag(canvas, (12, -9), modifiers=PLAIN, start=at_mm(bench, canvas, down, right))
    painted(bench)
    assert records(bench)[-1] == "drag"
    moved = (handles.centre[0] - down, handles.centre[1] - right)  # the cross goes with the patient
    assert moved == pytest.approx((-9 / camera.zoom, 12 / camera.zoom), abs=0.5 / camera.zoom)
    down, right = handles.centre
    # From twelve o'clock to three.
    way = (round(radius * camera.zoom), round(radius * camera.zoom))
    drag(canvas, way, modifiers=PLAIN, start=at_mm(bench, canvas, down - radius, right))
    painted(bench)
    assert records(bench)[-1] == "roll"
    # The ring has 16 pixels of the screen: one is 3.6 degrees.
    assert abs(widget.carm_pose().roll_deg) == pytest.approx(90.0, abs=4.0)
    assert handles.centre == pytest.approx((down, right), abs=1e-3)
    assert camera.center == centre
    assert camera.mouse_pan
    moved = bench.session.poses.current
    drag(canvas, (40, 25), modifiers=PLAIN, start=at_mm(bench, canvas, down - 1.6 * radius, right))
    assert bench.session.poses.current is moved
    assert camera.center != centre
    widget.view.handles.setChecked(False)
    assert bench.canvas.layer("pose handles") is None


@pytest.mark.parametrize("outside", [False, True])
def test_the_cross_stays_under_the_mouse_whatever_it_is_about(
    bench, undocked, canvas, painted, outside
):
    """A point 120 mm nearer to the detector than the isocenter, seen on the picture or beyond it."""
    carm, pose = bench.canvas.carm, bench.session.poses.current
    isocenter = bench.session.patient.isocenter
    away = 400.0 if outside else 20.0
    place = isocenter + pose.rotation @ torch.tensor([away, 0.0, 120.0]).double()
    marks = [Landmark("deep", tuple(place.tolist()))]
    bench.session.landmarks.set(marks)
    view = undocked.view
    view.pivot.setCurrentIndex(view.pivot.findText("deep"))
    view.handles.setChecked(True)
    painted(bench)
    handles, zoom = bench.canvas.handles, bench.viewer.scene.camera.zoom
    down, right = handles.centre
    seen = carm.project(place[None], pose)[0]
    there = []
    bench.preview.painted.connect(lambda _: there.append(handles.centre))
    inwards = -50 if right > carm.detector.size_mm[1] / 2 else 50
    send_drag = {"modifiers": PLAIN, "start": at_mm(bench, canvas, down, right)}
    drag(canvas, (inwards, 10), **send_drag, before_release=lambda: painted(bench))
    way = (10 / zoom, inwards / zoom)
    held = (there[-1][0] - down, there[-1][1] - right)
    assert held == pytest.approx(way, abs=0.5 / zoom)
    moved = carm.project(place[None], bench.session.poses.current)[0] - seen
    assert (moved * torch.tensor(carm.detector.spacing)).tolist() == pytest.approx(
        way, abs=0.5 / zoom
    )
    painted(bench)
    inside = (down + way[0], right + way[1])
    assert handles.centre == pytest.approx(
        (inside[0], right) if outside else inside, abs=0.5 / zoom
    )


def test_handles_are_not_there_while_another_pose_is_compared(bench, widget, painted):
    start = bench.session.exposures.active.start
    step = torch.tensor([0.0, 20.0, 0.0]).double()
    bench.session.poses.set(Pose(start.rotation, start.translation + step), "moved")
    widget.view.handles.setChecked(True)
    painted(bench)
    handles, layer = bench.canvas.handles, bench.canvas.layer("pose handles")
    down, right = handles.centre
    zoom = bench.viewer.scene.camera.zoom
    widget.compare()
    assert widget.hint.text().startswith("Shown: ")
    QTest.qWait(50)
    assert not layer.visible
    assert handles.under(down, right, zoom) is None
    while bench.preview.elsewhere:
        widget.compare()
    painted(bench)
    assert layer.visible
    assert handles.under(down, right, zoom) == "shift"
    widget.compare()
    bench.session.poses.set(start, "moved")  # ends the comparison
    painted(bench)
    assert layer.visible


@pytest.mark.parametrize("first", ["Pose", "Landmarks"])
def test_handles_give_way_to_landmarks(bench, viewer, canvas, qtbot, painted, first):
    """A click on the cross picks while picking is on; a picked landmark is dragged from under the ring."""
    made = {"Pose": PoseWidget, "Landmarks": LandmarksWidget}
    widgets = {name: made[name](viewer) for name in sorted(made, key=lambda name: name != first)}
    painted(bench)
    widgets["Pose"].view.handles.setChecked(True)
    handles, zoom = bench.canvas.handles, bench.viewer.scene.camera.zoom
    picking = widgets["Landmarks"].picking
    picking.toggle()
    wanted = picking.guide.name
    pose, (down, right) = bench.session.poses.current, handles.centre
    send(canvas, QEvent.Type.MouseMove, at_mm(bench, canvas, down, right), NONE, NONE, PLAIN)
    qtbot.mouseClick(canvas, LEFT, PLAIN, at_mm(bench, canvas, down, right))
    (mark,) = bench.session.exposures.active.landmarks
    assert mark.name == wanted
    spacing = bench.canvas.carm.detector.spacing
    assert np.array(mark.pixel) * spacing == pytest.approx((down, right), abs=1 / zoom)
    picking.stop()
    drag(canvas, (12, -9), modifiers=PLAIN, start=at_mm(bench, canvas, down, right))
    (mark,) = bench.session.exposures.active.landmarks
    there = (down - 9 / zoom, right + 12 / zoom)
    assert np.array(mark.pixel) * spacing == pytest.approx(there, abs=1 / zoom)
    assert bench.session.poses.current is pose
    # Where neither is wanted, they are the pose's.
    drag(canvas, (12, -9), modifiers=PLAIN, start=at_mm(bench, canvas, down, right))
    assert bench.session.poses.current is not pose
    for widget in widgets.values():
        widget.tear_down()
    assert handles.gives_way_to == []


@pytest.mark.parametrize(
    ("key", "modifiers", "name", "value"),
    [
        (Qt.Key.Key_Right, SHIFT, "x", 2.0),
        (Qt.Key.Key_Down, SHIFT, "y", -2.0),
        (Qt.Key.Key_PageUp, SHIFT, "depth", 2.0),
        (Qt.Key.Key_Left, CONTROL | SHIFT, "primary", -1.0),
        (Qt.Key.Key_Up, CONTROL | SHIFT, "secondary", 1.0),
        (Qt.Key.Key_PageDown, CONTROL | SHIFT, "roll", -1.0),
    ],
)
def test_keys_go_by_one_step(bench, widget, canvas, qtbot, key, modifiers, name, value):
    qtbot.keyClick(canvas, key, modifiers)
    assert widget.carm.rows[name].field.value() == pytest.approx(value, abs=1e-6)
    others = [row.field.value() for key, row in widget.carm.rows.items() if key != name]
    assert others == pytest.approx([0.0] * 5, abs=1e-6)
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL)
    assert widget.carm.rows[name].field.value() == pytest.approx(0.0, abs=1e-6)
    qtbot.keyClick(canvas, Qt.Key.Key_Z, CONTROL | SHIFT)
    assert widget.carm.rows[name].field.value() == pytest.approx(value, abs=1e-6)


@pytest.fixture
def autoscoper(bench):
    """Autoscoper's keys, switched on; what they called, and what was said."""
    called, said = [], []
    calls = {n: partial(called.append, n) for n in ("keep", "copy", "paste")}
    keys = AutoscoperKeys(bench, **calls, say=said.append)
    before = dict(bench.viewer.keymap)
    keys.switch(True)
    yield keys, called, said
    keys.switch(False)
    assert dict(bench.viewer.keymap) == before


@pytest.mark.parametrize(
    ("key", "button", "held"),
    [
        (None, LEFT, CONTROL),
        (Qt.Key.Key_W, RIGHT, CONTROL),
        (Qt.Key.Key_E, LEFT, CONTROL | SHIFT),
        (Qt.Key.Key_E, RIGHT, CONTROL | SHIFT),
    ],
)
def test_by_autoscopers_keys_a_plain_drag_does_what_control_does(
    bench, widget, canvas, qtbot, autoscoper, key, button, held
):
    """From the beginning as W: it shifts."""
    if key is not None:
        qtbot.keyClick(canvas, key)
    poses, begun = bench.session.poses, bench.session.poses.current
    drag(canvas, (30, 14), button=button, modifiers=held)
    wanted = poses.current.matrix()
    poses.set(begun, "back")
    drag(canvas, (30, 14), button=button, modifiers=PLAIN)
    torch.testing.assert_close(poses.current.matrix(), wanted)
    assert not torch.equal(wanted, begun.matrix())
    # Off again, it is napari's.
    autoscoper[0].switch(False)
    pose = poses.current
    drag(canvas, (30, 14), button=button, modifiers=PLAIN)
    assert poses.current is pose


def test_by_autoscopers_d_a_drag_moves_the_pivot_alone(bench, widget, canvas, qtbot, autoscoper):
    qtbot.keyClick(canvas, Qt.Key.Key_D)
    pose, carm, zoom = (
        bench.session.poses.current,
        bench.canvas.carm,
        bench.viewer.scene.camera.zoom,
    )
    before = bench.session.patient.isocenter
    deep = float(pose.inverse().apply(before)[2])
    drag(canvas, (30, -24), modifiers=PLAIN, start=at_mm(bench, canvas, 140.0, 190.0))
    after = bench.session.patient.isocenter
    assert bench.session.poses.current is pose
    assert float(pose.inverse().apply(after)[2]) == pytest.approx(deep, abs=1e-4)
    seen = carm.project(after, pose).numpy() * np.array(carm.detector.spacing)
    assert seen == pytest.approx((140.0 - 24 / zoom, 190.0 + 30 / zoom), abs=1.5 / zoom)
    assert records(bench)[-1] == "move the isocenter"


def test_by_autoscopers_arrows_one_parameter_is_chosen_and_changed(
    bench, widget, canvas, qtbot, autoscoper
):
    _, called, said = autoscoper
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Up):
        qtbot.keyClick(canvas, key)
    assert said[-1] == "Up and Down change depth."
    assert widget.carm.rows["depth"].field.value() == pytest.approx(2.0, abs=1e-6)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Down):
        qtbot.keyClick(canvas, key)
    assert said[-1] == "Up and Down change roll."
    assert widget.carm.rows["roll"].field.value() == pytest.approx(-1.0, abs=1e-6)
    qtbot.keyClick(canvas, Qt.Key.Key_S)
    qtbot.keyClick(canvas, Qt.Key.Key_C, CONTROL)
    qtbot.keyClick(canvas, Qt.Key.Key_V, CONTROL)
    assert called == ["keep", "copy", "paste"]


def test_by_autoscopers_keys_without_pose_it_says_what_to_open(bench, canvas, qtbot, autoscoper):
    qtbot.keyClick(canvas, Qt.Key.Key_E)
    assert autoscoper[2][-1] == "Open Pose: it follows the mouse."


def test_no_key_of_naparis_is_taken_and_all_are_in_the_preferences(monkeypatch):
    from napari._qt._qapp_model.qactions._file import Q_FILE_ACTIONS
    from napari._qt._qapp_model.qactions._view import Q_VIEW_ACTIONS
    from napari.components import ViewerModel
    from napari.utils.action_manager import action_manager
    from napari.utils.key_bindings import coerce_keybinding
    from napari.utils.shortcuts import default_shortcuts

    theirs = {key for keys in default_shortcuts.values() for key in keys}
    for actions in (Q_FILE_ACTIONS, Q_VIEW_ACTIONS):  # menus, as Alt+C for a screenshot
        for rule in (rule for action in actions for rule in action.keybindings or ()):
            keys = (rule.primary, rule.win, rule.mac, rule.linux)
            theirs |= {coerce_keybinding(key) for key in keys if key is not None}
    every = (*SHORTCUTS, *SEQUENCE_SHORTCUTS)
    ours = [coerce_keybinding(shortcut.key) for shortcut in every]
    assert len(set(ours)) == len(ours) == 24
    assert not theirs & set(ours)
    # A copy: a widget that comes later in this process has to register its keys itself.
    monkeypatch.setattr(shortcuts, "_answered_by", dict(shortcuts._answered_by))
    for of_one in (SHORTCUTS, SEQUENCE_SHORTCUTS):
        answer_with(lambda viewer, name: None, of_one)  # once: who was first answers
    listed = action_manager._get_provider_actions(ViewerModel)
    for shortcut in every:
        assert listed[f"napari_xreg:{shortcut.name}"].description == shortcut.words


def test_presets_blink_and_compare_have_keys(bench, widget, canvas, qtbot, painted):
    alt = Qt.KeyboardModifier.AltModifier
    overlay = bench.canvas
    for number, mode in enumerate(PRESETS, start=1):
        qtbot.keyClick(canvas, getattr(Qt.Key, f"Key_{number}"), alt)
        assert overlay.overlay == widget.view.overlay.currentText() == mode
    for expected in ("radiograph", "DRR", "radiograph"):
        qtbot.keyClick(canvas, Qt.Key.Key_B, alt)
        assert overlay.overlay == expected
    # Start and current pose by turns: only the DRR, nothing is moved, nothing to undo.
    session = bench.session
    widget.step("x", 1)
    painted(bench)
    pose, count = session.poses.current, len(records(bench))
    start = session.exposures.active.start
    for expected in (start, pose, start):
        qtbot.keyClick(canvas, Qt.Key.Key_N, alt)
        qtbot.waitUntil(lambda: not bench.preview.busy)
        shown = bench.preview.latest.request.world_from_camera
        assert torch.equal(shown.translation, expected.translation)
    assert session.poses.current is pose
    assert bench.preview.elsewhere
    assert widget.hint.words.startswith("Shown: start")
    assert len(records(bench)) - count <= 1  # the step before, once it settled
    widget.step("x", 1)  # whoever moves the C-arm sees where it is
    painted(bench)
    assert not bench.preview.elsewhere


def test_angles_say_their_side():
    assert [side_of("primary", v) for v in (12.0, -0.5, 0.001)] == ["LAO", "RAO", ""]
    assert [side_of("secondary", v) for v in (8.0, -8.0)] == ["cranial", "caudal"]
    assert side_of("roll", 5.0) == side_of("x", -5.0) == ""


def test_shift_right_moves_the_picture_to_the_right(bench, widget, canvas, qtbot):
    carm = bench.session.exposures.active.radiograph.carm
    center = bench.session.patient.isocenter[None]
    before = carm.project(center, bench.session.poses.current)[0]
    qtbot.keyClick(canvas, Qt.Key.Key_Right, SHIFT)
    qtbot.keyClick(canvas, Qt.Key.Key_Down, SHIFT)
    after = carm.project(center, bench.session.poses.current)[0]
    assert bool((after > before + 0.1).all())  # lower, and further right


def test_reset_named_poses_and_their_undo(bench, widget, qtbot):
    widget.step("primary", 1)
    widget.poses.named.setEditText("here")
    qtbot.mouseClick(widget.poses.keep_button, LEFT)
    assert [kept.name for kept in bench.session.poses.named] == ["here"]
    qtbot.mouseClick(widget.poses.reset_button, LEFT)
    assert widget.carm.rows["primary"].field.value() == pytest.approx(0.0, abs=1e-9)
    assert records(bench)[-3:] == ["primary changed", "save pose 'here'", "reset"]
    assert widget.poses.undo_words.text() == "Undo: reset"
    qtbot.mouseClick(widget.poses.go_button, LEFT)
    assert widget.carm.rows["primary"].field.value() == pytest.approx(1.0)
    qtbot.mouseClick(widget.poses.forget_button, LEFT)
    assert not bench.session.poses.named


def test_copy_and_paste_as_json(bench, widget, qtbot):
    widget.step("roll", 1)
    qtbot.mouseClick(widget.poses.copy_button, LEFT)
    copied = json.loads(QApplication.clipboard().text())
    assert copied["schema"] == "napari-xreg/pose"
    expected = bench.session.poses.current.matrix()
    assert np.allclose(copied["world_from_camera"], expected)
    widget.poses.reset()
    qtbot.mouseClick(widget.poses.paste_button, LEFT)
    assert torch.allclose(bench.session.poses.current.matrix(), expected, atol=1e-12)
    assert records(bench)[-1] == "pose pasted"


def test_pasting_nonsense_is_one_sentence(bench, widget, qtbot, notified):
    QApplication.clipboard().setText("{not json")
    pose = bench.session.poses.current
    qtbot.mouseClick(widget.poses.paste_button, LEFT)
    assert bench.session.poses.current is pose
    assert len(notified) == 1
    assert "clipboard" in notified[0]


def read(widget):
    return widget.reading.similarity.text() != "—"


def test_similarity_is_read_and_best_at_the_truth(bench, widget, qtbot, painted, radiograph):
    qtbot.waitUntil(lambda: read(widget))
    away = widget.reading.similarity.text()
    carm = radiograph.carm
    truth = carm.world_from_camera(
        7.0, -4.0, 2.0, isocenter=bench.session.patient.isocenter, offset_mm=(6.0, -9.0, 14.0)
    )
    bench.session.poses.set(truth, "truth")
    painted(bench)
    qtbot.waitUntil(lambda: widget.reading.similarity.text() != away)
    qtbot.waitUntil(lambda: widget.reading.similarity.text() == "1.000")
    assert widget.reading.profile.values[-1] == pytest.approx(1.0, abs=1e-3)
    assert "96 × 108 px" in widget.reading.words.words


def test_painting_over_a_half_changes_the_similarity(bench, widget, qtbot):
    qtbot.waitUntil(lambda: read(widget))
    whole = widget.reading.similarity.text()
    painted = torch.ones(
        bench.session.exposures.active.radiograph.carm.detector.shape, dtype=torch.bool
    )
    painted[:, :54] = False
    bench.session.exposures.set_painted(bench.session.exposures.named("frontal").id, painted)
    qtbot.waitUntil(lambda: widget.reading.similarity.text() not in (whole, "—"))
    bench.session.exposures.set_painted(bench.session.exposures.named("frontal").id, None)
    qtbot.waitUntil(lambda: widget.reading.similarity.text() == whole)


def test_ncc_of_every_drr_of_a_drag_is_in_the_line(
    bench, widget, canvas, qtbot, painted, radiograph
):
    """And of one pose once, though it is drawn small while dragged and whole afterwards."""
    profile = widget.reading.profile
    assert len(profile.values) == 1
    seen = []
    bench.preview.painted.connect(lambda preview: seen.append(preview.request.world_from_camera))
    drag(canvas, (40, -30), steps=6)
    painted(bench)
    poses = {id(pose) for pose in seen}
    assert len(seen) >= 2
    assert len(profile.values) == 1 + len(poses)
    by_hand = np.corrcoef(
        radiograph.line_integrals.numpy().ravel(), bench.preview.latest.image.ravel()
    )[0, 1]
    assert profile.values[-1] == pytest.approx(by_hand, abs=1e-5)
    assert profile.values[-1] != pytest.approx(profile.values[0], abs=1e-3)
    count = len(seen)
    bench.preview.ask()  # the same pose once more
    qtbot.waitUntil(lambda: len(seen) > count)
    assert len(profile.values) == 1 + len(poses)


def test_the_line_is_grey_while_the_drr_is_behind(bench, widget, qtbot, painted):
    profile, coloured = widget.reading.profile, picture_of(widget.reading.profile)
    bench.preview.hold()  # no DRR comes
    bench.session.poses.move(bench.session.exposures.active.start)
    widget.carm.rows["primary"].field.setValue(9.0)
    qtbot.waitUntil(lambda: profile.lagging)
    grey = picture_of(profile)
    bench.preview.release()
    painted(bench)
    assert not profile.lagging
    assert saturation(coloured) > 100 > saturation(grey)
    assert saturation(picture_of(profile)) > 100
    assert len(profile.values) == 2


def test_what_no_longer_compares_leaves_the_line(bench, widget, qtbot, painted, make_radiograph):
    profile = widget.reading.profile
    for angle in (3.0, 5.0):
        widget.carm.rows["primary"].field.setValue(angle)
        painted(bench)
    assert len(profile.values) >= 2
    before, start = profile.values, bench.session.exposures.active.start
    bench.preview.look_at(start)  # a comparison is no move
    qtbot.waitUntil(lambda: bench.preview.latest.request.world_from_camera is start)
    assert profile.values == before
    half = torch.ones(96, 108, dtype=torch.bool)
    half[:, :54] = False
    bench.preview.look_at(None)
    painted(bench)
    bench.session.exposures.set_painted(bench.session.exposures.active.id, half)
    assert len(profile.values) == 1
    bench.session.exposures.add(make_radiograph(64, primary_deg=85.0), name="lateral")
    painted(bench)
    assert len(profile.values) == 1


def picture_of(widget):
    return widget.grab().toImage()


def saturation(image):
    """Of the most vivid pixel, 0 to 255."""
    places = ((x, y) for x in range(image.width()) for y in range(image.height()))
    return max(image.pixelColor(x, y).saturation() for x, y in places)


def test_two_radiographs_and_the_rig(bench, widget, qtbot, make_radiograph):
    assert widget.rig.isHidden()
    bench.session.exposures.add(make_radiograph(64, primary_deg=85.0), name="lateral")
    assert [widget.radiograph.itemText(k) for k in range(2)] == ["frontal", "lateral"]
    assert not widget.rig.isHidden()
    frontal = bench.session.exposures.named("frontal").world_from_camera
    widget.step("x", 1)
    assert bench.session.exposures.named("frontal").world_from_camera is not frontal
    widget.rig.click()
    assert not bench.session.poses.rig_locked
    frontal = bench.session.exposures.named("frontal").world_from_camera
    widget.step("x", 1)
    assert bench.session.exposures.named("frontal").world_from_camera is frontal
    widget.radiograph.setFocus()
    qtbot.keyClick(widget.radiograph, Qt.Key.Key_Up)
    widget.radiograph.activated.emit(0)
    assert bench.session.exposures.active.name == "frontal"


def test_overlays_can_be_chosen_and_blink(bench, widget, qtbot):
    for mode in ("edges", "difference", "blink"):
        widget.view.overlay.setCurrentText(mode)
        widget.view.overlay.textActivated.emit(mode)
        assert bench.canvas.overlay == mode
    layer = next(layer for layer in bench.viewer.layers if layer.name == "DRR")
    before = layer.visible
    qtbot.waitUntil(lambda: layer.visible is not before, timeout=3000)
    widget.view.overlay.textActivated.emit("blend")
    assert bench.canvas.overlay == "blend"


def test_says_what_is_missing(empty_bench, viewer, patient, radiograph):
    widget = PoseWidget(viewer)
    assert "radiograph" in widget.hint.words
    widget.step("x", 1)
    widget.poses.copy()
    empty_bench.session.exposures.add(radiograph)
    assert "CT" in widget.hint.words
    widget.step("x", 1)
    empty_bench.session.patient.set_volume(patient.volume)
    assert widget.hint.words == ""
    widget.tear_down()


def test_closed_and_opened_again(bench, viewer, qtbot, canvas, painted):
    first = PoseWidget(viewer)
    dock = viewer.window.add_dock_widget(first, name="Pose")
    painted(bench)
    callbacks = len(bench.viewer.mouse_drag_callbacks)
    viewer.window.remove_dock_widget(first)
    assert first.torn_down
    assert len(bench.viewer.mouse_drag_callbacks) == callbacks - 1
    pose = bench.session.poses.current
    drag(canvas, (20, 20))
    assert bench.session.poses.current is pose
    second = PoseWidget(viewer)
    viewer.window.add_dock_widget(second, name="Pose")
    drag(canvas, (20, 20))
    assert bench.session.poses.current is not pose
    painted(bench)
    assert second.carm.rows["x"].field.value() != 0
    assert first.carm.rows["x"].field.value() == 0
    assert dock is not None
    second.tear_down()


def test_of_two_in_a_viewer_the_newest_has_mouse_and_keys(
    bench, widget, viewer, canvas, qtbot, painted
):
    second, third = PoseWidget(viewer), PoseWidget(viewer)
    for steps, opened in zip((3.0, 5.0, 7.0), (widget, second, third), strict=True):
        opened.carm.shift_step.setValue(steps)
    widget.view.pivot.setCurrentIndex(
        widget.view.pivot.count() - 1
    )  # a landmark; the others: isocenter

    def shift(expected):
        bench.session.poses.reset()
        qtbot.keyClick(canvas, Qt.Key.Key_PageUp, SHIFT)
        assert widget.carm_pose().offset_mm[2] == pytest.approx(expected)

    def turn_keeps_isocenter():
        bench.session.poses.reset()
        seen = []

        def moved():
            seen.append(widget.carm_pose().offset_mm)

        bench.session.poses.changed.connect(moved)
        drag(canvas, (30, 0), modifiers=CONTROL | SHIFT)
        bench.session.poses.changed.disconnect(moved)
        assert abs(widget.carm_pose().primary_deg) > 1.0
        # On the way too: no other widget had its say.
        still = [offset == pytest.approx((0.0, 0.0, 0.0), abs=1e-6) for offset in seen]
        assert len(still) > 2
        return all(still)

    shift(7.0)
    assert turn_keeps_isocenter()
    second.tear_down()
    shift(7.0)
    third.tear_down()
    shift(3.0)
    assert not turn_keeps_isocenter()
    widget.tear_down()
    pose = bench.session.poses.current
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp, SHIFT)  # nobody is left to answer
    assert bench.session.poses.current is pose


def test_tied_contrast_and_handles_are_one_for_all_and_go_with_the_last(bench, widget, viewer):
    canvas = bench.canvas
    widget.view.tied.setChecked(True)
    widget.view.handles.setChecked(True)
    second = PoseWidget(viewer)
    assert second.view.tied.isChecked()
    assert second.view.handles.isChecked()
    middle = canvas.handles.centre
    second.view.pivot.setCurrentIndex(second.view.pivot.count() - 1)  # a landmark
    away = canvas.handles.centre
    assert away != pytest.approx(middle)
    widget.view.tied.setChecked(False)
    assert not second.view.tied.isChecked()
    second.view.tied.setChecked(True)
    second.tear_down()
    assert canvas.tied_contrast
    assert canvas.handles.centre == pytest.approx(middle)
    second = PoseWidget(viewer)
    widget.tear_down()
    assert canvas.layer("pose handles") is not None
    second.tear_down()
    assert canvas.layer("pose handles") is None
    assert not canvas.tied_contrast
    third = PoseWidget(viewer)
    assert not third.view.tied.isChecked()
    third.tear_down()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_picture(bench, widget, qtbot, screenshot, theme):
    bench.viewer.theme = theme
    qtbot.waitUntil(lambda: read(widget))
    path = screenshot(widget, f"pose_{theme}", width=320)
    assert widget.minimumSizeHint().width() <= 308  # a dock of 320 less its scroll bar
    corner = QColor(QImage(str(path)).pixel(1, 1)).lightnessF()
    assert corner < 0.35 if theme == "dark" else corner > 0.65
