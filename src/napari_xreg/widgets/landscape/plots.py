"""The loss around a pose as pictures: a section for each parameter, a map of two."""

from collections.abc import Mapping

import numpy as np
from qtpy.QtCore import QEvent, QRectF, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent  # isort: skip

from napari_xreg.registration import Landscape, PairMap, Profile, unit_of
from napari_xreg.widgets.parts.small_plot import small_plot

_CURVE, _MINIMUM, _DEEPEST = "#56B4E9", "#E69F00", "#1FA97F"
_COLUMNS = 2
_SECTION_HEIGHT, _MAP_HEIGHT = 96, 200
_SIGNS = {"degrees": "°", "mm": " mm"}


class LandscapePlots(QWidget):
    """Draws a `Landscape`; says where it was clicked."""

    picked = Signal(object)
    """A dictionary of offsets by parameter: a click on a section (one) or on the map (two)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._landscape: Landscape | None = None
        self._ink = QColor()
        self._sections: dict[str, _Section] = {}
        self._map: _Map | None = None
        self._view = pg.GraphicsLayoutWidget()
        self._view.setBackground(None)  # what lies behind shows through, in either theme
        self._view.ci.setContentsMargins(0, 0, 0, 0)
        self._view.ci.layout.setSpacing(2)
        self._view.scene().sigMouseClicked.connect(self._click)
        self._view.setToolTip(
            "Loss against the offset from the pose the landscape was made at; lower is better, "
            "about 1: nothing in common.\nAll sections share one vertical axis. ● deepest minimum, "
            "● further local minima: a refinement that starts\nbeyond the ridge beside them ends "
            "there. The line is the present pose. Click to go to a place (undo comes back)."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)
        self._retheme()
        self.setVisible(False)

    @property
    def sections(self) -> Mapping[str, "_Section"]:
        """By parameter."""
        return dict(self._sections)

    @property
    def map(self) -> "_Map | None":
        """The map of two parameters, if there is one."""
        return self._map

    def begin(self, landscape: Landscape | None) -> None:
        """Other axes: for a landscape that will be filled in. None: nothing is shown."""
        self._view.clear()
        self._sections.clear()
        self._map = None
        self._landscape = landscape
        self.setVisible(landscape is not None)
        if landscape is None:
            return
        first = None
        for number, profile in enumerate(landscape.profiles.values()):
            section = _Section(profile)
            self._view.addItem(section.plot, number // _COLUMNS, number % _COLUMNS)
            if first is None:
                first = section.plot
            else:
                section.plot.setYLink(first)
            if number % _COLUMNS:
                section.plot.getAxis("left").setStyle(showValues=False)
                section.plot.getAxis("left").setWidth(6)
            self._sections[profile.parameter] = section
        rows = -(-len(self._sections) // _COLUMNS)
        height = rows * _SECTION_HEIGHT
        if landscape.pair is not None:
            self._map = _Map(landscape.pair)
            self._view.addItem(self._map.box, rows, 0, 1, _COLUMNS)
            height += _MAP_HEIGHT
        self._view.setMinimumHeight(height)
        self._ink = QColor()
        self._retheme()
        self.draw()

    def draw(self) -> None:
        """What was filled in since."""
        for section in self._sections.values():
            section.draw()
        if self._map is not None:
            self._map.draw()
        losses = [s.profile.losses for s in self._sections.values()]
        known = np.concatenate([*losses, np.zeros(0)])
        known = known[np.isfinite(known)]
        if known.size and self._sections:
            top = max(float(known.max()), 1e-6) * 1.08
            next(iter(self._sections.values())).plot.setYRange(0.0, top, padding=0)

    def mark(self, offsets: Mapping[str, float] | None) -> None:
        """Where the present pose is; None: nowhere here."""
        for name, section in self._sections.items():
            section.mark(None if offsets is None else offsets.get(name))
        if self._map is not None:
            self._map.mark(offsets)

    def _click(self, event: MouseClickEvent) -> None:
        place = event.scenePos()
        for name, section in self._sections.items():
            box = section.plot.vb
            if box.sceneBoundingRect().contains(place):
                low, high = section.profile.offsets[[0, -1]]
                offset = float(np.clip(box.mapSceneToView(place).x(), low, high))
                self.picked.emit({name: offset})
                return
        if self._map is not None:
            offsets = self._map.offsets_at(place)
            if offsets is not None:
                self.picked.emit(offsets)

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_view"):
            self._retheme()

    def _retheme(self) -> None:
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        if colour == self._ink:
            return
        self._ink = colour
        for section in self._sections.values():
            section.set_ink(colour)
        if self._map is not None:
            self._map.set_ink(colour)


class _Section:
    """One profile."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.plot = small_plot()
        self.plot.setXRange(*profile.offsets[[0, -1]], padding=0.02)
        self.plot.setLabel("bottom", _titled(profile.parameter))
        self.curve = self.plot.plot(pen=pg.mkPen(_CURVE, width=2), connect="finite")
        self.minima = pg.ScatterPlotItem(size=8, pen=None)
        self.plot.addItem(self.minima)
        self.line = pg.InfiniteLine(0.0, angle=90)
        self.line.setZValue(-5)
        self.plot.addItem(self.line, ignoreBounds=True)

    def draw(self) -> None:
        known = np.isfinite(self.profile.losses)
        self.curve.setData(self.profile.offsets[known], self.profile.losses[known])
        found = self.profile.minima
        self.minima.setData(
            x=[m.offset for m in found],
            y=[m.value for m in found],
            brush=[_DEEPEST if i == 0 else _MINIMUM for i in range(len(found))],
        )

    def mark(self, offset: float | None) -> None:
        self.line.setVisible(offset is not None)
        if offset is not None:
            self.line.setValue(offset)

    def set_ink(self, colour: QColor) -> None:
        _ink(self.plot, colour)
        self.line.setPen(pg.mkPen(_faint(colour), width=1.5))


