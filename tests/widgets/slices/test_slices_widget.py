"""Three linked slices without a napari window: crosshair, landmarks, window and level by the mouse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication
from rayemb_parts import drag

from napari_xreg.images import Landmark, Volume
from napari_xreg.session import Look
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.slices.widget import SlicesWidget

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def widget(patient, qtbot):
    """Shown by itself, 900 x 300; the phantom with two landmarks, one of them off the grid's centres."""
    viewer = ViewerModel()
    bench = workbench_of(viewer)
    bench.session.patient.set_volume(patient.volume)
    x, y, z = (float(v) for v in patient.volume.center)
    bench.session.landmarks.set(
        [Landmark("near", (x + 31.0, y + 1.0, z - 22.0)), Landmark("far", (x, y + 60.0, z))]
    )
    widget = SlicesWidget(viewer)
    widget.resize(900, 300)
    widget.show()
    qtbot.waitUntil(lambda: widget.panes["sagittal"].width() > 200)
    yield widget
    widget.tear_down()
    widget.close()
    bench.close()


def on_screen(pane, xyz):
    """Where a point of the patient is drawn: by the sides that stand at the edges, in this test's words."""
    x, y, z = xyz
    right, down = {"axial": (x, y), "coronal": (x, -z), "sagittal": (y, -z)}[pane.grid.plane]
    x0, y0, z0 = pane.grid.point(0, 0, 0)
    right0, down0 = {"axial": (x0, y0), "coronal": (x0, -z0), "sagittal": (y0, -z0)}[
        pane.grid.plane
    ]
    return pane.mapFromScene(pane.view.mapViewToScene(QPointF(right - right0, down - down0)))


def click(qtbot, pane, xyz, button=LEFT):
    qtbot.mouseClick(pane.viewport(), button, pos=on_screen(pane, xyz))


