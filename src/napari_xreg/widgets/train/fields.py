"""Small controls of the Train form."""

from collections.abc import Callable

from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QWidget,
)


def combo(entries: dict[str, str]) -> QComboBox:
    """Choices with an explanation each, which is the tooltip."""
    made = QComboBox()
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    made.setMinimumContentsLength(8)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    made.currentTextChanged.connect(lambda text: made.setToolTip(entries.get(text, "")))
    made.addItems(list(entries))
    return made


def allow(combo: QComboBox, text: str, allowed: bool) -> None:
    """Grey out an entry; one that is chosen gives way to the first."""
    model = combo.model()
    assert isinstance(model, QStandardItemModel)
    item = model.item(combo.findText(text))
    assert item is not None
    item.setEnabled(allowed)
    if not allowed and combo.currentText() == text:
        combo.setCurrentIndex(0)


def path_line(hint: str, tip: str, choose: Callable[[], object]) -> tuple[QLineEdit, QWidget]:
    """A line for a path with a button beside it, and what holds both."""
    line = QLineEdit()
    line.setPlaceholderText(hint)
    line.setToolTip(tip)
    line.setMinimumWidth(60)
    button = QPushButton("…")
    button.setToolTip("Choose.")
    button.setFixedWidth(28)
    button.clicked.connect(lambda _=False: choose())
    both = QWidget()
    layout = QHBoxLayout(both)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    layout.addWidget(line, 1)
    layout.addWidget(button)
    return line, both
