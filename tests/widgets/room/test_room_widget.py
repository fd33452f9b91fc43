"""The Room widget on a real canvas, driven with the mouse."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QDockWidget

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph
from napari_xreg.viewer.patient3d.room_geometry import frustum
from napari_xreg.widgets.room.widget import EVERY_MS, RoomWidget

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def shown(lent_viewer):
    """A viewer whose window is on the screen: a hidden canvas draws nothing."""
    viewer = lent_viewer(show=True)
    viewer.window.resize(900, 700)
    return viewer


@pytest.fixture
def viewer(shown):
    return shown


@pytest.fixture
def widget(bench, viewer, qtbot):
    widget = RoomWidget(viewer)
    viewer.window.add_dock_widget(widget, name="3D view", area="right")
    qtbot.waitUntil(lambda: widget.room.layer("bone") is not None, timeout=20_000)
    qtbot.wait(50)
    yield widget
    widget.tear_down()
    qtbot.wait(50)


def _canvas(widget):
    return widget._canvas.canvas.native


def _on_canvas(widget, xyz):
    """Where a place is drawn: from the front the patient's left is on the right, the head up."""
    camera = widget.model.scene.camera
    height, width = widget.model.canvas.size
    cz, _, cx = camera.center
    x, _, z = xyz
    return QPoint(
        round(width / 2 + camera.zoom * (x - cx)), round(height / 2 - camera.zoom * (z - cz))
    )


def _mouse(widget, kind, at, buttons):
    native = _canvas(widget)
    button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else LEFT
    event = QMouseEvent(
        kind,
        QPointF(at),
        QPointF(native.mapToGlobal(at)),
        button,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)
    QApplication.processEvents()


def _drag(widget, *places):
    _mouse(widget, QEvent.Type.MouseButtonPress, places[0], LEFT)
    for place in places[1:]:
        _mouse(widget, QEvent.Type.MouseMove, place, LEFT)
    _mouse(widget, QEvent.Type.MouseButtonRelease, places[-1], Qt.MouseButton.NoButton)


def test_it_shows_the_session_as_the_switches_say(widget, bench, qtbot, screenshot):
    names = {layer.name for layer in widget.model.layers}
    assert {"bone", "C-arm", "detector", "source", "landmarks"} <= names
    assert not names & {layer.name for layer in bench.viewer.layers}  # not the user's list
    picture = widget._canvas.screenshot(flash=False)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 50
    screenshot(widget.window(), "room")
    assert widget.minimumSizeHint().width() <= 320

    for part, names in {"bone": ["bone"], "C-arm": ["C-arm", "detector", "source"]}.items():
        qtbot.mouseClick(widget.switches[part], LEFT, pos=QPoint(8, 8))
        assert not any(widget.room.layer(name).visible for name in names)
        qtbot.mouseClick(widget.switches[part], LEFT, pos=QPoint(8, 8))
        assert all(widget.room.layer(name).visible for name in names)
    assert widget.room.layer("CT") is None
    widget.switches["volume"].click()
    assert widget.room.layer("CT").visible
    widget.switches["volume"].click()
    widget.switches["names"].click()
    assert widget.room.layer("landmarks").text.visible

    before = len(widget.room.layer("bone").data[1])
    widget.threshold.setFocus()
    widget.threshold.lineEdit().selectAll()
    qtbot.keyClicks(widget.threshold, "350")
    qtbot.keyClick(widget.threshold, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: widget.room.patient.request.bone_hu == 350.0, timeout=5000)
    assert len(widget.room.layer("bone").data[1]) != before

    other = "light" if bench.viewer.theme != "light" else "dark"
    bench.viewer.theme = other
    assert widget.model.theme == other
    qtbot.wait(100)
    screenshot(widget.window(), f"room_{other}")


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_first_pixel_of_the_radiograph_is_drawn_where_its_ray_ends(
    widget, bench, qtbot, mirrored
):
    carm = CArm(1020.0, 750.0, Detector((40, 30), (8.0, 10.0), (16.0, 18.0), mirrored))
    x, y, z = (float(v) for v in bench.session.patient.volume.center)
    image = np.zeros((40, 30), np.float32)
    image[:5, :4] = 1.0
    nominal = CArmPose(isocenter=(x, y, z))
    bench.session.exposures.add(Radiograph(torch.from_numpy(image), carm, nominal=nominal))
    qtbot.waitUntil(lambda: widget.room.layer("detector").texture.shape == (40, 30), timeout=5000)
    for layer in widget.model.layers:
        layer.visible = layer.name == "detector"
    widget.room.look("front")
    qtbot.wait(100)
    picture = widget._canvas.screenshot(flash=False).astype(float)[..., :3]
    bright = np.argwhere(picture.min(axis=-1) > 200)
    source, rays = carm.rays(
        bench.session.poses.current, torch.tensor([[2.0, 1.5]], dtype=torch.float64)
    )  # the middle of the bright block
    wanted = _on_canvas(widget, (source + rays[0]).tolist())
    scale = picture.shape[0] / widget.model.canvas.size[0]
    row, column = bright.mean(axis=0) / scale
    assert (row, column) == pytest.approx((wanted.y(), wanted.x()), abs=2.5)


