"""NCC of the last DRRs as a line: whether radiograph and DRR become more alike while a pose moves."""

from collections import deque

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_xreg.widgets.pose.similarity_reading import LINE_PIXELS

KEPT = 120
"""Pictures, of which the oldest goes."""
LAG_MS = 150
"""A DRR that is further behind the pose is said to lag."""
_LEAST_SPAN = 0.02  # of NCC: less is noise of another resolution, and is drawn as a level line
_LINE = "#56B4E9"  # of Okabe and Ito; to be seen on light and on dark
_HEIGHT = 34


class NccProfile(QWidget):
    """The line, its highest level dotted, and the present value; grey while the DRR lags.

    Drawn by hand: it is painted with every DRR of a drag, where a plot of pyqtgraph takes 5 ms.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Normalised cross-correlation (NCC) of radiograph and DRR, inside the mask, at "
            f"{LINE_PIXELS} pixels a side at most: of the last {KEPT} DRRs, the newest on the right; at most 1, "
            "higher is better. Dotted: the highest of them. Grey: the DRR is behind the pose."
        )
        self._values: deque[float] = deque(maxlen=KEPT)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(LAG_MS)
        self._late.timeout.connect(lambda: self._lag(True))
        self._lagging = False

    @property
    def values(self) -> tuple[float, ...]:
        """The newest last."""
        return tuple(self._values)

    @property
    def lagging(self) -> bool:
        """Whether it is grey."""
        return self._lagging

    def sizeHint(self) -> QSize:
        """Two lines of text."""
        return QSize(200, _HEIGHT)

    def put(self, ncc: float, *, again: bool) -> None:
        """Of the DRR that is shown now.

        Parameters
        ----------
        again
            It is of the same pose as the last one: its value takes the place of that.
        """
        if again and self._values:
            self._values.pop()
        self._values.append(ncc)
        self.update()

    def clear(self) -> None:
        """Another radiograph, mask or CT: what was no longer compares."""
        self._values.clear()
        self.update()

    def pose_moved(self) -> None:
        """The DRR is behind until `caught_up`; it lags if that takes long."""
        if not self._late.isActive() and not self._lagging:
            self._late.start()

    def caught_up(self, *, again_behind: bool) -> None:
        """A newer DRR is shown.

        Parameters
        ----------
        again_behind
            The pose has moved on meanwhile.
        """
        self._lag(False)
        if again_behind:
            self._late.start()
        else:
            self._late.stop()

    def _lag(self, lagging: bool) -> None:
        if lagging != self._lagging:
            self._lagging = lagging
            self.update()

    def close_timer(self) -> None:
        """For good."""
        self._late.stop()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Line to the left, number to the right."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        if self._lagging or not self._values:
            ink.setAlpha(110)
        painter.setPen(ink)
        number = f"{self._values[-1]:.3f}" if self._values else "—"
        room = painter.fontMetrics().horizontalAdvance("-0.000") + 6
        words = QRectF(self.width() - room, 0, room, self.height())
        painter.drawText(words, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, number)
        plot = QRectF(2, 4, self.width() - room - 6, self.height() - 8)
        line = self._line(plot)
        if line:
            best = min(point.y() for point in line)
            painter.setPen(QPen(_faint(ink), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(plot.left(), best), QPointF(plot.right(), best))
            color = QColor(ink if self._lagging else _LINE)
            painter.setPen(QPen(color, 1.5))
            painter.drawPolyline(QPolygonF(line))
            painter.setBrush(color)
            painter.drawEllipse(line[-1], 2.0, 2.0)

    def _line(self, plot: QRectF) -> list[QPointF]:
        """Newest at the right edge; as high as the values differ."""
        if not self._values:
            return []
        low, high = min(self._values), max(self._values)
        span = max(high - low, _LEAST_SPAN)
        low -= (span - (high - low)) / 2  # a level line runs in the middle
        first = KEPT - len(self._values)
        return [
            QPointF(
                plot.left() + plot.width() * (first + k) / (KEPT - 1),
                plot.bottom() - plot.height() * (value - low) / span,
            )
            for k, value in enumerate(self._values)
        ]


def _faint(color: QColor) -> QColor:
    faint = QColor(color)
    faint.setAlpha(min(color.alpha(), 90))
    return faint
