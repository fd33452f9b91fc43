"""The Refine widget, driven as a person would."""

import threading
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPointF, Qt
from qtpy.QtWidgets import QScrollArea

from napari_xreg.geometry import CArmPose
from napari_xreg.registration import AdamSettings, Iterate, Registration, Status
from napari_xreg.rendering import render_drr
from napari_xreg.session import flip_exposure
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.pose.widget import PoseWidget
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.workflows import MatchRequest, TryingOthers

LEFT = Qt.MouseButton.LeftButton
LONG = 60_000
aside = pytest.mark.usefixtures("canvas_aside")
TRUTH = CArmPose(7.0, -4.0, 2.0, (6.0, -9.0, 14.0))


@pytest.fixture
def near(bench):
    """The bench with the C-arm a little off the truth, which is known."""
    give_truth(bench.session)
    return bench


def give_truth(session):
    """A start near the truth, and the truth itself."""
    (exposure,) = session.exposures.all
    carm, isocenter = exposure.radiograph.carm, tuple(session.patient.volume.center.tolist())
    off = CArmPose(9.0, -2.5, 1.0, (2.0, -5.0, 10.0), isocenter=isocenter)
    truth = carm.world_from_camera(7.0, -4.0, 2.0, isocenter=isocenter, offset_mm=(6.0, -9.0, 14.0))
    radiograph = exposure.radiograph
    session.exposures.remove(exposure.id)
    session.exposures.add(radiograph, name="frontal", start=carm.pose_from(off), truth=truth)


@pytest.fixture
def widget(near, viewer, qtbot):
    """The widget, docked, with small scales."""
    return docked(viewer, qtbot)


def docked(viewer, qtbot):
    widget = RefineWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Refine", area="right")
    widget.settings.scales.setCurrentText("custom")
    widget.settings.own.clear()
    qtbot.keyClicks(widget.settings.own, "32, 48")
    return widget


def test_that_other_explanations_are_tried_is_said(widget, qtbot, monkeypatch):
    said = threading.Event()

    def refused(request, **_):
        pose = request.views[0].world_from_camera
        step = Iterate(0, 0, 0, pose, {"loss": 0.5})
        yield step
        yield TryingOthers()
        said.wait(20.0)
        pivot = torch.zeros(3, dtype=torch.float64)
        return Registration(pose, Status.NOT_TRUSTED, {"loss": 0.5}, (step,), pivot, None, (pose,))

    monkeypatch.setattr("napari_xreg.widgets.refine.run.refine", refused)
    click(qtbot, widget.buttons.go)
    qtbot.waitUntil(lambda: "trying other explanations" in widget.status.text(), timeout=LONG)
    said.set()
    ended(qtbot, widget)
    assert "trying" not in widget.status.text()


@dataclass(frozen=True)
class Endless(AdamSettings):
    """On a quick machine its own stopping rule would end it within a second or two."""

    patience: int = 1_000_000


@pytest.fixture
def slow(widget, monkeypatch):
    """The widget set to a refinement that does not end by itself."""
    monkeypatch.setattr(
        "napari_xreg.registration.refinement.first_order.adam.AdamSettings", Endless
    )
    widget.settings.optimiser.setCurrentText("Adam")
    widget.settings.iterations.setValue(2000)
    widget.settings.own.setText("48")
    return widget


def click(qtbot, button):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, LEFT)


def ended(qtbot, widget):
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def several(qtbot, widget, count=3):
    """Wait until some iterates are shown."""
    qtbot.waitUntil(lambda: len(widget.iterations.losses.iterates) >= count, timeout=LONG)


def rests(qtbot, widget):
    """Wait until the refinement waits to go on, and all that it did is shown; how many iterates."""
    condition = widget._run.job.control._changed
    qtbot.waitUntil(lambda: bool(condition._waiters), timeout=LONG)
    qtbot.waitUntil(lambda: not widget._run.job.queue, timeout=LONG)
    return len(widget.iterations.losses.iterates)


def layer(viewer, name):
    return next((one for one in viewer.layers if one.name == name), None)


