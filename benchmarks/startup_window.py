"""One window: how long the first widget takes, and how long the window stops while it is worked in.

Run by `startup.py`, on whichever tree comes first in the path; prints a JSON object a line. A stop is
the time between two beats of a timer that beats every 20 ms: by the clock, and of the processor in the
window's own thread, which other work on the machine lengthens less.
"""

import json
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import napari
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

import napari_xreg
from napari_xreg.widgets.docks.opening import found_entry, opened_entry
from napari_xreg.widgets.docks.table import ENTRIES, Entry

BEAT_MS = 20


class Heart:
    """The longest time between two beats."""

    def __init__(self) -> None:
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self.rest()

    def rest(self) -> None:
        """Begin anew."""
        self.longest = self.longest_cpu = 0.0
        self._last, self._last_cpu = time.perf_counter(), time.thread_time()

    def _beat(self) -> None:
        now, cpu = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, now - self._last)
        self.longest_cpu = max(self.longest_cpu, cpu - self._last_cpu)
        self._last, self._last_cpu = now, cpu


def say(name: str, cpu: float, clock: float) -> None:
    print(json.dumps({"name": name, "cpu": cpu, "clock": clock}), flush=True)


def wait(until: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end and not until():
        QApplication.processEvents()
        time.sleep(0.001)


def work(viewer: napari.Viewer) -> None:
    """What somebody does in a new window, and its longest stops."""
    heart = Heart()
    main = [entry for entry in ENTRIES if entry.main]
    tools = [entry for entry in ENTRIES if not entry.main]

    def stops(name: str, do: Callable[[], object], until: Callable[[], bool]) -> None:
        heart.rest()
        do()
        wait(until)
        wait(lambda: False, 0.3)
        say(f"longest stop: {name}", heart.longest_cpu, heart.longest)

    def there(entry: Entry) -> bool:
        """Whether the widget itself is docked, and no label in its place."""
        return found_entry(viewer, entry) is not None

    def open_main() -> None:
        viewer.window.add_plugin_dock_widget("napari-xreg", main[0].title)
        QApplication.processEvents()

    def open_first() -> None:
        cpu, clock = time.process_time(), time.perf_counter()
        open_main()
        say("first widget: something is shown", math.nan, time.perf_counter() - clock)
        wait(lambda: there(main[0]))
        say("first widget", time.process_time() - cpu, time.perf_counter() - clock)

    stops("opening the main tabs", open_first, lambda: all(map(there, main)))
    wait(lambda: False, 5.0)  # somebody looks at the window before the next click
    for entry in tools:
        stops(f"opening {entry.title}", partial(opened_entry, viewer, entry), partial(there, entry))
    sample = partial(viewer.open_sample, "napari-xreg", "case")
    stops("the phantom case as a sample", sample, lambda: len(viewer.layers) > 1)
    pose: Any = opened_entry(viewer, main[1])

    def drag() -> None:
        for _ in range(20):
            pose.step("primary", 1)
            wait(lambda: False, 0.05)

    stops("the first steps of a pose", drag, lambda: True)
    refine: Any = opened_entry(viewer, main[2])
    stops("the first refinement", refine.start, lambda: not refine.running)
    os._exit(0)  # closing asks whether to save


def main() -> None:
    manager = PluginManager.instance()
    if "napari-xreg" not in manager:
        file = Path(napari_xreg.__file__).with_name("napari.yaml")
        manager.register(PluginManifest.from_file(file))
    viewer = napari.Viewer()
    # From inside the window's loop, as a click is.
    QTimer.singleShot(2000, lambda: work(viewer))
    napari.run()


if __name__ == "__main__":
    main()
