"""Keys of the canvas as napari's own actions: listed and changed under Preferences, Shortcuts.

None of them is a key of napari's (`napari.utils.shortcuts`, and those of its menus, as Alt+C for
a screenshot): neither shadows the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.action_manager import action_manager
from napari.utils.interactions import KEY_SYMBOLS


@dataclass(frozen=True)
class Shortcut:
    """One action.

    Parameters
    ----------
    name
        Of the action, without the plugin's.
    key
        To begin with, as napari writes it.
    words
        As Preferences list it.
    repeats
        Whether a key that is held down goes on.
    """

    name: str
    key: str
    words: str
    repeats: bool = False


STEPS: dict[str, tuple[str, int]] = {
    "Shift-Right": ("x", 1),
    "Shift-Left": ("x", -1),
    "Shift-Down": ("y", 1),
    "Shift-Up": ("y", -1),
    "Shift-PageUp": ("depth", 1),
    "Shift-PageDown": ("depth", -1),
    "Control-Shift-Right": ("primary", 1),
    "Control-Shift-Left": ("primary", -1),
    "Control-Shift-Up": ("secondary", 1),
    "Control-Shift-Down": ("secondary", -1),
    "Control-Shift-PageUp": ("roll", 1),
    "Control-Shift-PageDown": ("roll", -1),
}
"""Key, the C-arm parameter it changes, and in which direction the picture or the angle goes."""

PRESETS = ("blend", "edges", "difference", "checkerboard", "swipe")
"""Overlays with a key each: Alt and 1 to 5."""

SHORTCUTS = (
    *(
        Shortcut(
            f"{name}_{'more' if way > 0 else 'less'}",
            key,
            f"X-ray to CT: {name} {'up' if way > 0 else 'down'} by one step",
            repeats=True,
        )
        for key, (name, way) in STEPS.items()
    ),
    Shortcut("undo", "Control-Z", "X-ray to CT: undo"),
    Shortcut("redo", "Control-Shift-Z", "X-ray to CT: redo"),
    *(
        Shortcut(f"show_{mode}", f"Alt-{number}", f"X-ray to CT: show {mode}")
        for number, mode in enumerate(PRESETS, start=1)
    ),
    Shortcut("flip", "Alt-B", "X-ray to CT: radiograph or DRR, by turns (blink)"),
    Shortcut("compare", "Alt-N", "X-ray to CT: compare start, result and current pose"),
)

_answered_by: dict[str, Callable[[Any, str], None]] = {}


def answer_with(
    call: Callable[[Any, str], None], shortcuts: tuple[Shortcut, ...] = SHORTCUTS
) -> None:
    """Register actions, once; `call` is given the viewer and the name of the action."""
    if shortcuts[0].name in _answered_by:
        return
    _answered_by.update({shortcut.name: call for shortcut in shortcuts})
    for key, symbol in (("PageUp", "PgUp"), ("PageDown", "PgDn")):
        KEY_SYMBOLS.setdefault(key, symbol)  # napari (0.9) binds them and warns that they are none
    chosen = get_settings().shortcuts.shortcuts
    for shortcut in shortcuts:
        name = f"napari_xreg:{shortcut.name}"
        action_manager.register_action(
            name, _command(shortcut.name), shortcut.words, ViewerModel, shortcut.repeats
        )
        for key in chosen.get(name, [shortcut.key]):
            action_manager.bind_shortcut(name, key)


def key_of(name: str) -> str:
    """The key of an action as it is now, for tooltips; empty where the user took it away."""
    keys = action_manager._shortcuts.get(f"napari_xreg:{name}", [])
    return str(keys[0]).replace("-", "+") if keys else ""


def _command(name: str) -> Callable[[Any], None]:
    def command(viewer: ViewerModel) -> None:
        _answered_by[name](viewer, name)

    return command
