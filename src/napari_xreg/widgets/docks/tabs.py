"""The tabs of our docks: the main ones first, titles never cut; tools that find no room step aside."""

from collections.abc import Sequence
from itertools import count

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabBar, QWidget

from napari_xreg.widgets.docks.table import ENTRIES, entry_of

_TURN = "napari_xreg_turn"  # when a dock last came to the front
_turns = count(1)
_ORDER = {entry.title: place for place, entry in enumerate(ENTRIES)}


def join(window: QMainWindow, dock: QDockWidget, beside: Sequence[QDockWidget]) -> None:
    """A dock among the tabs of others, in the order of `ENTRIES`.

    Parameters
    ----------
    window
        That holds them all.
    dock
        The new one; it comes to the front.
    beside
        Those of ours on the same side.
    """
    every = sorted((*beside, dock), key=lambda one: _ORDER.get(title_of(one), len(_ORDER)))
    wanted = [one for one in every if not one.isHidden() or one is dock]
    if [title_of(one) for one in wanted] != tabs_of(window, dock):
        for one in wanted[1:]:
            window.tabifyDockWidget(wanted[0], one)
    to_front(dock)


def to_front(dock: QDockWidget) -> None:
    """Show a dock before the others of its tabs; where they are too many, the tools that were not
    looked at for longest are hidden (the Tools menu has them).
    """
    dock.setProperty(_TURN, next(_turns))
    dock.show()
    dock.raise_()
    window = dock.parent()
    if not isinstance(window, QMainWindow):
        return
    bar = _bar_of(window, dock)
    if bar is None:
        return
    bar.setElideMode(Qt.TextElideMode.ElideNone)
    bar.setUsesScrollButtons(True)
    widths = {bar.tabText(k): bar.tabRect(k).width() for k in range(bar.count())}
    beside = window.tabifiedDockWidgets(dock)
    tools = [one for one in beside if title_of(one) in widths and _is_tool(one)]
    if not window.isVisible():  # nothing has its size yet
        return
    tools.sort(key=lambda one: one.property(_TURN) or 0)
    while tools and sum(widths.values()) > bar.width():
        aside = tools.pop(0)
        del widths[title_of(aside)]
        aside.hide()


def tabs_of(window: QMainWindow, dock: QDockWidget) -> list[str]:
    """The titles beside a dock and its own, as they stand there; none where it is alone."""
    bar = _bar_of(window, dock)
    return [] if bar is None else [bar.tabText(place) for place in range(bar.count())]


def title_of(dock: QDockWidget) -> str:
    """Of its tab."""
    return str(dock.windowTitle())


def _is_tool(dock: QDockWidget) -> bool:
    """By the class of what is in it: another plugin's dock may have the title of one of ours."""
    entries = (entry_of(type(child)) for child in dock.findChildren(QWidget))
    return any(entry is not None and not entry.main for entry in entries)


def _bar_of(window: QMainWindow, dock: QDockWidget) -> QTabBar | None:
    """The bar that holds the tab of a dock: Qt makes it, and says not which one it is."""
    title = title_of(dock)
    for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
        if title in [bar.tabText(k) for k in range(bar.count())]:
            return bar
    return None
