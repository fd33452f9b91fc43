"""A dock widget that cleans up after itself."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from napari_xreg.widgets.docks.kept_words import KeptWords
from napari_xreg.widgets.docks.opening import dock_of
from napari_xreg.widgets.docks.table import entry_of
from napari_xreg.widgets.docks.tabs import join
from napari_xreg.widgets.docks.tools_menu import furnish
from napari_xreg.widgets.jobs.workbench import Workbench, workbench_of


class Docked(QWidget):
    """Base of the dock widgets.

    napari (0.9) never sends a docked widget a close event: its X button only takes the widget out
    of the window, and the menu then makes a new one while the old lives on. So `teardown` runs when
    the widget leaves its dock, or just before its viewer goes; once, with Qt still alive.

    napari's menu puts a new dock below the others, where little room is left. Ours become tabs.

    Parameters
    ----------
    napari_viewer
        The viewer, or napari's proxy of it.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.workbench: Workbench = workbench_of(napari_viewer)
        self._at_end: list[Callable[[], object]] = []
        self._kept_words: KeptWords | None = None
        self._docked = self._torn_down = False
        self._joining = QTimer(self)  # once napari has put the new dock somewhere
        self._joining.setSingleShot(True)
        self._joining.timeout.connect(self._join_the_others)
        self._furnishing = QTimer(self)
        self._furnishing.setSingleShot(True)
        self._furnishing.timeout.connect(self._furnish)
        self.listen(self.workbench.closing, self.tear_down)
        self.listen(self.workbench.session.history_changed, self._forget_words)

    @property
    def torn_down(self) -> bool:
        """True once the widget has let go of session and viewer."""
        return self._torn_down

    @property
    def joining(self) -> bool:
        """Whether it is docked, and not yet among the tabs of the others."""
        return self._joining.isActive()

    def listen(self, signal: Any, slot: Callable[..., object]) -> None:
        """Connect a psygnal or Qt signal until the widget goes."""
        signal.connect(slot)
        self._at_end.append(lambda: signal.disconnect(slot))

    def at_end(self, call: Callable[[], object]) -> None:
        """Call this when the widget goes; the last given is the first called."""
        self._at_end.append(call)

    def keep_words(self, words: str, *, error: bool) -> None:
        """Keep a sentence in sight until the next action: a button, or a change of the session.

        Parameters
        ----------
        words
            What went wrong, or what the user should know.
        error
            Whether nothing was done; a warning otherwise.
        """
        kept, layout = self._kept_words, self.layout()
        if kept is None and isinstance(layout, QVBoxLayout):
            kept = self._kept_words = KeptWords(self)
            # Under what scrolls: neither what stands above nor a row of buttons at the foot moves.
            places = (k for k in range(layout.count()) if isinstance(_at(layout, k), QScrollArea))
            layout.insertWidget(next(places, layout.count() - 1) + 1, kept)
        if kept is not None:
            kept.keep(words, error=error)

    def teardown(self) -> None:
        """Stop timers and jobs, remove callbacks. For subclasses."""

    def tear_down(self) -> None:
        """Let go of everything now; harmless when repeated."""
        if self._torn_down:
            return
        self._torn_down = True
        try:
            self.teardown()
        finally:
            for call in reversed(self._at_end):
                try:
                    call()
                except (RuntimeError, TypeError, ValueError):
                    # The other side has gone already: nothing is left to disconnect from.
                    continue
            self._at_end.clear()

    def event(self, event: QEvent | None) -> bool:
        """Notice being docked and being taken out of the dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                if not self._docked:
                    self._joining.start(0)
                self._docked = True
            elif self._docked:
                self.tear_down()
        return super().event(event)

    def _join_the_others(self) -> None:
        """Into the tabs of the widgets of ours that stand on the same side of the window."""
        dock = dock_of(self)
        window = None if dock is None else dock.parent()
        if dock is None or self._torn_down or not isinstance(window, QMainWindow):
            return
        # napari adds the name of the plugin: too long for a tab.
        entry, given = entry_of(type(self)), str(dock.windowTitle())
        dock.setWindowTitle(given.split(" (")[0] if entry is None else entry.title)
        self._furnish()
        dock.topLevelChanged.connect(self._title_bar_changes)
        dock.dockLocationChanged.connect(self._title_bar_changes)
        # Tabs as high as the window; what stands below shares the width with the canvas.
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        area = window.dockWidgetArea(dock)
        beside = [
            other
            for other in window.findChildren(QDockWidget)
            if other is not dock
            and not other.isFloating()
            and window.dockWidgetArea(other) == area
            and any(not widget.torn_down for widget in other.findChildren(Docked))
        ]
        if beside and not dock.isFloating():
            join(window, dock, beside)

    def _forget_words(self) -> None:
        if self._kept_words is not None:
            self._kept_words.forget()

    def _title_bar_changes(self, *_: object) -> None:
        self._furnishing.start(0)  # once napari has made another title bar

    def _furnish(self) -> None:
        dock = dock_of(self)
        if dock is not None and not self._torn_down:
            furnish(self.workbench.viewer, dock)


def _at(layout: QVBoxLayout, place: int) -> QWidget | None:
    item = layout.itemAt(place)
    return None if item is None else item.widget()