def test_refining_finds_the_truth_and_moves_nothing_before_accept(widget, near, qtbot, viewer):
    before = near.session.poses.current
    click(qtbot, widget.buttons.go)
    assert widget.running
    assert not widget.buttons.go.isEnabled()
    assert not widget.settings.isEnabled()
    ended(qtbot, widget)
    (result,) = near.session.results.all
    assert result.registration.status in (Status.CONVERGED, Status.ITERATION_LIMIT)
    assert near.session.poses.current is before
    # Curves, stack and table hold every iterate, losses and all.
    trajectory = result.registration.trajectory
    assert [it.index for it in widget.iterations.losses.iterates] == [it.index for it in trajectory]
    stack, path = layer(viewer, "iterations"), layer(viewer, "path on the radiograph")
    assert stack.data.shape[0] == len(trajectory)
    assert np.allclose(path.features["loss"], [it.loss for it in trajectory])
    # The answer, in numbers that a person reads.
    assert "simulated" in widget.iterations.readout.text().lower()
    assert float(widget.results.table.item(0, 3).text().split()[0]) < 1.0
    assert "Simulated radiograph." in widget.results.words.text()
    probability = result.registration.probability
    assert probability is not None
    assert (
        f"{100 * min(probability, 0.99):.0f} % likely to lie within 2 mm as seen in this radiograph"
        in widget.results.verdict.words
    )
    # One figure, of all pixels of the detector: here computed by hand.
    volume = near.session.patient.volume
    fixed = near.session.exposures.active.radiograph
    drr = render_drr(
        volume,
        fixed.carm,
        result.registration.world_from_camera.to(dtype=torch.float32),
        method="joseph",
    )
    expected = np.corrcoef(fixed.line_integrals.flatten(), drr.flatten())[0, 1]
    cell = widget.results.table.item(0, 2)
    qtbot.waitUntil(lambda: cell.text() != "…", timeout=LONG)
    assert float(cell.text()) == pytest.approx(expected, abs=2e-4)
    assert f"NCC {cell.text()} over all pixels" in widget.iterations.losses._legend.text().replace(
        "&nbsp;", " "
    )


@aside
def test_where_no_ncc_can_be_had_none_is_waited_for(widget, near, qtbot, monkeypatch):
    """As where the mask leaves too few pixels."""
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    cell = widget.results.table.item(0, 2)
    qtbot.waitUntil(lambda: cell.text() not in "…–", timeout=LONG)
    monkeypatch.setattr(MatchRequest, "answer", lambda _: None)
    widget.results.matches.renew()
    assert widget.results.table.item(0, 2).text() == "…"  # the old one holds no longer
    assert "NCC" not in widget.iterations.losses._legend.text()
    qtbot.waitUntil(lambda: widget.results.table.item(0, 2).text() == "–", timeout=LONG)


