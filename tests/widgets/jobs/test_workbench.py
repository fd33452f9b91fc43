"""One workbench per viewer, docked widgets, and how it all ends."""

import gc
import threading
import time

import pytest
import torch
from psygnal import Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout

from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.workbench import workbench_of


def nudge(bench):
    """Another pose, by a hair."""
    hair = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1e-6], dtype=torch.float64)
    bench.session.poses.move(
        bench.session.poses.current.left_perturb(hair, bench.session.patient.isocenter)
    )


class Probe(Docked):
    """A dock widget that counts."""

    def __init__(self, napari_viewer):
        super().__init__(napari_viewer)
        QVBoxLayout(self).addWidget(QLabel("probe"))
        self.ended = self.heard = 0
        self.listen(self.workbench.session.poses.changed, self.hear)

    def hear(self):
        self.heard += 1

    def teardown(self):
        self.ended += 1


def xreg_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("xreg ")]


def test_the_same_for_a_viewer_and_its_proxy(viewer):
    bench = workbench_of(viewer)
    assert workbench_of(viewer) is bench
    assert workbench_of(bench.viewer) is bench
    bench.close()
    assert workbench_of(viewer) is not bench
    workbench_of(viewer).close()


def test_two_viewers_do_not_mix(bench, painted, make_napari_viewer_proxy, patient, make_radiograph):
    other = workbench_of(make_napari_viewer_proxy())
    assert other is not bench
    assert other.session is not bench.session
    assert len(other.viewer.layers) == 0
    other.session.patient.set_volume(patient.volume)
    other.session.exposures.add(make_radiograph(64, primary_deg=40.0), name="lateral")
    painted(bench)
    painted(other)
    pose = bench.session.poses.current
    drr = next(layer for layer in bench.viewer.layers if layer.name == "DRR")
    before = drr.data.copy()
    started = other.session.poses.current
    moved = started.left_perturb(
        torch.tensor([0.0, 0.1, 0.0, 20.0, 0.0, 0.0]).double(), other.session.patient.isocenter
    )
    other.session.poses.set(moved, "drag")
    painted(other)
    assert bench.session.poses.current is pose
    assert (drr.data == before).all()
    other.close()
    assert not bench.closed
    other.viewer.close()
    assert not bench.closed


def test_closing_the_viewer_ends_everything(make_napari_viewer, patient, radiograph, qtbot):
    before = set(xreg_threads())
    viewer = make_napari_viewer()
    bench = workbench_of(viewer)
    bench.session.patient.set_volume(patient.volume)
    bench.session.exposures.add(radiograph)
    probe = Probe(viewer)
    viewer.window.add_dock_widget(probe, name="probe")
    ended, results = threading.Event(), []

    def make(control):
        while control.proceed():
            time.sleep(0.005)
            yield 1
        ended.set()
        return "result"

    bench.jobs.start("Long", make, on_result=results.append)
    qtbot.waitUntil(lambda: bench.preview.latest is not None, timeout=30_000)
    nudge(bench)  # a DRR on its way
    viewer.close()
    assert bench.closed
    assert probe.ended == 1
    assert ended.wait(5)
    qtbot.waitUntil(lambda: set(xreg_threads()) <= before, timeout=5000)
    qtbot.wait(50)
    assert results == []
    nudge(bench)  # nobody listens, nobody minds
    assert probe.heard == 1


def test_taken_out_of_the_window_a_widget_lets_go_once(bench, viewer):
    probe = Probe(viewer)
    viewer.window.add_dock_widget(probe, name="probe")
    bench.session.poses.changed.emit()
    assert (probe.heard, probe.ended) == (1, 0)
    viewer.window.remove_dock_widget(probe)
    assert probe.ended == 1
    assert probe.torn_down
    bench.session.poses.changed.emit()
    assert probe.heard == 1
    again = Probe(viewer)
    viewer.window.add_dock_widget(again, name="probe")
    bench.session.poses.changed.emit()
    assert (probe.heard, again.heard) == (1, 1)
    bench.close()
    assert (probe.ended, again.ended) == (1, 1)


def test_floating_is_not_closing(bench, viewer, qtbot):
    probe = Probe(viewer)
    dock = viewer.window.add_dock_widget(probe, name="probe")
    dock.setFloating(True)
    qtbot.wait(50)
    dock.setFloating(False)
    assert probe.ended == 0