def double_click(pane, at):
    """As a hand does: its second press is no press."""
    kinds = ("MouseButtonPress", "MouseButtonRelease", "MouseButtonDblClick", "MouseButtonRelease")
    for kind in kinds:
        there = QPointF(pane.viewport().mapToGlobal(at))
        held = Qt.MouseButton.NoButton if kind == "MouseButtonRelease" else LEFT
        event = QMouseEvent(
            QEvent.Type[kind], QPointF(at), there, LEFT, held, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(pane.viewport(), event)


def heard(signal):
    calls = []
    signal.connect(calls.append)
    return calls


def test_a_click_in_one_slice_cuts_the_others_there(widget, patient, qtbot, screenshot):
    clicked = heard(widget.workbench.point_clicked)
    x, y, z = (float(v) for v in patient.volume.center)
    assert widget.point == pytest.approx((x, y, z))
    click(qtbot, widget.panes["axial"], (x + 40.0, y - 25.0, z))
    assert widget.point == pytest.approx((x + 40.0, y - 25.0, z), abs=3.0)
    assert clicked == [widget.point]
    click(qtbot, widget.panes["sagittal"], (x + 40.0, y - 25.0, z + 50.0))
    assert widget.point == pytest.approx((x + 40.0, y - 25.0, z + 50.0), abs=4.0)
    for plane, axis in (("axial", 2), ("coronal", 1), ("sagittal", 0)):
        pane = widget.panes[plane]
        assert pane.grid.point(0, 0, pane.number)[axis] == pytest.approx(widget.point[axis], abs=3)
        shown = pane.grid.picture(pane.number)
        np.testing.assert_array_equal(pane.image.image, shown)
    assert [label.text for label in widget.panes["coronal"].sides] == ["S", "I", "R", "L"]
    value = widget.panes["axial"].grid.value(widget.point)
    assert f"{value:.0f} HU" in widget.words.words
    screenshot(widget, "slices")
    # Beside the CT nothing is clicked.
    margin = on_screen(widget.panes["axial"], (x, y - 400.0, z))
    qtbot.mouseClick(widget.panes["axial"].viewport(), LEFT, pos=margin)
    assert len(clicked) == 2


def test_dragging_follows_and_ends_in_a_click(widget, qtbot):
    clicked, dragged = heard(widget.workbench.point_clicked), heard(widget.workbench.point_dragged)
    pane, (x, y, z) = widget.panes["coronal"], widget.point
    drag(qtbot, pane.viewport(), [on_screen(pane, (x + k, y, z + 2 * k)) for k in (0, 15, 30, 45)])
    assert dragged
    assert clicked == [widget.point]
    assert widget.point == pytest.approx((x + 45, y, z + 90), abs=4.0)


def test_a_landmark_is_dragged_within_its_slice(widget, qtbot):
    session, pane = widget.workbench.session, widget.panes["coronal"]
    x, y, z = session.landmarks.all[0].position
    before = widget.point
    drag(qtbot, pane.viewport(), [on_screen(pane, (x + k, y, z - k)) for k in (0, 12, 24, 36)])
    near, far = session.landmarks.all
    assert near.position == pytest.approx((x + 36, y, z - 36), abs=4.0)
    assert near.position[1] == pytest.approx(y)  # its depth stays
    assert widget.point == before
    assert pane.dots.data["brush"][0].color().getRgbF() == pytest.approx(
        widget.workbench.canvas.landmarks.colours.of("near"), abs=0.01
    )
    # Sixty millimetres behind the slice it is neither seen nor taken.
    assert len(pane.dots.data) == 1
    click(qtbot, pane, far.position)
    assert session.landmarks.all == (near, far)


def test_others_move_the_crosshair_and_a_hidden_widget_follows_when_shown(widget, patient, qtbot):
    session = widget.workbench.session
    widget.workbench.point_clicked.emit((1.0, 2.0, 3.0))
    assert widget.point == (1.0, 2.0, 3.0)
    session.ray_points.set_look(Look((4.0, -5.0, 6.0), ""))
    assert widget.point == (4.0, -5.0, 6.0)
    widget.choose("far")
    assert widget.point == session.landmarks.all[1].position
    widget.hide()
    matrix = patient.volume.world_from_index.clone()
    matrix[:3, 3] += 500.0
    session.patient.set_volume(Volume(patient.volume.lac, matrix))
    assert widget.panes["axial"].grid.volume is patient.volume  # nobody looks
    widget.show()
    assert widget.panes["axial"].grid.volume is session.patient.volume
    assert widget.point == pytest.approx(tuple(session.patient.volume.center.tolist()))
    assert "/mm" in widget.words.words  # HU are not known
    session.patient.set_volume(None)
    assert "No CT" in widget.words.words


def shifted(volume, by=500.0):
    """The same CT elsewhere in the patient's coordinates, mm."""
    matrix = volume.world_from_index.clone()
    matrix[:3, 3] += by
    return replace(volume, world_from_index=matrix)


def in_picture(pane, xyz):
    """Right and down of a point, mm."""
    (row, column, _), (down, right, _) = pane.grid.place(xyz), pane.grid.spacing
    return column * right, row * down


def test_the_crosshair_of_another_ct_is_not_where_the_old_one_was_looked_at(widget, patient):
    session = widget.workbench.session
    x, y, z = widget.point
    session.ray_points.set_look(Look((x + 20.0, y, z), ""))
    session.patient.set_isocenter(torch.zeros(3))
    assert widget.point == (x + 20.0, y, z)  # the same CT
    session.patient.replace(shifted(patient.volume, 30.0))  # that point is in it, too
    assert session.ray_points.look is None
    assert widget.point == pytest.approx((x + 30.0, y + 30.0, z + 30.0))
    session.ray_points.set_look(Look((x, y, z), ""))
    session.undo()
    assert widget.point == pytest.approx((x, y, z))


def drawn(widget):
    """Where each landmark is drawn in the coronal slice, as the widget says it."""
    return {mark.name: mark.position for mark in widget.panes["coronal"]._marks}


@pytest.mark.parametrize("end", ["gone", "another patient", "moved", "hidden"])
def test_a_drag_that_something_else_ends_leaves_no_ghost(widget, patient, end):
    session, pane = widget.workbench.session, widget.panes["coronal"]
    near, far = session.landmarks.all
    right, down = in_picture(pane, near.position)
    pane.view.landmark_moved.emit("near", right + 30.0, down, False)
    assert drawn(widget)["near"][0] == pytest.approx(near.position[0] + 30.0)
    new = replace(near, position=tuple(v + 5.0 for v in near.position))
    if end == "gone":
        session.landmarks.set([far])
        pane.view.landmark_moved.emit("near", right + 40.0, down, True)
        session.undo()
        new = near
    elif end == "another patient":
        session.patient.replace(shifted(patient.volume))
        session.landmarks.set([near])  # as far as its name goes
        new = near
    elif end == "moved":
        session.landmarks.set([new, far])
    else:
        widget.hide()
        widget.show()
        new = near
    assert session.landmarks.all[0].position == new.position
    assert drawn(widget)["near"] == new.position


def test_a_landmark_is_not_dragged_out_of_the_ct(widget):
    session, pane = widget.workbench.session, widget.panes["coronal"]
    x, y, z = session.landmarks.all[0].position
    right, down = in_picture(pane, (x, y, z))
    pane.view.landmark_moved.emit("near", right + 3000.0, down - 3000.0, True)
    corners = widget.workbench.session.patient.volume.corners
    most = corners.max(dim=0).values.tolist()
    assert session.landmarks.all[0].position == pytest.approx((most[0], y, most[2]))
    pane.view.landmark_moved.emit("near", -3000.0, down + 3000.0, True)
    least = corners.min(dim=0).values.tolist()
    assert session.landmarks.all[0].position == pytest.approx((least[0], y, least[2]))


def test_without_a_ct_no_landmark_is_drawn(widget):
    pane = widget.panes["coronal"]
    assert len(pane.dots.data) == 1
    widget.workbench.session.patient.set_volume(None)
    assert (len(pane.dots.data), pane._names) == (0, [])
    widget.workbench.session.undo()
    assert len(pane.dots.data) == 1


def test_window_level_wheel_and_one_slice_alone(widget, qtbot):
    pane = widget.panes["axial"]
    assert tuple(pane.image.levels) == (-200.0, 1200.0)
    start = on_screen(pane, widget.point)
    drag(qtbot, pane.viewport(), [start, start + QPointF(30, 0).toPoint()], button=RIGHT)
    low, high = widget.panes["sagittal"].image.levels
    assert high - low == pytest.approx(1400 * 1.1, rel=0.02)
    assert (low + high) / 2 == pytest.approx(500)
    assert widget.choice.currentText() == "as set"
    drag(qtbot, pane.viewport(), [start, start + QPointF(0, -30).toPoint()], button=RIGHT)
    assert sum(pane.image.levels) / 2 < 450  # upwards: brighter
    widget.choice.setCurrentText("Lung")
    widget.choice.textActivated.emit("Lung")
    assert tuple(pane.image.levels) == (-1350.0, 150.0)
    x, y, z = widget.point
    pane.view.turned.emit(2)
    assert widget.point == pytest.approx((x, y, z + 12.0), abs=3.1)
    double_click(pane, start)
    assert [p.isVisible() for p in widget.panes.values()] == [True, False, False]
    pane.enlarged.emit()
    assert all(p.isVisible() for p in widget.panes.values())
    widget.resize(300, 900)
    qtbot.waitUntil(lambda: pane.width() > 250)
    assert widget.panes["sagittal"].y() > widget.panes["coronal"].y() > pane.y()


def test_no_turn_of_the_wheel_leaves_the_ct(widget):
    pane = widget.panes["sagittal"]
    pane.view.turned.emit(10_000)
    assert pane.number == pane.grid.shape[2] - 1
    assert widget.point[0] == pytest.approx(pane.grid.point(0, 0, pane.number)[0])


def test_attenuation_has_a_window_of_its_own():
    from napari_xreg.widgets.slices.windows import WINDOWS

    plain = Volume(torch.zeros(2, 2, 2) + 0.02, torch.eye(4))
    low, high = WINDOWS["Bone"].limits(plain)
    assert 0.0 < low < 0.02 < high < 0.06
