"""Dragging a pose in the real viewer: from mouse event to drawn layer.

Needs a display (``xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks dragging``). A thread
posts Qt mouse moves with Control held, 60 a second, along a smooth curve; one is left out while
the last was not looked at yet, as window systems merge moves. Everything else is the program as the
user has it: napari's window with a canvas of about 600 x 600 pixels, the Pose widget docked,
radiograph and DRR visible.

The age of a frame is the time from the posting of the mouse event whose pose it shows to the end of
the swap that shows it (`QOpenGLWidget.frameSwapped`). Only frames that show another pose than the
last count as drawn.
"""

import argparse
import contextlib
import importlib.metadata
import math
import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import cases, report

PIXELS = 256
CANVAS = 600
HERTZ = 60


class Bench:
    """One viewer, set up as the user has it."""

    def __init__(self, ct: str, *, room: bool, overlay: str, pixels: int) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_xreg.widgets.jobs.workbench import workbench_of
        from napari_xreg.widgets.pose.widget import PoseWidget

        self.app = QApplication.instance() or napari.qt.get_qapp()
        self.viewer = napari.Viewer(show=True, show_welcome_screen=False)
        self.work = workbench_of(self.viewer)
        self.pose_widget = PoseWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.pose_widget, name="Pose")
        self._load(ct, pixels)
        if room:
            from napari_xreg.widgets.room.widget import RoomWidget

            self.room = RoomWidget(self.viewer)
            self.viewer.window.add_dock_widget(self.room, name="3D view", area="bottom")
        self.work.canvas.overlay = overlay
        self.canvas = self.viewer.window._qt_viewer.canvas.native
        window = self.viewer.window._qt_window
        for _ in range(3):  # docks take their share after the first layout
            self.spin(0.3)
            window.resize(
                window.width() + CANVAS - self.canvas.width(),
                window.height() + CANVAS - self.canvas.height(),
            )
        self.spin(0.5)
        self.viewer.fit_to_view()
        self.settle()

    def _load(self, ct: str, pixels: int) -> None:
        from napari_xreg.geometry import CArmPose
        from napari_xreg.images import Radiograph
        from napari_xreg.rendering import render_drr
        from napari_xreg.simulation import phantom

        volume = phantom(spacing_mm=1.5).volume if ct == "phantom" else cases.volume_of(ct)
        arm = cases.carm(pixels)
        x, y, z = (float(v) for v in volume.center)
        truth = CArmPose(8.0, -5.0, 2.0, (6.0, -9.0, 14.0), (x, y, z))
        image = render_drr(volume, arm, arm.pose_from(truth), method="joseph")
        session = self.work.session
        session.patient.set_volume(volume)
        nominal = CArmPose(isocenter=(x, y, z))
        session.exposures.add(Radiograph(image.float(), arm, nominal=nominal, simulated=True))

    def spin(self, seconds: float) -> None:
        """Let Qt work."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            self.app.processEvents()
            time.sleep(0.0005)

    def settle(self) -> None:
        """Until the DRR of the present pose is drawn."""
        end = time.perf_counter() + 60
        while time.perf_counter() < end:
            self.spin(0.05)
            latest = self.work.preview.latest
            if (
                latest is not None
                and not self.work.preview.busy
                and latest.request.world_from_camera is self.work.session.poses.current
            ):
                self.spin(0.2)
                return
        raise SystemExit("the DRR of the first pose was not drawn within 60 s")


class Hand(threading.Thread):
    """Posts mouse events as a hand would make them."""

    def __init__(self, canvas: Any, seconds: float) -> None:
        super().__init__(name="hand", daemon=True)
        self._canvas, self._seconds = canvas, seconds
        self._outstanding: list[float] = []
        self.posted = self.skipped = 0
        self.released = 0.0

    def seen(self) -> float:
        """When the event now being looked at was posted."""
        return self._outstanding.pop(0) if self._outstanding else time.perf_counter()

    def run(self) -> None:
        """Press, move, release."""
        from qtpy.QtCore import QEvent, QPoint, Qt

        kinds, left, none = QEvent.Type, Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        middle = QPoint(self._canvas.width() // 2, self._canvas.height() // 2)
        self._post(kinds.MouseButtonPress, middle, left, left)
        began = time.perf_counter()
        number = 0
        while (elapsed := time.perf_counter() - began) < self._seconds:
            number += 1
            if len(self._outstanding) > 1:
                self.skipped += 1
            else:
                # 110 pixels about the middle, a round in four seconds: up to 200 pixels a second.
                angle = 2 * math.pi * elapsed / 4
                way = QPoint(round(110 * math.sin(angle)), round(80 * math.sin(2 * angle) / 2))
                self._post(kinds.MouseMove, middle + way, none, left)
                self.posted += 1
            time.sleep(max(0.0, began + number / HERTZ - time.perf_counter()))
        self._post(kinds.MouseButtonRelease, middle + QPoint(12, 5), left, none)
        self.released = time.perf_counter()

    def _post(self, kind: Any, point: Any, button: Any, buttons: Any) -> None:
        from qtpy.QtCore import QCoreApplication, QPointF, Qt
        from qtpy.QtGui import QMouseEvent

        there = QPointF(self._canvas.mapToGlobal(point))
        control = Qt.KeyboardModifier.ControlModifier
        event = QMouseEvent(kind, QPointF(point), there, button, buttons, control)
        self._outstanding.append(time.perf_counter())
        QCoreApplication.postEvent(self._canvas, event)


def drag(bench: Bench, seconds: float) -> dict[str, Any]:
    """One drag; what was drawn when."""
    from qtpy.QtCore import QEvent, QObject

    hand = Hand(bench.canvas, seconds)
    kinds = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseMove, QEvent.Type.MouseButtonRelease)
    now = {"posted": 0.0, "shown": 0.0, "painted": 0.0, "drawing": 0.0, "swapped": 0.0}
    poses: dict[int, tuple[float, Any]] = {}
    ages, replaced, swaps, renders, waits, paints, draws, sizes = ([] for _ in range(8))
    window: dict[str, float] = {}

    class Eye(QObject):
        def eventFilter(self, watched: Any, event: Any) -> bool:
            if event.type() in kinds:
                now["posted"] = hand.seen()
            return False

    def moved() -> None:
        pose = bench.work.session.poses.current
        poses[id(pose)] = (now["posted"], pose)  # the pose is kept, so its id is its own

    def painted(preview: Any) -> None:
        posted = poses.get(id(preview.request.world_from_camera), (0.0, None))[0]
        time_now = time.perf_counter()
        renders.append(preview.seconds)
        sizes.append(max(preview.image.shape))
        waits.append(time_now - preview.request.asked)
        now["painted"], now["pending"] = time_now, posted

    def draw_began(_: Any) -> None:
        now["drawing"] = time.perf_counter()

    def draw_ended(_: Any) -> None:
        draws.append(time.perf_counter() - now["drawing"])

    def swapped() -> None:
        pending = now.pop("pending", 0.0)
        if not pending:
            return
        time_now = time.perf_counter()
        if now["shown"]:
            replaced.append(time_now - now["shown"])
        now["shown"] = pending
        ages.append(time_now - pending)
        paints.append(time_now - now["painted"])
        swaps.append(time_now)

    eye = Eye()
    bench.canvas.installEventFilter(eye)
    scene = bench.viewer.window._qt_viewer.canvas._scene_canvas
    scene.events.draw.connect(draw_began, position="first")
    scene.events.draw.connect(draw_ended, position="last")
    bench.work.session.poses.changed.connect(moved)
    bench.work.preview.painted.connect(painted)
    bench.canvas.frameSwapped.connect(swapped)
    began, cpu, machine = time.perf_counter(), time.process_time(), busy_seconds()
    main_cpu = time.thread_time()
    hand.start()
    while hand.is_alive():
        bench.spin(0.05)
    wall = time.perf_counter() - began
    window["own_cpu"] = (time.process_time() - cpu) / wall
    window["other_cpu"] = (busy_seconds() - machine) / wall - window["own_cpu"]
    main_cpu = time.thread_time() - main_cpu
    while_dragging = len(sizes)
    bench.settle()
    last = bench.work.preview.latest
    full = None
    if last is not None and last.image.shape == bench.work.canvas.carm.detector.shape and swaps:
        full = swaps[-1] - hand.released
    bench.canvas.removeEventFilter(eye)
    scene.events.draw.disconnect(draw_began)
    scene.events.draw.disconnect(draw_ended)
    bench.work.session.poses.changed.disconnect(moved)
    bench.work.preview.painted.disconnect(painted)
    bench.canvas.frameSwapped.disconnect(swapped)
    during = [t for t in swaps if t < hand.released]
    per_second = np.histogram(during, bins=np.arange(began, hand.released, 1.0))[0]
    ms = 1000.0
    return {
        "seconds": seconds,
        "mouse_events": hand.posted,
        "mouse_events_merged": hand.skipped,
        "frames": len(during),
        "fps_median": float(np.median(per_second)),
        "fps_worst_second": float(per_second.min()),
        "age_ms": spread([ms * a for a in ages[: len(during)]]),
        "age_when_replaced_ms": spread([ms * a for a in replaced[: len(during)]]),
        "render_ms": spread([ms * s for s in renders[:while_dragging]]),
        "asked_to_painted_ms": spread([ms * s for s in waits[:while_dragging]]),
        "painted_to_swapped_ms": spread([ms * s for s in paints[: len(during)]]),
        "canvas_draw_ms": spread([ms * s for s in draws]),
        "canvas_draws_per_frame": len(draws) / max(1, len(swaps)),
        "pixels_while_dragging": sorted(set(sizes[:while_dragging])),
        "full_resolution_after_release_ms": None if full is None else ms * full,
        "cpu_ms_per_frame": ms * window["own_cpu"] * wall / max(1, len(during)),
        "main_thread_cpu_ms_per_frame": ms * main_cpu / max(1, len(during)),
        "own_cpus": window["own_cpu"],
        "other_cpus": window["other_cpu"],
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum."""
    if not values:
        return {"median": math.nan, "p95": math.nan, "max": math.nan}
    return {
        "median": statistics.median(values),
        "p95": float(np.percentile(values, 95)),
        "max": max(values),
    }


