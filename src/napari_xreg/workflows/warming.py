"""Compiling the renderer, once per machine, with a word to whoever waits.

numba compiles with Python's lock held for seconds at a time, so that a thread would freeze a window:
another Python process fills numba's cache on disk, and this one loads it.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from napari_xreg.progress import Control
from napari_xreg.rendering import joseph, warm_up
from napari_xreg.simulation import march

COMPILING_WORDS = "Preparing the renderer (compiled once per machine, about 15 s) …"
_turn = threading.Lock()  # two at once would compile the same
_COMPILE = "from napari_xreg.rendering import warm_up; list(warm_up())"
_COMPILE_ALL = (
    f"{_COMPILE}; from napari_xreg.session import sample_case; "
    "sample_case(spacing_mm=10.0, pixels=16)"
)


def compiled(*, simulator: bool = False) -> bool:
    """Whether numba's cache on disk holds the renderer (and the simulator's march)."""
    return _cached(joseph) and (not simulator or _cached(march))


def _cached(kernel: Any) -> bool:
    folder = Path(kernel.stats.cache_path)
    return any(folder.glob(f"*.{kernel.py_func.__name__}-*.nbi")) if folder.is_dir() else False


def compiling(control: Control, *, simulator: bool = False) -> Generator[str, None, None]:
    """Make the kernels ready in this process; yields words.

    Parameters
    ----------
    control
        Cancels; the other process is ended.
    simulator
        Also the kernels that simulate radiographs.
    """
    yield COMPILING_WORDS
    with _turn:
        if not compiled(simulator=simulator):
            _compile_elsewhere(_COMPILE_ALL if simulator else _COMPILE, control)
    if control.cancelled:
        return
    # From the cache, or here after all where the cache cannot be written.
    for _ in warm_up():
        yield COMPILING_WORDS
        if control.cancelled:
            return


def _compile_elsewhere(code: str, control: Control) -> None:
    if not Path(sys.executable).stem.lower().startswith("python"):
        return  # a bundled program: there is no other Python to ask
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        waiting = threading.Event()
        while process.poll() is None and not control.cancelled:
            waiting.wait(0.1)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
