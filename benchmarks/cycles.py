"""What stays in memory of a window that is opened, runs a refinement, cancels it and is closed.

    python -m benchmarks.cycles [cycles]

Needs a screen. First napari alone (a window with one image, opened and closed), then with the
plugin: workbench, Refine widget, a refinement that is cancelled after its first iterates.
"""

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import SOLVERS, AdamSettings
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

WARM_UP = 10
"""Cycles before counting: caches are filled, code is compiled."""


@dataclass(frozen=True)
class Left:
    """What a series of cycles left behind."""

    mb_per_cycle: float
    threads: int
    objects: int

    def __str__(self) -> str:
        return (
            f"{self.mb_per_cycle:+.2f} MB a cycle, {self.threads} threads of ours, "
            f"{self.objects} viewers, sessions or runs alive"
        )


def resident_mb() -> float:
    """Of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def repeated(cycle: Callable[[], list[weakref.ref[object]]], count: int) -> Left:
    """Do it again and again; memory is the slope of a line through all cycles after `WARM_UP`."""
    from qtpy.QtWidgets import QApplication

    references: list[weakref.ref[object]] = []
    memory = []
    for number in range(WARM_UP + count):
        references += cycle()
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, 52)  # what is to be deleted later
        gc.collect()
        if number >= WARM_UP:
            memory.append(resident_mb())
    slope = float(np.polyfit(np.arange(count), memory, 1)[0])
    threads = sum(thread.name.startswith("xreg ") for thread in threading.enumerate())
    return Left(slope, threads, sum(reference() is not None for reference in references))


def napari_alone() -> list[weakref.ref[object]]:
    """A window with an image."""
    import napari

    viewer = napari.Viewer(show=False)
    viewer.add_image(np.zeros((96, 108), np.float32))
    viewer.close()
    return [weakref.ref(viewer)]


def plugin(volume: Volume, radiograph: Radiograph) -> Callable[[], list[weakref.ref[object]]]:
    """A window in which a refinement runs and is cancelled."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_xreg.widgets.jobs.workbench import workbench_of
    from napari_xreg.widgets.refine.widget import RefineWidget

    endless = replace(
        SOLVERS["adam"],
        configure=lambda wanted: AdamSettings(wanted.pixels, patience=1_000_000),
    )
    SOLVERS["adam"] = endless

    def until(done: Callable[[], bool]) -> None:
        while not done():
            QApplication.processEvents()
            time.sleep(0.005)

    def cycle() -> list[weakref.ref[object]]:
        viewer = napari.Viewer(show=False)
        bench = workbench_of(viewer)
        bench.session.patient.set_volume(volume)
        bench.session.exposures.add(radiograph, name="frontal")
        widget = RefineWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Refine")
        widget.settings.choose_solver("adam")
        widget.settings.scales.setCurrentText("custom")
        widget.settings.own.setText("24")
        widget.start()
        run = widget._run
        until(lambda: len(widget.iterations.losses.iterates) > 2)
        widget.cancel()
        until(lambda: not widget.running)
        held = [viewer, bench, bench.session, bench.canvas, run]
        viewer.close()
        return [weakref.ref(one) for one in held]

    return cycle


def main(count: int) -> None:
    """Both, one after the other."""
    import napari

    assert napari.Viewer(show=False).close() is None
    patient = phantom(spacing_mm=6.0)
    carm = CArm(1020.0, 750.0, Detector((96, 108), (3.4, 3.5), (45.0, 55.5)))
    pose = carm.world_from_camera(7.0, -4.0, isocenter=patient.volume.center)
    shot = render_drr(patient.volume, carm, pose, method="joseph")
    radiograph = Radiograph(shot, carm, simulated=True)
    print(f"napari alone, {count} cycles: {repeated(napari_alone, count)}", flush=True)
    left = repeated(plugin(patient.volume, radiograph), count)
    print(f"with the plugin, {count} cycles: {left}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
