"""The mouse in the room: a click gives a point of the patient, a drag moves a landmark."""

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

if TYPE_CHECKING:
    from napari_xreg.viewer.patient3d.room import Room

_REACH_PIXELS = 9.0  # from the middle of a landmark
_STILL_PIXELS = 3.0  # a click trembles


class RoomMouse:
    """Listens to the room's viewer until closed."""

    def __init__(self, room: "Room") -> None:
        self._room: Room | None = room
        self._viewer = room.viewer
        self.touched = False
        """Whether the user has turned or moved the view."""
        room.viewer.mouse_drag_callbacks.append(self._press)
        room.viewer.mouse_wheel_callbacks.append(self._wheel)

    def close(self) -> None:
        """Listen no more."""
        if self._wheel in self._viewer.mouse_wheel_callbacks:
            self._viewer.mouse_wheel_callbacks.remove(self._wheel)
        if self._press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._press)
        self._room = None

    def _wheel(self, viewer: Any, event: Any) -> None:
        self.touched = True

    def _press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        room = self._room
        self.touched = True
        plain = event.button == 1 and not event.modifiers
        if room is None or not plain or event.view_direction is None:
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
        elif not moved and room.patient is not None:
            found = room.patient.first_bone(*_ray(event))
            if found is not None:
                z, y, x = (float(v) for v in found)
                room.point_clicked.emit((x, y, z))

    def _landmark_under(self, event: Any) -> int | None:
        """Number of the landmark nearest to the mouse, within reach."""
        room = self._room
        layer = None if room is None else room.layer("landmarks")
        if room is None or layer is None or not layer.visible or not len(layer.data):
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
        room = self._room
        layer = None if room is None else room.layer("landmarks")
        if layer is None or number >= len(layer.data):
            return
        origin, direction = _ray(event)
        data = np.array(layer.data)
        data[number] = origin + direction * ((data[number] - origin) @ direction)
        layer.data = data

    def _drop(self, number: int, moved: bool) -> None:
        room = self._room
        layer = None if room is None else room.layer("landmarks")
        if room is None or layer is None or number >= len(layer.data):
            return
        z, y, x = (float(v) for v in layer.data[number])
        name = layer.features["name"][number]
        if moved:
            # By name: the session may have changed while the mouse was down.
            marks = room.session.landmarks.all
            room.session.landmarks.set(
                [replace(m, position=(x, y, z)) if m.name == name else m for m in marks]
            )
        room.point_clicked.emit((x, y, z))


def _ray(event: Any) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
    """The line of sight through the mouse, (z, y, x) mm."""
    direction = np.asarray(event.view_direction, np.float64)
    return np.asarray(event.position, np.float64), direction / np.linalg.norm(direction)
