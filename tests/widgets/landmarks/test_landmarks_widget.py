"""The Landmarks widget in a real viewer: clicked, dragged, ticked; the pose follows."""

import numpy as np
import pytest
import torch
from landmarks_scene import (
    LEFT,
    angle_deg,
    click,
    exact,
    move,
    native,
    on_canvas,
    pick_exactly,
    press,
    release,
    solved,
    truth_of,
)
from qtpy.QtCore import QPoint, Qt

from napari_xreg.widgets.data.reading import FRAMES
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.landmarks.widget import LandmarksWidget


@pytest.fixture
def shown(lent_viewer, fill):
    """Shown: a canvas that was never drawn does not know where the mouse is in the world."""
    viewer = lent_viewer(show=True)
    bench = workbench_of(viewer)
    fill(bench.session)
    yield bench
    bench.close()


@pytest.fixture
def widget(shown, qtbot):
    made = LandmarksWidget(shown.viewer)
    shown.viewer.window.add_dock_widget(made, name="Landmarks", area="right")
    qtbot.wait(50)
    yield made
    shown.viewer.window.remove_dock_widget(made)
    made.deleteLater()


def row(widget, name):
    return next(row for row in widget.model.rows if row.name == name)


def test_clicked_one_after_the_other_they_give_the_true_pose(shown, widget, qtbot, screenshot):
    session, canvas = shown.session, native(shown)
    wanted = exact(session)
    before = session.poses.current
    assert "at least 4" in widget.result.status.words
    button, place = widget.result.use, widget.result.use.pos()
    qtbot.mouseClick(widget.picking.start_button, LEFT)
    assert widget.picking.guide.name == "ASIS-l"
    assert "on the radiograph" in widget.picking.words.words  # its position is known
    for name, pixel in wanted.items():
        assert widget.picking.guide.name == name
        click(canvas, on_canvas(shown, pixel))
    assert widget.picking.guide.name is None  # the end
    names = [mark.name for mark in session.exposures.active.landmarks]
    assert names == list(wanted)
    half = (
        0.5
        / shown.viewer.scene.camera.zoom
        / session.exposures.active.radiograph.carm.detector.spacing[0]
    )
    for mark in session.exposures.active.landmarks:  # to half a pixel of the screen
        np.testing.assert_allclose(mark.pixel, wanted[mark.name], atol=1.5 * half)
    answer = solved(qtbot, widget)
    assert answer.solution
    assert button.pos() == place  # whatever is said above it
    truth = truth_of(session)
    assert angle_deg(answer.pose, truth) < 1.0
    # It follows: what was clicked here moved the C-arm.
    qtbot.waitUntil(lambda: session.poses.current is not before)
    assert torch.equal(session.poses.current.translation, answer.pose.translation)
    # The last pick and the pose that followed from it are one step.
    last = names[-1]
    assert session.undo() == f"add landmark {last} on frontal"
    assert [mark.name for mark in session.exposures.active.landmarks] == names[:-1]
    assert not torch.equal(session.poses.current.translation, answer.pose.translation)
    session.redo()
    assert torch.equal(session.poses.current.translation, answer.pose.translation)
    screenshot(widget, "landmarks", width=320)
    screenshot(widget.window(), "landmarks_window")


def test_exact_picks_give_the_true_pose_and_using_it_is_on_record(shown, widget, qtbot):
    session = shown.session
    pick_exactly(session)
    answer = solved(qtbot, widget)
    truth = truth_of(session)
    assert angle_deg(answer.pose, truth) < 1e-5
    np.testing.assert_allclose(answer.pose.translation, truth.translation, atol=1e-3)
    assert all(v.fate == "used" and v.error_px < 1e-3 for v in answer.verdicts.values())
    assert widget.result.pose.words.startswith("primary 7.00°, secondary -4.00°, roll 2.00°, x 6.0")
    # Picks that came from elsewhere (a file) move nothing by themselves.
    assert angle_deg(session.poses.current, truth) > 5
    records = len(session.history.records)
    qtbot.mouseClick(widget.result.use, LEFT)
    assert angle_deg(session.poses.current, truth) < 1e-5
    assert len(session.history.records) == records + 1
    assert session.history.records[session.history.at].why == "landmarks"
    assert session.results.all[-1].name == "landmarks 1"
    assert session.undo() == "landmarks"
    assert angle_deg(session.poses.current, truth) > 5


