"""What the widgets of one viewer share: session, detector canvas, live preview, jobs."""

from typing import Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_info
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject

from napari_xreg.session import Session
from napari_xreg.viewer.detector_canvas import DetectorCanvas
from napari_xreg.widgets.jobs import Jobs
from napari_xreg.widgets.kernels import WORDS, compiled, prepare_kernels
from napari_xreg.widgets.live_preview import LivePreview

_benches: "WeakKeyDictionary[Any, Workbench]" = WeakKeyDictionary()


def workbench_of(napari_viewer: Any) -> "Workbench":
    """The workbench of a viewer, made when first asked for; one per viewer.

    Parameters
    ----------
    napari_viewer
        A viewer, or the proxy that napari hands to plugins.
    """
    viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
    bench = _benches.get(viewer)
    if bench is None or bench.closed:
        bench = _benches[viewer] = Workbench(viewer)
    return bench


class Workbench:
    """Everything of one viewer.

    Attributes
    ----------
    viewer
        The viewer itself, not a proxy.
    session
        The truth.
    canvas
        Shows the active radiograph in the viewer's layers.
    jobs
        Long computations.
    preview
        Keeps the DRR in step with the pose.
    """

    closing = Signal()
    """Just before the viewer goes, with Qt still alive."""
    point_clicked = Signal(object)
    """(x, y, z), LPS mm: a point of the patient that was clicked in the room."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.session = Session()
        self.jobs = Jobs(viewer)
        self.canvas = DetectorCanvas(viewer, self.session)
        self.preview = LivePreview(self.session, self.canvas)
        self._closed = False
        window = getattr(getattr(viewer, "window", None), "_qt_window", None)
        self._watch = None if window is None else _WindowWatch(window, self)
        if not compiled():  # the first time on this machine
            if window is not None and window.isActiveWindow():  # else napari's never goes away
                show_info(WORDS)
            viewer.status = WORDS
            self.preview.hold()
            prepare_kernels(self.jobs, self._renderer_ready)

    @property
    def closed(self) -> bool:
        return self._closed

    def _renderer_ready(self) -> None:
        if not self._closed:
            self.preview.release()

    def close(self) -> None:
        """Cancel what runs and let go of the viewer; its layers stay."""
        if self._closed:
            return
        self._closed = True
        self.closing.emit()
        self.jobs.close()
        self.preview.close()
        self.canvas.close()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        _benches.pop(self.viewer, None)


class _WindowWatch(QObject):
    """Closes the workbench when its window closes, while Qt still lives.

    A window that the user closes may yet ask and stay; one closed by a program does not.
    """

    def __init__(self, window: QObject, bench: Workbench) -> None:
        super().__init__()
        self._window: QObject | None = window
        self._bench: Workbench | None = bench
        self._asked = False
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Seen before the window itself."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Close:
            self._asked = event.spontaneous()
            if not self._asked:
                self._close()
        elif event.type() == QEvent.Type.Hide and self._asked and not event.spontaneous():
            self._close()
        return False

    def stop(self) -> None:
        """Let go of the window."""
        if self._window is not None:
            self._window.removeEventFilter(self)
        self._window = self._bench = None

    def _close(self) -> None:
        if self._bench is not None:
            self._bench.close()
