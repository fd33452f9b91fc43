"""Words under a control: where a value came from, what is loaded, what went wrong."""

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget


class SmallPrint(QLabel):
    """A label of smaller letters that wraps anywhere, so that a narrow dock cuts nothing.

    Parameters
    ----------
    text
        Plain text; what came from a file is never taken for markup.
    """

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setMinimumWidth(40)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # Relative to the theme's own letters: napari's themes set sizes and colours.
        self.setStyleSheet("font-size: 8pt;")
        self.setText(text)

    def minimumSizeHint(self) -> QSize:
        """One line: the height that wrapping needs follows from the width."""
        return QSize(40, self.fontMetrics().lineSpacing())

    def sizeHint(self) -> QSize:
        """As in a dock of usual width; Qt would ask for a tall, narrow block."""
        return QSize(260, self.heightForWidth(260))

    def setText(self, text: str | None) -> None:
        """Long names may break after what separates their parts."""
        text = text or ""
        for mark in ("_", "/", "\\"):
            text = text.replace(mark, mark + "\u200b")
        super().setText(text)
        self.setVisible(bool(text))

    @property
    def words(self) -> str:
        """The text without the places where it may break."""
        return self.text().replace("\u200b", "")