def test_a_dragged_landmark_takes_the_pose_along(shown, widget, qtbot):
    session, canvas = shown.session, native(shown)
    four = ["ASIS-l", "ASIS-r", "IPS-l", "FH-r", "SPS-r"]
    pick_exactly(session, four)
    first = solved(qtbot, widget)
    widget.weighting.robust.setChecked(False)  # every pick counts
    solved(qtbot, widget)
    pixel = exact(session)["FH-r"]
    start = on_canvas(shown, pixel)
    press(canvas, start)
    move(canvas, start + QPoint(6, 0))
    move(canvas, start + QPoint(30, 12))
    halfway = solved(qtbot, widget)
    assert widget.table.name == "FH-r"
    # While it is held the C-arm goes along, and the session's pick has not changed.
    assert angle_deg(halfway.pose, first.pose) > 0.2
    assert torch.equal(session.poses.current.translation, halfway.pose.translation)
    assert {m.name: m.pixel for m in session.exposures.active.landmarks}["FH-r"] == pytest.approx(
        pixel
    )
    layer = shown.viewer.layers["landmarks"]
    drawn = layer.data[list(layer.features["name"]).index("FH-r")].copy()
    move(canvas, start + QPoint(40, 0))
    release(canvas, start + QPoint(40, 0))
    final = solved(qtbot, widget)
    zoom = shown.viewer.scene.camera.zoom
    high, wide = session.exposures.active.radiograph.carm.detector.spacing
    now = {m.name: m.pixel for m in session.exposures.active.landmarks}["FH-r"]
    down, right = 1 / zoom / high, 1 / zoom / wide  # a pixel of the screen, in the radiograph's
    assert drawn == pytest.approx((pixel[0] + 12 * down, pixel[1] + 30 * right), abs=down)
    assert now == pytest.approx((pixel[0], pixel[1] + 40 * right), abs=down)
    assert final.request.picked[3].pixel == now or now in [m.pixel for m in final.request.picked]
    assert torch.equal(session.poses.current.translation, final.pose.translation)
    assert shown.viewer.scene.camera.mouse_pan
    assert not shown.preview.dragging


def test_an_unticked_landmark_has_no_say(shown, widget, qtbot):
    session = shown.session
    widget.weighting.robust.setChecked(False)
    pick_exactly(session, **{"FH-l": (9.0, -6.0)})
    wrong = solved(qtbot, widget)
    truth = truth_of(session)
    assert angle_deg(wrong.pose, truth) > 0.5
    index = widget.model.index([r.name for r in widget.model.rows].index("FH-l"), 0)
    rect = widget.table.visualRect(index)
    qtbot.mouseClick(widget.table.viewport(), LEFT, pos=QPoint(rect.left() + 10, rect.center().y()))
    answer = solved(qtbot, widget)
    assert session.exposures.active.left_out == ("FH-l",)
    assert not row(widget, "FH-l").ticked
    assert row(widget, "FH-r").ticked
    assert answer.verdicts["FH-l"].fate == "unticked"
    assert answer.verdicts["FH-l"].weight is None
    # Its residual is the error it was picked with, to the truth: sqrt(9^2 + 6^2).
    assert answer.verdicts["FH-l"].error_px == pytest.approx(np.hypot(9, 6), abs=1e-2)
    s_row, s_column = session.exposures.active.radiograph.carm.detector.spacing
    assert answer.verdicts["FH-l"].error_mm == pytest.approx(
        np.hypot(9 * s_row, 6 * s_column), abs=0.1
    )
    assert angle_deg(answer.pose, truth) < 1e-4
    qtbot.mouseClick(widget.table.viewport(), LEFT, pos=QPoint(rect.left() + 10, rect.center().y()))
    again = solved(qtbot, widget)
    assert session.exposures.active.left_out == ()
    assert angle_deg(again.pose, wrong.pose) < 1e-6


def test_an_outlier_is_dropped_and_drawn_so(shown, widget, qtbot, screenshot):
    session = shown.session
    pick_exactly(session, **{"GSN-r": (14.0, 11.0)})
    answer = solved(qtbot, widget)
    assert answer.verdicts["GSN-r"].fate == "outlier"
    assert [n for n, v in answer.verdicts.items() if v.fate != "used"] == ["GSN-r"]
    assert "GSN-r" in widget.result.status.words
    layer = shown.viewer.layers["landmarks"]
    symbols = dict(zip(layer.features["name"], [s.value for s in layer.symbol], strict=True))
    assert {name for name, symbol in symbols.items() if symbol == "x"} == {"GSN-r"}
    assert angle_deg(answer.pose, truth_of(session)) < 1e-4
    widget.result.ellipses.setChecked(True)
    assert shown.viewer.layers["ellipses"].visible
    qtbot.mouseClick(widget.result.use, LEFT)
    qtbot.wait(300)
    screenshot(widget.window(), "landmarks_outlier")


def test_escape_stops_on_the_canvas_and_in_the_widget(shown, widget, qtbot):
    canvas = native(shown)
    qtbot.mouseClick(widget.picking.start_button, LEFT)
    assert widget.picking.guide.name == "ASIS-l"
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert widget.picking.guide.name is None
    click(canvas, on_canvas(shown, (40.0, 50.0)))
    assert shown.session.exposures.active.landmarks == ()  # nothing is picked any more
    qtbot.keyClicks(widget.picking.field, "IPS-r")
    qtbot.keyClick(widget.picking.field, Qt.Key.Key_Return)
    assert widget.picking.guide.name == "IPS-r"
    qtbot.keyClick(widget.picking.field, Qt.Key.Key_Escape)
    assert widget.picking.guide.name is None


@pytest.mark.parametrize(
    ("axes", "position"), [("LPS", (1.5, -2.0, 3.25)), ("RAS", (-1.5, 2.0, 3.25))]
)
def test_a_table_without_axes_is_asked_about(shown, widget, tmp_path, axes, position):
    file = tmp_path / "points.csv"
    file.write_text("name,x,y,z\nnew point,1.5,-2,3.25\n")
    before = shown.session.landmarks.all
    widget.use_file(str(file), False)
    assert shown.session.landmarks.all == before  # nothing until it is answered
    choice = widget.question.choice
    choice.setCurrentIndex(list(FRAMES.values()).index(axes))
    widget.question.finish()
    (mark,) = (m for m in shown.session.landmarks.all if m.name == "new point")
    assert mark.position == position
