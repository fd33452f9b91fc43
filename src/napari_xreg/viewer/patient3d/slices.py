"""The CT cut in slices, with its landmarks: where a point of the patient is picked by hand."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points
from psygnal import Signal

from napari_xreg.images import Volume
from napari_xreg.session import Session
from napari_xreg.viewer.detector.landmark_colours import LandmarkColours
from napari_xreg.viewer.layer_data import volume_layer

CUT_DOWN_ACROSS = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}
"""The axis cut along, the one down or up the screen, the one across it: of (z, y, x)."""

_SIZE_MM = 9.0
_NEAR_MM = 5.0  # a landmark this far from the slice can be taken
_REACH_PIXELS = 10.0
_STILL_PIXELS = 3.0


class Slices:
    """The CT of a session and the landmarks of the patient, in a viewer model of their own.

    A click says where it was; a landmark in (or near) the slice can be dragged within it.

    Parameters
    ----------
    viewer
        Its own, not the user's layer list.
    session
        What is shown.
    colours
        Of the landmarks, as on the radiograph.
    """

    point_clicked = Signal(tuple)
    """(x, y, z), LPS mm."""
    chosen = Signal(str)
    """A landmark was clicked."""

    def __init__(self, viewer: ViewerModel, session: Session, colours: LandmarkColours) -> None:
        self.viewer, self.session = viewer, session
        self._colours = colours
        self._volume: Volume | None = None
        self._plane = "axial"
        self._picture: Image | None = None
        self._points: Points | None = None
        self._callback = self._press
        viewer.mouse_drag_callbacks.append(self._callback)
        session.patient.changed.connect(self.refresh)
        session.landmarks.changed.connect(self._show_landmarks)
        self.refresh()

    @property
    def plane(self) -> str:
        """One of its names. The head is up in those that show it, the patient's left on the right."""
        return self._plane

    @plane.setter
    def plane(self, name: str) -> None:
        point = self.viewer.dims.point
        self._plane = name
        self.viewer.dims.order = CUT_DOWN_ACROSS[name]
        up = "down" if name == "axial" else "up"
        self.viewer.scene.camera.orientation = ("towards", up, "right")
        self.viewer.dims.set_point(range(3), point)
        self.viewer.fit_to_view()

    @property
    def points(self) -> Points | None:
        """The layer of landmarks."""
        return self._points

    def refresh(self) -> None:
        """The CT that there is now, from its middle; and its landmarks."""
        volume = self.session.patient.volume
        if volume is not self._volume:
            self._volume = volume
            if self._picture is not None:
                self.viewer.layers.remove(self._picture)
                self._picture = None
            if volume is not None:
                data, options, _ = volume_layer(volume, name="CT")
                self._picture = Image(data, **{**options, "colormap": "gray"})
                self.viewer.layers.insert(0, self._picture)
                x, y, z = (float(v) for v in volume.center)
                self.plane = self._plane
                self.viewer.dims.set_point(range(3), (z, y, x))
        self._show_landmarks()

    def choose(self, name: str) -> None:
        """Go to the slice of a landmark and select it."""
        marks = {mark.name: mark.position for mark in self.session.landmarks.all}
        position = marks.get(name)
        if position is None or self._points is None:
            return
        x, y, z = position
        self.viewer.dims.set_point(range(3), (z, y, x))
        self._points.selected_data = {list(marks).index(name)}

    def close(self) -> None:
        """Follow nothing any more."""
        self.session.patient.changed.disconnect(self.refresh, missing_ok=True)
        self.session.landmarks.changed.disconnect(self._show_landmarks, missing_ok=True)
        if self._callback in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._callback)
        self.viewer.layers.clear()
        self._picture = self._points = self._volume = None

    # ------------------------------------------------------------------ landmarks

    def _show_landmarks(self) -> None:
        marks = self.session.landmarks.all
        at = np.array([mark.position for mark in marks], np.float64).reshape(-1, 3)[:, ::-1]
        names = [mark.name for mark in marks]
        if self._points is None:
            if not names:
                return
            self._points = _make_points()
            self.viewer.layers.append(self._points)
        if list(self._points.features["name"]) != names:
            self._points.selected_data = set()
            self._points.data = at
            self._points.features = {"name": np.array(names, dtype=object)}
        elif not np.array_equal(self._points.data, at):
            self._points.data = at
        if names:
            self._points.face_color = self._colours.table(names)

    # ------------------------------------------------------------------ the mouse

    def _press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        if event.button != 1 or event.modifiers or viewer.dims.ndisplay != 2:
            return
        name = self._landmark_under(event)
        begin = np.asarray(event.pos, np.float64)
        camera = viewer.scene.camera
        panned, moved = camera.mouse_pan, False
        if name is not None:
            camera.mouse_pan = False
            self.chosen.emit(name)
        try:
            yield
            while event.type == "mouse_move":
                if float(np.abs(np.asarray(event.pos) - begin).max()) > _STILL_PIXELS:
                    moved = True
                if moved and name is not None:
                    event.handled = True
                    self._move(name, event, done=False)
                yield
        finally:
            if name is not None:
                camera.mouse_pan = panned
        if name is not None and moved:
            self._move(name, event, done=True)
        elif not moved and self._volume is not None:
            z, y, x = (float(v) for v in event.position)
            self.point_clicked.emit((x, y, z))

    def _landmark_under(self, event: Any) -> str | None:
        """Within reach of the mouse on the screen, and not far from the slice."""
        if self._points is None or not self._points.visible or not len(self._points.data):
            return None
        away = np.asarray(self._points.data) - np.asarray(event.position)
        cut, *shown = CUT_DOWN_ACROSS[self._plane]
        distance = np.linalg.norm(away[:, shown], axis=1)
        distance[np.abs(away[:, cut]) > _NEAR_MM] = np.inf
        nearest = int(distance.argmin())
        reach = _REACH_PIXELS / self.viewer.scene.camera.zoom
        if distance[nearest] > reach:
            return None
        return str(self._points.features["name"].iloc[nearest])

    def _move(self, name: str, event: Any, *, done: bool) -> None:
        """Within the slice; how far it is from the slice stays."""
        marks = self.session.landmarks.all
        old = next((mark for mark in marks if mark.name == name), None)
        if old is None or old.position is None or self._points is None:
            return
        at = np.array(old.position[::-1])
        _, *shown = CUT_DOWN_ACROSS[self._plane]
        at[shown] = np.asarray(event.position)[shown]
        z, y, x = (float(v) for v in at)
        if done:
            new = replace(old, position=(x, y, z))
            self.session.landmarks.set([new if mark.name == name else mark for mark in marks])
            return
        data = np.array(self._points.data)
        data[[mark.name for mark in marks].index(name)] = at
        self._points.data = data


def _make_points() -> Points:
    layer = Points(
        np.zeros((0, 3)),
        ndim=3,
        name="landmarks",
        features={"name": np.array([], dtype=object)},
        text={"string": "{name}", "size": 9, "color": "#ffd400", "anchor": "upper_left"},
        symbol="cross",
        border_color="black",
        size=_SIZE_MM,
        projection_mode="rescale_linear",  # smaller, the farther from the slice
        units=("mm",) * 3,
        axis_labels=("z", "y", "x"),
    )
    layer.current_size = _SIZE_MM
    layer.editable = False
    return layer
