"""The mouse in the room: a click gives a point of the patient, a drag moves a landmark."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Layer
from numpy import ndarray
from psygnal import Signal

_REACH_PIXELS = 9.0  # from the middle of a landmark
_STILL_PIXELS = 3.0  # a click trembles

FirstBone = Callable[[Float[ndarray, "3"], Float[ndarray, "3"]], Float[ndarray, "3"] | None]
"""Of a line (a point of it, its direction) to where it first meets bone, (z, y, x) mm."""


class RoomMouse:
    """Listens to the room's viewer until closed, and says what the user wants.

    Parameters
    ----------
    viewer
        The room's.
    landmarks
        Gives the points layer of the landmarks, with the feature `name`; None where there is none.
    first_bone
        Where a line of sight ends.
    """

    point_clicked = Signal(object)
    """(x, y, z), LPS mm: a landmark that was clicked, else the first bone under the mouse."""
    landmark_moved = Signal(str, object)
    """Its name, and (x, y, z), LPS mm, where it was let go."""

    def __init__(
        self, viewer: ViewerModel, landmarks: Callable[[], Layer | None], first_bone: FirstBone
    ) -> None:
        self._viewer, self._landmarks, self._first_bone = viewer, landmarks, first_bone
        self.touched = False
        """Whether the user has turned or moved the view."""
        viewer.mouse_drag_callbacks.append(self._press)
        viewer.mouse_wheel_callbacks.append(self._wheel)

    def close(self) -> None:
        """Listen no more."""
        if self._wheel in self._viewer.mouse_wheel_callbacks:
            self._viewer.mouse_wheel_callbacks.remove(self._wheel)
        if self._press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._press)

    def _wheel(self, viewer: Any, event: Any) -> None:
        self.touched = True

    def _press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        self.touched = True
        plain = event.button == 1 and not event.modifiers
        if not plain or event.view_direction is None:
            return
        begin = np.asarray(event.pos, np.float64)
        taken = self._landmark_under(event)
        camera = viewer.scene.camera
        panned, moved = camera.mouse_pan, False
        if taken is not None:
            camera.mouse_pan = False
        try:
            yield
            while event.type == "mouse_move":
                if float(np.abs(np.asarray(event.pos) - begin).max()) > _STILL_PIXELS:
                    moved = True
                if moved and taken is not None:
                    self._drag(taken, event)
                    event.handled = True
                yield
        finally:
            if taken is not None:
                camera.mouse_pan = panned
        if taken is not None:
            self._drop(taken, moved)
        elif not moved:
            found = self._first_bone(*_ray(event))
            if found is not None:
                z, y, x = (float(v) for v in found)
                self.point_clicked.emit((x, y, z))

    def _landmark_under(self, event: Any) -> int | None:
        """Number of the landmark nearest to the mouse, within reach."""
        layer = self._landmarks()
        if layer is None or not layer.visible or not len(layer.data):
            return None
        origin, direction = _ray(event)
        away = np.asarray(layer.data) - origin
        away -= np.outer(away @ direction, direction)
        distance = np.linalg.norm(away, axis=1)
        nearest = int(distance.argmin())
        reach = _REACH_PIXELS / self._viewer.scene.camera.zoom
        return nearest if distance[nearest] <= reach else None

    def _drag(self, number: int, event: Any) -> None:
        """The landmark follows the mouse in the plane of the screen, at its own depth."""
        layer = self._landmarks()
        if layer is None or number >= len(layer.data):
            return
        origin, direction = _ray(event)
        data = np.array(layer.data)
        data[number] = origin + direction * ((data[number] - origin) @ direction)
        layer.data = data

    def _drop(self, number: int, moved: bool) -> None:
        layer = self._landmarks()
        if layer is None or number >= len(layer.data):
            return
        z, y, x = (float(v) for v in layer.data[number])
        if moved:
            self.landmark_moved.emit(str(layer.features["name"][number]), (x, y, z))
        self.point_clicked.emit((x, y, z))


def _ray(event: Any) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
    """The line of sight through the mouse, (z, y, x) mm."""
    direction = np.asarray(event.view_direction, np.float64)
    return np.asarray(event.position, np.float64), direction / np.linalg.norm(direction)
