"""A correlation matrix as a grid of colours with their numbers."""

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QHelpEvent, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

_POSITIVE, _NEGATIVE = QColor("#E69F00"), QColor("#56B4E9")
_ROW_PIXELS = 20


class CorrelationGrid(QWidget):
    """Orange: together; blue: against each other; empty: apart.

    Parameters
    ----------
    names
        Of rows and columns.
    """

    def __init__(self, names: tuple[str, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = names
        self._values: npt.NDArray[np.float64] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def values(self) -> npt.NDArray[np.float64] | None:
        """What is shown."""
        return self._values

    def show_values(self, values: npt.NDArray[np.float64] | None) -> None:
        """Correlations in [-1, 1]; None: nothing."""
        self._values = values
        self.update()

    def sizeHint(self) -> QSize:
        """A row for each name and one for the titles."""
        return QSize(280, _ROW_PIXELS * (len(self._names) + 1))

    def minimumSizeHint(self) -> QSize:
        """Narrow docks are 250 pixels."""
        return QSize(200, _ROW_PIXELS * (len(self._names) + 1))

    def cell(self, row: int, column: int) -> QRectF:
        """Where a number is drawn; -1 is the row or column of titles."""
        first = self._first_width()
        wide = (self.width() - first) / len(self._names)
        tall = self.height() / (len(self._names) + 1)
        left = first + column * wide if column >= 0 else 0.0
        return QRectF(left, (row + 1) * tall, wide if column >= 0 else first, tall)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw."""
        painter = QPainter(self)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        font = painter.font()
        font.setPointSizeF(max(8.0, font.pointSizeF() - 2) if font.pointSizeF() > 0 else 8.0)
        painter.setFont(font)
        for i, name in enumerate(self._names):
            painter.setPen(ink)
            painter.drawText(self.cell(i, -1), Qt.AlignmentFlag.AlignVCenter, name)
            short = name if len(name) < 6 else name[:4] + "."
            painter.drawText(self.cell(-1, i), Qt.AlignmentFlag.AlignCenter, short)
            if self._values is None:
                continue
            for j in range(len(self._names)):
                value = float(self._values[i, j])
                place = self.cell(i, j).adjusted(1, 1, -1, -1)
                if i == j:
                    painter.setPen(ink)
                    painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "1")
                    continue
                colour = QColor(_POSITIVE if value > 0 else _NEGATIVE)
                colour.setAlphaF(min(1.0, abs(value)))
                painter.fillRect(place, colour)
                # Dark letters on strong colours, the theme's on faint ones.
                painter.setPen(QColor("black") if abs(value) > 0.55 else ink)
                number = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
                number = "0" if abs(value) < 0.05 else number  # no sign of what rounds to nothing
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, number)
        painter.end()

    def event(self, event: QEvent | None) -> bool:
        """A tooltip for every cell, in words."""
        if isinstance(event, QHelpEvent) and self._values is not None:
            text = self._words_at(event.pos())
            QToolTip.showText(event.globalPos(), text or self.toolTip(), self)
            return True
        return super().event(event)

    def _words_at(self, place: QPoint) -> str:
        assert self._values is not None
        n = len(self._names)
        for i in range(n):
            for j in range(n):
                if i != j and self.cell(i, j).contains(place.x(), place.y()):
                    value = float(self._values[i, j])
                    return f"{self._names[i]} and {self._names[j]}: correlation {value:+.2f}"
        return ""

    def _first_width(self) -> float:
        metrics = self.fontMetrics()
        return max(metrics.horizontalAdvance(name) for name in self._names) + 4.0
