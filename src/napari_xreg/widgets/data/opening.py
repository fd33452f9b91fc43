"""Files, data sets and samples that napari opens: handed to Data where somebody waits at the window.

There File > Open, a drop on the canvas and File > Open Sample add no layer (`_NOTHING`): Data comes to the
front, reads off the main thread, asks what a file does not say and keeps what went wrong in sight, as if
the file had been dropped on it. Shown are the canvas's own layers, once. A script, whose next line may ask
something of the layers, gets layers.

What computes is imported by the functions that need it: the window waits for none of it.
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
_OURS = (
    ".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".dicom", ".ima", ".fcsv", ".mrk.json",
    ".xreg.json",
)  # fmt: skip
"""Endings of what nobody but us reads as what it is; others are looked into."""
_TOGETHER_MS = 200
"""napari hands over files that were opened together one by one; no two of them are further apart."""


def get_reader(path: Paths) -> Reader | None:
    """The reader of a CT, radiograph, landmarks, trial or session, or of several; None for anything else.

    Where somebody waits, a file that is ours by its name is not looked at here: that would import torch
    in the window's thread.
    """
    if _viewer_in_use() is not None and all(map(_by_name, _listed(path))):
        return _hand_over
    from napari_xreg.viewer import get_reader as get_layer_reader

    read_layers = get_layer_reader(path)
    if read_layers is None:
        return None
    return lambda path: _hand_over(path) if _viewer_in_use() else list(read_layers(path))


def get_data_set_reader(path: Paths) -> Reader | None:
    """The reader of a data set, for the Data widget alone: it asks for case and radiograph."""
    from napari_xreg.datasets import is_data_set

    paths = _listed(path)
    return read_data_set if len(paths) == 1 and is_data_set(Path(paths[0])) else None


def read_data_set(path: Paths) -> Layers:
    """Hand it to Data, also that of a script: there are no layers of it."""
    return _hand_over(path)


def get_sample_reader(path: Paths) -> Reader | None:
    """The reader of a sample by its address in the manifest, ``napari-xreg://sample/NAME``."""
    return read_sample if len(_listed(path)) == 1 else None


def read_sample(path: Paths) -> Layers:
    """Have Data load it beside the window; a script gets its layers.

    Raises
    ------
    ReadError
        In a script: if the sample is not there.
    """
    name = _listed(path)[0].rpartition("/")[2]
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


def _hand_over(path: Paths) -> Layers:
    viewer = napari.current_viewer()
    if viewer is not None:
        window = viewer.window._qt_window
        (window.findChild(_Handed) or _Handed(viewer, window)).add(_listed(path))
    return list(_NOTHING)


def _by_name(path: str) -> bool:
    return path.lower().endswith(_OURS) and Path(path).is_file()


def _listed(path: Paths) -> list[str]:
    return [path] if isinstance(path, str) else list(path)


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
        self._timer.timeout.connect(self._open)

    def add(self, paths: Sequence[str]) -> None:
        """After those that wait."""
        self._paths += map(str, paths)
        self._timer.start()

    def _open(self) -> None:
        paths, self._paths = self._paths, []
        when_open(self._viewer, "Data", lambda data: data.load_together(paths))
