"""Another widget of the same viewer: the one that is open, or a new one."""

from typing import TypeVar

from qtpy.QtWidgets import QDockWidget, QWidget

from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.docked import Docked

SomeWidget = TypeVar("SomeWidget", bound=Docked)


def opened(bench: Workbench, kind: type[SomeWidget], name: str) -> SomeWidget:
    """The open widget of this class, brought to the front; docked at the right if there is none."""
    window = bench.viewer.window
    for widget in dict(window.dock_widgets).values():
        if isinstance(widget, kind) and not widget.torn_down:
            _to_front(widget)
            return widget
    new = kind(bench.viewer)
    window.add_dock_widget(new, name=name, area="right", tabify=True)
    _to_front(new)
    return new


def _to_front(widget: QWidget) -> None:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    if isinstance(parent, QDockWidget):
        parent.show()
        parent.raise_()
