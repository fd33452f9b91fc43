"""The demo and its tour, as a new user goes through them."""

import threading

import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt, QThreadPool

from napari_xreg.progress import Control
from napari_xreg.widgets.jobs import workbench
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.tour import demo, steps
from napari_xreg.widgets.tour.steps import STEPS
from napari_xreg.workflows import warming as kernels

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def shown(qtbot, make_napari_viewer, monkeypatch):
    """The demo in small, once its sample is there: viewer, workbench, tour."""
    monkeypatch.setattr(demo.napari, "Viewer", lambda title, show: make_napari_viewer(show=show))
    viewer = demo.open_demo(headless=True, spacing_mm=6.0, pixels=64)
    tour = viewer.window.dock_widgets["Tour"]
    assert tour.at == -1
    assert not tour.next.isEnabled()
    qtbot.waitUntil(lambda: tour.at == 0, timeout=120_000)
    bench = workbench_of(viewer)
    yield viewer, bench, tour
    bench.close()
    qtbot.wait(50)  # Qt deletes the room's canvas in a turn of its own


def test_waiting_says_how_far_it_is_and_how_long_it_still_takes(qtbot, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(steps.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(steps, "compiled", lambda simulator: False)
    monkeypatch.setattr(steps.Tour, "_raise", lambda tour, name: None)  # there are no docks
    viewer = ViewerModel()
    tour = steps.Tour(viewer)
    qtbot.addWidget(tour)
    tour.say_waiting("Compiling …")
    now[0] = 107.0
    tour._clock.timeout.emit()
    assert tour.text.text() == "Compiling … 7 s, about 13 s left."
    assert (tour.bar.value(), tour.bar.maximum()) == (7, 20)  # a busy bar would have no maximum
    now[0] = 125.0
    tour.say_waiting("Simulating …")
    assert tour.text.text() == "Simulating … 25 s, longer than usual: the machine is busy."
    assert tour.bar.value() == 19
    tour.start()
    tour._clock.timeout.emit()
    assert tour.text.text() == STEPS[0].text
    assert not tour._clock.isActive()
    tour.tear_down()
    workbench_of(viewer).close()


def click(qtbot, button):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, LEFT)


def test_the_demo_opens_with_a_wrong_pose_and_the_widgets_docked(shown):
    viewer, bench, _ = shown
    session = bench.session
    assert session.patient.volume is not None
    (exposure,) = session.exposures.all
    assert exposure.radiograph.simulated
    assert exposure.truth is not None
    apart = exposure.truth.translation - exposure.world_from_camera.translation
    assert float(apart.norm()) > 5.0  # mm
    assert {"Data", "Pose", "Refine", "3D view", "Tour"} <= set(viewer.window.dock_widgets)


def test_the_tour_notices_what_was_done(shown, qtbot):
    viewer, bench, tour = shown
    session, refine = bench.session, viewer.window.dock_widgets["Refine"]
    click(qtbot, tour.next)

    assert tour.step.sign == "moved"
    assert tour.next.text() == "Skip step"
    pose = session.poses.current
    session.poses.set(session.exposures.all[0].truth, "drag")
    assert tour.done.text() == "✓ done"
    click(qtbot, tour.next)

    assert tour.step.sign == "undone"
    assert tour.done.text() == ""
    session.undo()
    assert session.poses.current is pose
    assert tour.done.text() == "✓ done"
    click(qtbot, tour.next)

    assert tour.step.sign == "refined"
    click(qtbot, refine.buttons.go)
    assert tour.done.text() == ""
    qtbot.waitUntil(lambda: not refine.running, timeout=120_000)
    assert tour.done.text() == "✓ done"
    click(qtbot, tour.next)

    assert tour.step.sign == "scrubbed"
    refine.iterations.slider.setValue(1)
    assert tour.done.text() == "✓ done"
    viewer.window._qt_window.show()
    viewer.window._qt_window.resize(1100, 620)  # a low screen: the table is below the curve
    qtbot.waitUntil(lambda: refine.isVisible() and refine.results.table.visibleRegion().isEmpty())
    click(qtbot, tour.next)

    assert tour.step.sign == "accepted"
    qtbot.waitUntil(lambda: not refine.results.table.visibleRegion().isEmpty())
    click(qtbot, refine.results.accept)
    assert tour.done.text() == "✓ done"
    click(qtbot, tour.next)

    assert tour.at == len(STEPS) - 1
    click(qtbot, tour.next)
    assert "Tour" not in viewer.window.dock_widgets


def test_going_back_and_ending_the_tour(shown, qtbot):
    viewer, _, tour = shown
    assert not tour.back.isEnabled()
    click(qtbot, tour.next)
    click(qtbot, tour.back)
    assert tour.at == 0
    click(qtbot, tour.skip)
    assert tour.torn_down
    assert "Tour" not in viewer.window.dock_widgets


def test_closing_while_the_demo_is_prepared(qtbot, make_napari_viewer, monkeypatch):
    monkeypatch.setattr(demo.napari, "Viewer", lambda title, show: make_napari_viewer(show=show))
    viewer = demo.open_demo(headless=True, spacing_mm=6.0, pixels=64)
    bench = workbench_of(viewer)
    viewer.close()
    qtbot.wait(200)
    assert bench.closed
    assert bench.session.patient.volume is None
    assert QThreadPool.globalInstance().waitForDone(60_000)


def test_compiling_elsewhere_can_be_cancelled(monkeypatch):
    monkeypatch.setattr(kernels, "compiled", lambda simulator: False)
    monkeypatch.setattr(kernels, "_COMPILE", "import time; time.sleep(60)")
    control = Control()
    words = kernels.compiling(control)
    assert "compiled once per machine" in next(words)
    control.cancel()
    assert list(words) == []


@pytest.mark.parametrize("in_front", [True, False])
def test_before_the_renderer_is_compiled_the_window_says_so_and_waits(
    qtbot, make_napari_viewer, monkeypatch, patient, radiograph, in_front
):
    """As on a fresh machine: nothing compiles in this process, and the DRR comes by itself."""
    elsewhere = []
    monkeypatch.setattr(workbench, "compiled", lambda: False)
    monkeypatch.setattr(kernels, "compiled", lambda simulator: False)
    monkeypatch.setattr(
        kernels, "_compile_elsewhere", lambda code, control: elsewhere.append(go_on.wait(30))
    )
    said, go_on = [], threading.Event()
    monkeypatch.setattr(workbench, "show_info", said.append)
    viewer = make_napari_viewer()
    window = type(viewer.window._qt_window)  # of its own it would outlive the test
    monkeypatch.setattr(window, "isActiveWindow", lambda _: in_front)
    bench = workbench_of(viewer)
    # A notification of napari's never goes away if its window was not in front when it came.
    assert said == ([kernels.COMPILING_WORDS] if in_front else [])
    assert "compiled once per machine" in viewer.status
    bench.session.patient.set_volume(patient.volume)
    bench.session.exposures.add(radiograph)
    qtbot.wait(300)
    assert bench.preview.latest is None
    assert not bench.preview.busy
    go_on.set()
    qtbot.waitUntil(lambda: bench.preview.latest is not None, timeout=60_000)
    assert elsewhere == [True]
    bench.close()
