"""Streaming a refinement into the viewer: gaps of the GUI, losses kept, memory, the first DRR.

Needs a screen (``xvfb-run`` will do). Three measurements, each in a process of its own:

* *stream*: 500 iterates of 256 x 256, made beforehand, arrive in the Refine widget through the same
  job and mailbox as a refinement's, at a given rate; radiograph and iterates are shown, the loss
  curve and the results too.
* *refine*: a real refinement of 256 x 256 from many starts, until 500 iterates have come.
* *first*: from opening the viewer to the first DRR, with numba's cache empty, as after installing.

A timer of 5 ms stands for the user: a *gap* is the time between two of its ticks, in which the
window could not have answered. Percentiles are over the ticks; "of the time" is over wall time, in
which long gaps weigh more.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import described, environment, number, table, write
from napari_xreg.progress import Control
from napari_xreg.registration import SOLVERS, Iterate, Registration, Status

GAP_P95_MS, GAP_MAX_MS = 70.0, 200.0
TICK_MS = 5
GOALS = (
    f"Goals: GUI gap below {GAP_P95_MS:.0f} ms at the 95th percentile and {GAP_MAX_MS:.0f} ms at "
    "most; every loss kept; no growth beyond the stack."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument("--iterates", type=int, default=500)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--rate", type=float, default=60.0, help="iterates a second of `stream`")
    parser.add_argument("--note", default="", help="a sentence on how it was run, for the table")
    parser.add_argument("--only", choices=("stream", "refine", "first"))
    parser.add_argument("--child", choices=("stream", "refine", "first"), help=argparse.SUPPRESS)


def main(options: argparse.Namespace, folder: Path | None = None) -> None:
    """Measure and write the table."""
    if options.child is not None:
        found = CHILDREN[options.child](options)
        print("RESULT " + json.dumps(found))
        return
    env = environment()
    wanted = [options.only] if options.only else list(CHILDREN)
    results = {name: run_child(name, options) for name in wanted}
    write(
        "streaming",
        words(results, env, options.note),
        {"environment": env, "note": options.note, "results": results},
        folder,
    )


def smoke(folder: Path) -> None:
    """In miniature; nothing where there is no screen."""
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        print("streaming: no screen, left out")
        return
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = ["--iterates", "20", "--pixels", "32", "--only", "stream"]
    main(parser.parse_args(arguments), folder)


def run_child(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One measurement in its own process."""
    command = [sys.executable, "-m", "benchmarks", "streaming", "--child", name]
    for key in ("iterates", "pixels", "rate"):
        command += [f"--{key}", str(getattr(options, key))]
    variables = dict(os.environ)
    with tempfile.TemporaryDirectory() as cache:
        if name == "first":
            variables["NUMBA_CACHE_DIR"] = cache
        done = subprocess.run(
            command, capture_output=True, text=True, env=variables, check=False,
            cwd=Path(__file__).resolve().parents[1],
        )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return found


# ---------------------------------------------------------------------- in the child


class Heartbeat:
    """Ticks of the event loop."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self.gaps: list[float] = []
        self._last = 0.0

    def start(self) -> None:
        """From now."""
        self.gaps.clear()
        self._last = time.perf_counter()
        self._timer.start(TICK_MS)

    def stop(self) -> dict[str, float]:
        """What was seen, ms."""
        self._timer.stop()
        self._tick()
        gaps = np.sort(np.array(self.gaps)) * 1e3
        share = np.cumsum(gaps) / gaps.sum()
        return {
            "median_ms": float(np.median(gaps)),
            "p95_ms": float(np.percentile(gaps, 95)),
            "p95_of_time_ms": float(gaps[np.searchsorted(share, 0.95)]),
            "max_ms": float(gaps[-1]),
            "seconds": float(gaps.sum() / 1e3),
        }

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now


def opened(pixels: int, *, load: bool = True) -> tuple[Any, Any, Any]:
    """A viewer of about 600 x 600 pixels of canvas with the Refine widget, and its workbench."""
    import napari

    from napari_xreg.widgets.jobs.workbench import workbench_of
    from napari_xreg.widgets.refine.widget import RefineWidget

    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window._qt_window.resize(1300, 760)
    bench = workbench_of(viewer)
    if load:
        fill(bench.session, pixels)
    widget = RefineWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Refine", area="right")
    wait(lambda: False, 1.5)
    if load:
        wait(lambda: bench.preview.latest is not None and not bench.jobs.running, 120.0)
        wait(lambda: False, 1.0)
    return viewer, bench, widget


def fill(session: Any, pixels: int) -> None:
    """The phantom with voxels of 3 mm and a rendered radiograph of it, started off its pose."""
    from napari_xreg.session import sample_case

    sample_case(spacing_mm=3.0, pixels=pixels, severity="clean").fill(session)


def wait(done: Any, seconds: float) -> bool:
    """Run the event loop until done, or so long; whether it was done."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    began = time.perf_counter()

    def look() -> None:
        if done() or time.perf_counter() - began > seconds:
            loop.quit()

    timer.timeout.connect(look)
    timer.start(20)
    loop.exec()
    timer.stop()
    return bool(done())


