"""Mouse and keys on the detector canvas: a pose is moved where it is seen.

Alt+drag, Shift+drag and Control+wheel belong to napari, and Up, Down, Left, Right without Shift.
"""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose, hand_moves
from napari_xreg.widgets.jobs.workbench import Workbench

MOUSE_WORDS = (
    "On the picture, with Control held: drag to shift, drag with the right button for depth; "
    "with Control and Shift: drag to rotate, with the right button to roll."
)
KEY_WORDS = (
    "Keys, by one step: Shift and arrows shift, Shift and Page Up or Down change depth; with "
    "Control and Shift they turn primary, secondary and roll. Control+Z and Control+Shift+Z undo "
    "and redo."
)

KEYS: dict[str, tuple[str, int]] = {
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

_open: "WeakKeyDictionary[Workbench, list[PoseMouse]]" = WeakKeyDictionary()
"""Of each viewer, in the order they came: the newest is the one that is obeyed."""

_WHY = {"shift": "drag", "turn": "rotation by hand", "depth": "depth by hand", "roll": "roll"}


class PoseMouse:
    """Moves the active radiograph's pose with the mouse, and by keys.

    Of several in one viewer the newest is obeyed; when it closes, the one before.

    Parameters
    ----------
    workbench
        Of the viewer.
    pivot
        The point rotations are about: world mm, or None for the one under the cursor.
    step
        Called for a key with the C-arm parameter and the direction.
    undo, redo
        Called for their keys.
    """

    def __init__(
        self,
        workbench: Workbench,
        *,
        pivot: Callable[[], Float[Tensor, "3"] | None],
        step: Callable[[str, int], None],
        undo: Callable[[], None],
        redo: Callable[[], None],
    ) -> None:
        self._bench = workbench
        self._pivot = pivot
        self._calls: dict[str, Callable[[], None]] = {
            key: partial(step, name, direction) for key, (name, direction) in KEYS.items()
        }
        self._calls |= {"Control-Z": undo, "Control-Shift-Z": redo}
        self._mice = _open.setdefault(workbench, [])
        self._mice.append(self)
        viewer = workbench.viewer
        # The very same object each time: a bound method is made anew by every look-up.
        self._drag_callback = self._on_drag
        viewer.mouse_drag_callbacks.append(self._drag_callback)
        self._bound: list[Callable[[Any], None]] = []
        self._bind_keys()

    def close(self) -> None:
        """Take callbacks and keys off the viewer."""
        if self not in self._mice:
            return
        self._mice.remove(self)
        viewer = self._bench.viewer
        if self._drag_callback in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._drag_callback)
        ours = set(map(id, self._bound))
        for key in [key for key, action in viewer.keymap.items() if id(action) in ours]:
            del viewer.keymap[key]
        self._bound.clear()
        if self._mice:
            self._mice[-1]._bind_keys()

    def _bind_keys(self) -> None:
        self._bound.clear()
        for key, call in self._calls.items():

            def action(viewer: Any, call: Callable[[], None] = call) -> None:
                call()

            self._bench.viewer.bind_key(key, action, overwrite=True)
            self._bound.append(action)

    def _on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if self is not self._mice[-1]:
            return
        session, canvas = self._bench.session, self._bench.canvas
        kind = _kind(event)
        carm = canvas.carm
        if (
            kind is None
            or carm is None
            or session.poses.current is None
            or viewer.dims.ndisplay != 2
        ):
            return
        start, began = session.poses.current, _pixel(event, carm)
        pivot = self._pivot_at(kind, start, carm, began)
        event.handled = True
        moved = False

        def follow() -> bool:
            """False where the radiograph went while it was held."""
            if session.exposures.active is None or canvas.carm is not carm:
                return False
            now = _pixel(event, carm)
            session.poses.move(_moved(kind, start, carm, began, now, pivot))
            return True

        try:
            yield
            while event.type == "mouse_move":
                event.handled = True
                if not moved:
                    moved = True
                    self._bench.preview.begin_drag()
                if not follow():
                    return
                yield
            # Moves come at most every 10 ms (vispy): where it was let go is known only now.
            if moved:
                follow()
        finally:
            if moved:
                self._bench.preview.end_drag()
                if session.exposures.active is not None:
                    session.poses.record(_WHY[kind])

    def _pivot_at(
        self, kind: str, pose: Pose, carm: CArm, pixel: hand_moves.Pixel
    ) -> Float[Tensor, "3"]:
        isocenter = self._bench.session.patient.isocenter
        if kind == "shift":
            return isocenter
        chosen = self._pivot()
        if chosen is not None:
            return chosen
        # Rolling about the point under the cursor would turn nothing that the cursor could show.
        return isocenter if kind == "roll" else hand_moves.point_under(pose, carm, pixel, isocenter)


def _kind(event: Any) -> str | None:
    """What a drag with these buttons and modifiers does."""
    held = {str(getattr(key, "name", key)) for key in event.modifiers}
    if held == {"Control"}:
        return {1: "shift", 2: "depth"}.get(event.button)
    if held == {"Control", "Shift"}:
        return {1: "turn", 2: "roll"}.get(event.button)
    return None


def _pixel(event: Any, carm: CArm) -> hand_moves.Pixel:
    """Row and column under the cursor; the canvas is in mm (see `DetectorCanvas`)."""
    row_mm, column_mm = event.position[-2:]
    s_row, s_column = carm.detector.spacing
    return float(row_mm) / s_row, float(column_mm) / s_column


def _moved(
    kind: str,
    start: Pose,
    carm: CArm,
    began: hand_moves.Pixel,
    now: hand_moves.Pixel,
    pivot: Float[Tensor, "3"],
) -> Pose:
    if kind == "depth":
        return hand_moves.deepened(start, carm, began, now)
    move = {"shift": hand_moves.shifted, "turn": hand_moves.turned, "roll": hand_moves.rolled}[kind]
    return move(start, carm, began, now, pivot)
