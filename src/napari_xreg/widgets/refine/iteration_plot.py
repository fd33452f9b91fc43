"""Curves against the iterations of a refinement: levels marked, one iteration picked out."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent  # isort: skip

COLOURS = ("#56B4E9", "#E69F00", "#1FA97F", "#D55E00", "#CC79A7", "#8C8CF0", "#B0A000", "#00A0B0")
"""Distinct for most colour-blind readers (after Okabe and Ito), legible on light and on dark."""

NOTHING_YET = "Nothing refined yet: press Refine."
Array = npt.NDArray[np.float64]


class Axes(pg.PlotWidget):  # type: ignore[misc]
    """pyqtgraph asks for 640 x 480 pixels; a dock is narrower."""

    def sizeHint(self) -> QSize:
        return QSize(240, 150)


class Decades(pg.AxisItem):  # type: ignore[misc]
    """Logarithmic; pyqtgraph would print 2 to 9 of a decade on top of each other."""

    def logTickValues(
        self, minVal: float, maxVal: float, size: float, stdTicks: object
    ) -> list[tuple[float | None, list[float]]]:
        """Decades; between them as much as there is room for."""
        first, last = math.floor(minVal), math.ceil(maxVal)
        apart = max(1, math.ceil((last - first) * 24 / max(size, 1.0)))
        span = (maxVal - minVal) * 96 / max(size, 1.0)
        digits = (1.5, 2, 2.5, 3, 4, 5, 6, 8) if span < 0.5 else (2, 5) if span < 1.5 else ()
        values = [float(n) for n in range(first, last + 1) if n % apart == 0]
        values += [n + math.log10(m) for n in range(first, last) for m in digits]
        return [(1.0, [value for value in values if minVal <= value <= maxVal])]

    def logTickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        """As short as they tell."""
        numbers = [10.0**value * scale for value in values]
        return [f"{n:.0f}" if 100 <= n < 1e4 else f"{n:.2g}" for n in numbers]


class _Counts(pg.AxisItem):  # type: ignore[misc]
    """Whole numbers: there is no iteration between two."""

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        """As pyqtgraph's, without fractions."""
        spacings = super().tickSpacing(minVal, maxVal, size)
        return [(gap, start) for gap, start in spacings if gap >= 1] or [(1.0, 0.0)]