@aside
def test_accept_undo_discard(widget, near, qtbot):
    before = near.session.poses.current
    assert not widget.results.accept.isEnabled()
    click(qtbot, widget.buttons.go)
    assert not widget.results.accept.isEnabled()  # nothing to accept before it ends
    ended(qtbot, widget)
    (result,) = near.session.results.all
    # The button takes what is shown, and says what that is: first the best pose, then the start.
    best = result.registration.ended_at
    loss = result.registration.losses["loss"]
    assert result.registration.trajectory[best].loss == pytest.approx(loss, rel=0.01)
    assert widget.results.accept.text() == f"Accept iteration {best} of result 1"
    widget.iterations.slider.setValue(0)
    assert widget.results.accept.text() == "Accept iteration 0 of result 1"
    near.session.landmarks.set(near.session.landmarks.all[:1])  # the table is filled anew
    assert widget.results.accept.text() == "Accept iteration 0 of result 1"
    assert widget.results.verdict.words.startswith(f"Of iteration {best}, not the one shown: ")
    near.session.undo()
    click(qtbot, widget.results.accept)
    first = result.registration.trajectory[0].world_from_camera
    assert near.session.poses.current.translation.tolist() == pytest.approx(
        first.translation.tolist()
    )
    assert near.session.history.undoes == "iteration 0 of result 1 accepted"
    click(qtbot, widget.results.undo)
    assert widget.results.verdict.words.startswith(f"Of iteration {best}, not the one shown: ")
    table = widget.results.table  # a click on the result goes back to its best
    qtbot.mouseClick(table.viewport(), LEFT, pos=table.visualItemRect(table.item(0, 1)).center())
    assert widget.iterations.current.index == best
    assert not widget.results.verdict.words.startswith("Of iteration")
    click(qtbot, widget.results.accept)
    assert near.session.poses.current is result.registration.world_from_camera
    assert widget.status.text() == f"C-arm set to iteration {best} of result 1."
    click(qtbot, widget.results.undo)
    assert near.session.poses.current is before
    assert widget.status.text().startswith("Ready: frontal")  # no longer set to it
    near.session.redo()
    click(qtbot, widget.results.undo)
    assert near.session.poses.current is before
    click(qtbot, widget.results.discard)
    assert near.session.results.all == ()
    assert widget.status.text().startswith("Ready: frontal")
    assert widget.results.table.rowCount() == 0
    assert widget.iterations.losses.curves == {}
    assert not widget.iterations.resume_here.isEnabled()
    assert layer(near.viewer, "iterations") is None  # nor the viewer's slider of iterations
    near.session.undo()
    widget.results.select(near.session.results.all[0].id)
    assert layer(near.viewer, "iterations") is not None


@aside
def test_pause_step_and_go_on(slow, qtbot):
    widget = slow
    click(qtbot, widget.buttons.go)
    several(qtbot, widget)
    click(qtbot, widget.buttons.pause)
    assert widget.buttons.pause.text() == "Resume"
    count = rests(qtbot, widget)
    qtbot.wait(100)
    assert len(widget.iterations.losses.iterates) == count
    for more in (1, 2):
        click(qtbot, widget.buttons.step)
        several(qtbot, widget, count + more)
        assert rests(qtbot, widget) == count + more
    click(qtbot, widget.buttons.pause)
    several(qtbot, widget, count + 5)
    click(qtbot, widget.buttons.cancel)
    ended(qtbot, widget)


@aside
def test_stepping_starts_a_refinement_that_waits(widget, qtbot):
    click(qtbot, widget.buttons.step)
    several(qtbot, widget, 1)
    # The start, and one iteration; then it waits.
    assert 1 <= rests(qtbot, widget) <= 2
    assert widget.running
    assert widget.buttons.pause.text() == "Resume"
    click(qtbot, widget.buttons.cancel)
    ended(qtbot, widget)


@aside
def test_cancelling_keeps_the_best_so_far(slow, near, qtbot):
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    click(qtbot, slow.buttons.cancel)
    ended(qtbot, slow)
    (result,) = near.session.results.all
    assert result.registration.status is Status.CANCELLED
    losses = [it.loss for it in result.registration.trajectory]
    assert result.registration.losses["loss"] == min(losses)
    assert "best pose found so far" in slow.results.words.text()
    kept = int(np.argmin(losses))
    assert f"result 1 keeps iteration {kept}, the best so far" in slow.status.text()
    assert slow.results.accept.text() == f"Accept iteration {kept} of result 1"
    assert slow.results.verdict.words == "Not judged."


def test_comparing_uncovers_the_drr_and_a_look_back_ends_it(widget, near, qtbot, viewer):
    """What the Pose widget says is shown is to be seen, not under the iterations."""
    pose = PoseWidget(viewer)
    viewer.window.add_dock_widget(pose, name="Pose", area="right")
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    assert layer(viewer, "iterations").visible
    pose.compare()
    assert pose.hint.words.startswith("Shown: start")
    assert not layer(viewer, "iterations").visible
    assert not near.canvas.backdrop
    widget.iterations.slider.setValue(0)
    assert layer(viewer, "iterations").visible
    assert not near.preview.elsewhere
    qtbot.waitUntil(lambda: not pose.hint.words.startswith("Shown"), timeout=LONG)
    pose.compare()
    assert near.preview.elsewhere
    viewer.window.remove_dock_widget(pose)  # with its key
    assert not near.preview.elsewhere


