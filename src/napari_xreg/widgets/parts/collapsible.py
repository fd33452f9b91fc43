"""A heading that opens and closes what stands under it."""

from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap, QPolygonF
from qtpy.QtWidgets import QWidget
from superqt import QCollapsible

_SIZE, _SCALE = 12, 2  # of the arrow, in pixels of the layout, and finer ones of a dense screen
_ARROWS = {
    "collapsed": ((3.5, 1.5), (9.5, 6.0), (3.5, 10.5)),
    "expanded": ((1.5, 3.5), (10.5, 3.5), (6.0, 9.5)),
}


class Collapsible(QCollapsible):
    """Closed at first, its content as wide as itself: in a narrow dock every pixel counts.

    Its arrow points to the right while it is closed, and has the colour of the theme's letters
    (superqt's points upwards, and is black in every theme).

    Parameters
    ----------
    title
        On the heading.
    content
        What is opened and closed.
    """

    def __init__(self, title: str, content: QWidget) -> None:
        super().__init__(title)
        self.addWidget(content)
        for layout in (self.layout(), self.content().layout()):
            if layout is not None:
                layout.setContentsMargins(0, 2, 0, 2)
        self._ink = QColor()
        self._retheme()

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_ink"):
            self._retheme()

    def _retheme(self) -> None:
        ink = self.toggleButton().palette().color(QPalette.ColorRole.ButtonText)
        if ink != self._ink:
            self._ink = ink
            self.setCollapsedIcon(_arrow("collapsed", ink))
            self.setExpandedIcon(_arrow("expanded", ink))


def _arrow(way: str, color: QColor) -> QIcon:
    pixmap = QPixmap(_SIZE * _SCALE, _SIZE * _SCALE)
    pixmap.setDevicePixelRatio(_SCALE)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in _ARROWS[way]]))
    painter.end()
    return QIcon(pixmap)
