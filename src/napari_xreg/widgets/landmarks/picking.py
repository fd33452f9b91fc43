"""Picking by hand: the mouse on the radiograph and on the CT."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_xreg.geometry import CArm
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.workflows import Pixel

_STILL_PIXELS = 3.0  # a click trembles
_REACH_PIXELS = 10.0  # from the middle of a landmark


class PickMouse:
    """Clicks on the viewer's canvas, and drags of a landmark picked on the radiograph.

    A layer of landmarks that is in one of napari's own modes (add, select) has its mouse to itself.

    Parameters
    ----------
    workbench
        Of the viewer.
    wants
        Whether a click means something now.
    """

    pixel_clicked = Signal(tuple)
    """(row, column) on the radiograph."""
    position_clicked = Signal(tuple)
    """(x, y, z), LPS mm: a click while a CT is the chosen layer of the viewer, cut in slices."""
    pressed = Signal(str)
    """Name of a landmark that the mouse went down on."""
    dragged = Signal(str, tuple)
    """Name and (row, column), while it is dragged."""
    dropped = Signal(str, tuple)
    """The same, when it is let go."""

    def __init__(self, workbench: Workbench, wants: Callable[[], bool]) -> None:
        self._bench, self._wants = workbench, wants
        # The very same object each time: a bound method is made anew by every look-up.
        self._callback = self._on_drag
        workbench.viewer.mouse_drag_callbacks.append(self._callback)
        workbench.canvas.handles.gives_way_to.append(self._wanted)

    def close(self) -> None:
        """Listen no more."""
        callbacks = self._bench.viewer.mouse_drag_callbacks
        if self._callback in callbacks:
            callbacks.remove(self._callback)
        waiting = self._bench.canvas.handles.gives_way_to
        if self._wanted in waiting:
            waiting.remove(self._wanted)

    def _wanted(self, event: Any) -> bool:
        """Whether a press here picks, or takes a landmark."""
        carm = self._bench.canvas.carm
        if self._wants():
            return True
        return carm is not None and self._landmark_under(event, carm) is not None

    def _on_drag(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        carm = self._bench.canvas.carm
        plain = event.button == 1 and not event.modifiers and viewer.dims.ndisplay == 2
        layer = viewer.layers.selection.active
        busy = str(getattr(layer, "mode", "pan_zoom")) not in ("pan_zoom", "transform")
        if not plain or busy or event.handled:
            return
        in_ct = isinstance(layer, Image) and layer.ndim == 3
        taken = None if carm is None or in_ct else self._landmark_under(event, carm)
        begin = np.asarray(event.pos, np.float64)
        camera = viewer.scene.camera
        panned, moved = camera.mouse_pan, False
        if taken is not None:
            camera.mouse_pan = False
            event.handled = True
            self.pressed.emit(taken)
        try:
            yield
            while event.type == "mouse_move":
                if np.abs(np.asarray(event.pos) - begin).max() > _STILL_PIXELS:
                    moved = True
                if moved and taken is not None and self._bench.canvas.carm is carm:
                    event.handled = True
                    self.dragged.emit(taken, _pixel(event, carm))
                yield
        finally:
            if taken is not None:
                camera.mouse_pan = panned
        if taken is not None and moved:
            if self._bench.canvas.carm is carm:
                self.dropped.emit(taken, _pixel(event, carm))
        elif moved or not self._wants():
            return
        elif in_ct:
            z, y, x = (float(v) for v in event.position[-3:])
            self.position_clicked.emit((x, y, z))
        elif carm is not None:
            self.pixel_clicked.emit(_pixel(event, carm))

    def _landmark_under(self, event: Any, carm: CArm) -> str | None:
        active = self._bench.session.exposures.active
        marks = [] if active is None else [m for m in active.landmarks if m.pixel is not None]
        shown = self._bench.canvas.layer("landmarks")
        if not marks or (shown is not None and not shown.visible):
            return None
        here = np.asarray(event.position[-2:], np.float64)
        at = np.array([mark.pixel for mark in marks]) * np.array(carm.detector.spacing)
        distance = np.linalg.norm(at - here, axis=1)
        nearest = int(distance.argmin())
        reach = _REACH_PIXELS / self._bench.viewer.scene.camera.zoom
        return marks[nearest].name if distance[nearest] <= reach else None


def _pixel(event: Any, carm: CArm | None) -> Pixel:
    """Row and column under the mouse; the canvas is in mm (see `DetectorCanvas`)."""
    assert carm is not None
    row_mm, column_mm = event.position[-2:]
    s_row, s_column = carm.detector.spacing
    return float(row_mm) / s_row, float(column_mm) / s_column
