"""Slices of the CT: a click and a drag there are a position of the patient."""

import numpy as np
import pytest
from landmarks_scene import click, exact, move, native, on_canvas, press, release
from qtpy.QtCore import QPoint, Qt

from napari_xreg.images import Landmark
from napari_xreg.viewer.patient3d.slices import CUT_DOWN_ACROSS
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.landmarks.widget import LandmarksWidget
from napari_xreg.widgets.slices.widget import SlicesWidget


@pytest.fixture
def shown(make_napari_viewer_proxy, fill):
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1100, 900)
    bench = workbench_of(viewer)
    fill(bench.session)
    yield bench
    bench.close()


def in_slice(slices, xyz):
    """Canvas pixel of a place: the head up, the patient's left on the right, the front up or left."""
    canvas, camera = slices.canvas.viewer.canvas.native, slices.model.scene.camera
    _, down, across = CUT_DOWN_ACROSS[slices.slices.plane]
    away = np.array(xyz[::-1]) - np.array(slices.model.dims.point)
    centre = np.array(camera.center[-2:]) - np.array(slices.model.dims.point)[[down, across]]
    sign = 1 if slices.slices.plane == "axial" else -1
    row, column = (away[[down, across]] - centre) * camera.zoom
    return QPoint(round(canvas.width() / 2 + column), round(canvas.height() / 2 + sign * row))


def test_a_landmark_is_clicked_in_the_ct_and_then_on_the_radiograph(shown, qtbot, screenshot):
    session = shown.session
    wanted = dict(exact(session))
    old = {mark.name: mark.position for mark in session.landmarks.all}
    session.landmarks.set(
        [mark for mark in session.landmarks.all if mark.name not in ("FH-l", "IPS-r")]
    )
    widget = LandmarksWidget(shown.viewer)
    shown.viewer.window.add_dock_widget(widget, name="Landmarks", area="right")
    qtbot.mouseClick(widget.picking.slices_button, Qt.MouseButton.LeftButton)
    slices = shown.viewer.window.dock_widgets["Slices"]
    assert isinstance(slices, SlicesWidget)
    below, beside = slices.canvas.viewer.canvas.native, widget
    # Once they are laid out: the tabs are as high as the window, the slices end where they begin.
    qtbot.waitUntil(
        lambda: (
            below.mapToGlobal(QPoint(below.width(), 0)).x() <= beside.mapToGlobal(QPoint(0, 0)).x()
        ),
        timeout=20_000,
    )
    qtbot.wait(50)
    qtbot.keyClicks(widget.picking.field, "fh-L")  # the template's spelling counts
    qtbot.keyClick(widget.picking.field, Qt.Key.Key_Return)
    assert widget.picking.guide.name == "FH-l"
    assert "in the CT" in widget.picking.words.words
    x, y, z = old["FH-l"]
    slices.model.dims.set_point(range(3), (z, 0.0, 0.0))
    depth = slices.model.dims.point[0]  # of the slice: on the grid
    canvas = slices.canvas.viewer.canvas.native
    click(canvas, in_slice(slices, (x, y, z)))
    placed = {mark.name: mark.position for mark in session.landmarks.all}["FH-l"]
    pixel_mm = 1 / slices.model.scene.camera.zoom
    assert placed == pytest.approx((x, y, depth), abs=pixel_mm)
    assert widget.picking.guide.name == "FH-l"
    assert "on the radiograph" in widget.picking.words.words
    click(native(shown), on_canvas(shown, wanted["FH-l"]))
    assert [mark.name for mark in session.exposures.active.landmarks] == ["FH-l"]
    assert widget.picking.guide.name == "FH-r"  # the next that lacks a place
    # The same name and colour on both.
    colour = shown.canvas.landmarks.colours.of("FH-l")
    points = slices.slices.points
    assert list(points.features["name"]) == [mark.name for mark in session.landmarks.all]
    at = list(points.features["name"]).index("FH-l")
    np.testing.assert_allclose(points.face_color[at], colour, atol=1e-6)
    np.testing.assert_allclose(points.data[at], (placed[2], placed[1], placed[0]))
    np.testing.assert_allclose(shown.viewer.layers["landmarks"].face_color[0], colour, atol=1e-6)

    # From the side: across is from front to back, up is to the head.
    widget.picking.stop()
    slices.plane.setCurrentText("sagittal")
    widget.table.choose("ASIS-r")
    slices.slices.choose("ASIS-r")
    x, y, z = old["ASIS-r"]
    assert slices.model.dims.point[2] == pytest.approx(x, abs=3.1)
    qtbot.wait(200)
    screenshot(widget.window(), "landmarks_slices")
    start = in_slice(slices, (x, y, z))
    press(canvas, start)
    move(canvas, start + QPoint(8, 0))
    move(canvas, start + QPoint(24, -15))
    release(canvas, start + QPoint(24, -15))
    moved = {mark.name: mark.position for mark in session.landmarks.all}["ASIS-r"]
    pixel_mm = 1 / slices.model.scene.camera.zoom
    assert moved == pytest.approx((x, y + 24 * pixel_mm, z + 15 * pixel_mm), abs=1.5 * pixel_mm)
    assert moved[0] == x  # the distance from the slice stays
    assert slices.model.scene.camera.mouse_pan
    # Of nobody's picking a click is nothing.
    before = session.landmarks.all
    click(canvas, in_slice(slices, (x, y + 60, z - 40)))
    assert session.landmarks.all == before

    # What the session says is shown; another CT is another picture.
    session.landmarks.set([Landmark("only", (1.0, 2.0, 3.0))])
    np.testing.assert_allclose(slices.slices.points.data, [[3.0, 2.0, 1.0]])
    for name in ("Slices", "Landmarks"):
        shown.viewer.window.remove_dock_widget(shown.viewer.window.dock_widgets[name])
    assert widget.torn_down
    assert slices.torn_down
    assert slices.canvas.viewer is None
    for gone in (widget, slices):
        gone.deleteLater()
