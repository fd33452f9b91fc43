"""Another widget of the same viewer: the one that is open, or a new one."""

from typing import Any, TypeVar

from qtpy.QtWidgets import QDockWidget, QWidget

from napari_xreg import widgets
from napari_xreg.widgets.docks.table import Entry
from napari_xreg.widgets.docks.tabs import to_front

SomeWidget = TypeVar("SomeWidget", bound=QWidget)


def found(viewer: Any, kind: type[SomeWidget]) -> SomeWidget | None:
    """The open widget of this class, or None."""
    return next((w for w in _docked(viewer) if isinstance(w, kind)), None)


def opened(viewer: Any, kind: type[SomeWidget], name: str, *, area: str = "right") -> SomeWidget:
    """The open widget of this class, brought to the front; docked if there is none."""
    there = found(viewer, kind)
    if there is None:
        there = kind(viewer)
        viewer.window.add_dock_widget(there, name=name, area=area, tabify=area == "right")
    dock = dock_of(there)
    if dock is not None:
        to_front(dock)
    return there


def found_entry(viewer: Any, entry: Entry) -> QWidget | None:
    """The open widget of an entry, or None; nothing is imported for it."""
    return next((w for w in _docked(viewer) if type(w).__name__ == entry.widget), None)


def opened_entry(viewer: Any, entry: Entry) -> QWidget:
    """The widget of an entry, as `opened`."""
    kind: type[QWidget] = getattr(widgets, entry.widget)
    return opened(viewer, kind, entry.title, area=entry.area)


def dock_of(widget: QWidget) -> QDockWidget | None:
    """The dock that a widget is in."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


def _docked(viewer: Any) -> list[QWidget]:
    """Those of ours that are not closed, nor labels that stand where one will be."""
    bare = getattr(viewer, "__wrapped__", viewer)  # of napari's proxy every part is one
    return [w for w in dict(bare.window.dock_widgets).values() if not getattr(w, "torn_down", True)]
