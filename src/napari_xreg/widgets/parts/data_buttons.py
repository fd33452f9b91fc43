"""Buttons and menus that the widgets share."""

from collections.abc import Callable, Iterable

from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget


def button(text: str, tip: str, slot: Callable[[], object] | None = None) -> QPushButton:
    """A button that calls `slot`, if there is one yet, without arguments."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setMinimumWidth(40)
    if slot is not None:
        made.clicked.connect(lambda _=False: slot())
    return made


def menu_button(text: str, tip: str, fill: Callable[[QMenu], None]) -> QPushButton:
    """A button with a menu that `fill` makes anew whenever it is opened."""
    made = QPushButton(text)
    made.setToolTip(tip)
    menu = QMenu(made)
    menu.setToolTipsVisible(True)

    def refill() -> None:
        menu.clear()
        fill(menu)
        if menu.isEmpty():
            entry(menu, "nothing that fits", lambda: None).setEnabled(False)

    menu.aboutToShow.connect(refill)
    made.setMenu(menu)
    return made


def entry(menu: QMenu, text: str, slot: Callable[[], object], tip: str = "") -> QAction:
    """A line of a menu that calls `slot` without arguments."""
    action = QAction(text, menu)
    action.setToolTip(tip or text)
    action.triggered.connect(lambda _=False: slot())
    menu.addAction(action)
    return action


def row(widgets: Iterable[QWidget]) -> QHBoxLayout:
    """Side by side, sharing the width."""
    layout = QHBoxLayout()
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return layout
