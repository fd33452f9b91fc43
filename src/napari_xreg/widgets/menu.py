"""The widgets as napari's menu opens them: the first one brings torch, and the window goes on meanwhile.

What the menu is given is small: a label, a thread that imports, and in the end the widget itself in its
place. Everything else (scripts, tests, a second widget) gets the widget at once.
"""

import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget, QLabel, QVBoxLayout, QWidget

from napari_xreg import widgets
from napari_xreg.progress import ahead
from napari_xreg.widgets.docks.running import window_runs

LOADING = "Loading …"
_importing: "Future[type[QWidget]] | None" = None


class Opening(QWidget):
    """Stands where a widget will be.

    Parameters
    ----------
    napari_viewer
        The viewer the widget is for.
    """

    def __new__(cls, napari_viewer: Any) -> Any:
        """The widget of this name itself, where nobody has to wait for it, or nobody could."""
        if not window_runs():
            return _widget(cls.__name__)(napari_viewer)
        if _imported() and _open_already(napari_viewer, cls.__name__) is None:
            return _with_the_rest(napari_viewer, cls.__name__)
        return super().__new__(cls)

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        global _importing
        self._viewer = napari_viewer
        self.then: list[Callable[[Any], object]] = []
        """Called with the widget, once it is there."""
        _importing = _importing or ahead(lambda: _widget(type(self).__name__))
        layout = QVBoxLayout(self)
        self.words = QLabel(LOADING)
        layout.addWidget(self.words)
        layout.addStretch()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(20)

    def _look(self) -> None:
        if _importing is None or not _importing.done():
            return
        self._timer.stop()
        error = _importing.exception()
        if error is not None:
            self.words.setText(f"This widget cannot be loaded: {error}")
            raise error
        # Not from here: a dock is not taken away while one of its own timers is at work.
        viewer, then, dock = self._viewer, self.then, self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        if dock is not None:
            QTimer.singleShot(0, lambda: _put(viewer, dock, type(self).__name__, then))


def when_open(viewer: Any, title: str, then: Callable[[Any], object]) -> None:
    """Open a widget as napari's menu does, or bring the open one to the front.

    Parameters
    ----------
    viewer
        Whose widget.
    title
        Of the widget in napari's menu and in the table of ours.
    then
        Called with it once it is there; not at all if it is closed before.
    """
    from napari_xreg.widgets.docks.opening import dock_of, found_entry
    from napari_xreg.widgets.docks.table import entry_titled
    from napari_xreg.widgets.docks.tabs import to_front

    entry = entry_titled(title)
    there = None if entry is None else found_entry(viewer, entry)
    if there is None:
        _, there = viewer.window.add_plugin_dock_widget("napari-xreg", title)
    if isinstance(there, Opening):
        there.then.append(then)
        return
    if (dock := dock_of(there)) is not None:
        to_front(dock)
    then(there)


def _put(viewer: Any, dock: Any, name: str, then: list[Callable[[Any], object]]) -> None:
    """The widget in the place of the label, or the one that is open already."""
    from napari_xreg.widgets.docks.opening import dock_of
    from napari_xreg.widgets.docks.tabs import to_front

    title = dock.name
    viewer.window.remove_dock_widget(dock)
    there = _open_already(viewer, name)
    if there is None:
        there = _with_the_rest(viewer, name)
        viewer.window.add_dock_widget(there, name=title)
    elif (opened := dock_of(there)) is not None:
        to_front(opened)
    for call in then:
        call(there)


def _with_the_rest(viewer: Any, name: str) -> QWidget:
    """The widget; with the first one in a window come the other main tabs."""
    from napari_xreg.widgets.docks.layout import open_the_rest
    from napari_xreg.widgets.docks.opening import found_entry
    from napari_xreg.widgets.docks.table import ENTRIES

    first = not any(found_entry(viewer, entry) for entry in ENTRIES)
    asked = _widget(name)(viewer)
    if first:
        open_the_rest(viewer, asked)
    return asked


def _open_already(viewer: Any, name: str) -> QWidget | None:
    from napari_xreg.widgets.docks.opening import found_entry
    from napari_xreg.widgets.docks.table import ENTRIES

    entry = next(entry for entry in ENTRIES if entry.widget == name)
    return found_entry(viewer, entry)


def _widget(name: str) -> type[QWidget]:
    kind: type[QWidget] = getattr(widgets, name)
    return kind


def _imported() -> bool:
    """Whether a widget of ours is; napari's readers bring torch alone."""
    there = "napari_xreg.widgets.docks.docked" in sys.modules
    return there and (_importing is None or _importing.done())


def __getattr__(name: str) -> type[Opening]:
    if name not in dir(widgets) or not name.endswith("Widget"):
        raise AttributeError(name)
    kind = type(name, (Opening,), {"__doc__": Opening.__doc__, "__module__": __name__})
    globals()[name] = kind
    return kind
