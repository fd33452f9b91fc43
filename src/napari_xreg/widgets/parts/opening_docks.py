"""Another widget of the same viewer: the one that is open, or a new one."""

from typing import TypeVar

from qtpy.QtWidgets import QDockWidget, QWidget

from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.docked import Docked

SomeWidget = TypeVar("SomeWidget", bound=Docked)


def found(bench: Workbench, kind: type[SomeWidget]) -> SomeWidget | None:
    """The open widget of this class, or None."""
    widgets = dict(bench.viewer.window.dock_widgets).values()
    return next((w for w in widgets if isinstance(w, kind) and not w.torn_down), None)


def opened(
    bench: Workbench, kind: type[SomeWidget], name: str, *, area: str = "right"
) -> SomeWidget:
    """The open widget of this class, brought to the front; docked if there is none."""
    there = found(bench, kind)
    if there is not None:
        _to_front(there)
        return there
    new = kind(bench.viewer)
    bench.viewer.window.add_dock_widget(new, name=name, area=area, tabify=area == "right")
    _to_front(new)
    return new


def _to_front(widget: QWidget) -> None:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    if isinstance(parent, QDockWidget):
        parent.show()
        parent.raise_()