def test_comparing_during_a_run_comes_back_to_it(slow, near, qtbot, viewer):
    pose = PoseWidget(viewer)
    viewer.window.add_dock_widget(pose, name="Pose", area="right")
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    pose.compare()
    several(qtbot, slow, len(slow.iterations.losses.iterates) + 2)
    assert not layer(viewer, "iterations").visible
    pose.compare()
    assert pose.hint.words == ""
    assert layer(viewer, "iterations").visible
    click(qtbot, slow.buttons.cancel)
    ended(qtbot, slow)


def test_looking_back_and_continuing_from_there(widget, near, qtbot, viewer):
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    (result,) = near.session.results.all
    widget.iterations.slider.setFocus()
    qtbot.keyClick(widget.iterations.slider, Qt.Key.Key_Home)
    qtbot.keyClick(widget.iterations.slider, Qt.Key.Key_Right)
    wanted = result.registration.trajectory[1]
    assert widget.iterations.current.index == wanted.index
    assert viewer.dims.point[0] == wanted.index
    assert widget.iterations.losses.marked == wanted.index
    carm, mark = near.session.exposures.active.radiograph.carm, near.session.landmarks.all[0]
    point = torch.tensor([mark.position], dtype=torch.float64)
    there = carm.project(point, wanted.world_from_camera)[0].tolist()
    assert viewer.layers["projected landmarks"].data[0].tolist() == pytest.approx(there, abs=1e-3)
    click(qtbot, widget.iterations.resume_here)
    assert near.session.poses.current.translation.tolist() == pytest.approx(
        wanted.world_from_camera.translation.tolist()
    )
    assert near.session.history.records[-1].why == f"iteration {wanted.index} of {result.name}"
    ended(qtbot, widget)
    assert len(near.session.results.all) == 2
    first = near.session.results.all[1].registration.trajectory[0]
    assert np.allclose(first.world_from_camera.matrix(), wanted.world_from_camera.matrix())


def test_the_viewers_slider_moves_the_widget(widget, qtbot, viewer):
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    viewer.dims.set_point(0, 2)
    assert widget.iterations.current.index == 2
    assert widget.iterations.slider.value() == 2
    assert widget.iterations.losses.marked == 2


def test_the_pictures_of_a_result_are_in_memory_once(widget, near, qtbot, viewer):
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    stack = layer(viewer, "iterations").data
    first = near.session.results.all[0].registration.trajectory
    assert all(np.shares_memory(it.image.numpy(), stack[:]) for it in first)
    seen = np.array(stack[1])
    # Another refinement fills a stack of its own; the first is still there to be looked at.
    click(qtbot, widget.iterations.resume_here)
    ended(qtbot, widget)
    assert not np.shares_memory(first[1].image.numpy(), layer(viewer, "iterations").data[:])
    widget.results.select(near.session.results.named("result 1").id)
    np.testing.assert_array_equal(layer(viewer, "iterations").data[1], seen)


@aside
def test_results_are_compared_and_an_old_one_is_shown_again(widget, near, qtbot):
    for _ in range(2):
        click(qtbot, widget.buttons.go)
        ended(qtbot, widget)
        widget.settings.own.setText("24, 32")
    widget.results.select(near.session.results.named("result 1").id)
    trajectory = near.session.results.all[0].registration.trajectory
    assert len(widget.iterations.losses.iterates) == len(trajectory)
    assert widget.iterations.losses.iterates[-1].loss == trajectory[-1].loss
    widget.results.table.selectAll()
    words = widget.results.words.text()
    assert "mm apart (mean over 14 landmarks)" in words
    assert "settings differ" in words
    assert not widget.results.accept.isEnabled()