class IterationPlot(QWidget):
    """One pair of axes over the running number of the iterates.

    Parameters
    ----------
    label
        Of the vertical axis, with its unit.
    log
        Logarithmic vertical axis; values are clipped to above zero.
    across
        Label of the horizontal axis.
    per
        What is drawn, for each unit that the horizontal axis shows: 60 for seconds on an axis of
        minutes.
    empty
        What the plot says while there is nothing to draw.
    """

    picked = Signal(int)
    """The user clicked or dragged the cursor to this iteration."""

    LEAST = 1e-8
    """What a value that is zero or negative is drawn at, where the axis is logarithmic."""

    def __init__(
        self,
        label: str,
        parent: QWidget | None = None,
        *,
        log: bool = False,
        across: str = "iteration",
        per: float = 1.0,
        empty: str = "Nothing to show yet.",
    ) -> None:
        super().__init__(parent)
        self._log = log
        self._empty = empty
        self._note = self._more = ""
        self._curves: dict[str, pg.PlotDataItem] = {}
        self._colours: dict[str, str | None] = {}
        self._levels: dict[int, pg.InfiniteLine] = {}
        self._last = -1
        self._ink = QColor(0, 0, 0)
        self._legend = QLabel()
        self._legend.setWordWrap(True)
        self._legend.setTextFormat(Qt.TextFormat.RichText)
        axes: dict[str, pg.AxisItem] = {}
        if log:
            axes["left"] = Decades("left")
        if per == 1.0:
            axes["bottom"] = _Counts("bottom")
        self._plot = Axes(axisItems=axes)
        item = self._plot.getPlotItem()
        item.hideButtons()
        item.setMenuEnabled(False)
        item.setMouseEnabled(False, False)
        item.setLogMode(y=log)
        item.setLimits(minXRange=4)
        item.setLabel("left", label)
        item.setLabel("bottom", across)
        for side in ("left", "bottom"):
            item.getAxis(side).enableAutoSIPrefix(False)
        item.getAxis("bottom").setScale(1 / per)  # after that, or pyqtgraph adds a prefix
        item.getAxis("left").setWidth(60)  # plots above one another line up
        self._plot.setMinimumHeight(110)
        policy = self._plot.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # nothing moves when the first curve comes
        self._plot.setSizePolicy(policy)
        self._cursor = pg.InfiniteLine(0.0, angle=90, movable=True)
        self._cursor.setVisible(False)
        self._cursor.setZValue(10)
        item.addItem(self._cursor, ignoreBounds=True)
        self._cursor.sigDragged.connect(self._pick_cursor)
        self._plot.scene().sigMouseClicked.connect(self._pick_click)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot, 1)
        self._retheme()
        self._write_legend()

    # ------------------------------------------------------------------ what is drawn

    def clear(self) -> None:
        """No curve, no level, no cursor."""
        for curve in self._curves.values():
            self._plot.removeItem(curve)
        for line in self._levels.values():
            self._plot.removeItem(line)
        self._curves.clear()
        self._colours.clear()
        self._levels.clear()
        self._last, self._more = -1, ""
        self._cursor.setVisible(False)
        self._write_legend()

    def set_curve(
        self,
        name: str,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        colour: str | None,
        connect: npt.ArrayLike | None = None,
        width: float = 1.5,
        points: bool = False,
    ) -> None:
        """Draw or replace one curve.

        Parameters
        ----------
        name
            Shown in the legend, unless it begins with an underscore.
        x, y
            Iterations and values; values that are not finite are left out.
        colour
            ``#rrggbb``; None: the colour of the text.
        connect
            One for each point: whether a line leads to the next. None: always.
        width
            Of the line, pixels.
        points
            Crosses instead of a line.
        """
        at, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
        together = np.ones(at.size, bool) if connect is None else np.asarray(connect, bool)
        finite = np.isfinite(values)
        at, values, together = at[finite], values[finite], together[finite]
        if self._log:
            values = np.maximum(values, self.LEAST)
        fresh = name not in self._curves
        if fresh:
            self._curves[name] = pg.PlotDataItem()
            self._plot.addItem(self._curves[name])
        self._colours[name] = colour
        pen = pg.mkPen(colour or self._ink, width=width)
        if points:
            self._curves[name].setData(at, values, pen=None, symbol="x", symbolSize=6,
                                       symbolPen=pen, symbolBrush=None)  # fmt: skip
        else:
            alone = not together[:-1].any()  # a line of one point is invisible
            self._curves[name].setData(
                at, values, pen=pen, connect=together.astype(np.int32), symbol="o" if alone else None,
                symbolSize=4, symbolPen=pen, symbolBrush=colour or self._ink,
            )  # fmt: skip
        if at.size:
            self._last = max(self._last, int(at.max()))
        if fresh:
            self._write_legend()

    def mark_level(self, level: int, iteration: int) -> None:
        """A line where a level of the pyramid begins; once for each level."""
        if level in self._levels:
            return
        line = pg.InfiniteLine(
            iteration - 0.5,
            angle=90,
            pen=self._faint(),
            label=str(level + 1) if self._levels else f"level {level + 1}",
            labelOpts={"position": 0.95, "color": self._ink, "anchors": [(0, 0.5), (0, 0.5)]},
        )
        self._levels[level] = line
        self._plot.addItem(line, ignoreBounds=True)

    def note(self, words: str) -> None:
        """Words behind the names of the curves."""
        if words != self._note:
            self._note = words
            self._write_legend()

    def and_more(self, words: str) -> None:
        """Words after the names of the curves: of others that are in them."""
        if words != self._more:
            self._more = words
            self._write_legend()

    def mark(self, iteration: int | None) -> None:
        """Put the cursor on an iteration; None hides it. Says nothing."""
        self._cursor.setVisible(iteration is not None)
        if iteration is not None:
            self._cursor.setValue(iteration)

    @property
    def curves(self) -> dict[str, tuple[Array, Array]]:
        """What is drawn, by name: iterations and values (clipped where logarithmic)."""
        drawn = {}
        for name, curve in self._curves.items():
            x, y = curve.getOriginalDataset()
            drawn[name] = (np.asarray(x), np.asarray(y))
        return drawn

    @property
    def levels(self) -> dict[int, int]:
        """First iteration of every level marked."""
        return {level: round(line.value() + 0.5) for level, line in self._levels.items()}

    @property
    def marked(self) -> int | None:
        """Where the cursor stands."""
        return round(self._cursor.value()) if self._cursor.isVisible() else None

    # ------------------------------------------------------------------ mouse

    def _pick_cursor(self, _: object) -> None:
        self._emit(self._cursor.value())

    def _pick_click(self, event: MouseClickEvent) -> None:
        box = self._plot.getPlotItem().vb
        if box.sceneBoundingRect().contains(event.scenePos()):
            self._emit(box.mapSceneToView(event.scenePos()).x())

    def _emit(self, x: float) -> None:
        if self._last >= 0:
            iteration = min(max(round(x), 0), self._last)
            self.mark(iteration)
            self.picked.emit(iteration)

    # ------------------------------------------------------------------ look

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_cursor"):
            self._retheme()

    def set_ink(self, colour: QColor | str) -> None:
        """Colour of text, axes and the main curve."""
        colour = QColor(colour)
        if colour == self._ink:
            return
        self._ink = colour
        item = self._plot.getPlotItem()
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(colour)
            axis.setTextPen(colour)
        cursor = QColor(colour)
        cursor.setAlpha(170)
        self._cursor.setPen(pg.mkPen(cursor, width=2))
        for line in self._levels.values():
            line.setPen(self._faint())
            line.label.setColor(colour)
        for name, curve in self._curves.items():
            if self._colours[name] is None:
                curve.setPen(pg.mkPen(colour, width=2))
        self._write_legend()

    def _retheme(self) -> None:
        self._plot.setBackground(None)  # what lies behind shows through, in either theme
        self.set_ink(self.palette().color(QPalette.ColorRole.WindowText))

    def _faint(self) -> QColor:
        colour = QColor(self._ink)
        colour.setAlpha(90)
        return colour

    def _write_legend(self) -> None:
        self._plot.setVisible(bool(self._curves))
        if not self._curves:
            self._legend.setText(self._empty)
            return
        shown = [
            f'<span style="color:{colour or self._ink.name()}">■</span>&nbsp;{name}'
            for name, colour in self._colours.items()
            if not name.startswith("_")
        ]
        said = [words.replace(" ", "&nbsp;") for words in (self._more, self._note) if words]
        self._legend.setText(" &nbsp; ".join(shown + said))


def joined(*keys: Sequence[int]) -> npt.NDArray[np.bool_]:
    """For each point, whether the next one belongs to the same line: no key changes."""
    stacked = np.asarray(keys)
    together = np.ones(stacked.shape[1], bool)
    together[:-1] = (stacked[:, 1:] == stacked[:, :-1]).all(axis=0)
    return together


def cycle(index: int) -> str:
    """The colour of the n-th curve."""
    return COLOURS[index % len(COLOURS)]
