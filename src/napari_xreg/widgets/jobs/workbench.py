"""What the widgets of one viewer share: session, detector canvas, live preview, jobs."""

from collections.abc import Callable
from typing import Any

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject

from napari_xreg.session import Session
from napari_xreg.viewer import DetectorCanvas
from napari_xreg.widgets.docks.layout import keep
from napari_xreg.widgets.jobs.jobs import Jobs
from napari_xreg.widgets.jobs.live_preview import LivePreview
from napari_xreg.widgets.jobs.telling import show_info
from napari_xreg.widgets.jobs.warming import prepare_kernels
from napari_xreg.widgets.saving.closing import may_close
from napari_xreg.widgets.saving.keeping import keeping_of
from napari_xreg.workflows import COMPILING_WORDS, compiled

_benches: "dict[int, Workbench]" = {}  # by the id of the viewer, which its workbench holds


def workbench_of(napari_viewer: Any) -> "Workbench":
    """The workbench of a viewer, made when first asked for; one per viewer, until it is closed.

    Parameters
    ----------
    napari_viewer
        A viewer, or the proxy that napari hands to plugins.
    """
    viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
    bench = _benches.get(id(viewer))
    if bench is None or bench.closed:
        bench = _benches[id(viewer)] = Workbench(viewer)
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
    keeping
        Copies unsaved work; None where that is switched off.
    """

    closing = Signal()
    """Just before the viewer goes, with Qt still alive."""
    point_clicked = Signal(object)
    """(x, y, z), LPS mm: a point of the patient that was clicked in the 3D view or in Slices."""
    point_dragged = Signal(object)
    """The same, while the mouse drags it or turns its wheel."""
    landmark_dropped = Signal()
    """A landmark was dragged in Slices and is let go, just before the session has it there."""

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.session = Session()
        self.jobs = Jobs(viewer)
        self.canvas = DetectorCanvas(viewer, self.session)
        self.preview = LivePreview(self.session, self.canvas)
        self._closed = False
        window = getattr(getattr(viewer, "window", None), "_qt_window", None)
        self._watch = None if window is None else _WindowWatch(window, self)
        self.keeping = keeping_of(self.session, self.jobs)
        if self.keeping is not None and window is not None:
            self.keeping.look_back(window)
        if not compiled():  # the first time on this machine
            if window is not None and window.isActiveWindow():  # else napari's never goes away
                show_info(COMPILING_WORDS)
            viewer.status = COMPILING_WORDS
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
        if self.keeping is not None:
            self.keeping.close()
        self.jobs.close()
        self.preview.close()
        self.canvas.close()
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        _benches.pop(id(self.viewer), None)


class _WindowWatch(QObject):
    """Closes the workbench when its window closes, while Qt still lives.

    A window that the user closes asks where there is unsaved work, and may stay; one closed by a
    program does neither. The user closes it by its frame, which gives a spontaneous event, or by
    napari's menu and keys, which call `close` of the window with `confirm_need`.
    """

    def __init__(self, window: Any, bench: Workbench) -> None:
        super().__init__()
        self._window: Any = window
        self._bench: Workbench | None = bench
        self._asked = False
        self._napari_close = window.close
        window.close = self._menu_close
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Seen before the window itself."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Close:
            self._asked = event.spontaneous()
            if self._asked and not self._may_close(self._program_close):
                event.ignore()
                return True
            if not self._asked:
                self._close()
        elif event.type() == QEvent.Type.Hide and self._asked and not event.spontaneous():
            self._close()
        return False

    def stop(self) -> None:
        """Let go of the window."""
        if self._window is not None:
            self._window.removeEventFilter(self)
            del self._window.close
        self._window = self._bench = self._napari_close = None

    def _may_close(self, close: Callable[[], object]) -> bool:
        bench = self._bench
        return bench is None or may_close(self._window, bench.session, bench.jobs, close)

    def _program_close(self) -> None:
        if self._window is not None:
            self._window.close()

    def _menu_close(self, quit_app: bool = False, confirm_need: bool = False) -> Any:
        """What napari's File menu and Control+W or Q call, and programs without `confirm_need`."""
        close = self._napari_close
        if confirm_need and not self._may_close(lambda: close(quit_app=quit_app)):
            return False
        return close(quit_app=quit_app, confirm_need=confirm_need)

    def _close(self) -> None:
        if self._bench is not None:
            try:
                keep(self._bench.viewer)
            finally:  # whatever is wrong with the layout, what runs ends
                self._bench.close()
