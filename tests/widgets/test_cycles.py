"""Open, run, cancel, close, again and again: nothing of it stays. `benchmarks/cycles.py` counts on."""

import gc
import threading
import weakref
from dataclasses import dataclass

import pytest
from psygnal import SignalInstance

from napari_xreg.registration import AdamSettings
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.refine import run as refine_run
from napari_xreg.widgets.refine.widget import RefineWidget

LONG = 60_000


@dataclass(frozen=True)
class Endless(AdamSettings):
    """Ends when it is cancelled."""

    patience: int = 1_000_000


@pytest.fixture(autouse=True)
def endless(monkeypatch):
    monkeypatch.setattr(
        "napari_xreg.registration.refinement.first_order.adam.AdamSettings", Endless
    )


@pytest.fixture
def made(monkeypatch):
    """A weak reference to every run and request that was made."""
    found = []
    begin = refine_run.RefineRun.__init__

    def noted(self, session, jobs, request, **options):
        found.extend((weakref.ref(self), weakref.ref(request)))
        begin(self, session, jobs, request, **options)

    monkeypatch.setattr(refine_run.RefineRun, "__init__", noted)
    return found


def refine_widget(viewer):
    widget = RefineWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Refine")
    widget.settings.optimiser.setCurrentText("Adam")
    widget.settings.scales.setCurrentText("custom")
    widget.settings.own.setText("24")
    widget.settings.iterations.setValue(2000)
    return widget


def run_and_cancel(widget, qtbot):
    seen = len(widget.iterations.losses.iterates)
    widget.start()
    qtbot.waitUntil(lambda: len(widget.iterations.losses.iterates) not in (0, seen), timeout=LONG)
    widget.cancel()
    qtbot.waitUntil(lambda: not widget.running, timeout=LONG)


def alive(references):
    gc.collect()
    return [found for reference in references if (found := reference()) is not None]


def listeners(session):
    """How many slots listen to a session's signals."""
    names = ("patient", "landmarks", "exposures", "poses", "results", "weights")
    parts = [getattr(session, name) for name in names]
    names = [(part, name) for part in parts for name in dir(type(part)) if name.endswith("changed")]
    signals = [session.history_changed, *(getattr(part, name) for part, name in names)]
    assert all(isinstance(signal, SignalInstance) for signal in signals)
    assert len(signals) == 9
    return sum(len(signal) for signal in signals)


def test_a_window_keeps_none_of_its_runs(bench, viewer, qtbot, made, painted):
    painted(bench)
    widget = refine_widget(viewer)
    session = bench.session
    layers, heard = (
        len(viewer.layers),
        listeners(session),
    )  # those of iterations go with their result
    for _ in range(3):
        run_and_cancel(widget, qtbot)
        for result in session.results.all:
            session.results.discard(result.id)
    assert len(made) == 6
    qtbot.waitUntil(lambda: not alive(made), timeout=20_000)
    assert len(viewer.layers) == layers
    assert listeners(session) == heard
    assert bench.jobs.running == ()
    assert not [job for job in bench.jobs.children() if job.running]


@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "closed while it runs"])
def test_a_closed_window_leaves_nothing(
    make_napari_viewer, patient, radiograph, qtbot, made, cancelled
):
    gone = []
    for _ in range(2):
        viewer = make_napari_viewer()
        bench = workbench_of(viewer)
        bench.session.patient.set_volume(patient.volume)
        bench.session.exposures.add(radiograph, name="frontal")
        widget = refine_widget(viewer)
        gone += [weakref.ref(one) for one in (viewer, bench, bench.session, bench.canvas)]
        if cancelled:
            run_and_cancel(widget, qtbot)
        else:
            widget.start()
            qtbot.waitUntil(lambda w=widget: len(w.iterations.losses.iterates) > 1, timeout=LONG)
        viewer.close()
        assert bench.closed
        del viewer, bench, widget
    qtbot.waitUntil(lambda: not alive(gone + made), timeout=20_000)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("xreg ")]
