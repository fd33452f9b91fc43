"""The loss around a pose as pictures: a section for each parameter, a map of two."""

from collections.abc import Mapping, Sequence

import numpy as np
from qtpy.QtCore import QEvent, QRectF, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent  # isort: skip

from napari_xreg.registration import Landscape, PairMap, Profile, unit_of
from napari_xreg.widgets.parts.small_plot import small_plot

_CURVES, _MINIMUM, _DEEPEST = ("#56B4E9", "#CC79A7"), "#E69F00", "#1FA97F"
_DIRECTIONS = pg.ColorMap([0.0, 0.5, 0.5001, 1.0], ["#0B5E43", "#CDEBDD", "#F6D9C0", "#8A3A00"])
"""Green leads nearer, brown away."""

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
        self._maps: list[_Map] = []
        self._view = pg.GraphicsLayoutWidget()
        self._view.setBackground(None)  # what lies behind shows through, in either theme
        self._view.ci.setContentsMargins(0, 0, 0, 0)
        self._view.ci.layout.setSpacing(2)
        self._view.scene().sigMouseClicked.connect(self._click)
        self._view.setToolTip(
            "Loss against the offset from the pose the landscape was made at; lower is better, "
            "about 1: nothing in common. Of two losses each is drawn from its lowest (0) to its highest (1).\nAll sections share one vertical axis. ● deepest minimum, "
            "● further local minima: a refinement that starts\nbeyond the ridge beside them ends "
            "there. The line is the current pose. Click to go to a place (undo comes back)."
        )
        self._names = QLabel()
        self._names.setWordWrap(True)
        self.astray = QCheckBox("Map: direction of descent")
        self.astray.setToolTip(
            "In place of the loss the angle between the way down and the way to the middle of the map, where the "
            "landscape was made:\n0° leads straight there, more than 90° away from it. Meaningful only "
            "where the pose in the middle is right."
        )
        self.astray.toggled.connect(lambda _: self.draw())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self._names, self._view, self.astray):
            layout.addWidget(part)
        self._retheme()
        self.setVisible(False)

    @property
    def sections(self) -> Mapping[str, "_Section"]:
        """By parameter."""
        return dict(self._sections)

    @property
    def maps(self) -> tuple["_Map", ...]:
        """The map of two parameters for each measure, if there is one."""
        return tuple(self._maps)

    def begin(self, landscape: Landscape | None) -> None:
        """Other axes: for a landscape that will be filled in. None: nothing is shown."""
        self._view.clear()
        self._sections.clear()
        self._maps = []
        self._landscape = landscape
        self.setVisible(landscape is not None)
        if landscape is None:
            return
        self._name(landscape)
        first = None
        for number, name in enumerate(landscape.profiles):
            section = _Section([each.profiles[name] for each in landscape.each])
            self._view.addItem(section.plot, number // _COLUMNS, number % _COLUMNS)
            if first is None:
                first = section.plot
            else:
                section.plot.setYLink(first)
            if number % _COLUMNS:
                section.plot.getAxis("left").setStyle(showValues=False)
                section.plot.getAxis("left").setWidth(6)
            self._sections[name] = section
        rows = -(-len(self._sections) // _COLUMNS)
        height = rows * _SECTION_HEIGHT
        for each in landscape.each:
            if each.pair is not None:
                title = "" if landscape.beside is None else each.settings.title
                self._maps.append(_Map(each.pair, title))
                self._view.addItem(self._maps[-1].box, rows, 0, 1, _COLUMNS)
                rows, height = rows + 1, height + _MAP_HEIGHT
        self.astray.setVisible(bool(self._maps))
        self._view.setMinimumHeight(height)
        self._ink = QColor()
        self._retheme()
        self.draw()

    def draw(self) -> None:
        """What was filled in since."""
        for pair in self._maps:
            pair.draw(astray=self.astray.isChecked())
        if self._landscape is None or not self._sections:
            return
        spans = [_span(each) for each in self._landscape.each]
        several = len(spans) > 1
        for section in self._sections.values():
            section.draw(spans if several else [(0.0, 1.0)])
        low, high = (0.0, 1.0) if several else spans[0]
        plot = next(iter(self._sections.values())).plot
        plot.setYRange(min(low, 0.0), low + (high - low) * 1.08, padding=0)

    def mark(self, offsets: Mapping[str, float] | None) -> None:
        """Where the current pose is; None: nowhere here."""
        for name, section in self._sections.items():
            section.mark(None if offsets is None else offsets.get(name))
        for pair in self._maps:
            pair.mark(offsets)

    def _name(self, landscape: Landscape) -> None:
        """Which curve is which, where there are two."""
        self._names.setVisible(landscape.beside is not None)
        self._names.setText(
            "&nbsp; ".join(
                f"<span style='color:{colour}'>\N{EM DASH}</span> {each.settings.title}"
                for each, colour in zip(landscape.each, _CURVES, strict=False)
            )
        )

    def _click(self, event: MouseClickEvent) -> None:
        place = event.scenePos()
        for name, section in self._sections.items():
            box = section.plot.vb
            if box.sceneBoundingRect().contains(place):
                low, high = section.profiles[0].offsets[[0, -1]]
                offset = float(np.clip(box.mapSceneToView(place).x(), low, high))
                self.picked.emit({name: offset})
                return
        for pair in self._maps:
            offsets = pair.offsets_at(place)
            if offsets is not None:
                self.picked.emit(offsets)
                return

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
        for pair in self._maps:
            pair.set_ink(colour)


class _Section:
    """The profiles of one parameter: of each measure one."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profiles = tuple(profiles)
        self.plot = small_plot()
        self.plot.setXRange(*self.profiles[0].offsets[[0, -1]], padding=0.02)
        self.plot.setLabel("bottom", _titled(self.profiles[0].parameter))
        self.curves = [
            self.plot.plot(pen=pg.mkPen(colour, width=2), connect="finite")
            for _, colour in zip(self.profiles, _CURVES, strict=False)
        ]
        self.minima = pg.ScatterPlotItem(size=8, pen=None)
        self.plot.addItem(self.minima)
        self.line = pg.InfiniteLine(0.0, angle=90)
        self.line.setZValue(-5)
        self.plot.addItem(self.line, ignoreBounds=True)

    def draw(self, spans: Sequence[tuple[float, float]]) -> None:
        """`spans`: of each measure the values that are drawn at 0 and at 1."""
        found = []
        for profile, curve, (low, high) in zip(self.profiles, self.curves, spans, strict=True):
            known = np.isfinite(profile.losses)
            curve.setData(profile.offsets[known], (profile.losses[known] - low) / (high - low))
            found += [
                (minimum.offset, (minimum.value - low) / (high - low), i == 0)
                for i, minimum in enumerate(profile.minima)
            ]
        self.minima.setData(
            x=[offset for offset, _, _ in found],
            y=[value for _, value, _ in found],
            brush=[_DEEPEST if deepest else _MINIMUM for _, _, deepest in found],
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

    def __init__(self, pair: PairMap, title: str) -> None:
        self.pair, self._title = pair, title
        self._ink = QColor()
        self._astray = False
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

    def draw(self, *, astray: bool) -> None:
        losses = self.pair.losses
        known = losses[np.isfinite(losses)]
        if not known.size:
            return
        if astray != self._astray:
            self._astray = astray
            self.bar.setColorMap(_DIRECTIONS if astray else pg.colormap.get("viridis"))
            self.set_ink(self._ink)
        low, high = (0.0, 180.0) if astray else (float(known.min()), float(known.max()))
        high = max(high, low + 1e-6)
        self.image.setImage(self.pair.astray_deg if astray else losses, levels=(low, high))
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
        self._ink = colour
        _ink(self.plot, colour)
        if self._title:
            self.plot.setTitle(self._title, color=colour.name(), size="9pt")
        self.bar.axis.setPen(colour)
        self.bar.axis.setTextPen(colour)
        label = "angle, °" if self._astray else "loss"
        self.bar.axis.setLabel(label, color=colour.name())


def _span(landscape: Landscape) -> tuple[float, float]:
    """Lowest and highest of all sections; never the same."""
    losses = np.concatenate([p.losses for p in landscape.profiles.values()])
    known = losses[np.isfinite(losses)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return low, max(high, low + 1e-6)


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
