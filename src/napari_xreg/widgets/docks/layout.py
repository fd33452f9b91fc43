"""Where our docks were left: remembered with the window, and there again in the next."""

from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_xreg.viewer import Layout, remember_layout, remembered_layout
from napari_xreg.widgets.docks.importing import import_ahead
from napari_xreg.widgets.docks.opening import dock_of, found_entry, opened_entry
from napari_xreg.widgets.docks.running import window_runs
from napari_xreg.widgets.docks.table import ENTRIES, Entry, entry_titled
from napari_xreg.widgets.docks.tabs import to_front

WIDTH = 370
"""Of the tabs, pixels, where nothing is remembered."""
_LOOK_MS = 20  # whether an import is done


def open_the_rest(viewer: Any, asked: QWidget) -> None:
    """The tabs that were open when the last window was closed, beside the first of this one.

    One in each turn of the event loop, when its code was imported: the window goes on meanwhile. After
    them the code of the tools is imported.

    Parameters
    ----------
    viewer
        Whose window.
    asked
        The widget that the user opened; it stays in front.
    """
    layout = remembered_layout()
    width = layout.width or WIDTH
    waiting = [
        entry
        for entry in map(entry_titled, layout.tabs)
        if entry is not None and entry.area == "right"
    ]

    def go_on() -> None:
        if getattr(asked, "torn_down", False):
            return
        front = dock_of(asked)
        if not imported.done():
            if front is not None:
                set_width(front, width)
            QTimer.singleShot(_LOOK_MS, go_on)
            return
        while waiting and _open(viewer, waiting[0]) is not None:
            waiting.pop(0)
        if waiting:
            opened.append(opened_entry(viewer, waiting.pop(0)))
            QTimer.singleShot(0, go_on)
            return
        # One that joins the tabs comes to the front of them.
        if any(getattr(widget, "joining", False) for widget in opened):
            QTimer.singleShot(_LOOK_MS, go_on)
            return
        if front is not None:
            set_width(front, width)
            to_front(front)
        import_ahead(entry for entry in ENTRIES if not entry.main)

    opened: list[QWidget] = []
    imported = import_ahead(waiting)
    QTimer.singleShot(0, go_on)


def keep(viewer: Any) -> None:
    """Remember how the tabs stand now; windows of scripts do not count."""
    if not window_runs():
        return
    docks = {
        entry.title: dock
        for entry in ENTRIES
        if entry.area == "right" and (dock := _open(viewer, entry)) is not None
    }
    tabs = tuple(title for title, dock in docks.items() if not dock.isFloating())
    if tabs:
        remember_layout(Layout(tabs, max(docks[title].width() for title in tabs)))


def set_width(dock: QDockWidget, width: int) -> None:
    """Make a dock, and with it the tabs it belongs to, so many pixels wide."""
    window = dock.parent()
    if isinstance(window, QMainWindow):
        window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)


def _open(viewer: Any, entry: Entry) -> QDockWidget | None:
    widget = found_entry(viewer, entry)
    return None if widget is None else dock_of(widget)
