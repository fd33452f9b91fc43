"""The Tools menu in the title bar of every dock of ours: the widgets that have no tab of their own."""

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QHBoxLayout, QLabel, QMenu, QToolButton, QWidget

from napari_xreg.widgets.docks.opening import found_entry, opened_entry
from napari_xreg.widgets.docks.table import ENTRIES
from napari_xreg.widgets.parts.data_buttons import entry as line

NAME = "napari_xreg_tools"
TIP = "Open another widget; those with a tick are open"


def furnish(viewer: Any, dock: QDockWidget) -> None:
    """Put the menu into the title bar, which napari makes anew whenever a dock floats or moves."""
    bar = dock.titleBarWidget()
    layout = None if bar is None else bar.layout()
    # A bar on its side, at the top and bottom of the window, has no room for words.
    if bar is None or not isinstance(layout, QHBoxLayout) or bar.findChild(QWidget, NAME):
        return
    button = QToolButton(bar)
    button.setObjectName(NAME)
    button.setText("Tools")
    button.setToolTip(TIP)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    button.setCursor(Qt.CursorShape.ArrowCursor)
    button.setStyleSheet("padding: 0px 10px 0px 4px;")
    menu = QMenu(button)
    menu.setToolTipsVisible(True)
    menu.aboutToShow.connect(lambda: fill(viewer, menu))
    button.setMenu(menu)
    layout.insertWidget(layout.count() - 2, button)  # before the line and the title
    title = bar.findChild(QLabel)
    if title is not None:  # "Pose (X-ray to CT registration)" would leave no room
        title.setText(dock.windowTitle())


def fill(viewer: Any, menu: QMenu) -> None:
    """A line for each widget, the main ones below: one of them may have been closed."""
    menu.clear()
    for main in (False, True):
        for entry in ENTRIES:
            if entry.main is not main:
                continue
            made = line(
                menu,
                entry.title,
                lambda entry=entry: opened_entry(viewer, entry),  # type: ignore[misc]
                entry.about,
            )
            made.setCheckable(True)
            made.setChecked(found_entry(viewer, entry) is not None)
        if not main:
            menu.addSeparator()
