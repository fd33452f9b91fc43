"""One slice of a CT on a canvas of its own: picture, crosshair, landmarks, the patient's sides."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from qtpy.QtCore import QRectF, QSize, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QWidget

from napari_xreg.viewer import SIDES, SliceGrid
from napari_xreg.widgets.slices.mouse import HELP, SliceMouse

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

Point = tuple[float, float, float]

CROSS = "#7dffb0"
FAR_MM = 3.0
"""From the slice shown: a crosshair farther away is drawn faintly."""
_NEAR_MM = 5.0  # a landmark so far from the slice has its name, and can be taken
_SEEN_MM = 15.0  # farther away it is not drawn
_REACH_PIXELS = 10.0
_WORDS = "#ffd400"


@dataclass(frozen=True)
class Mark:
    """A landmark as it is drawn.

    Parameters
    ----------
    name
        Beside it.
    position
        (x, y, z), LPS mm.
    color
        Red, green, blue, opacity; 0 to 1.
    """

    name: str
    position: Point
    color: tuple[float, float, float, float]


class _Dots(pg.ScatterPlotItem):  # type: ignore[misc]
    """Leaves the mouse to what lies below: a click near one is meant for the slice."""

    def mouseClickEvent(self, ev: object) -> None:
        ev.ignore()  # type: ignore[attr-defined]


class SlicePane(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """One plane of the patient.

    Attributes
    ----------
    number
        Of the slice shown.
    """

    pointed = Signal(tuple, bool)
    """(x, y, z), LPS mm, where the crosshair is wanted, and whether the mouse let go."""
    landmark_moved = Signal(str, tuple, bool)
    """A landmark, (x, y, z) of where it is wanted, and whether the mouse let go."""
    turned = Signal(int)
    window_moved = Signal(float, float)
    enlarged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(100, 120)
        self.setToolTip(HELP)
        self.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.grid: SliceGrid | None = None
        self.number = 0
        self._marks: tuple[Mark, ...] = ()
        self._point: Point | None = None
        self._inside: Point | None = None
        self.view = SliceMouse(self._landmark_at)
        self.addItem(self.view)
        self.image = pg.ImageItem(axisOrder="row-major")
        pen = pg.mkPen(CROSS, width=1)
        self.across = pg.InfiniteLine(angle=0, pen=pen)
        self.upright = pg.InfiniteLine(angle=90, pen=pen)
        self.dots = _Dots(symbol="+", pen=pg.mkPen("k"))
        for item in (self.image, self.across, self.upright, self.dots):
            self.view.addItem(item)
        self._names: list[pg.TextItem] = []
        self.sides = [self._corner(at) for at in ((0.5, 0), (0.5, 1), (0, 0.5), (1, 0.5))]
        self.title = self._corner((0, 0))
        self.view.pointed.connect(self._point_at)
        self.view.landmark_moved.connect(self._move_landmark)
        self.view.turned.connect(self.turned)
        self.view.window_moved.connect(self.window_moved)
        self.view.enlarged.connect(self.enlarged)
        self.show_grid(None)

    def sizeHint(self) -> QSize:
        """pyqtgraph asks for 640 x 480 pixels; a dock is narrower."""
        return QSize(240, 220)

    def show_grid(self, grid: SliceGrid | None) -> None:
        """Another CT or plane, whole in the picture; None: nothing."""
        self.grid = grid
        letters = ("",) * 4 if grid is None else SIDES[grid.plane]
        for label, letter in zip(self.sides, letters, strict=True):
            label.setText(letter)
        if grid is None:
            self.image.clear()
            self.title.setText("")
            self.show_point(None)
            self._draw_marks()
            return
        self.fit()

    def fit(self) -> None:
        """The whole slice."""
        if self.grid is not None:
            self.view.setRange(self._area(self.grid), padding=0.02)

    def show_slice(self, number: int, limits: tuple[float, float]) -> None:
        """One slice, from black to white between two values."""
        grid = self.grid
        if grid is None:
            return
        self.number = min(max(number, 0), grid.shape[2] - 1)
        self.image.setImage(grid.picture(self.number), levels=limits, autoLevels=False)
        self.image.setRect(self._area(grid))
        self._title()
        self.show_point(self._point)
        self._draw_marks()

    def show_limits(self, limits: tuple[float, float]) -> None:
        """The same slice, darker or brighter."""
        self.image.setLevels(limits)

    def show_point(self, point: Point | None) -> None:
        """The crosshair; faint where it lies in another slice."""
        self._point = point
        grid = self.grid
        for line in (self.across, self.upright):
            line.setVisible(point is not None and grid is not None)
        if point is None or grid is None:
            return
        row, column, number = grid.place(point)
        down, right, through = grid.spacing
        self.across.setPos(row * down)
        self.upright.setPos(column * right)
        near = abs(number - self.number) * through <= FAR_MM
        for line in (self.across, self.upright):
            line.setOpacity(0.75 if near else 0.25)

    def show_marks(self, marks: Iterable[Mark]) -> None:
        """Landmarks of the patient: smaller, the farther from the slice."""
        self._marks = tuple(marks)
        self._draw_marks()

    def keyPressEvent(self, ev: QKeyEvent | None) -> None:
        """Keys are the window's."""
        if ev is not None:
            ev.ignore()

    # ------------------------------------------------------------------ inside

    def _corner(self, at: tuple[float, float]) -> pg.LabelItem:
        label = pg.LabelItem("", color=_WORDS, size="9pt")
        label.setParentItem(self.view)
        label.anchor(itemPos=at, parentPos=at)
        return label

    @staticmethod
    def _area(grid: SliceGrid) -> QRectF:
        rows, columns, _ = grid.shape
        down, right, _ = grid.spacing
        return QRectF(-0.5 * right, -0.5 * down, columns * right, rows * down)

    def _title(self) -> None:
        grid = self.grid
        if grid is not None:
            axis = "xyz"[grid.axis]
            at = grid.point(0, 0, self.number)[grid.axis]
            self.title.setText(f"{axis} {at:.1f} mm")

    def _in_picture(self, marks: Iterable[Mark]) -> np.ndarray:
        """Right, down and away from the slice, mm; a row a landmark."""
        grid = self.grid
        assert grid is not None
        down, right, through = grid.spacing
        places = [grid.place(mark.position) for mark in marks]
        return np.array(
            [(c * right, r * down, abs(n - self.number) * through) for r, c, n in places]
        ).reshape(-1, 3)

    def _draw_marks(self) -> None:
        for text in self._names:
            self.view.removeItem(text)
        self._names = []
        if self.grid is None or not self._marks:
            self.dots.clear()
            return
        spots = []
        for mark, (x, y, away) in zip(self._marks, self._in_picture(self._marks), strict=True):
            if away > _SEEN_MM:
                continue
            color = pg.mkColor(*(round(255 * part) for part in mark.color))
            spots.append({"pos": (x, y), "size": 14.0 - 0.6 * away, "brush": color})
            if away <= _NEAR_MM:
                text = pg.TextItem(mark.name, color=color, anchor=(0, 1))
                text.setPos(x, y)
                self.view.addItem(text, ignoreBounds=True)
                self._names.append(text)
        self.dots.setData(spots)

    def _landmark_at(self, right_mm: float, down_mm: float) -> str | None:
        if self.grid is None or not self._marks:
            return None
        at = self._in_picture(self._marks)
        distance = np.hypot(at[:, 0] - right_mm, at[:, 1] - down_mm)
        distance[at[:, 2] > _NEAR_MM] = np.inf
        nearest = int(distance.argmin())
        reach = _REACH_PIXELS * self.view.viewPixelSize()[0]
        return self._marks[nearest].name if distance[nearest] <= reach else None

    def _point_at(self, right_mm: float, down_mm: float, done: bool) -> None:
        grid = self.grid
        if grid is None:
            return
        rows, columns, _ = grid.shape
        down, right, _ = grid.spacing
        row, column = down_mm / down, right_mm / right
        if -0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5:
            self._inside = grid.point(row, column, self.number)
        elif not done:
            return
        inside = self._inside  # where the mouse was last, if it let go beside the picture
        if done:
            self._inside = None
        if inside is not None:
            self.pointed.emit(inside, done)

    def _move_landmark(self, name: str, right_mm: float, down_mm: float, done: bool) -> None:
        """Within the slice, and within the CT; how far it is from the slice stays."""
        grid = self.grid
        mark = next((mark for mark in self._marks if mark.name == name), None)
        if grid is None or mark is None:
            return
        rows, columns, _ = grid.shape
        down, right, _ = grid.spacing
        row = min(max(down_mm / down, 0.0), rows - 1.0)
        column = min(max(right_mm / right, 0.0), columns - 1.0)
        depth = grid.place(mark.position)[2]
        self.landmark_moved.emit(name, grid.point(row, column, depth), done)
