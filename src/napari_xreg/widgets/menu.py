"""The widgets as napari's menu opens them: the first one brings torch, and the window goes on meanwhile.

What the menu is given is small: a label, a thread that imports, and in the end the widget itself in its
place. Everything else (scripts, tests, a second widget) gets the widget at once.
"""

import sys
from concurrent.futures import Future
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QVBoxLayout, QWidget

from napari_xreg import widgets
from napari_xreg.progress import ahead

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
        if _imported() or not _window_runs():
            return _widget(cls.__name__)(napari_viewer)
        return super().__new__(cls)

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        global _importing
        self._viewer = napari_viewer
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
        viewer, dock = self._viewer, self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        if dock is not None:
            QTimer.singleShot(0, lambda: _put(viewer, dock, type(self).__name__))


def _put(viewer: Any, dock: Any, name: str) -> None:
    """The widget in the place of the label."""
    title = dock.name
    viewer.window.remove_dock_widget(dock)
    viewer.window.add_dock_widget(_widget(name)(viewer), name=title)


def _widget(name: str) -> type[QWidget]:
    kind: type[QWidget] = getattr(widgets, name)
    return kind


def _imported() -> bool:
    return "torch" in sys.modules and (_importing is None or _importing.done())


def _window_runs() -> bool:
    """Whether somebody waits at a window: a script that builds one goes on with what it opened."""
    app = QApplication.instance()
    thread = None if app is None else app.thread()
    return thread is not None and thread.loopLevel() > 0


def __getattr__(name: str) -> type[Opening]:
    if name not in dir(widgets) or not name.endswith("Widget"):
        raise AttributeError(name)
    kind = type(name, (Opening,), {"__doc__": Opening.__doc__, "__module__": __name__})
    globals()[name] = kind
    return kind