def test_a_removed_layer_does_not_disturb_a_run(slow, qtbot, viewer):
    before = len(notification_manager.records)  # of all tests of this process
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    for name in ("iterations", "path on the radiograph", "DRR", "frontal"):
        found = layer(viewer, name)
        if found is not None:
            viewer.layers.remove(found)
        qtbot.wait(100)
    # On a loaded machine Adam's patience may have run out meanwhile.
    count = len(slow.iterations.losses.iterates)
    qtbot.waitUntil(
        lambda: len(slow.iterations.losses.iterates) >= count + 3 or not slow.running, timeout=LONG
    )
    if slow.running:
        click(qtbot, slow.buttons.cancel)
    ended(qtbot, slow)
    (result,) = slow.workbench.session.results.all
    assert len(result.registration.trajectory) == len(slow.iterations.losses.iterates) > 3
    said = notification_manager.records[before:]
    assert all("Error" not in type(record).__name__ for record in said)


@aside
def test_another_ct_drops_the_result(slow, near, qtbot, patient):
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    near.session.patient.set_volume(patient.volume.downsample(2))
    ended(qtbot, slow)
    assert near.session.results.all == ()
    assert "the CT" in slow.status.text()


@aside
def test_a_radiograph_renamed_meanwhile_keeps_its_result(slow, near, qtbot):
    session = near.session
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    session.exposures.rename(session.exposures.named("frontal").id, "AP")
    session.exposures.add(
        session.exposures.active.radiograph, name="frontal"
    )  # another of the old name
    session.exposures.activate(session.exposures.named("AP").id)
    several(qtbot, slow, len(slow.iterations.losses.iterates) + 2)  # it goes on
    slow.cancel()
    ended(qtbot, slow)
    (result,) = session.results.all
    assert result.radiographs == (session.exposures.named("AP").id,)
    assert "mTRE" in slow.iterations.readout.text()  # of AP, whose truth is known
    click(qtbot, slow.results.accept)
    assert session.exposures.named("AP").world_from_camera is result.registration.world_from_camera


def test_a_radiograph_flipped_drops_the_result_and_its_pictures(slow, near, qtbot, viewer):
    """The DRRs of the iterations would lie over the flipped image as they were before."""
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    assert layer(viewer, "iterations").visible
    near.session.exposures.replace(flip_exposure(near.session.exposures.active), why="flip")
    ended(qtbot, slow)
    assert near.session.results.all == ()
    assert layer(viewer, "iterations") is None
    assert layer(viewer, "DRR").visible
    assert len(slow.iterations.losses.iterates) == 0
    assert slow.status.text() == "Stopped: frontal was changed; the result was dropped."


@aside
def test_a_radiograph_removed_drops_the_result(slow, near, qtbot):
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    near.session.exposures.remove(near.session.exposures.named("frontal").id)
    ended(qtbot, slow)
    assert near.session.results.all == ()
    assert not slow.buttons.go.isEnabled()


def test_closing_the_widget_cancels_and_keeps_the_best(slow, near, qtbot, viewer):
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    viewer.window.remove_dock_widget(slow)
    assert slow.torn_down
    qtbot.waitUntil(lambda: len(near.session.results.all) == 1, timeout=LONG)
    assert near.session.results.all[0].registration.status is Status.CANCELLED
    assert near.jobs.running == ()
    assert layer(viewer, "iterations") is None
    # Opened again, it shows what the first one found.
    again = docked(viewer, qtbot)
    assert again.results.selected == (near.session.results.named("result 1").id,)
    assert len(again.iterations.losses.iterates) == len(
        near.session.results.all[0].registration.trajectory
    )
    assert layer(viewer, "iterations") is not None
    click(qtbot, again.results.discard)


def test_closing_the_viewer_in_the_middle_of_a_run(slow, near, qtbot, viewer):
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    viewer.close()
    qtbot.wait(300)
    assert near.closed
    assert near.session.results.all == ()
    assert near.jobs.running == ()
    names = [thread.name for thread in threading.enumerate()]
    assert "xreg DRR" not in names