def resident_mb() -> float:
    """Memory of this process, MB (Linux; elsewhere not a number)."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return float("nan")
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure_stream(options: argparse.Namespace) -> dict[str, Any]:
    """Iterates made beforehand, at a rate."""
    from unittest.mock import patch

    _, bench, widget = opened(options.pixels)
    pictures = some_pictures(options.pixels)
    poses = [view.world_from_camera for view in bench.session.exposures.views()]
    sent: list[float] = []

    def events(request: object, *, control: Control) -> Generator[Iterate, None, Registration]:
        trajectory = []
        began = time.perf_counter()
        for index in range(options.iterates):
            late = began + index / options.rate - time.perf_counter()
            if late > 0:
                time.sleep(late)
            loss = 0.5 / (1.0 + 0.02 * index)
            iterate = Iterate(
                index, 0, index * 4 // options.iterates, poses[0],
                {"loss": loss, "intensity": loss * 0.7, "gradient_rows": loss * 1.2},
                seconds=time.perf_counter() - began,
                image=torch.from_numpy(pictures[index % len(pictures)].copy()),
            )  # fmt: skip
            sent.append(loss)
            yield iterate
            trajectory.append(
                Iterate(index, 0, iterate.level, poses[0], iterate.losses, seconds=iterate.seconds)
            )
        return Registration(
            poses[0], Status.CONVERGED, trajectory[-1].losses, tuple(trajectory),
            bench.session.patient.isocenter, simulated=True,
        )  # fmt: skip

    solver = next(iter(SOLVERS.values()))
    counted = replace(solver, most_iterates=lambda _: options.iterates)
    with (
        patch("napari_xreg.widgets.refine.run.refine", events),
        patch("napari_xreg.widgets.refine.shown.solver_of", lambda _: counted),
        patch("napari_xreg.widgets.refine.run.solver_of", lambda _: counted),
    ):
        return measured(widget, bench, sent, options.iterates)


def measure_refine(options: argparse.Namespace) -> dict[str, Any]:
    """A refinement that computes while the viewer draws."""
    _, bench, widget = opened(options.pixels)
    widget.settings.scales.setCurrentText("finest only")
    widget.settings.starts.setCurrentText("64")
    return measured(widget, bench, None, options.iterates)


def measured(widget: Any, bench: Any, sent: list[float] | None, iterates: int) -> dict[str, Any]:
    """Start, watch, end."""
    beat = Heartbeat()
    beat.start()
    widget.start()
    starting = beat.stop()
    stack = widget.on_canvas.layers._stack
    stack._buffer.fill(0.0)  # the pages of the buffer are there from now on
    wait(lambda: False, 0.3)
    before = resident_mb()
    peak = before
    beat.start()

    def over() -> bool:
        nonlocal peak
        peak = max(peak, resident_mb())
        return not widget.running or len(widget.iterations.losses.iterates) >= iterates

    wait(over, 300.0)
    gaps = beat.stop()
    after = resident_mb()
    widget.cancel()
    wait(lambda: not widget.running, 60.0)
    shown = [it.loss for it in widget.iterations.losses.iterates]
    (result,) = bench.session.results.all
    wanted = [it.loss for it in result.registration.trajectory] if sent is None else sent
    table_losses = widget.on_canvas.layers.columns()["loss"].tolist()
    return {
        "iterates": len(shown),
        "every_loss_kept": shown == wanted and np.array_equal(table_losses, wanted),
        "gap": gaps,
        "start_gap_max_ms": starting["max_ms"],
        "iterates_a_second": len(shown) / gaps["seconds"],
        "stack_mb": stack.nbytes / 2**20,
        "grown_mb": after - before,
        "peak_mb": peak - before,
        "pictures_in_result_mb": sum(
            0 if it.image is None else it.image.numel() * 4 for it in result.registration.trajectory
        )
        / 2**20,
        "load": os.getloadavg()[0],
    }


def measure_first(options: argparse.Namespace) -> dict[str, Any]:
    """The viewer is open, the data come, the kernels are not compiled yet."""
    import napari
    from napari.utils.notifications import notification_manager

    from napari_xreg.session import sample_case
    from napari_xreg.widgets.jobs.workbench import workbench_of
    from napari_xreg.widgets.refine.widget import RefineWidget

    case = sample_case(spacing_mm=3.0, pixels=options.pixels, severity="clean")
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window._qt_window.resize(1300, 760)
    wait(lambda: False, 1.5)
    said: list[str] = []
    notification_manager.notification_ready.connect(lambda n: said.append(str(n.message)))
    beat = Heartbeat()
    began = time.perf_counter()
    # A user opens a widget, and loads a CT and a radiograph while the renderer is compiled.
    widget = RefineWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Refine", area="right")
    bench = workbench_of(viewer)
    case.fill(bench.session)
    wait(lambda: False, 0.5)
    beat.start()

    def painted() -> bool:
        return bench.preview.latest is not None

    wait(painted, 300.0)
    seconds = time.perf_counter() - began
    wait(lambda: not bench.jobs.running, 120.0)
    gaps = beat.stop()
    again = time.perf_counter()
    bench.preview.ask()
    wait(lambda: not bench.preview.busy, 30.0)
    return {
        "first_drr_seconds": seconds,
        "all_kernels_seconds": gaps["seconds"],
        "next_drr_seconds": time.perf_counter() - again,
        "gap": gaps,
        "said": said,
        "load": os.getloadavg()[0],
    }


def some_pictures(pixels: int) -> list[Any]:
    """Sixteen images that differ."""
    row, column = np.mgrid[:pixels, :pixels].astype(np.float32) / pixels
    return [
        (1.0 + np.sin(9 * row + phase) * np.cos(7 * column - phase)).astype(np.float32)
        for phase in np.linspace(0, 3, 16)
    ]


CHILDREN = {"stream": measure_stream, "refine": measure_refine, "first": measure_first}


# ---------------------------------------------------------------------- the table


def words(results: dict[str, dict[str, Any]], env: dict[str, Any], note: str) -> str:
    """Markdown."""
    lines = ["# Streaming a refinement into the viewer", "", described(env), ""]
    if note:
        lines += [note, ""]
    rows = []
    for name, title in (("stream", "made beforehand"), ("refine", "a real refinement")):
        if name not in results:
            continue
        found = results[name]
        gap = found["gap"]
        rows.append(
            (
                title,
                found["iterates"],
                number(found["iterates_a_second"], 0),
                number(gap["p95_ms"], 0),
                number(gap["p95_of_time_ms"], 0),
                number(gap["max_ms"], 0),
                "yes" if found["every_loss_kept"] else "NO",
                number(found["stack_mb"], 0),
                number(found["grown_mb"], 1),
                number(found["load"], 1),
            )
        )
    if rows:
        lines += [
            GOALS,
            "",
            table(
                (
                    "iterates", "number", "a second", "gap p95, ms", "p95 of the time, ms",
                    "gap max, ms", "every loss kept", "stack, MB", "growth beside it, MB", "load",
                ),
                rows,
            ),
            "",
        ]  # fmt: skip
    if "first" in results:
        found = results["first"]
        lines += [
            "## First DRR after installing (numba's cache empty)",
            "",
            table(
                (
                    "first DRR, s",
                    "all kernels, s",
                    "next DRR, s",
                    "gap p95, ms",
                    "gap max, ms",
                    "load",
                ),
                [
                    (
                        number(found["first_drr_seconds"], 1),
                        number(found["all_kernels_seconds"], 1),
                        number(found["next_drr_seconds"], 2),
                        number(found["gap"]["p95_ms"], 0),
                        number(found["gap"]["max_ms"], 0),
                        number(found["load"], 1),
                    )
                ],
            ),
            "",
        ]
    lines.append((__doc__ or "").split("\n\n", 1)[1].strip())
    return "\n".join(lines)
