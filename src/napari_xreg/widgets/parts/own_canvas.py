"""A canvas of our own in a dock widget, beside napari's: it survives being floated, and is let go."""

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

_DRAWING = (QEvent.Type.Show, QEvent.Type.Resize, QEvent.Type.Paint, QEvent.Type.UpdateRequest)


class OwnCanvas(QWidget):
    """Shows a viewer model.

    Parameters
    ----------
    model
        With layers of its own, which the user's list does not hold.
    """

    def __init__(self, model: ViewerModel) -> None:
        super().__init__()
        self._model = model
        self._renewal = QTimer(self)
        self._renewal.setSingleShot(True)
        self._renewal.timeout.connect(self._renew)
        self._inside = QVBoxLayout(self)
        self._inside.setContentsMargins(0, 0, 0, 0)
        self._home: int | None = None  # the window it was painted in
        self._viewer: QtViewer | None = self._new()
        self._inside.addWidget(self._viewer)

    @property
    def viewer(self) -> QtViewer | None:
        """napari's widget; another one after the dock was floated; None once let go."""
        return self._viewer

    def let_go(self) -> None:
        """The canvas must be closed, deleted and forgotten, or it outlives the window."""
        self._renewal.stop()
        self._drop()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """In another window (the dock floats, or comes back), another canvas.

        The old one lost its OpenGL context with its window, and all that vispy keeps there: its
        next paint would end the program, so it is never painted again.
        """
        if event is None or not isinstance(watched, QWidget) or event.type() not in _DRAWING:
            return False
        window = watched.window()
        here = None if window is None else int(window.winId())
        if self._home is None and event.type() == QEvent.Type.Paint:
            self._home = here
        if self._home is None or here == self._home:
            return False
        if not self._renewal.isActive():
            self._renewal.start(0)
        return True

    def _new(self) -> QtViewer:
        viewer = QtViewer(self._model, show_welcome_screen=False)
        # A file dropped here would land in a list that nobody sees.
        viewer.setAcceptDrops(False)
        viewer.setMinimumHeight(200)
        viewer.setMinimumWidth(120)
        viewer.canvas.native.installEventFilter(self)
        self._home = None
        return viewer

    def _renew(self) -> None:
        if self._viewer is None:
            return
        for visual in self._viewer.canvas.layer_to_visual.values():
            visual.close()  # or it goes on following its layer, on a canvas that is gone
        self._drop()
        self._viewer = self._new()
        self._inside.addWidget(self._viewer)

    def _drop(self) -> None:
        viewer, self._viewer = self._viewer, None
        if viewer is not None:
            viewer.canvas.native.removeEventFilter(self)
            viewer.close()
            viewer.setParent(None)
            viewer.deleteLater()
