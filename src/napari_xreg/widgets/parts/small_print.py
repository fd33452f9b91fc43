"""Words under a control: where a value came from, what is loaded, what went wrong."""

import re

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

# A number and its unit, rows and columns.
_TOGETHER = re.compile(r"(?<=[0-9]) (?=(?:mm|px|HU|ms|s|min|GB|MB)\b|[%°×])|(?<=×) (?=[0-9])")


class SmallPrint(QLabel):
    """A label of smaller letters that wraps anywhere, so that a narrow dock cuts nothing.

    Parameters
    ----------
    text
        Plain text; what came from a file is never taken for markup.
    lines
        Room for so many, full or empty: nothing below moves when words come and go. 0: as much as
        the text needs, and none for no text.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None, *, lines: int = 0) -> None:
        super().__init__(parent)
        self._lines = lines
        self._said = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setMinimumWidth(40)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if lines:
            self.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            self.setIndent(0)  # Qt's own counts from the top as well
            self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.show_color()
        self.setText(text)

    def minimumSizeHint(self) -> QSize:
        """One line: the height that wrapping needs follows from the width."""
        return QSize(40, max(self._lines, 1) * self.fontMetrics().lineSpacing() + 2)

    def sizeHint(self) -> QSize:
        """As in a dock of usual width; Qt would ask for a tall, narrow block."""
        if self._lines:
            return QSize(260, self.minimumSizeHint().height())
        return QSize(260, self.heightForWidth(260))

    def heightForWidth(self, width: int) -> int:
        """Its room, where it has one: a label that wraps is else as high as its words."""
        return self.minimumSizeHint().height() if self._lines else super().heightForWidth(width)

    def setText(self, text: str | None) -> None:
        """Long names may break after what separates their parts."""
        text = _TOGETHER.sub("\u00a0", text or "")  # stay on one line
        for mark in ("_", "/", "\\"):
            text = text.replace(mark, mark + "\u200b")
        super().setText(text)
        if not self._lines:
            self.setVisible(bool(text))
        elif self.toolTip() in ("", self._said):
            self.setToolTip(text)  # all of it, where it is longer than its room
            self._said = text

    def show_color(self, color: str = "") -> None:
        """The words in a colour, ``#rrggbb``; empty: that of the theme."""
        # Relative to the theme's own letters: napari's themes set sizes and colours.
        self.setStyleSheet("font-size: 8pt;" + (f" color: {color};" if color else ""))

    @property
    def words(self) -> str:
        """The text without the places where it may break."""
        return self.text().replace("\u200b", "").replace("\u00a0", " ")
