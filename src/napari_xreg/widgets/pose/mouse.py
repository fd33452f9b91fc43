"""Mouse and keys on the detector canvas: a pose is moved where it is seen.

Alt+drag, Shift+drag and Control+wheel belong to napari, and Up, Down, Left, Right without Shift.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose, hand_moves
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.pose.shortcuts import STEPS, answer_with

MOUSE_WORDS = (
    "On the picture, with Control held: drag to shift, drag with the right button for depth; "
    "with Control and Shift: drag to rotate, with the right button to roll. With Handles: drag the cross to "
    "shift, the ring to roll."
)
KEY_WORDS = (
    "Keys, by one step: Shift and arrows shift, Shift and Page Up or Down change depth; with "
    "Control and Shift they turn primary, secondary and roll. Control+Z and Control+Shift+Z undo "
    "and redo. Alt+1 to Alt+5: blend, edges, difference, checkerboard, swipe; Alt+B: radiograph or DRR "
    "by turns; Alt+N: compare start, result and current pose. Change them in napari's Preferences, "
    "Shortcuts, Viewer key bindings."
)

_open: "WeakKeyDictionary[Workbench, list[PoseMouse]]" = WeakKeyDictionary()
"""Of each viewer, in the order they came: the newest is the one that is obeyed."""

PlainDrag = Literal["shift", "turn", "pivot"]
"""What a drag without Control may do, with the left button (with the right: depth, roll, nothing)."""
_PLAIN: Mapping[PlainDrag, Mapping[int, str]] = {
    "shift": {1: "shift", 2: "depth"},
    "turn": {1: "turn", 2: "roll"},
    "pivot": {1: "pivot"},
}
_plain: "WeakKeyDictionary[Workbench, PlainDrag]" = WeakKeyDictionary()

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
    calls
        Called for the other keys, by the names of `SHORTCUTS`.
    """

    def __init__(
        self,
        workbench: Workbench,
        *,
        pivot: Callable[[], Float[Tensor, "3"] | None],
        step: Callable[[str, int], None],
        calls: Mapping[str, Callable[[], None]],
    ) -> None:
        self._bench = workbench
        self._pivot = pivot
        self._calls: dict[str, Callable[[], None]] = {
            f"{name}_{'more' if direction > 0 else 'less'}": partial(step, name, direction)
            for name, direction in STEPS.values()
        }
        self._calls |= calls
        self._mice = _open.setdefault(workbench, [])
        self._mice.append(self)
        viewer = workbench.viewer
        # The very same object each time: a bound method is made anew by every look-up.
        self._drag_callback = self._on_drag
        viewer.mouse_drag_callbacks.append(self._drag_callback)
        answer_with(press)

    def press(self, name: str) -> None:
        """As the key of this action does: one of `SHORTCUTS`."""
        self._calls[name]()

    def close(self) -> None:
        """Take callbacks and keys off the viewer."""
        if self not in self._mice:
            return
        self._mice.remove(self)
        viewer = self._bench.viewer
        if self._drag_callback in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._drag_callback)

    def _on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if self is not self._mice[-1]:
            return
        session, canvas = self._bench.session, self._bench.canvas
        handle = self._handle_under(viewer, event)
        kind = handle or _kind(event) or self._plain_kind(viewer, event)
        carm = canvas.carm
        if (
            kind is None
            or carm is None
            or session.poses.current is None
            or viewer.dims.ndisplay != 2
        ):
            return
        start, began = session.poses.current, _pixel(event, carm)
        if kind == "pivot":
            yield from self._drag_pivot(start, carm, event)
            return
        if handle is not None and canvas.handles.centre is not None:
            # As deep as the pivot, but where the cross is, which a pivot seen outside is not.
            chosen = self._pivot()
            pivot = hand_moves.point_under(
                start,
                carm,
                _pixel_of(canvas.handles.centre, carm),
                session.patient.isocenter if chosen is None else chosen,
            )
            canvas.handles.hold(pivot)
        else:
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
            if handle is not None:
                canvas.handles.hold(None)

    def _drag_pivot(self, pose: Pose, carm: CArm, event: Any) -> Generator[None, None, None]:
        """The pivot goes where it is seen under the cursor, as deep as it is; no pose moves."""
        session, canvas = self._bench.session, self._bench.canvas
        before = session.patient.isocenter

        def under() -> Float[Tensor, "3"]:
            return hand_moves.point_under(pose, carm, _pixel(event, carm), before)

        event.handled = True
        try:
            canvas.handles.hold(under())
            yield
            while event.type == "mouse_move":
                event.handled = True
                canvas.handles.hold(under())
                yield
        finally:
            canvas.handles.hold(None)
        if session.exposures.active is not None and canvas.carm is carm:
            session.patient.set_isocenter(under())

    def _plain_kind(self, viewer: Any, event: Any) -> str | None:
        """What a drag without Control does, where that was asked for (`drag_plainly`)."""
        wanted = _plain.get(self._bench)
        if wanted is None or not _free(viewer, event):
            return None
        return _PLAIN[wanted].get(event.button)

    def _handle_under(self, viewer: Any, event: Any) -> str | None:
        """Of the plain left button, unless a layer that draws or picks has the mouse."""
        if event.button != 1 or not _free(viewer, event):
            return None
        handles = self._bench.canvas.handles
        row_mm, column_mm = (float(v) for v in event.position[-2:])
        handle = handles.under(row_mm, column_mm, viewer.scene.camera.zoom)
        if handle is None or any(wanted(event) for wanted in handles.gives_way_to):
            return None
        return handle

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


def drag_plainly(bench: Workbench, what: PlainDrag | None) -> bool:
    """What a drag without Control does from now on in a viewer; None: it is napari's. Whether a Pose widget is there to follow."""
    if what is None:
        _plain.pop(bench, None)
    else:
        _plain[bench] = what
    return bool(_open.get(bench))


def press(viewer: Any, name: str) -> None:
    """A key in a viewer: the newest of its Pose widgets answers, if there is one."""
    bare = getattr(viewer, "__wrapped__", viewer)
    for bench, mice in list(_open.items()):
        if bench.viewer is bare and not bench.closed and mice:
            mice[-1].press(name)
            return


def _free(viewer: Any, event: Any) -> bool:
    """No key is held, and no layer that draws or picks has the mouse."""
    mode = str(getattr(viewer.layers.selection.active, "mode", "pan_zoom"))
    return not event.modifiers and not event.handled and mode == "pan_zoom"


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
    return _pixel_of(event.position[-2:], carm)


def _pixel_of(place_mm: Sequence[float], carm: CArm) -> hand_moves.Pixel:
    s_row, s_column = carm.detector.spacing
    return float(place_mm[0]) / s_row, float(place_mm[1]) / s_column


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
