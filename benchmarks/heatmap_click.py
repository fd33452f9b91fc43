"""A click on a point of the CT, in the real viewer: from mouse event to the heatmap on the screen.

Needs a display (``xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks heatmap_click``).
The program is as the user has it: napari's window, the RayEmb widget with the network that comes
with the package, the phantom's CT and its simulated radiograph, templates prepared. Presses and
releases of the mouse are posted to the slices, each at another voxel; the time ends with the swap
that shows the new heatmap (`QOpenGLWidget.frameSwapped`).
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import cases, dragging, report


class Bench:
    """A viewer with the RayEmb widget, prepared."""

    def __init__(self, pixels: int) -> None:
        import napari
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QApplication

        from napari_xreg.geometry import CArmPose
        from napari_xreg.simulation import phantom, simulate_radiograph
        from napari_xreg.widgets.jobs.workbench import workbench_of
        from napari_xreg.widgets.rayemb.widget import RayEmbWidget

        self.app = QApplication.instance() or napari.qt.get_qapp()
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.work = workbench_of(self.viewer)
        patient = phantom(spacing_mm=1.5, seed=7)
        arm = cases.carm(pixels)
        x, y, z = (float(v) for v in patient.volume.center)
        truth = arm.pose_from(CArmPose(8.0, -5.0, 2.0, (6.0, -9.0, 14.0), (x, y, z)))
        made = simulate_radiograph(
            patient.volume, patient.labels, arm, truth, severity="typical", seed=1
        )
        session = self.work.session
        session.patient.set_volume(patient.volume)
        session.exposures.add(made.radiograph, truth=truth)
        self.widget = RayEmbWidget(self.viewer)
        dock = self.viewer.window.add_dock_widget(self.widget, name="RayEmb", area="right")
        window = self.viewer.window._qt_window
        window.resize(1300, 950)
        window.resizeDocks([dock], [400], Qt.Orientation.Horizontal)
        self.spin(1.0)
        self.widget.prepare()
        self.until(lambda: session.ray_points.prepared is not None, 300.0)
        self.spin(2.0)
        self.canvas = window._qt_viewer.canvas.native

    def spin(self, seconds: float) -> None:
        """Let Qt work."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.app.processEvents()
            time.sleep(0.0002)

    def until(self, done: Any, seconds: float) -> None:
        """Let Qt work until something is true."""
        end = time.perf_counter() + seconds
        while not done():
            if time.perf_counter() > end:
                raise SystemExit(f"not done within {seconds:g} s")
            self.spin(0.002)

    def click(self, row: float, column: float) -> tuple[float, float]:
        """Click at a voxel of the slice; ms until its heatmap is in its layer, and on the screen."""
        from qtpy.QtCore import QCoreApplication, QEvent, QEventLoop, QPointF, Qt, QTimer
        from qtpy.QtGui import QMouseEvent

        slices, look = self.widget.slices, self.widget.look
        down, right, _ = slices.grid.spacing
        scene = slices.pane.view.mapViewToScene(QPointF(column * right, row * down))
        at = QPointF(slices.pane.mapFromScene(scene))
        target = slices.pane.viewport()
        there = QPointF(target.mapToGlobal(at.toPoint()))
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        before, swapped = look.heatmap, []
        painted: list[float] = []
        loop = QEventLoop()

        def seen() -> None:
            if look.heatmap is not None and look.heatmap is not before and not painted:
                painted.append(time.perf_counter())

        def swap() -> None:
            if painted:
                swapped.append(time.perf_counter())
                loop.quit()

        look.changed.connect(seen)
        self.canvas.frameSwapped.connect(swap)
        move = QMouseEvent(
            QEvent.Type.MouseMove, at, there, none, none, Qt.KeyboardModifier.NoModifier
        )
        QCoreApplication.postEvent(target, move)  # a hand comes from somewhere
        self.spin(0.05)
        began = time.perf_counter()
        for kind, button, held in (
            (QEvent.Type.MouseButtonPress, left, left),
            (QEvent.Type.MouseButtonRelease, left, none),
        ):
            event = QMouseEvent(kind, at, there, button, held, Qt.KeyboardModifier.NoModifier)
            QCoreApplication.postEvent(target, event)
        # Qt's own loop, as in the program: one that polls would keep the worker waiting.
        QTimer.singleShot(20_000, loop.quit)
        loop.exec()
        if not swapped:
            raise SystemExit("no heatmap was shown within 20 s of a click")
        look.changed.disconnect(seen)
        self.canvas.frameSwapped.disconnect(swap)
        return 1000 * (painted[0] - began), 1000 * (swapped[0] - began)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--pixels", type=int, default=256, help="of the radiograph; default 256")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure, print, and write ``heatmap_click.md`` and ``.json``."""
    bench = Bench(options.pixels)
    rows, columns, _ = bench.widget.slices.grid.shape
    generator = torch.Generator().manual_seed(4)
    places = 0.3 + 0.4 * torch.rand(options.clicks + 5, 2, generator=generator)
    times = []
    for number, (u, v) in enumerate(places.tolist()):
        found = bench.click(rows * u, columns * v)
        bench.spin(0.25)
        if number >= 5:  # shaders, caches
            times.append(found)
    painted, shown = (dragging.spread([t[i] for t in times]) for i in (0, 1))
    heatmap = bench.widget.look.heatmap
    assert heatmap is not None
    env = {**report.environment(), **dragging.screen(bench)}
    grid = "x".join(str(n) for n in np.shape(heatmap.similarity))
    templates = len(heatmap.request.prepared.templates)
    bench.viewer.close()
    table = [
        [name, *(f"{values[k]:.0f}" for k in ("median", "p95", "max"))]
        for name, values in (("heatmap in its layer", painted), ("on the screen", shown))
    ]
    text = f"""# A click on a point of the CT

{options.clicks} clicks in the slices of the RayEmb widget, each at another voxel of the phantom's CT; simulated radiograph of {options.pixels} pixels,
embedded, {templates} templates, the network of the package, heatmap {grid}. Milliseconds from the posting of the mouse press.
{env["gl"]}, napari {env["napari"]}. {report.described(env)}

{report.table(["until", "median", "95 %", "largest"], table)}
"""
    print(text)
    data = {"environment": env, "painted_ms": painted, "shown_ms": shown, "clicks": options.clicks}
    report.write("heatmap_click", text, data, folder)


def smoke(folder: Path) -> None:
    """Some clicks, where there is a display."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        print("heatmap_click: no display, left out")
        return
    main(argparse.Namespace(clicks=2, pixels=64), folder)
