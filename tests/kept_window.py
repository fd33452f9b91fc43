"""One napari window for one test after another: put back as it was, or thrown away.

A window costs half a second, most of it shortcuts, menus and themes that no test of ours is about.
After a test the window is taken back: layers, docks, the workbench and what the model says go, and
it is compared with what it was when it was new. One that is not as new is closed, and the next
test gets another.
"""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QApplication, QDialog, QWidget


class KeptWindow:
    """The window, and how it was when it was new."""

    def __init__(self) -> None:
        self._made = 0
        self._viewer: Any = None
        self._app: Any = None
        self._new: dict[str, Any] = {}
        self._size: Any = None
        self._while_lent: ExitStack | None = None

    def lend(self, qtbot: Any, *, show: bool = False) -> Any:
        """A viewer as new; shown or not."""
        from napari.settings import get_settings

        get_settings().reset()
        if self._viewer is None:
            self._make()
        self._enter()
        viewer = self._viewer
        if show:
            viewer.window.show()
            qtbot.wait_exposed(viewer.window._qt_window, timeout=5000)
        return viewer

    def take_back(self) -> None:
        """Put it back as it was new; close it where that fails."""
        from napari.settings import get_settings

        if self._viewer is None:
            return
        try:
            get_settings().reset()
            sound = self._put_back()
        except BaseException:
            self.close()
            raise
        if not sound:
            self.close()
        self._leave()

    def close(self) -> None:
        """End the window; the next test gets another."""
        from app_model import Application
        from napari._qt.qt_viewer import QtViewer

        if self._viewer is None:
            return
        viewer, self._viewer = self._viewer, None
        self._enter()
        if hasattr(viewer.window, "_qt_window"):
            with patch.object(viewer.window._qt_window, "_save_current_window_settings"):
                viewer.close()
        self._leave()
        QtViewer._instances.clear()
        Application.destroy(self._app.name)
        self._app = None
        self._new = {}
        _delete_later()

    def _make(self) -> None:
        from napari import Viewer
        from napari._app_model._app import NapariApplication, _napari_names
        from napari._qt._qapp_model.qactions import init_qactions
        from napari._qt.qt_viewer import QtViewer
        from napari.plugins import _initialize_plugins

        self._made += 1
        self._app = NapariApplication(f"kept_{self._made}")
        self._app.injection_store.namespace = _napari_names
        _initialize_plugins.cache_clear()
        init_qactions.cache_clear()
        self._enter()
        self._viewer = Viewer(show=False, show_welcome_screen=False)
        # napari's own fixture, which other tests use, minds viewers that are alive.
        QtViewer._instances.discard(self._viewer.window._qt_viewer)
        self._new = _state(self._viewer)
        window = self._viewer.window._qt_window
        self._size = window.size()
        self._corners = {corner: window.corner(corner) for corner in Qt.Corner}

    def _enter(self) -> None:
        """What napari's fixture puts in the place of things while a test runs."""
        from napari._app_model._app import NapariApplication
        from napari._qt.qt_viewer import QtViewer
        from napari._qt.threads.status_checker import StatusChecker

        if self._while_lent is None:
            self._while_lent = ExitStack()
            for what, name, value in (
                (NapariApplication, "get_app_model", lambda: self._app),
                (StatusChecker, "start", lambda *_: None),
                (QtViewer, "_get_console", _no_console),
            ):
                self._while_lent.enter_context(patch.object(what, name, value))

    def _leave(self) -> None:
        if self._while_lent is not None:
            self._while_lent.close()
            self._while_lent = None

    def _put_back(self) -> bool:
        """Whether it is as new again."""
        from napari_xreg.widgets.jobs import workbench

        viewer, new = self._viewer, self._new
        if not hasattr(viewer.window, "_qt_window"):  # the test closed it
            return False
        window = viewer.window._qt_window
        for bench in [one for one in workbench._benches.values() if one.viewer is viewer]:
            bench.close()
        viewer.window.remove_dock_widget("all")
        viewer.layers.clear()
        window.hide()
        for dialog in window.findChildren(QDialog):
            dialog.close()
        model = new["model"]
        viewer.dims.ndisplay = 2
        viewer.dims.ndim = 2
        for part, values in (
            (viewer, {name: model[name] for name in ("title", "theme", "status", "help")}),
            (
                viewer.dims,
                {name: model["dims"][name] for name in ("order", "axis_labels", "units")},
            ),
            (viewer.cursor, model["cursor"]),
            (viewer.tooltip, model["tooltip"]),
            (viewer.scene.camera, model["scene"]["camera"]),
        ):
            for name, value in values.items():
                if getattr(part, name) != value:
                    setattr(part, name, value)
        _delete_later()
        window.resize(self._size)
        for corner, area in self._corners.items():
            window.setCorner(corner, area)
        return not differences(new, _state(viewer))


def differences(new: Any, now: Any, where: str = "") -> list[str]:
    """Names of what is not as it was."""
    if isinstance(new, dict) and isinstance(now, dict):
        keys = new.keys() | now.keys()
        return [
            name
            for key in sorted(keys, key=str)
            for name in differences(new.get(key), now.get(key), f"{where}.{key}")
        ]
    same = new is now or bool(np.all(np.asarray(new == now)))
    return [] if same else [f"{where}: {new!r} was, {now!r} is"]


def _state(viewer: Any) -> dict[str, Any]:
    """What a test may change."""
    window = viewer.window._qt_window
    models = {
        "viewer": viewer, "layers": viewer.layers, "selection": viewer.layers.selection,
        "dims": viewer.dims, "camera": viewer.scene.camera, "cursor": viewer.cursor,
        "canvas": viewer.canvas,
    }  # fmt: skip
    return {
        "model": _without_size(viewer.model_dump(exclude={"layers"})),
        "keys": dict(viewer.keymap),
        "mouse": {
            kind: list(getattr(viewer, f"mouse_{kind}_callbacks"))
            for kind in ("move", "drag", "wheel", "double_click")
        },
        "heard": {
            f"{name} {signal}": len(emitter.callbacks)
            for name, model in models.items()
            for signal, emitter in model.events.emitters.items()
        },
        "shown": window.isVisible(),
        "docked": sorted(viewer.window._wrapped_dock_widgets),
        "own": {name for name in vars(window) if not name.startswith("_")},
    }


def _without_size(model: dict[str, Any]) -> dict[str, Any]:
    """The canvas's follows the window's, which is set anew."""
    return model | {"canvas": {k: v for k, v in model["canvas"].items() if k != "size"}}


def _no_console(*_: object) -> QWidget:
    made: Any = QWidget()
    made._update_theme = lambda *_: None
    return made


def _delete_later() -> None:
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    QApplication.processEvents()
