"""Keys of the Sequence widget, as napari's own actions: they press its buttons."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtWidgets import QPushButton

from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.pose.shortcuts import Shortcut, answer_with, key_of

COPY, PASTE, KEEP = "sequence_copy", "sequence_paste", "sequence_keep"
SEQUENCE_SHORTCUTS = (
    Shortcut(COPY, "Shift-C", "X-ray to CT: copy the pose of the shown frame (Sequence)"),
    Shortcut(
        PASTE, "Shift-I", "X-ray to CT: paste the copied pose into the shown frame (Sequence)"
    ),
    Shortcut(KEEP, "Shift-K", "X-ray to CT: keep the pose of the shown frame (Sequence)"),
)

_open: "WeakKeyDictionary[Workbench, list[SequenceKeys]]" = WeakKeyDictionary()


class SequenceKeys:
    """Presses buttons, where they can be used; of several widgets in one viewer the newest is obeyed.

    Parameters
    ----------
    bench
        Of the viewer.
    buttons
        By the names of `SEQUENCE_SHORTCUTS`; their tips say the key.
    """

    def __init__(self, bench: Workbench, buttons: Mapping[str, QPushButton]) -> None:
        self._buttons = dict(buttons)
        self._others = _open.setdefault(bench, [])
        self._others.append(self)
        answer_with(_press, SEQUENCE_SHORTCUTS)
        for name, button in self._buttons.items():
            key = key_of(name)
            if key:
                button.setToolTip(f"{button.toolTip()} Key: {key}.")

    def press(self, name: str) -> None:
        """As the button does; one that cannot be used does nothing."""
        self._buttons[name].click()

    def close(self) -> None:
        """Obey no more."""
        if self in self._others:
            self._others.remove(self)


def _press(viewer: Any, name: str) -> None:
    bare = getattr(viewer, "__wrapped__", viewer)
    for bench, widgets in list(_open.items()):
        if bench.viewer is bare and not bench.closed and widgets:
            widgets[-1].press(name)
            return
