"""How wrong the poses of a network are, direction by direction."""

import numpy as np
from qtpy.QtCore import QEvent
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

from napari_xreg.training import ErrorsByDirection
from napari_xreg.widgets.parts.small_plot import small_plot

_DOT, _MIDDLE = (86, 180, 233, 150), "#E69F00"
_WIDE = 0.6
"""Of a column: dots of one direction lie side by side in it, in the order of the images."""


class DirectionsPlot(QWidget):
    """A column of dots for each direction, one for each image of the validation; a bar half of whose errors are smaller."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self._view = pg.GraphicsLayoutWidget()
        self._view.setBackground(None)
        self._plot = small_plot()
        self._view.addItem(self._plot)
        small = self.font()
        small.setPointSizeF(0.85 * small.pointSizeF())
        self._plot.getAxis("bottom").setStyle(tickFont=small)
        self._zero = pg.InfiniteLine(0.0, angle=0)
        self.dots = pg.ScatterPlotItem(size=4, pen=None, brush=pg.mkBrush(*_DOT))
        self._bars = pg.PlotDataItem(pen=pg.mkPen(_MIDDLE, width=3), connect="pairs")
        for item in (self._zero, self.dots, self._bars):
            self._plot.addItem(item)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.words)
        layout.addWidget(self._view, 1)
        self._retheme()

    def show_errors(self, found: ErrorsByDirection | None) -> None:
        """Show these; None: none."""
        if found is None:
            self.words.setText("")
            self.dots.setData(x=[], y=[])
            self._bars.setData([], [])
            return
        images, columns = found.errors.shape
        beside = np.linspace(-_WIDE / 2, _WIDE / 2, images) if images > 1 else np.zeros(1)
        x = np.arange(columns)[None] + beside[:, None]
        self.dots.setData(x=x.ravel(), y=found.errors.ravel())
        median = np.median(np.abs(found.errors), 0)
        ends = np.arange(columns)[:, None] + np.array([-_WIDE / 2, _WIDE / 2])
        # One above and one below: half of the dots lie between them.
        self._bars.setData(
            np.concatenate([ends, ends]).ravel(),
            np.concatenate([np.repeat(median, 2), np.repeat(-median, 2)]),
        )
        ticks = [
            (place, f"{name.removeprefix('about ')} {unit}")
            for place, (name, unit) in enumerate(zip(found.names, found.units, strict=True))
        ]
        self._plot.getAxis("bottom").setTicks([ticks])
        self.words.setText(
            f"{images} simulated radiographs of the last validation: turned about (°) and shifted along (mm) the axes of the true "
            "camera. Half of the dots lie between the two bars."
        )

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_zero"):
            self._retheme()

    def _retheme(self) -> None:
        ink: QColor = self.palette().color(QPalette.ColorRole.WindowText)
        for side in ("left", "bottom"):
            self._plot.getAxis(side).setPen(ink)
            self._plot.getAxis(side).setTextPen(ink)
        self._zero.setPen(pg.mkPen(ink, width=1))
