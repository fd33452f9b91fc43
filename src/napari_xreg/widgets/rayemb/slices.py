"""Slices of the session's CT in a dock: click or drag to choose a point of the patient."""

from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from napari_xreg.images import Volume
from napari_xreg.viewer import PLANES, SliceGrid
from napari_xreg.widgets.parts.small_print import SmallPrint

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

HU_LIMITS, LAC_LIMITS = (-200.0, 1200.0), (0.0, 0.05)
CROSS = "#7dffb0"
FAR_MM = 3.0
"""From the slice shown: what lies farther is drawn faintly."""


class _Canvas(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """pyqtgraph asks for 640 x 480 pixels; a dock is narrower."""

    def sizeHint(self) -> QSize:
        return QSize(240, 220)


class _View(pg.ViewBox):  # type: ignore[misc]
    """The left button chooses, the wheel goes through the slices; the right one zooms."""

    chosen = Signal(float, float)
    turned = Signal(int)

    def mouseClickEvent(self, ev: Any) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self._choose(ev)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self._choose(ev)
        else:
            super().mouseDragEvent(ev, axis)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(ev, axis)
            return
        ev.accept()
        self.turned.emit(1 if ev.delta() > 0 else -1)

    def _choose(self, ev: Any) -> None:
        at = self.mapToView(ev.pos())
        self.chosen.emit(at.x(), at.y())


class _Cross(pg.ScatterPlotItem):  # type: ignore[misc]
    """Leaves the mouse to what lies below: a click near it is meant for the slice."""

    def mouseClickEvent(self, ev: Any) -> None:
        ev.ignore()


class SliceView(QWidget):
    """One slice, a slider, and a cross at the point."""

    picked = Signal(tuple)
    """(x, y, z), LPS mm: while the mouse is dragged, too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid: SliceGrid | None = None
        self._volume: Volume | None = None
        self._point: tuple[float, float, float] | None = None
        self.plane = QComboBox()
        self.plane.addItems(list(PLANES))
        self.plane.setCurrentText("coronal")
        self.plane.setToolTip("Radiological: the patient's right is on the left, the head is up.")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Slice (also: the mouse wheel over the picture).")
        self.words = SmallPrint()
        self.canvas = _Canvas()
        self.canvas.setToolTip(
            "Click or drag: the heatmap of the point under the mouse. Wheel: slices. "
            "Control and wheel: zoom; drag with the right button: zoom, with the middle: move."
        )
        self.canvas.setMinimumHeight(160)
        self.view = _View(lockAspect=True, invertY=True, enableMenu=False)
        self.canvas.addItem(self.view)
        self.image = pg.ImageItem(axisOrder="row-major")
        self.cross = _Cross(symbol="+", size=17, pen=pg.mkPen(CROSS, width=2), brush=None)
        self.view.addItem(self.image)
        self.view.addItem(self.cross)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.plane)
        top.addWidget(self.slider, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.words)
        self.plane.currentTextChanged.connect(lambda _: self._cut())
        self.slider.valueChanged.connect(lambda _: self._draw())
        self.view.chosen.connect(self._choose)
        self.view.turned.connect(lambda by: self.slider.setValue(self.slider.value() + by))
        self.show_volume(None)

    def show_volume(self, volume: Volume | None) -> None:
        """Another CT, cut through its middle or through the point."""
        if volume is self._volume and self._grid is not None:
            return
        self._volume, self._grid, self._point = volume, None, None
        self.setEnabled(volume is not None)
        self._cut()

    def show_point(self, point: tuple[float, float, float] | None, *, follow: bool = True) -> None:
        """Mark a point.

        Parameters
        ----------
        follow
            Go to its slice.
        """
        self._point = point
        if point is not None and self._grid is not None and follow:
            number = round(self._grid.place(point)[2])
            if number != self.slider.value() and 0 <= number <= self.slider.maximum():
                self.slider.setValue(number)  # draws the cross too
                return
        self._mark()

    # ------------------------------------------------------------------ inside

    def _cut(self) -> None:
        if self._volume is None:
            self._grid = None
            self.image.clear()
            self.cross.clear()
            self.words.setText("No CT: load one in Data.")
            return
        self._grid = SliceGrid(self._volume, self.plane.currentText())
        rows, columns, count = self._grid.shape
        down, right, _ = self._grid.spacing
        number = (count - 1) // 2
        if self._point is not None:
            number = min(max(round(self._grid.place(self._point)[2]), 0), count - 1)
        self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.setValue(number)
        self.slider.blockSignals(False)
        self._draw()
        area = QRectF(-0.5 * right, -0.5 * down, columns * right, rows * down)
        self.image.setRect(area)
        self.view.setRange(area, padding=0.02)

    def _draw(self) -> None:
        grid = self._grid
        if grid is None:
            return
        picture = grid.picture(self.slider.value())
        limits = LAC_LIMITS if grid.volume.hu is None else HU_LIMITS
        self.image.setImage(picture, levels=limits, autoLevels=False)
        self._mark()

    def _mark(self) -> None:
        grid, point = self._grid, self._point
        if grid is None or point is None:
            self.cross.clear()
            self.words.setText("" if grid is None else "Click or drag: any point of the patient.")
            return
        row, column, number = grid.place(point)
        down, right, through = grid.spacing
        self.cross.setData([column * right], [row * down])
        near = abs(number - self.slider.value()) * through <= FAR_MM
        self.cross.setOpacity(1.0 if near else 0.3)
        x, y, z = point
        self.words.setText(f"x {x:.1f}, y {y:.1f}, z {z:.1f} mm (patient, LPS)")

    def _choose(self, right_mm: float, down_mm: float) -> None:
        grid = self._grid
        if grid is None:
            return
        down, right, _ = grid.spacing
        rows, columns, _ = grid.shape
        row, column = down_mm / down, right_mm / right
        if not (-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5):
            return
        self.picked.emit(grid.point(row, column, self.slider.value()))