def test_a_dragged_landmark_moves_in_the_session_and_a_click_on_bone_is_announced(
    widget, bench, qtbot
):
    widget.room.look("front", at="patient")
    QApplication.processEvents()
    mark = next(m for m in bench.session.landmarks.all if m.name == "ASIS-l")
    x, y, z = mark.position
    start = _on_canvas(widget, mark.position)
    zoom = widget.model.scene.camera.zoom
    angles = widget.model.scene.camera.angles
    heard = []
    widget.point_clicked.connect(heard.append)
    _drag(widget, start, start + QPoint(10, 5), start + QPoint(20, 30))
    (moved,) = [m for m in bench.session.landmarks.all if m.name == "ASIS-l"]
    # 20 pixels to the right is to the patient's left (+x), 30 down is towards the feet (-z)
    wanted = (x + 20 / zoom, y, z - 30 / zoom)
    assert moved.position == pytest.approx(wanted, abs=1.0 / zoom)
    assert widget.model.scene.camera.angles == pytest.approx(angles)
    assert heard[-1] == pytest.approx(moved.position)
    assert widget.words.words.startswith("ASIS-l: x ")

    widget.switches["landmarks"].click()
    heard.clear()
    vertices = widget.room.layer("bone").data[0]
    z, y, x = vertices[vertices[:, 1].argmin()]
    place = _on_canvas(widget, (x, y, z))
    _drag(widget, place)
    ((cx, cy, cz),) = heard
    assert (cx, cz) == pytest.approx((x, z), abs=1.5 / zoom)
    assert cy == pytest.approx(y, abs=8.0)
    angles = widget.model.scene.camera.angles
    _drag(widget, place, place + QPoint(30, 0), place + QPoint(60, 10))
    assert widget.model.scene.camera.angles != pytest.approx(angles)
    assert len(heard) == 1


def test_a_drag_of_the_pose_is_drawn_twice_a_second_and_its_end_always(
    widget, bench, qtbot, monkeypatch
):
    session = bench.session
    carm = session.exposures.active.radiograph.carm
    drawn = []
    refresh = widget.room.refresh
    monkeypatch.setattr(widget.room, "refresh", lambda: (drawn.append(1), refresh()))
    clock = SimpleNamespace(monotonic=lambda: widget._last + 0.1)  # drawn a tenth ago
    with monkeypatch.context() as patched:
        patched.setattr("napari_xreg.widgets.room.widget.time", clock)
        for k in range(24):
            pose = carm.world_from_camera(0.5 * k, 2.0, isocenter=session.patient.isocenter)
            session.poses.move(pose)
            assert widget._timer.isActive()
            assert widget._timer.interval() == EVERY_MS - 100
    assert drawn == []
    qtbot.waitUntil(
        lambda: np.allclose(widget.room.layer("C-arm").data, frustum(carm, pose), atol=1e-2),
        timeout=3 * EVERY_MS,
    )

    # Hidden it does nothing until it is seen again.
    dock = widget.parent()
    dock.hide()
    old = np.array(widget.room.layer("C-arm").data)
    pose = carm.world_from_camera(40.0, 0.0, isocenter=session.patient.isocenter)
    session.poses.set(pose, "test")
    qtbot.wait(EVERY_MS + 100)
    assert np.array_equal(widget.room.layer("C-arm").data, old)
    dock.show()
    qtbot.waitUntil(
        lambda: np.allclose(widget.room.layer("C-arm").data, frustum(carm, pose), atol=1e-2),
        timeout=3 * EVERY_MS,
    )


def test_taken_out_of_its_dock_it_leaves_no_canvas(bench, viewer, qtbot):
    before = len(QtViewer._instances)
    widget = RoomWidget(viewer)
    viewer.window.add_dock_widget(widget, name="3D view", area="right")
    qtbot.wait(20)
    model = weakref.ref(widget.model)
    viewer.window.remove_dock_widget(widget)
    assert widget.torn_down
    assert not widget._lane.busy
    bench.session.poses.set(bench.session.poses.current, "after")
    widget.deleteLater()
    del widget
    qtbot.wait(50)
    gc.collect()
    assert len(QtViewer._instances) == before
    assert model() is None or not model().layers
    again = RoomWidget(viewer)
    viewer.window.add_dock_widget(again, name="3D view", area="right")
    qtbot.waitUntil(lambda: again.room.layer("bone") is not None, timeout=20_000)
    viewer.window.remove_dock_widget(again)
    again.deleteLater()
    qtbot.wait(50)


def test_it_opens_without_anything_loaded(empty_bench, viewer, qtbot):
    widget = RoomWidget(viewer)
    viewer.window.add_dock_widget(widget, name="3D view", area="right")
    qtbot.wait(50)
    widget.everything.click()
    widget.patient.click()
    assert not widget.model.layers
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    qtbot.wait(50)


def test_out_of_the_window_and_back_it_goes_on_drawing(widget, qtbot):
    """A canvas loses its OpenGL context with its window: painting on would end the program."""
    dock = widget.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()

    def picture():
        return widget._canvas.screenshot(flash=False)[..., :3].astype(int)

    def bright():
        return float((picture().min(axis=-1) > 60).mean())

    def changed(since):
        """Share of the pixels; 1 while the canvas has another size."""
        now = picture()
        if now.shape != since.shape:
            return 1.0
        return float((abs(now - since).max(axis=-1) > 30).mean())

    qtbot.waitUntil(lambda: bright() > 0.005, timeout=60_000)
    for floating in (True, False):
        before = widget._canvas
        dock.setFloating(floating)
        qtbot.waitUntil(lambda before=before: widget._canvas not in (before, None), timeout=60_000)
        qtbot.waitUntil(lambda: bright() > 0.005, timeout=60_000)
        with_bone = picture()
        widget.switches["bone"].setChecked(False)
        qtbot.waitUntil(lambda full=with_bone: 0.005 < changed(full) < 1, timeout=60_000)
        widget.switches["bone"].setChecked(True)
        qtbot.waitUntil(lambda full=with_bone: changed(full) < 0.001, timeout=60_000)
