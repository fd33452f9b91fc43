"""Slices of the CT beside the Landmarks widget: a click and a drag there are a position of the patient."""

import numpy as np
import pytest
from landmarks_scene import click, exact, native, on_canvas, pick_exactly, solved
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, QPointF, Qt
from rayemb_parts import drag

from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.landmarks.widget import LandmarksWidget
from napari_xreg.widgets.slices.widget import SlicesWidget


@pytest.fixture
def shown(lent_viewer, fill):
    viewer = lent_viewer(show=True)
    viewer.window.resize(1100, 900)
    bench = workbench_of(viewer)
    fill(bench.session)
    yield bench
    bench.close()


def in_slice(pane, xyz):
    """Place in the viewport of a point of the patient."""
    row, column, _ = pane.grid.place(xyz)
    down, right, _ = pane.grid.spacing
    return pane.mapFromScene(pane.view.mapViewToScene(QPointF(column * right, row * down)))


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
    # Once they are laid out: the tabs are as high as the window, the slices end where they begin.
    qtbot.waitUntil(
        lambda: (
            slices.mapToGlobal(QPoint(slices.width(), 0)).x()
            <= widget.mapToGlobal(QPoint(0, 0)).x()
        ),
        timeout=20_000,
    )
    qtbot.wait(50)
    qtbot.keyClicks(widget.picking.field, "fh-L")  # the template's spelling counts
    qtbot.keyClick(widget.picking.field, Qt.Key.Key_Return)
    assert widget.picking.guide.name == "FH-l"
    assert "in the CT" in widget.picking.words.words
    x, y, z = old["FH-l"]
    slices.go_to((x, y, z))
    axial = slices.panes["axial"]
    depth = axial.grid.point(0, 0, axial.number)[2]  # of the slice: on the grid
    qtbot.mouseClick(axial.viewport(), Qt.MouseButton.LeftButton, pos=in_slice(axial, (x, y, z)))
    placed = {mark.name: mark.position for mark in session.landmarks.all}["FH-l"]
    assert placed == pytest.approx((x, y, depth), abs=1.5 * axial.view.viewPixelSize()[0])
    assert widget.picking.guide.name == "FH-l"
    assert "on the radiograph" in widget.picking.words.words
    click(native(shown), on_canvas(shown, wanted["FH-l"]))
    assert [mark.name for mark in session.exposures.active.landmarks] == ["FH-l"]
    assert widget.picking.guide.name == "FH-r"  # the next that lacks a place
    # The same colour on both.
    colour = shown.canvas.landmarks.colours.of("FH-l")
    shades = [brush.color().getRgbF() for brush in axial.dots.data["brush"]]
    assert any(np.allclose(shade, colour, atol=0.01) for shade in shades)
    np.testing.assert_allclose(shown.viewer.layers["landmarks"].face_color[0], colour, atol=1e-6)

    # A row that the user chooses is where the CT is cut; dragging in a slice moves the landmark there.
    widget.picking.stop()
    widget.table.chosen.emit("ASIS-r")
    x, y, z = old["ASIS-r"]
    assert slices.point == (x, y, z)
    qtbot.wait(200)
    screenshot(widget.window(), "landmarks_slices")
    pane = slices.panes["sagittal"]
    start, pixel_mm = in_slice(pane, (x, y, z)), pane.view.viewPixelSize()[0]
    drag(qtbot, pane.viewport(), [start + QPoint(*by) for by in ((0, 0), (8, 0), (24, -15))])
    moved = {mark.name: mark.position for mark in session.landmarks.all}["ASIS-r"]
    assert moved == pytest.approx((x, y + 24 * pixel_mm, z + 15 * pixel_mm), abs=1.5 * pixel_mm)
    assert moved[0] == pytest.approx(x)  # the distance from the slice stays
    # Of nobody's picking a click is nothing.
    before = session.landmarks.all
    qtbot.mouseClick(pane.viewport(), Qt.MouseButton.LeftButton, pos=start + QPoint(30, 30))
    assert session.landmarks.all == before
    for name in ("Slices", "Landmarks"):
        shown.viewer.window.remove_dock_widget(shown.viewer.window.dock_widgets[name])
    assert widget.torn_down
    assert slices.torn_down
    for gone in (widget, slices):
        gone.deleteLater()


def test_a_landmark_dragged_in_a_slice_moves_the_pose_that_follows(fill, qtbot):
    viewer = ViewerModel()
    bench = workbench_of(viewer)
    fill(bench.session)
    widget, slices = LandmarksWidget(viewer), SlicesWidget(viewer)
    for one in (widget, slices):
        qtbot.addWidget(one)
    pick_exactly(bench.session)
    solved(qtbot, widget)
    before = bench.session.poses.current  # picks from elsewhere moved nothing
    name, (x, y, z) = next((m.name, m.position) for m in bench.session.landmarks.all)
    slices._move_landmark(name, (x + 2.0, y, z), True)
    qtbot.waitUntil(lambda: bench.session.poses.current is not before)
    answer = solved(qtbot, widget)
    np.testing.assert_array_equal(bench.session.poses.current.translation, answer.pose.translation)
    bench.session.undo()  # the drag and the pose are one step
    np.testing.assert_array_equal(bench.session.poses.current.translation, before.translation)
    slices.tear_down()
    widget.tear_down()
    bench.close()
