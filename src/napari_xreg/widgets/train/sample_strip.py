"""Small pictures side by side, each with a line of words."""

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QHelpEvent, QImage, QPainter, QPaintEvent, QPalette
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_xreg.workflows import TrainingSample

_COLUMNS = 4
_GAP = 4
_MASKED = QColor("#8a2f2f")


class SampleStrip(QWidget):
    """A grid of samples: image, primary and secondary angle; more in the tooltip of each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._samples: list[TrainingSample] = []
        self._pictures: list[QImage] = []
        self._stale = False
        self._words = ""
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    @property
    def samples(self) -> Sequence[TrainingSample]:
        """What is shown."""
        return tuple(self._samples)

    @property
    def stale(self) -> bool:
        """Whether others are on their way."""
        return self._stale

    def show_samples(self, samples: Sequence[TrainingSample]) -> None:
        """Show these."""
        self._samples = list(samples)
        self._pictures = [_picture(sample) for sample in samples]
        self._stale, self._words = False, ""
        self._fit()

    def wait(self) -> None:
        """Others are on their way: dim those shown."""
        self._stale = True
        self._words = "" if self._samples else "Rendering …"
        self.update()

    def say(self, words: str) -> None:
        """Words instead of pictures."""
        self._samples, self._pictures, self._words, self._stale = [], [], words, False
        self._fit()

    def hasHeightForWidth(self) -> bool:
        """Pictures are as wide as there is room for."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Of all rows."""
        rows = -(-max(len(self._pictures), 1) // _COLUMNS)
        return rows * self._cell(width).height()

    def sizeHint(self) -> QSize:
        """In a dock of usual width."""
        return QSize(280, self.heightForWidth(280))

    def resizeEvent(self, event: object) -> None:
        """Other pictures need another height."""
        self._fit()

    def _fit(self) -> None:
        """A layout would ask for the height only now and then."""
        height = self.heightForWidth(self.width())
        if self.minimumHeight() != height:
            self.setFixedHeight(height)
        self.update()

    def _cell(self, width: int) -> QSize:
        """Picture and its words."""
        side = max(16, (width - (_COLUMNS - 1) * _GAP) // _COLUMNS)
        high = side
        if self._pictures:
            first = self._pictures[0]
            high = round(side * first.height() / max(1, first.width()))
        return QSize(side, high + self.fontMetrics().lineSpacing() + 2)

    def _places(self) -> list[QRect]:
        cell = self._cell(self.width())
        across, down = cell.width() + _GAP, cell.height()
        return [
            QRect(QPoint(i % _COLUMNS * across, i // _COLUMNS * down), cell)
            for i in range(len(self._pictures))
        ]

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Pictures, or words."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        if self._words:
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(QRectF(self.rect()), int(flags), self._words)
        if self._stale:
            painter.setOpacity(0.45)
        font = painter.font()
        font.setPointSizeF(max(6.5, font.pointSizeF() * 0.8))
        painter.setFont(font)
        line = self.fontMetrics().lineSpacing() + 2
        for place, picture, sample in zip(
            self._places(), self._pictures, self._samples, strict=True
        ):
            image = QRect(place.topLeft(), QSize(place.width(), place.height() - line))
            painter.drawImage(image, picture)
            below = QRect(place.left(), image.bottom() + 1, place.width(), line)
            words = f"{sample.pose.primary_deg:.0f}° {sample.pose.secondary_deg:.0f}°"
            painter.drawText(below, int(Qt.AlignmentFlag.AlignHCenter), words.replace("-", "−"))
        painter.end()

    def event(self, event: QEvent | None) -> bool:
        """A tooltip of its own for each picture."""
        if isinstance(event, QHelpEvent):
            for place, sample in zip(self._places(), self._samples, strict=True):
                if place.contains(event.pos()):
                    QToolTip.showText(event.globalPos(), words_of(sample), self)
                    return True
        return super().event(event)


def words_of(sample: TrainingSample) -> str:
    """Pose and patient."""
    pose = sample.pose
    x, y, depth = pose.offset_mm
    text = (
        f"{sample.patient}: primary {pose.primary_deg:.1f}°, secondary {pose.secondary_deg:.1f}°, "
        f"roll {pose.roll_deg:.1f}°, offset {x:.0f}, {y:.0f}, {depth:.0f} mm (camera x, y, depth)"
    )
    masked = 100 * float(1 - sample.mask.mean())
    if masked >= 1:
        text += f"; {masked:.0f} % behind a collimator"
    return text.replace("-", "−")


def _picture(sample: TrainingSample) -> QImage:
    """Grey; reddish where the network is told to look away."""
    rgb = np.repeat(sample.grey[..., None], 3, axis=2)
    rgb[~sample.mask] = (_MASKED.red(), _MASKED.green(), _MASKED.blue())
    rows, columns = sample.grey.shape
    data = np.ascontiguousarray(rgb).tobytes()
    return QImage(data, columns, rows, 3 * columns, QImage.Format.Format_RGB888).copy()
