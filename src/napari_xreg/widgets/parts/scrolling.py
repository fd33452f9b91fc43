"""A column of controls that scrolls up and down, as every dock widget needs on a low screen."""

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QWidget


class _Column(QScrollArea):
    """Never narrower than what is inside and the scroll bar beside it: nothing is cut."""

    def minimumSizeHint(self) -> QSize:
        hint, inside, bar = super().minimumSizeHint(), self.widget(), self.verticalScrollBar()
        if inside is None or bar is None:
            return hint
        width = inside.minimumSizeHint().width() + bar.sizeHint().width()
        return QSize(max(hint.width(), width), hint.height())

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        # Qt asks a scroll area once; what is inside may grow when a part of it is opened.
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))


def scrolled(inside: QWidget) -> QScrollArea:
    """A frameless area around `inside` that grows with it and never scrolls sideways."""
    area = _Column()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(inside)
    return area
