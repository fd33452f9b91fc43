"""Slices: the CT cut axially, coronally and sagittally through one point of the patient."""

from dataclasses import replace
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from qtpy.QtWidgets import QBoxLayout, QComboBox, QHBoxLayout, QVBoxLayout

from napari_xreg.images import Volume
from napari_xreg.viewer import PLANES, SliceGrid
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.slices.pane import Mark, Point, SlicePane
from napari_xreg.widgets.slices.windows import WINDOWS

_CHANGED = "as set"


class SlicesWidget(Docked):
    """Three linked slices: side by side in a wide dock, one above the other in a high one.

    Where the crosshair is, is the point that RayEmb looks for, and that is picked as a landmark.

    Parameters
    ----------
    napari_viewer
        Whose session is shown.

    Attributes
    ----------
    panes
        By the name of their plane.
    grey
        What is black and white, Hounsfield units.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._volume: Volume | None = None
        self._point: Point | None = None
        self._dragged: Mark | None = None
        self._dragged_from: Point | None = None  # the session's, where the drag began
        self._stale = True
        self.grey = WINDOWS["Bone"]
        self.panes = {plane: SlicePane() for plane in PLANES}
        self.choice = QComboBox()
        self.choice.addItems([*WINDOWS, _CHANGED])
        self.choice.setToolTip("Window and level: drag with the right button over a slice.")
        self.choice.textActivated.connect(self._choose_window)
        self.words = SmallPrint()
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._row.setSpacing(2)
        for pane in self.panes.values():
            self._row.addWidget(pane, 1)
            pane.pointed.connect(self._pointed)
            pane.landmark_moved.connect(self._move_landmark)
            pane.window_moved.connect(self._move_window)
            pane.turned.connect(lambda by, pane=pane: self._turn(pane, by))
            pane.enlarged.connect(lambda pane=pane: self._enlarge(pane))
        foot = QHBoxLayout()
        foot.addWidget(self.choice)
        foot.addWidget(self.words, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(3)
        layout.addLayout(self._row, 1)
        layout.addLayout(foot)
        self.listen(self._session.patient.changed, self._refresh)
        self.listen(self._session.landmarks.changed, self._show_marks)
        self.listen(self._session.ray_points.look_changed, self._follow_look)
        self.listen(self.workbench.point_clicked, self.go_to)

    @property
    def point(self) -> Point | None:
        """(x, y, z), LPS mm, of the crosshair; None without a CT."""
        return self._point

    def go_to(self, point: Point) -> None:
        """Cut the CT through a point."""
        self._point = point
        self._refresh()

    def choose(self, name: str) -> None:
        """Cut the CT through a landmark."""
        position = self._position(name)
        if position is not None:
            self.go_to(position)

    # ------------------------------------------------------------------ what is shown

    def _refresh(self) -> None:
        """The slices through the crosshair, once somebody looks; those that stay are not cut again."""
        if self.torn_down or not self.isVisible():
            self._stale = True
            return
        volume, anew = self._session.patient.volume, False
        if volume is not self._volume or self._stale:
            anew, self._stale = True, False
            self._take(volume)
        if volume is None or self._point is None:
            self.words.setText("No CT: load one in Data.")
            return
        for pane in self.panes.values():
            assert pane.grid is not None
            number = round(pane.grid.place(self._point)[2])
            if anew or number != pane.number:
                pane.show_slice(number, self.grey.limits(volume))
            pane.show_point(self._point)
        if anew:
            self._show_marks()
        self._say()

    def _take(self, volume: Volume | None) -> None:
        if volume is self._volume:
            return
        look = self._session.ray_points.look
        self._volume, self._dragged = volume, None
        for plane, pane in self.panes.items():
            pane.show_grid(None if volume is None else SliceGrid(volume, plane))
        if volume is None:
            self._point = None
        elif look is not None:
            self._point = look.position
        else:
            x, y, z = volume.center.tolist()
            self._point = x, y, z

    def _show_marks(self) -> None:
        if self.torn_down or not self.isVisible():
            self._stale = True
            return
        colours = self.workbench.canvas.landmarks.colours
        marks = [
            Mark(mark.name, mark.position, colours.of(mark.name))
            for mark in self._session.landmarks.all
            if mark.position is not None
        ]
        held = self._dragged
        if held is not None and self._position(held.name) != self._dragged_from:
            held = self._dragged = None  # it went, or was moved by something else
        if held is not None:
            marks = [held if mark.name == held.name else mark for mark in marks]
        for pane in self.panes.values():
            pane.show_marks(marks)

    def _position(self, name: str) -> Point | None:
        marks = {mark.name: mark.position for mark in self._session.landmarks.all}
        return marks.get(name)

    def _say(self) -> None:
        assert self._point is not None
        grid = self.panes["axial"].grid
        x, y, z = self._point
        words = f"x {x:.1f}, y {y:.1f}, z {z:.1f} mm (patient, LPS)"
        value = None if grid is None else grid.value(self._point)
        if value is not None and self._volume is not None:
            words += f"; {value:.4f} /mm" if self._volume.hu is None else f"; {value:.0f} HU"
        self.words.setText(f"{words}; {self.grey}")

    def _follow_look(self) -> None:
        look = self._session.ray_points.look
        if look is not None and look.position != self._point:
            self.go_to(look.position)

    # ------------------------------------------------------------------ what the user does

    def _pointed(self, point: Point, done: bool) -> None:
        self.go_to(point)
        if done:
            self.workbench.point_clicked.emit(point)
        else:
            self.workbench.point_dragged.emit(point)

    def _turn(self, pane: SlicePane, by: int) -> None:
        grid = pane.grid
        if grid is None or self._point is None:
            return
        row, column, _ = grid.place(self._point)
        number = min(max(pane.number + by, 0), grid.shape[2] - 1)
        self._pointed(grid.point(row, column, number), False)

    def _move_landmark(self, name: str, point: Point, done: bool) -> None:
        landmarks = self._session.landmarks
        if done:
            self._dragged = None
            self.workbench.landmark_dropped.emit()
            landmarks.set(
                [replace(m, position=point) if m.name == name else m for m in landmarks.all]
            )
        else:
            if self._dragged is None:
                self._dragged_from = self._position(name)
            self._dragged = Mark(name, point, self.workbench.canvas.landmarks.colours.of(name))
            self._show_marks()

    def _choose_window(self, name: str) -> None:
        self.grey = WINDOWS.get(name, self.grey)
        self._show_window()

    def _move_window(self, right: float, up: float) -> None:
        self.grey = self.grey.dragged(right, up)
        self.choice.setCurrentText(_CHANGED)
        self._show_window()

    def _show_window(self) -> None:
        if self._volume is None:
            return
        for pane in self.panes.values():
            pane.show_limits(self.grey.limits(self._volume))
        self._say()

    def _enlarge(self, pane: SlicePane) -> None:
        """One slice alone, or all three again."""
        others = [other for other in self.panes.values() if other is not pane]
        alone = not others[0].isVisibleTo(self)
        for other in others:
            other.setVisible(alone)

    # ------------------------------------------------------------------ Qt

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Side by side where there is more width than height."""
        super().resizeEvent(event)
        wide = self.width() >= self.height()
        ways = QBoxLayout.Direction
        self._row.setDirection(ways.LeftToRight if wide else ways.TopToBottom)

    def showEvent(self, event: QShowEvent | None) -> None:
        """What happened meanwhile is shown now."""
        super().showEvent(event)
        if self._stale:
            self._refresh()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Nobody drags a landmark that nobody sees."""
        super().hideEvent(event)
        if self._dragged is not None:
            self._dragged, self._stale = None, True

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape is the viewer's: it stops picking."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            action = self.workbench.viewer.keymap.get("Escape")
            if callable(action):
                action(self.workbench.viewer)
                return
        super().keyPressEvent(event)

    def teardown(self) -> None:
        """Nothing outlives the window."""
        for pane in self.panes.values():
            pane.show_grid(None)
            pane.close()