def busy_seconds() -> float:
    """CPU seconds of all processes since boot; nan where the system does not say."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return math.nan
    user, nice, system, _, _, irq, softirq = (int(v) for v in fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command line."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of dragging; default 20")
    parser.add_argument(
        "--ct", default="phantom", help="phantom (1.5 mm, default) or a folder of the data"
    )
    parser.add_argument("--pixels", type=int, default=PIXELS, help="of the radiograph; default 256")
    parser.add_argument("--overlay", default="blend", help="default blend")
    parser.add_argument("--room", action="store_true", help="with the room shown as well")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure, print, and write ``dragging*.md`` and ``.json``."""
    bench = Bench(options.ct, room=options.room, overlay=options.overlay, pixels=options.pixels)
    drag(bench, min(3.0, options.seconds))  # kernels, shaders, caches
    found = drag(bench, options.seconds)
    env = {**report.environment(), **screen(bench)}
    chosen = ("ct", "pixels", "overlay", "room", "seconds")
    found["setting"] = {
        **{name: getattr(options, name) for name in chosen},
        "canvas": [bench.canvas.width(), bench.canvas.height()],
    }
    bench.viewer.close()
    name = "dragging" + ("-room" if options.room else "")
    text = written(found, env)
    print(text)
    report.write(name, text, {"environment": env, "dragging": found}, folder)


