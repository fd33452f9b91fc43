"""How a body moved, parameter by parameter, with what each is uncertain by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent  # isort: skip

from napari_xreg.session import FrameState, TrackedFrame
from napari_xreg.widgets.parts.readable import readable
from napari_xreg.widgets.parts.small_plot import small_plot
from napari_xreg.widgets.sequence.strip import COLORS
from napari_xreg.workflows import MotionCurves

_LINE, _BAND = "#56B4E9", 60
_ROW, _COLUMNS = 92, 2
_SIGNS = {"degrees": "°", "mm": "mm"}


class MotionPlots(QWidget):
    """Six small plots over the frames; a click chooses a frame."""

    chosen = Signal(int)
    """The number of the frame that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._numbers: tuple[int, ...] = ()
        self._view = pg.GraphicsLayoutWidget()
        self._view.setBackground(None)
        self._view.ci.setContentsMargins(0, 0, 0, 0)
        self._view.ci.layout.setSpacing(2)
        self._view.scene().sigMouseClicked.connect(self._click)
        self._view.setMinimumWidth(40)
        self._view.setToolTip(
            "How the bone moved since the first frame (turns about the patient's axes, shifts of the pivot). Dots: as registered, in the colour of the frame "
            "(tracked ones, of several bones, in that of the bone);\nline and band: the smooth motion and twice its standard deviation. Click to go to a frame."
        )
        self.plots: dict[str, _Plot] = {}
        self._colour = _LINE
        self._ink = self._inks()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self.setVisible(False)

    def draw(
        self,
        frames: Sequence[TrackedFrame],
        found: MotionCurves,
        smooth: MotionCurves | None,
        colour: str | None = None,
    ) -> None:
        """A motion, in the colour of its bone; of frames without a pose there is no dot. What is not known breaks line and band."""
        if not self.plots:
            self._make(found)
        if (colour or _LINE) != self._colour:
            self._colour = colour or _LINE
            self._set_inks()
        self._numbers = tuple(frame.number for frame in frames)
        numbers = np.array(self._numbers, np.float64)
        # Of several bones the colour says which; nearly all frames are tracked, and would hide it.
        own = None if colour is None else self._ink[1].name()
        colors = [
            own if own and frame.state is FrameState.TRACKED else COLORS[frame.state]
            for frame in frames
        ]
        for place, name in enumerate(found.names):
            plot = self.plots[name]
            plot.dots_at(numbers, found.values[:, place], colors)
            if smooth is None:
                plot.no_line()
            else:
                plot.line_at(numbers, smooth.values[:, place], smooth.deviations[:, place])
        self.setVisible(True)

    def mark(self, number: int | None) -> None:
        """Which frame is shown."""
        for plot in self.plots.values():
            plot.line.setVisible(number is not None)
            if number is not None:
                plot.line.setValue(number)

    def _make(self, found: MotionCurves) -> None:
        for place, (name, unit) in enumerate(zip(found.names, found.units, strict=True)):
            plot = _Plot(f"{name} ({_SIGNS[unit]})", *self._ink)
            self._view.addItem(plot.plot, place // _COLUMNS, place % _COLUMNS)
            self.plots[name] = plot
        self._view.setMinimumHeight(-(-len(found.names) // _COLUMNS) * _ROW)

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette: the first one once this is in a window."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is None or event.type() not in kinds or not hasattr(self, "_ink"):
            return
        if self._inks() != self._ink:
            self._set_inks()

    def _inks(self) -> tuple[QColor, QColor]:
        """Of words and axes, and of the line: its colour as it can be seen in this theme."""
        palette = self.palette()
        ink, paper = (
            palette.color(role)
            for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Window)
        )
        return ink, readable(QColor(self._colour), paper, ink)

    def _set_inks(self) -> None:
        self._ink = self._inks()
        for plot in self.plots.values():
            plot.set_ink(*self._ink)

    def _click(self, event: MouseClickEvent) -> None:
        place = event.scenePos()
        for plot in self.plots.values():
            box = plot.plot.vb
            if self._numbers and box.sceneBoundingRect().contains(place):
                at = float(box.mapSceneToView(place).x())
                self.chosen.emit(min(self._numbers, key=lambda number: abs(number - at)))
                return


class _Plot:
    """One parameter."""

    def __init__(self, title: str, ink: QColor, colour: QColor) -> None:
        self.plot, self._title = small_plot(), title
        self._low = pg.PlotDataItem(pen=None)
        self._high = pg.PlotDataItem(pen=None)
        self._band = pg.FillBetweenItem(self._low, self._high, brush=None)
        self.curve = pg.PlotDataItem(connect="finite")
        self.dots = pg.ScatterPlotItem(size=5, pen=None)
        self.line = pg.InfiniteLine(0.0, angle=90)
        self.line.setVisible(False)
        for item in (self._low, self._high, self._band, self.curve, self.dots):
            self.plot.addItem(item)
        self.plot.addItem(self.line, ignoreBounds=True)
        self.set_ink(ink, colour)

    def set_ink(self, ink: QColor, colour: QColor) -> None:
        self.curve.setPen(pg.mkPen(colour, width=2))
        band = QColor(colour)
        band.setAlpha(_BAND)
        self._band.setBrush(pg.mkBrush(band))
        self.plot.setTitle(self._title, size="8pt", color=ink.name())
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(ink)
            self.plot.getAxis(side).setTextPen(ink)
        self.line.setPen(pg.mkPen(ink, width=1))

    def dots_at(
        self, numbers: NDArray[np.float64], values: NDArray[np.float64], colors: Sequence[str]
    ) -> None:
        self.plot.setXRange(numbers[0], numbers[-1], padding=0.04)
        known = np.isfinite(values)
        brushes = [
            pg.mkBrush(color) for color, is_known in zip(colors, known, strict=True) if is_known
        ]
        self.dots.setData(x=numbers[known], y=values[known], brush=brushes)

    def line_at(
        self, numbers: NDArray[np.float64], values: NDArray[np.float64], sd: NDArray[np.float64]
    ) -> None:
        self.curve.setData(numbers, values)
        self._low.setData(numbers, values - 2 * sd)
        self._high.setData(numbers, values + 2 * sd)

    def no_line(self) -> None:
        for item in (self.curve, self._low, self._high):
            item.setData([], [])
