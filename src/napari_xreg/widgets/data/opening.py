"""Files, data sets and samples that napari opens: handed to Data where somebody waits at the window.

There File > Open, a drop on the canvas and File > Open Sample add no layer (`_NOTHING`): Data comes to the
front, reads off the main thread, asks what a file does not say and keeps what went wrong in sight, as if
the file had been dropped on it. Shown are the canvas's own layers, once. A script, whose next line may ask
something of the layers, gets layers.

What computes is imported by the functions that need it: the menu of samples waits for no import.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QObject, QThread, QTimer

from napari_xreg.widgets.docks.running import window_runs
from napari_xreg.widgets.menu import when_open

Paths = str | Sequence[str]
Layers = list[Any]
Reader = Callable[[Paths], Layers]

_NOTHING: list[tuple[None]] = [(None,)]
"""napari's sign for a file that was read and adds no layer."""
_TOGETHER_MS = 200
"""napari hands over files that were opened together one by one; no two of them are further apart."""


def get_reader(path: Paths) -> Reader | None:
    """The reader of a CT, radiograph, landmarks, trial or session, or of several; None for anything else."""
    from napari_xreg.viewer import get_reader as get_layer_reader

    read_layers = get_layer_reader(path)
    if read_layers is None:
        return None

    def read(path: Paths) -> Layers:
        viewer = _viewer_in_use()
        if viewer is None:
            return list(read_layers(path))
        _handed(viewer).add([path] if isinstance(path, str) else path)
        return list(_NOTHING)

    return read


def get_data_set_reader(path: Paths) -> Reader | None:
    """The reader of a data set, for the Data widget alone: it asks for case and radiograph."""
    from napari_xreg.datasets import is_data_set

    paths = [path] if isinstance(path, str) else path
    return read_data_set if len(paths) == 1 and is_data_set(Path(paths[0])) else None


def read_data_set(path: Paths) -> Layers:
    """Hand it to Data, also that of a script: there are no layers of it."""
    viewer = napari.current_viewer()
    if viewer is not None:
        _handed(viewer).add([path] if isinstance(path, str) else path)
    return list(_NOTHING)


def get_sample_reader(path: Paths) -> Reader | None:
    """The reader of a sample by its address in the manifest, ``napari-xreg://sample/NAME``."""
    return read_sample if isinstance(path, str) or len(path) == 1 else None


def read_sample(path: Paths) -> Layers:
    """Have Data load it beside the window; a script gets its layers.

    Raises
    ------
    ReadError
        In a script: if the sample is not there.
    """
    name = (path if isinstance(path, str) else path[0]).rpartition("/")[2]
    viewer = _viewer_in_use()
    if viewer is None:
        from napari_xreg.viewer import SAMPLES

        return list(SAMPLES[name]())
    when_open(viewer, "Data", lambda data: data.load_sample(name))
    return list(_NOTHING)


def _viewer_in_use() -> Any:
    """The viewer that somebody waits at; None: a script, a thread or nobody reads."""
    viewer = napari.current_viewer()
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    if window is None or not window.isVisible() or not window_runs():
        return None
    return viewer if QThread.currentThread() is window.thread() else None


def _handed(viewer: Any) -> "_Handed":
    window = viewer.window._qt_window
    return window.findChild(_Handed) or _Handed(viewer, window)


class _Handed(QObject):
    """Files on their way to Data: what was opened together is looked at together.

    A series dropped slice by slice is one CT, and a CT comes before what belongs to it.

    Parameters
    ----------
    viewer
        Where they were opened.
    window
        Its window; the files go with it.
    """

    def __init__(self, viewer: Any, window: QObject) -> None:
        super().__init__(window)
        self._viewer = viewer
        self._paths: list[str] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TOGETHER_MS)
        self._timer.timeout.connect(self._hand_over)

    def add(self, paths: Sequence[str]) -> None:
        """After those that wait."""
        self._paths += map(str, paths)
        self._timer.start()

    def _hand_over(self) -> None:
        paths, self._paths = self._paths, []
        when_open(self._viewer, "Data", lambda data: data.load_together(paths))
