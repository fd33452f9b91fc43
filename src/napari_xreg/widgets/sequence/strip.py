"""A strip with one colour for each frame of a sequence."""

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_xreg.session import FrameState, TrackedFrame

# Of Okabe and Ito: told apart by who sees no red or no green.
COLORS: Mapping[FrameState, str] = {
    FrameState.KEY: "#CC79A7",
    FrameState.TRACKED: "#009E73",
    FrameState.DOUBTFUL: "#E69F00",
    FrameState.OPEN: "#7F7F7F",
}
LEGEND = ", ".join(
    f"{words} {state.value}"
    for state, words in {
        FrameState.TRACKED: "green", FrameState.KEY: "pink", FrameState.DOUBTFUL: "orange",
        FrameState.OPEN: "grey",
    }.items()
)  # fmt: skip
_HEIGHT = 22


class FrameStrip(QWidget):
    """Frames side by side; a click chooses one."""

    chosen = Signal(int)
    """The number of the frame that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._numbers: tuple[int, ...] = ()
        self._frames: dict[int, TrackedFrame] = {}
        self._shown: int | None = None

    def sizeHint(self) -> QSize:
        """One row."""
        return QSize(260, _HEIGHT)

    def begin(self, numbers: Sequence[int]) -> None:
        """Frames of which nothing is known."""
        self._numbers, self._frames = tuple(numbers), {}
        self.update()

    def put(self, frame: TrackedFrame) -> None:
        """What became of a frame."""
        self._frames[frame.number] = frame
        self.update()

    def forget(self, number: int) -> None:
        """Nothing is known of a frame."""
        self._frames.pop(number, None)
        self.update()

    def show_frame(self, number: int | None) -> None:
        """Mark a frame as the one that is shown."""
        self._shown = number
        self.update()

    def color_of(self, number: int) -> str:
        """Of a frame, ``#rrggbb``."""
        frame = self._frames.get(number)
        return COLORS[FrameState.OPEN if frame is None else frame.state]

    def place_of(self, number: int) -> QPointF:
        """The middle of a frame's cell, in pixels of the widget."""
        return self._cell(self._numbers.index(number)).center()

    def _cell(self, place: int) -> QRectF:
        width = self.width() / max(1, len(self._numbers))
        return QRectF(place * width, 0.0, width, self.height())

    def _number_at(self, x: float) -> int | None:
        if not self._numbers or not 0 <= x < self.width():
            return None
        return self._numbers[int(x * len(self._numbers) / self.width())]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Cells, a gap between them where there is room, the shown one framed."""
        painter = QPainter(self)
        for place, number in enumerate(self._numbers):
            cell = self._cell(place)
            gap = 1.0 if cell.width() > 4 else 0.0
            color = QColor(self.color_of(number))
            if number not in self._frames:
                color.setAlpha(70)
            painter.fillRect(cell.adjusted(0, 4, -gap, -4), color)
            if number == self._shown:
                painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
                painter.drawRect(cell.adjusted(0, 1, -1, -2))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Choose."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        number = self._number_at(event.position().x())
        if number is not None:
            self.chosen.emit(number)

    def event(self, event: QEvent | None) -> bool:
        """A tooltip for each frame."""
        if isinstance(event, QHelpEvent):
            number = self._number_at(event.pos().x())
            if number is not None:
                QToolTip.showText(event.globalPos(), self.words_of(number), self)
                return True
        return super().event(event)

    def words_of(self, number: int) -> str:
        """What a frame is and why."""
        frame = self._frames.get(number)
        if frame is None:
            return f"frame {number}: not tracked yet"
        chance = "" if frame.probability is None else f", right: {100 * frame.probability:.0f} %"
        why = f"\n{frame.words}" if frame.words else ""
        return f"frame {number}: {frame.state.value}{chance}{why}"
