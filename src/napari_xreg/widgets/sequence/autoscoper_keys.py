"""Autoscoper's keys, for hands that know them: a set that is switched on, and off again."""

from collections.abc import Callable
from functools import partial

from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.pose.mouse import PlainDrag, drag_plainly, press

TITLE = "Autoscoper's keys"
TIP = (
    "On the picture, as in Autoscoper: W, a drag shifts (right button: depth); E, it turns (right button: roll); D, it moves the "
    "pivot. Left and Right choose one of x, y, depth, primary, secondary, roll; Up and Down change it by one step. S keeps the "
    "pose, Control+C and Control+V copy and paste it. While this is on, napari's own meaning of these keys is off."
)
PARAMETERS = ("x", "y", "depth", "primary", "secondary", "roll")
"""In Autoscoper's order: shifts, then turns."""
_DRAGS: dict[str, tuple[PlainDrag, str]] = {
    "W": ("shift", "A drag shifts the bone, with the right button in depth (E: turn, D: pivot)."),
    "E": ("turn", "A drag turns the bone, with the right button it rolls (W: shift, D: pivot)."),
    "D": ("pivot", "A drag moves the pivot (W: shift, E: turn)."),
}
_NO_POSE = "Open Pose: it follows the mouse."


class AutoscoperKeys:
    """Bound in one viewer while they are on.

    Parameters
    ----------
    bench
        Of the viewer.
    keep, copy, paste
        What S, Control+C and Control+V do.
    say
        Where it is said what a key has changed.
    """

    def __init__(
        self,
        bench: Workbench,
        *,
        keep: Callable[[], object],
        copy: Callable[[], object],
        paste: Callable[[], object],
        say: Callable[[str], object],
    ) -> None:
        self._bench, self._say = bench, say
        self._at = 0
        self._calls: dict[str, Callable[[], object]] = {
            **{key: partial(self._drag, key) for key in _DRAGS},
            "Left": partial(self._choose, -1),
            "Right": partial(self._choose, +1),
            "Up": partial(self._step, "more"),
            "Down": partial(self._step, "less"),
            "S": keep,
            "Control-C": copy,
            "Control-V": paste,
        }
        self._bound: dict[object, object] = {}

    @property
    def on(self) -> bool:
        """Whether they are bound."""
        return bool(self._bound)

    def switch(self, on: bool) -> None:
        """Bind them, above napari's own, or give those back."""
        viewer = self._bench.viewer
        if on and not self.on:
            before = dict(viewer.keymap)
            for key, call in self._calls.items():
                viewer.bind_key(key, lambda _, call=call: call(), overwrite=True)
            self._bound = {k: v for k, v in viewer.keymap.items() if before.get(k) is not v}
            self._drag("W")
        elif not on and self.on:
            # Only what is still ours: another widget may have bound a key since.
            for key in [key for key, call in viewer.keymap.items() if self._bound.get(key) is call]:
                del viewer.keymap[key]
            self._bound = {}
            drag_plainly(self._bench, None)

    def _drag(self, key: str) -> None:
        what, words = _DRAGS[key]
        self._say(words if drag_plainly(self._bench, what) else _NO_POSE)

    def _choose(self, way: int) -> None:
        self._at = (self._at + way) % len(PARAMETERS)
        self._say(f"Up and Down change {PARAMETERS[self._at]}.")

    def _step(self, way: str) -> None:
        press(self._bench.viewer, f"{PARAMETERS[self._at]}_{way}")
