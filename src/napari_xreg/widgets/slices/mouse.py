"""The mouse over a slice: crosshair and landmarks, the wheel, window and level."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt, Signal

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

HELP = (
    "Click or drag: the crosshair; on a landmark: move it. Wheel: slices. Right button, dragged: window "
    "(sideways) and level (up and down).\nControl and wheel: zoom. Middle button, dragged: move. "
    "Double click: this slice alone, and again all three."
)


class SliceMouse(pg.ViewBox):  # type: ignore[misc]
    """Says what the user wants; the picture is in mm, rows downwards.

    Parameters
    ----------
    landmark_at
        The landmark within reach of a place (right, down; mm), or None.
    """

    pointed = Signal(float, float, bool)
    """Where the crosshair is wanted (right, down; mm), and whether the mouse let go."""
    landmark_moved = Signal(str, float, float, bool)
    """A landmark, where it is wanted, and whether the mouse let go."""
    turned = Signal(int)
    """So many slices on."""
    window_moved = Signal(float, float)
    """Pixels to the right and upwards."""
    enlarged = Signal()

    def __init__(self, landmark_at: Callable[[float, float], str | None]) -> None:
        super().__init__(lockAspect=True, invertY=True, enableMenu=False)
        self._landmark_at = landmark_at
        self._taken: str | None = None

    def mouseClickEvent(self, ev: Any) -> None:
        """A press that did not move."""
        if ev.button() != Qt.MouseButton.LeftButton:
            return
        ev.accept()
        if ev.double():
            self.enlarged.emit()
        else:
            at = self.mapToView(ev.pos())
            self.pointed.emit(at.x(), at.y(), True)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Left: crosshair or landmark; right: window and level; middle: the picture."""
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            if ev.isStart():
                began = self.mapToView(ev.buttonDownPos())
                self._taken = self._landmark_at(began.x(), began.y())
            at = self.mapToView(ev.pos())
            if self._taken is None:
                self.pointed.emit(at.x(), at.y(), ev.isFinish())
            else:
                self.landmark_moved.emit(self._taken, at.x(), at.y(), ev.isFinish())
        elif ev.button() == Qt.MouseButton.RightButton:
            ev.accept()
            moved = ev.screenPos() - ev.lastScreenPos()
            self.window_moved.emit(moved.x(), -moved.y())
        else:
            super().mouseDragEvent(ev, axis)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Through the slices; with Control: zoom."""
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(ev, axis)
            return
        ev.accept()
        self.turned.emit(1 if ev.delta() > 0 else -1)