def screen(bench: Bench) -> dict[str, Any]:
    """What draws."""
    from vispy.gloo import gl

    bench.canvas.makeCurrent()
    said = {"gl": str(gl.glGetParameter(gl.GL_RENDERER))}
    for name in ("napari", "vispy", "PyQt6", "PySide6"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            said[name] = importlib.metadata.version(name)
    return said


def written(found: dict[str, Any], env: dict[str, Any]) -> str:
    """The result as Markdown."""

    def line(name: str, key: str) -> list[object]:
        values = found[key]
        return [name, *(f"{values[k]:.1f}" for k in ("median", "p95", "max"))]

    setting = found["setting"]
    width, height = setting["canvas"]
    drawn = found["painted_to_swapped_ms"]["median"]
    share = drawn / max(1e-9, found["age_ms"]["median"])
    release = found["full_resolution_after_release_ms"]
    rows = [
        line("age of the drawn pose, when drawn", "age_ms"),
        line("the same, when the next replaces it", "age_when_replaced_ms"),
        line("of it: rendering the DRR", "render_ms"),
        line("of it: asked until handed to the layer", "asked_to_painted_ms"),
        line("of it: drawing (layer until swapped)", "painted_to_swapped_ms"),
        line("one draw of the canvas", "canvas_draw_ms"),
    ]
    others = ", with the room shown" if setting["room"] else ""
    return "\n".join(
        [
            "# Dragging a pose",
            "",
            (
                f"{report.described(env)}; napari {env.get('napari')}, vispy {env.get('vispy')}, "
                f"{env['gl']}."
            ),
            "",
            (
                f"{setting['ct']}, {setting['pixels']} pixels, canvas {width} x {height}, overlay "
                f"{setting['overlay']}{others}; {found['seconds']:.0f} s. This process used "
                f"{found['own_cpus']:.2f} processors, everything else {found['other_cpus']:.2f}."
            ),
            "",
            report.table(["ms", "median", "95th percentile", "maximum"], rows),
            "",
            (
                f"* {found['frames']} frames: median {found['fps_median']:.0f} a second, in the worst "
                f"second {found['fps_worst_second']:.0f}; {found['canvas_draws_per_frame']:.2f} draws of "
                "the canvas a frame."
            ),
            (
                f"* CPU time a frame: {found['cpu_ms_per_frame']:.0f} ms, of it in the main thread "
                f"{found['main_thread_cpu_ms_per_frame']:.0f} ms."
            ),
            f"* Drawing is {100 * share:.0f} % of the median age.",
            f"* DRR while dragging: {', '.join(map(str, found['pixels_while_dragging']))} of "
            f"{setting['pixels']} pixels a side, all voxels; full resolution "
            + ("not reached." if release is None else f"{release:.0f} ms after the release."),
            f"* {found['mouse_events']} mouse events, {found['mouse_events_merged']} more merged.",
            "",
        ]
    )


def smoke(folder: Path) -> None:
    """A second of it, where there is a display."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        print("dragging: no display, left out")
        return
    torch.set_num_threads(1)
    options = argparse.Namespace(seconds=1.0, ct="phantom", pixels=64, overlay="blend", room=False)
    main(options, folder)
