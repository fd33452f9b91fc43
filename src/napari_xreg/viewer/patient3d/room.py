"""The room: the patient, the C-arm that looks at it, and what its radiograph says, in 3D."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points, Surface, Vectors
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import CArm, Pose, reverse_axes
from napari_xreg.images import Radiograph
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.detector.overlays import robust_limits
from napari_xreg.viewer.layer_data import placement
from napari_xreg.viewer.patient3d.room_geometry import back_projected, detector_plane, frustum
from napari_xreg.viewer.patient3d.room_mouse import RoomMouse
from napari_xreg.viewer.patient3d.room_patient import BONE_HU, PatientModel, PatientRequest
from napari_xreg.viewer.patient3d.room_view import fit, turn

PARTS = ("volume", "bone", "landmarks", "names", "C-arm", "rays", "other C-arms", "ghosts")
"""What can be shown or hidden."""

_WORLD: dict[str, Any] = {"units": ("mm",) * 3, "axis_labels": ("z", "y", "x")}
# From the first drawn to the last: what hides in the bone is drawn over it.
_ORDER = (
    *("CT", "bone", "earlier poses", "other C-arms", "rays"),
    *("C-arm", "detector", "source", "landmarks", "heatmap ray", "heatmap point"),
)
_OF_PART = {
    "volume": ("CT",),
    "bone": ("bone",),
    "landmarks": ("landmarks",),
    "names": (),
    "C-arm": ("C-arm", "detector", "source"),
    "rays": ("rays", "heatmap ray", "heatmap point"),
    "other C-arms": ("other C-arms",),
    "ghosts": ("earlier poses",),
}
_SHOWN_AT_FIRST = ("bone", "landmarks", "C-arm", "rays", "other C-arms", "ghosts")
_GHOSTS = 12  # the latest; more would be a thicket
_TEXTURE_PIXELS = 256
# Seen by most colour-blind readers (after Okabe and Ito), on a dark and on a light canvas.
_ORANGE, _BLUE, _PURPLE, _GREEN, _GREY = "#E69F00", "#56B4E9", "#CC79A7", "#1FA97F", "#8a8a8a"
_LOOK = "#7dffb0"
_SHADE, _BONE = (0.16, 0.13, 0.10, 1.0), (0.95, 0.89, 0.76, 1.0)
_LIGHT = np.array([0.45, -0.77, -0.45])  # (z, y, x): from the front, above and the right
_CUBE = list(itertools.product((0, 1), repeat=3))


class Room:
    """A session in three dimensions.

    It follows nothing by itself: `refresh` shows what changed since the last call, so that whoever
    owns the canvas decides how often it is drawn.

    Parameters
    ----------
    viewer
        Its own model, not the user's layer list.
    session
        What is shown.
    """

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self.patient: PatientModel | None = None
        self.bone_hu = BONE_HU
        self._layers: dict[str, Layer] = {}
        self._shown = set(_SHOWN_AT_FIRST)
        self._seen: dict[str, object] = {}
        self._framed = False
        self._look_at = "everything"
        viewer.dims.ndisplay = 3
        # (x, y, z) is right-handed, so (z, y, x) is not; napari's own choice would show the patient
        # mirrored, the left side on the right.
        viewer.scene.camera.orientation = ("away", "down", "right")
        self._mouse = RoomMouse(viewer, self._landmarks_layer, self._first_bone)
        self._mouse.landmark_moved.connect(self._move_landmark)
        self.point_clicked = self._mouse.point_clicked
        """(x, y, z), LPS mm: a landmark that was clicked, else the first bone under the mouse."""
        self.refresh()

    # ------------------------------------------------------------------ what is shown

    def layer(self, name: str) -> Layer | None:
        """By name, as in the viewer; None where there is nothing of the kind yet."""
        return self._layers.get(name)

    def shows(self, part: str) -> bool:
        """Whether one of `PARTS` is switched on."""
        return part in self._shown

    def show(self, part: str, on: bool) -> None:
        """Show or hide one of `PARTS`."""
        if part not in PARTS:
            raise ValueError(f"the room shows {', '.join(PARTS)}: got {part!r}")
        (self._shown.add if on else self._shown.discard)(part)
        if on:
            self.refresh()
        for name in _OF_PART[part]:
            if name in self._layers:
                self._layers[name].visible = on
        names = self._layers.get("landmarks")
        if part == "names" and isinstance(names, Points):
            names.text.visible = on

    def look(self, view: str | None = "oblique", *, at: str = "everything") -> None:
        """Turn to one of `room_view.VIEWS` (None: as it is) and bring something into the picture.

        Parameters
        ----------
        at
            ``everything`` or ``patient``.
        """
        self._mouse.touched = False
        self._look_at = at
        if view is not None:
            turn(self.viewer, view)
        seen = [self._patient_box()]
        if at == "everything":
            for name in ("C-arm", "other C-arms"):
                layer = self._layers.get(name)
                if isinstance(layer, Vectors) and layer.visible:
                    seen += [layer.data[:, 0], layer.data.sum(axis=1)]
        fit(self.viewer, np.concatenate(seen))

    def fit_again(self) -> None:
        """After the canvas changed its size: as before, unless the user has turned or zoomed."""
        if self._framed and not self._mouse.touched:
            self.look(None, at=self._look_at)

    def _patient_box(self) -> Float[ndarray, "n 3"]:
        """Corners of the box around the bone, else of the CT."""
        model = self.patient
        if model is None:
            return np.zeros((0, 3))
        if len(model.vertices):
            low, high = model.vertices.min(axis=0), model.vertices.max(axis=0)
            ends = np.stack([low, high])
            return np.array([[ends[i, 0], ends[j, 1], ends[k, 2]] for i, j, k in _CUBE])
        matrix = reverse_axes(model.volume.world_from_index).double().cpu().numpy()
        corners = np.array(_CUBE) * (np.array(model.volume.shape) - 1)
        box: ndarray = corners @ matrix[:3, :3].T + matrix[:3, 3]
        return box

    # ------------------------------------------------------------------ following the session

    def patient_request(self) -> PatientRequest | None:
        """What to answer and hand to `show_patient`; None where the patient shown is the right one."""
        volume = self.session.patient.rendering
        if volume is None:
            return None
        asked = None if self.patient is None else self.patient.request
        if asked is not None and asked.volume is volume and asked.bone_hu == self.bone_hu:
            return None
        return PatientRequest(volume, bone_hu=self.bone_hu)

    def show_patient(self, model: PatientModel) -> None:
        """Another CT, or other bone."""
        if model.request.volume is not self.session.patient.rendering:
            return  # a late answer about what is no longer there
        self.patient = model
        self._drop("CT")
        self._drop("bone")
        self._put_patient()
        if not self._framed:
            self._framed = True
            self.look()

    def refresh(self) -> None:
        """Show what changed in the session; what did not, or is hidden, costs nothing."""
        if self.session.patient.volume is None and self.patient is not None:
            self.patient = None
            self._drop("CT")
            self._drop("bone")
        self._put_patient()
        active = self.session.exposures.active
        self._put_active(active)
        others = [entry for entry in self.session.exposures.all if entry is not active]
        self._put_rays(self.session.exposures.all)
        self._put_look(active)
        self._put_others(others)
        self._put_ghosts(active)
        self._put_landmarks()
        if active is not None and not self._framed and self.session.patient.volume is None:
            self._framed = True
            self.look()

    def close(self) -> None:
        """Remove callbacks and layers."""
        self._mouse.close()
        self.viewer.layers.clear()
        self._layers.clear()
        self.patient = None

    # ------------------------------------------------------------------ the mouse

    def _landmarks_layer(self) -> Layer | None:
        return self._layers.get("landmarks")

    def _first_bone(
        self, origin: Float[ndarray, "3"], direction: Float[ndarray, "3"]
    ) -> Float[ndarray, "3"] | None:
        return None if self.patient is None else self.patient.first_bone(origin, direction)

    def _move_landmark(self, name: str, position: tuple[float, float, float]) -> None:
        # By name: the session may have changed while the mouse was down.
        landmarks = self.session.landmarks
        landmarks.set(
            [replace(m, position=position) if m.name == name else m for m in landmarks.all]
        )

    # ------------------------------------------------------------------ layers

    def _put_patient(self) -> None:
        model = self.patient
        if model is None:
            return
        if self.shows("volume") and "CT" not in self._layers:
            values = model.volume.lac.detach().cpu().float().numpy()
            image = Image(
                values,
                colormap="bone",
                contrast_limits=(0.95 * model.level, 2.2 * model.level),
                rendering="attenuated_mip",
                attenuation=0.05,
                blending="translucent_no_depth",
                **placement(model.volume.world_from_index),
            )
            self._add("CT", image)
        if self.shows("bone") and "bone" not in self._layers and len(model.faces):
            # napari's own light fails in a camera of this handedness: it falls on the inside.
            light = 0.5 + 0.5 * model.normals @ _LIGHT
            surface = Surface(
                (model.vertices, model.faces, light),
                colormap=Colormap([_SHADE, _BONE], name="lit bone"),
                contrast_limits=(0.0, 1.0),
                shading="none",
                **_WORLD,
            )
            self._add("bone", surface)

    def _put_active(self, active: Exposure | None) -> None:
        if not self.shows("C-arm"):
            return
        if active is None:
            for name in _OF_PART["C-arm"]:
                self._drop(name)
            for what in ("C-arm", "texture"):  # undo brings the very same values back
                self._seen.pop(what, None)
            return
        carm, pose = active.radiograph.carm, active.world_from_camera
        if self._changed("C-arm", (carm, pose)):
            lines = frustum(carm, pose)
            self._put_lines("C-arm", lines, _ORANGE, width=4.0)
            self._put_source(lines[:1, 0])
            plane = detector_plane(carm, pose)
            data = (plane.vertices, plane.faces, np.ones(4))
            detector = self._layers.get("detector")
            if isinstance(detector, Surface):
                detector.data = data
            else:
                surface = Surface(
                    data,
                    texture=np.zeros((2, 2), np.float32),
                    texcoords=plane.texcoords,
                    colormap="gray",
                    contrast_limits=(0.0, 1.0),
                    shading="none",
                    **_WORLD,
                )
                self._add("detector", surface)
        if self._changed("texture", (active.radiograph,)):
            detector = self._layers["detector"]
            assert isinstance(detector, Surface)
            detector.texture = texture_of(active.radiograph)

    def _put_source(self, at: Float[ndarray, "1 3"]) -> None:
        source = self._layers.get("source")
        if isinstance(source, Points):
            source.data = at
        else:
            self._add("source", Points(at, size=22.0, face_color=_ORANGE, border_width=0, **_WORLD))

    def _put_rays(self, exposures: Iterable[Exposure]) -> None:
        exposures = tuple(exposures)
        if not self.shows("rays") or not self._changed("rays", exposures):
            return
        rays = [
            back_projected(
                entry.radiograph.carm,
                entry.world_from_camera,
                torch.tensor([mark.pixel for mark in entry.landmarks], dtype=torch.float64),
            )
            for entry in exposures
            if entry.landmarks
        ]
        self._put_lines("rays", _joined(rays), _PURPLE, width=2.5)

    def _put_look(self, active: Exposure | None) -> None:
        """The point whose heatmap is shown, and the ray through the heatmap's peak."""
        look = self.session.ray_points.look
        pose = None if active is None else active.world_from_camera
        if not self.shows("rays") or not self._changed("look", (look, pose)):
            return
        lines = np.zeros((0, 2, 3))
        hit = active is not None and look is not None and look.radiograph == active.id
        if hit and active is not None and look is not None and look.pixel is not None:
            pixel = torch.tensor([look.pixel], dtype=torch.float64)
            lines = back_projected(active.radiograph.carm, active.world_from_camera, pixel)
        self._put_lines("heatmap ray", lines, _LOOK, width=3.0)
        point = self._layers.get("heatmap point")
        if look is None:
            self._drop("heatmap point")
        elif isinstance(point, Points):
            point.data = np.array([look.position[::-1]])
        else:
            self._add("heatmap point", _look_point(look.position))

    def _put_others(self, others: Sequence[Exposure]) -> None:
        poses = tuple(entry.world_from_camera for entry in others)
        if self.shows("other C-arms") and self._changed("other C-arms", poses):
            lines = [frustum(e.radiograph.carm, e.world_from_camera) for e in others]
            self._put_lines("other C-arms", _joined(lines), _BLUE, width=3.5)

    def _put_ghosts(self, active: Exposure | None) -> None:
        if not self.shows("ghosts"):
            return
        poses = () if active is None else self._earlier(active)
        if self._changed("ghosts", poses):
            carm = None if active is None else active.radiograph.carm
            lines = [_ghost(carm, pose) for pose in poses] if carm is not None else []
            self._put_lines("earlier poses", _joined(lines), _GREY, width=3.5, opacity=0.6)

    def _earlier(self, active: Exposure) -> tuple[Pose, ...]:
        """Poses on record before and after the present one, the nearest in the history."""
        history = self.session.history
        near = history.records[max(0, history.at - _GHOSTS) : history.at + _GHOSTS // 2]
        there = (moment.state.find(active.id) for moment in near)
        poses = {id(one.world_from_camera): one.world_from_camera for one in there if one}
        poses.pop(id(active.world_from_camera), None)
        return tuple(poses.values())[-_GHOSTS:]

    def _put_landmarks(self) -> None:
        marks = self.session.landmarks.all
        if not self.shows("landmarks") or not self._changed("landmarks", marks):
            return
        at = np.array([mark.position for mark in marks], np.float64).reshape(-1, 3)[:, ::-1]
        names = [mark.name for mark in marks]
        layer = self._layers.get("landmarks")
        if isinstance(layer, Points) and list(layer.features["name"]) == names:
            layer.data = at
            return
        self._drop("landmarks")
        if not names:
            return
        points = Points(
            at,
            size=11.0,
            face_color=_GREEN,
            border_width=0,
            features={"name": names},
            text={"string": "{name}", "size": 9, "color": _GREEN, "visible": self.shows("names")},
            blending="translucent_no_depth",  # they lie on and in the bone
            **_WORLD,
        )
        self._add("landmarks", points)

    def _put_lines(
        self,
        name: str,
        lines: Float[ndarray, "n 2 3"],
        colour: str,
        *,
        width: float,
        opacity: float = 1.0,
    ) -> None:
        layer = self._layers.get(name)
        if isinstance(layer, Vectors) and len(lines):
            layer.data = lines
            return
        self._drop(name)
        if len(lines):
            vectors = Vectors(
                lines,
                vector_style="line",
                edge_width=width,
                edge_color=colour,
                opacity=opacity,
                **_WORLD,
            )
            self._add(name, vectors)

    def _add(self, name: str, layer: Layer) -> None:
        layer.name = name
        layer.editable = False
        part = next(part for part, names in _OF_PART.items() if name in names)
        layer.visible = self.shows(part)
        angles, centre = self.viewer.scene.camera.angles, self.viewer.scene.camera.center
        zoom, first = self.viewer.scene.camera.zoom, not self.viewer.layers
        before = set(_ORDER[: _ORDER.index(name)])
        self.viewer.layers.insert(len(before & self._layers.keys()), layer)
        self.viewer.layers.selection.clear()
        if not first:
            # What comes later does not move the user's view.
            self.viewer.scene.camera.angles, self.viewer.scene.camera.center = angles, centre
            self.viewer.scene.camera.zoom = zoom
        self._layers[name] = layer

    def _drop(self, name: str) -> None:
        layer = self._layers.pop(name, None)
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _changed(self, what: str, values: Iterable[object]) -> bool:
        """Whether these are other objects than at the last call."""
        new, old = tuple(values), self._seen.get(what)
        same = isinstance(old, tuple) and len(old) == len(new)
        if same and isinstance(old, tuple) and all(a is b for a, b in zip(old, new, strict=True)):
            return False
        self._seen[what] = new
        return True


def texture_of(radiograph: Radiograph) -> Float[ndarray, "rows columns"]:
    """The radiograph as grey values from 0 to 1, bone bright, at most 256 pixels a side.

    What may not be used is dark.
    """
    rows, columns = radiograph.carm.detector.shape
    shrink = min(1.0, _TEXTURE_PIXELS / max(rows, columns))
    if shrink < 1.0:
        radiograph = radiograph.resize(
            max(1, round(rows * shrink)), max(1, round(columns * shrink))
        )
    image = radiograph.line_integrals.detach().cpu().numpy().astype(np.float32)
    usable = radiograph.usable.cpu().numpy()
    low, high = robust_limits(image, usable)
    grey = np.clip((np.nan_to_num(image) - low) / (high - low), 0.0, 1.0)
    return np.where(usable, grey, 0.0).astype(np.float32)


def _look_point(position: tuple[float, float, float]) -> Points:
    return Points(
        np.array([position[::-1]]),
        size=13.0,
        face_color=_LOOK,
        border_color="black",
        blending="translucent_no_depth",  # it lies in the bone
        **_WORLD,
    )


def _ghost(carm: CArm, pose: Pose) -> Float[ndarray, "n 2 3"]:
    """The detector's outline and the central ray: the rest would hide what it surrounds."""
    return frustum(carm, pose)[4:]


def _joined(lines: Sequence[Float[ndarray, "n 2 3"]]) -> Float[ndarray, "m 2 3"]:
    return np.concatenate(lines) if lines else np.zeros((0, 2, 3))