def test_two_viewers_do_not_mix(slow, near, qtbot, make_napari_viewer, patient, radiograph):
    other = workbench_of(make_napari_viewer())
    other.session.patient.set_volume(patient.volume)
    other.session.exposures.add(radiograph, name="other")
    give_truth(other.session)
    second = RefineWidget(other.viewer)
    second.settings.scales.setCurrentText("custom")
    second.settings.own.setText("32")
    click(qtbot, slow.buttons.go)
    several(qtbot, slow)
    second.start()
    ended(qtbot, second)
    assert slow.running
    assert len(other.session.results.all) == 1
    assert near.session.results.all == ()
    assert [one.name for one in other.viewer.layers].count("iterations") == 1
    click(qtbot, slow.buttons.cancel)
    ended(qtbot, slow)
    second.tear_down()
    second.deleteLater()
    other.close()


@aside
def test_nothing_to_refine_is_said(empty_bench, viewer, qtbot):
    widget = docked(viewer, qtbot)
    assert not widget.buttons.go.isEnabled()
    assert "Load a CT and a radiograph" in widget.status.text()


@aside
def test_own_scales_that_make_no_sense_are_said(widget, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari_xreg.widgets.refine.widget.show_error", said.append)
    widget.settings.own.setText("64, many")
    click(qtbot, widget.buttons.go)
    assert not widget.running
    assert "64, 128, 256: got '64, many'" in said[0]


@aside
def test_locked_parameters_stay(widget, near, qtbot):
    widget.settings.more.expand(animate=False)
    for name in ("depth", "roll"):
        qtbot.keyClick(widget.settings.locks[name], Qt.Key.Key_Space)
        assert widget.settings.locks[name].isChecked()
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    carm = near.session.exposures.all[0].radiograph.carm
    (result,) = near.session.results.all
    pose = carm.carm_pose(result.registration.world_from_camera, near.session.patient.isocenter)
    assert pose.roll_deg == pytest.approx(1.0, abs=1e-6)
    assert pose.offset_mm[2] == pytest.approx(10.0, abs=1e-4)
    assert result.settings["locked"] == ["roll", "depth"]


@aside
def test_unticking_the_only_radiograph_leaves_nothing_to_do(widget, near, qtbot):
    widget.settings.more.expand(animate=False)
    item = widget.settings.radiographs.item(0)
    item.setCheckState(Qt.CheckState.Unchecked)
    assert not near.session.exposures.all[0].used
    assert not widget.buttons.go.isEnabled()
    widget.settings.radiographs.item(0).setCheckState(Qt.CheckState.Checked)
    assert widget.buttons.go.isEnabled()


def test_the_painted_mask_is_used_only_if_ticked(slow, near, qtbot, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "napari_xreg.widgets.refine.widget.refine_request",
        lambda *_, use_painted, **__: seen.append(use_painted) or _raise(),
    )
    slow.settings.more.expand(animate=False)
    for _ in range(2):
        click(qtbot, slow.buttons.go)
        qtbot.keyClick(slow.settings.use_mask, Qt.Key.Key_Space)
    assert seen == [True, False]
    assert not slow.running


def _raise():
    raise ValueError("far enough")


def test_painting_a_mask_is_offered(widget, viewer, qtbot):
    widget.settings.more.expand(animate=False)
    click(qtbot, widget.settings.paint)
    assert layer(viewer, "mask").mode == "paint"


@aside
def test_clicking_the_curve_looks_at_that_iterate(widget, qtbot):
    widget.window().show()
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    qtbot.wait(50)
    box = widget.iterations.losses._plot.getPlotItem().vb
    middle = round(box.viewRect().center().x() - 0.25)  # of a whole iterate, not between two
    where = box.mapViewToScene(QPointF(middle, box.viewRect().center().y())).toPoint()
    with qtbot.waitSignal(widget.replay.looked_back):
        qtbot.mouseClick(widget.iterations.losses._plot.viewport(), LEFT, pos=where)
    assert widget.iterations.current.index == middle


@aside
def test_picture(widget, near, qtbot, viewer, screenshot):
    viewer.theme = "light"
    widget.window().show()
    widget.settings.scales.setCurrentText("coarse to fine")
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    widget.resize(320, 900)
    qtbot.wait(100)
    for theme in ("dark", "light"):
        viewer.theme = theme
        screenshot(widget, f"refine_{theme}")
    widget.iterations.tabs.setCurrentIndex(1)
    widget.how.expand(animate=False)  # it closed when the refinement began
    widget.settings.more.expand(animate=False)
    inside = widget.settings.more.content()  # and the settings around it grow with it
    qtbot.waitUntil(lambda: inside.height() >= inside.sizeHint().height() - 2, timeout=LONG)
    inner = widget.findChild(type(widget.results)).parentWidget()
    assert widget.minimumWidth() == 0
    for theme in ("light", "dark"):
        viewer.theme = theme
        screenshot(widget, f"refine_pose_{theme}")
        assert inner.minimumSizeHint().width() <= 320
        # However narrow the dock, nothing is cut beside the scroll bar; however low, Accept is there.
        bar = widget.findChild(QScrollArea).verticalScrollBar().sizeHint().width()
        assert widget.minimumSizeHint().width() >= inner.minimumSizeHint().width() + bar
    widget.resize(340, 300)
    qtbot.wait(50)
    assert not widget.results.accept.visibleRegion().isEmpty()


def reopened(session):
    """Its results as a session file gives them back: a name, poses and losses, no pictures."""
    (result,) = session.results.all
    bare = replace(
        result.registration,
        trajectory=tuple(replace(it, image=None) for it in result.registration.trajectory),
    )
    state = session.state
    session.restore(replace(state, results=(replace(result, registration=bare),)), "open a session")
    return bare


def test_the_pictures_of_a_reopened_session_are_drawn_again(
    widget, near, qtbot, viewer, patient, notified
):
    widget.settings.own.setText("32")
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    taken = np.array(layer(viewer, "iterations").data)[:, 0]
    bare = reopened(near.session)
    assert widget.iterations.current is None  # another result of the same name
    widget.results.select(near.session.results.all[0].id)
    assert len(widget.iterations.losses.iterates) == len(bare.trajectory)
    qtbot.waitUntil(lambda: widget.on_canvas.layers.next_without_picture() is None, timeout=LONG)
    stack = layer(viewer, "iterations")
    assert stack.visible
    carm = near.session.exposures.active.radiograph.carm
    for number in (0, len(bare.trajectory) - 1):
        pose = bare.trajectory[number].world_from_camera
        wanted = render_drr(patient.volume, carm, pose, method="joseph").numpy()
        np.testing.assert_allclose(stack.data[number][0], wanted, atol=0.02 * wanted.max())
    # What the run itself had shown, at fewer pixels.
    assert (
        np.corrcoef(cv2.resize(stack.data[1][0], taken[1].shape[::-1]).ravel(), taken[1].ravel())[
            0, 1
        ]
        > 0.98
    )
    assert stack.contrast_limits[1] > 0.2 * stack.data[-1].max()
    # A CT of the user's own beside it neither shares the slider nor sets off napari's warning.
    viewer.add_image(
        np.zeros((4, 5, 6), np.float32),
        scale=(2.0, 0.9, 1.3),
        translate=(-817.0, 0.0, 0.0),
        units=("mm",) * 3,
        axis_labels=("z", "y", "x"),
    )
    qtbot.wait(20)
    assert viewer.dims.nsteps[:2] == (len(bare.trajectory), 4)
    assert not [words for words in notified if "units" in words]


@aside
def test_without_the_ct_a_reopened_result_says_why_there_are_no_pictures(widget, near, qtbot):
    widget.settings.own.setText("32")
    click(qtbot, widget.buttons.go)
    ended(qtbot, widget)
    bare = reopened(near.session)
    near.session.restore(replace(near.session.state, volume=None, labels=None), "open a session")
    widget.results.select(near.session.results.all[0].id)
    assert widget.results.table.item(0, 2).text() == "–"  # there will be none
    assert "drawn again from its CT: load that first" in widget.status.text()
    assert len(widget.iterations.losses.iterates) == len(bare.trajectory)