class _Map:
    """The loss over two parameters; the first runs upwards."""

    def __init__(self, pair: PairMap) -> None:
        self.pair = pair
        self.box = pg.GraphicsLayout()
        self.box.layout.setSpacing(4)
        self.plot = small_plot()
        self.box.addItem(self.plot, 0, 0)
        vertical, across = pair.parameters
        self.plot.setLabel("left", _titled(vertical))
        self.plot.setLabel("bottom", _titled(across))
        self.image = pg.ImageItem(axisOrder="row-major")
        self.plot.addItem(self.image)
        rows, columns = pair.row_offsets, pair.column_offsets
        tall, wide = rows[1] - rows[0], columns[1] - columns[0]
        self._place = QRectF(
            columns[0] - wide / 2, rows[0] - tall / 2, wide * columns.size, tall * rows.size
        )
        self.plot.setXRange(self._place.left(), self._place.right(), padding=0)
        self.plot.setYRange(self._place.top(), self._place.bottom(), padding=0)
        self.bar = pg.ColorBarItem(
            values=(0.0, 1.0), colorMap="viridis", interactive=False, width=12
        )
        self.bar.setImageItem(self.image)
        self.bar.axis.enableAutoSIPrefix(False)
        self.box.addItem(self.bar, 0, 1)
        self.best = pg.ScatterPlotItem(size=10, pen=pg.mkPen("w"), brush=_DEEPEST)
        self.here = pg.ScatterPlotItem(size=11, symbol="+", pen=pg.mkPen("w"), brush="w")
        self.plot.addItem(self.best)
        self.plot.addItem(self.here)

    def draw(self) -> None:
        losses = self.pair.losses
        known = losses[np.isfinite(losses)]
        if not known.size:
            return
        low, high = float(known.min()), float(known.max())
        high = max(high, low + 1e-6)
        self.image.setImage(losses, levels=(low, high))
        self.image.setRect(self._place)
        self.bar.setLevels((low, high))
        best = self.pair.best
        if best is not None:
            self.best.setData(x=[best[1]], y=[best[0]])

    def mark(self, offsets: Mapping[str, float] | None) -> None:
        if offsets is None:
            self.here.setData(x=[], y=[])
            return
        vertical, across = self.pair.parameters
        self.here.setData(x=[offsets[across]], y=[offsets[vertical]])

    def offsets_at(self, place: object) -> dict[str, float] | None:
        """Of a point of the scene; None outside the map."""
        box = self.plot.vb
        if not box.sceneBoundingRect().contains(place):
            return None
        point = box.mapSceneToView(place)
        vertical, across = self.pair.parameters
        return {vertical: float(point.y()), across: float(point.x())}

    def set_ink(self, colour: QColor) -> None:
        _ink(self.plot, colour)
        self.bar.axis.setPen(colour)
        self.bar.axis.setTextPen(colour)
        self.bar.axis.setLabel("loss", color=colour.name())


def _ink(plot: pg.PlotItem, colour: QColor) -> None:
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.setPen(colour)
        axis.setTextPen(colour)
        axis.setLabel(axis.labelText, color=colour.name())


def _faint(colour: QColor) -> QColor:
    faint = QColor(colour)
    faint.setAlpha(130)
    return faint


def _titled(parameter: str) -> str:
    return f"{parameter} ({_SIGNS[unit_of(parameter)].strip()})"
