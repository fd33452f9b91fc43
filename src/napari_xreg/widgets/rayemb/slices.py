"""A slice of the session's CT in RayEmb's dock: click or drag to choose a point of the patient."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from napari_xreg.images import Volume
from napari_xreg.viewer import PLANES, SliceGrid
from napari_xreg.widgets.parts.quiet_choice import quiet_slider
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.slices.pane import Point, SlicePane
from napari_xreg.widgets.slices.windows import WINDOWS


class SliceView(QWidget):
    """One slice, a slider, and a crosshair at the point."""

    picked = Signal(tuple)
    """(x, y, z), LPS mm: while the mouse is dragged, too."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volume: Volume | None = None
        self._point: Point | None = None
        self._window = WINDOWS["Bone"]
        self.plane = QComboBox()
        self.plane.addItems(list(PLANES))
        self.plane.setCurrentText("coronal")
        self.plane.setToolTip("Radiological: the patient's right is on the left, the head is up.")
        self.slider = quiet_slider()
        self.slider.setToolTip("Slice (also: the mouse wheel over the picture).")
        self.words = SmallPrint()
        self.pane = SlicePane()
        self.pane.setMinimumHeight(160)
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.plane)
        top.addWidget(self.slider, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.pane, 1)
        layout.addWidget(self.words)
        self.plane.currentTextChanged.connect(lambda _: self._cut())
        self.slider.valueChanged.connect(lambda _: self._draw())
        self.pane.pointed.connect(lambda point, _: self.picked.emit(point))
        self.pane.window_moved.connect(self._move_window)
        self.pane.turned.connect(lambda by: self.slider.setValue(self.slider.value() + by))
        self._cut()

    @property
    def grid(self) -> SliceGrid | None:
        """How the CT is cut."""
        return self.pane.grid

    def show_volume(self, volume: Volume | None) -> None:
        """Another CT, cut through its middle or through the point."""
        if volume is self._volume:
            return
        self._volume, self._point = volume, None
        self._cut()

    def show_point(self, point: Point | None) -> None:
        """Mark a point, and go to its slice."""
        self._point = point
        grid = self.grid
        if point is not None and grid is not None:
            number = round(grid.place(point)[2])
            if number != self.slider.value() and 0 <= number <= self.slider.maximum():
                self.slider.setValue(number)  # draws the crosshair too
                return
        self._mark()

    # ------------------------------------------------------------------ inside

    def _cut(self) -> None:
        self.setEnabled(self._volume is not None)
        if self._volume is None:
            self.pane.show_grid(None)
            self.words.setText("No CT: load one in Data.")
            return
        grid = SliceGrid(self._volume, self.plane.currentText())
        self.pane.show_grid(grid)
        count = grid.shape[2]
        number = (count - 1) // 2
        if self._point is not None:
            number = min(max(round(grid.place(self._point)[2]), 0), count - 1)
        self.slider.blockSignals(True)
        self.slider.setRange(0, count - 1)
        self.slider.setValue(number)
        self.slider.blockSignals(False)
        self._draw()

    def _draw(self) -> None:
        if self._volume is not None:
            self.pane.show_slice(self.slider.value(), self._window.limits(self._volume))
            self._mark()

    def _mark(self) -> None:
        point = self._point
        self.pane.show_point(point)
        if point is None:
            words = "" if self.grid is None else "Click or drag: any point of the patient."
        else:
            x, y, z = point
            words = f"x {x:.1f}, y {y:.1f}, z {z:.1f} mm (patient, LPS)"
        if self.grid is not None:
            self.words.setText(words)

    def _move_window(self, right: float, up: float) -> None:
        self._window = self._window.dragged(right, up)
        if self._volume is not None:
            self.pane.show_limits(self._window.limits(self._volume))