def test_a_second_widget_becomes_a_tab_of_the_first(bench, viewer, qtbot):
    """As napari's menu docks them: one below the other, with long names."""

    def dock(widget, name, area):
        return viewer.window.add_dock_widget(widget, name=name, area=area).__wrapped__

    foreign = dock(QLabel("foreign"), "foreign", "right")
    places = {"One (X-ray to CT)": "right", "Two (X-ray to CT)": "right", "Tour": "bottom"}
    docks = [dock(Probe(viewer), name, area) for name, area in places.items()]
    window = foreign.parent()
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(docks[0]) == [docks[1]], timeout=5000)
    assert [one.windowTitle() for one in docks] == ["One", "Two", "Tour"]
    assert window.tabifiedDockWidgets(foreign) == []
    assert window.tabifiedDockWidgets(docks[2]) == []


def test_a_listener_whose_other_side_is_gone_does_not_stop_the_rest(empty_bench, viewer):
    class Other:
        changed = Signal()

    probe, other = Probe(viewer), Other()
    probe.listen(other.changed, probe.hear)
    other.changed.disconnect()
    del other
    gc.collect()
    called = []
    probe.at_end(lambda: called.append(1))
    probe.tear_down()
    assert called == [1]
    empty_bench.session.poses.changed.emit()
    assert probe.heard == 0


# ---------------------------------------------------------------------- the live preview


def test_the_drr_follows_the_pose(bench, painted):
    painted(bench)
    drr = next(layer for layer in bench.viewer.layers if layer.name == "DRR")
    first = drr.data.copy()
    pose = bench.session.poses.current
    shift = torch.tensor([0.0, 0.0, 0.0, 60.0, 0.0, 0.0]).double()
    bench.session.poses.set(pose.left_perturb(shift, bench.session.patient.isocenter), "shift")
    painted(bench)
    assert abs(drr.data - first).max() > 0.5
    bench.session.undo()
    painted(bench)
    assert drr.data == pytest.approx(first)


def test_fewer_pixels_while_dragging_if_all_would_take_too_long(bench, painted, monkeypatch):
    painted(bench)
    preview = bench.preview
    full = preview.full_pixels()
    assert preview.pixels() == full == 108
    # One thread for the DRR, which may take 0.6 of a thirtieth of a second: 20 ms.
    monkeypatch.setattr("napari_xreg.widgets.jobs.live_preview.thread_count", lambda: 2)
    preview._processor_seconds_per_ray = 0.040 / (96 * 108)  # 40 ms for all, 22.5 for 81 columns
    preview.begin_drag()
    assert preview.pixels() == 68  # 15.9 ms
    preview._processor_seconds_per_ray *= 0.9  # 81 in 20.3 ms: not so quick that it is worth it
    assert preview.pixels() == 68
    preview._processor_seconds_per_ray *= 0.5  # 81 in 10.1 ms, all in 18
    assert preview.pixels() == 81
    assert preview.pixels() == 81
    preview._processor_seconds_per_ray *= 0.5  # all in 9 ms
    assert preview.pixels() == 108
    preview._processor_seconds_per_ray *= 8
    nudge(bench)
    assert preview.pixels() == 68
    preview.end_drag()
    assert preview.pixels() == full
    assert painted(bench).image.shape == (96, 108)


def test_full_collections_wait_for_the_end_of_a_drag(bench, painted, qtbot):
    painted(bench)
    before = gc.get_threshold()
    bench.preview.begin_drag()
    assert gc.get_threshold()[2] > before[2]
    bench.preview.end_drag()
    qtbot.waitUntil(lambda: gc.get_threshold() == before)
    bench.preview.begin_drag()
    bench.close()
    assert gc.get_threshold() == before


def test_another_radiograph_never_shows_the_drr_of_the_last(bench, painted, make_radiograph, qtbot):
    painted(bench)
    bench.session.exposures.add(make_radiograph(48, primary_deg=80.0), name="lateral")
    seen = []
    bench.preview.painted.connect(lambda preview: seen.append(preview.image.shape))
    for name in ("frontal", "lateral", "frontal", "lateral"):
        bench.session.exposures.activate(bench.session.exposures.named(name).id)
    painted(bench)
    qtbot.wait(50)
    assert set(seen) == {(48, 54)}


def test_a_renderer_that_fails_is_one_sentence(bench, painted, notified, monkeypatch, qtbot):
    painted(bench)
    from napari_xreg.session import PreviewRequest

    def fail(self):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(PreviewRequest, "answer", fail)
    for _ in range(3):
        nudge(bench)
        qtbot.waitUntil(lambda: not bench.preview.busy)
    assert notified == ["DRR failed: out of memory."]


def test_layers_removed_while_a_drr_is_on_its_way_come_back(bench, painted, qtbot):
    painted(bench)
    nudge(bench)
    bench.viewer.layers.clear()
    qtbot.wait(20)
    nudge(bench)
    painted(bench)
    assert "DRR" in [layer.name for layer in bench.viewer.layers]
