"""The C-arms of the room: the active one with its radiograph, its earlier poses, the others, rays."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from napari.layers import Points, Surface
from numpy import ndarray

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.detector.overlays import robust_limits
from napari_xreg.viewer.patient3d.room_geometry import back_projected, detector_plane, frustum
from napari_xreg.viewer.patient3d.room_layers import OF_PART, WORLD, RoomLayers

_GHOSTS = 12  # the latest; more would be a thicket
_TEXTURE_PIXELS = 256
# Seen by most colour-blind readers (after Okabe and Ito), on a dark and on a light canvas.
_ORANGE, _BLUE, _PURPLE, _GREY = "#E69F00", "#56B4E9", "#CC79A7", "#8a8a8a"
_LOOK = "#7dffb0"


class CArmsInRoom:
    """Draws what changed since the last call, and what is switched on.

    Parameters
    ----------
    layers
        Of the room.
    session
        Whose radiographs and poses they are.
    """

    def __init__(self, layers: RoomLayers, session: Session) -> None:
        self._layers, self._session = layers, session

    def refresh(self) -> None:
        """All of them."""
        active = self._session.exposures.active
        exposures = self._session.exposures.all
        self._put_active(active)
        self._put_rays(exposures)
        self._put_look(active)
        self._put_others([entry for entry in exposures if entry is not active])
        self._put_ghosts(active)

    def _put_active(self, active: Exposure | None) -> None:
        if not self._layers.shows("C-arm"):
            return
        if active is None:
            for name in OF_PART["C-arm"]:
                self._layers.drop(name)
            for what in ("C-arm", "texture"):  # undo brings the very same values back
                self._layers.forget(what)
            return
        carm, pose = active.radiograph.carm, active.world_from_camera
        if self._layers.changed("C-arm", (carm, pose)):
            lines = frustum(carm, pose)
            self._layers.put_lines("C-arm", lines, _ORANGE, width=4.0)
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
                    **WORLD,
                )
                self._layers.add("detector", surface)
        if self._layers.changed("texture", (active.radiograph,)):
            detector = self._layers.get("detector")
            assert isinstance(detector, Surface)
            detector.texture = texture_of(active.radiograph)

    def _put_source(self, at: Float[ndarray, "1 3"]) -> None:
        source = self._layers.get("source")
        if isinstance(source, Points):
            source.data = at
        else:
            self._layers.add(
                "source", Points(at, size=22.0, face_color=_ORANGE, border_width=0, **WORLD)
            )

    def _put_rays(self, exposures: Sequence[Exposure]) -> None:
        if not self._layers.shows("rays") or not self._layers.changed("rays", exposures):
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
        self._layers.put_lines("rays", _joined(rays), _PURPLE, width=2.5)

    def _put_look(self, active: Exposure | None) -> None:
        """The point whose heatmap is shown, and the ray through the heatmap's peak."""
        look = self._session.ray_points.look
        pose = None if active is None else active.world_from_camera
        if not self._layers.shows("rays") or not self._layers.changed("look", (look, pose)):
            return
        lines = np.zeros((0, 2, 3))
        hit = active is not None and look is not None and look.radiograph == active.id
        if hit and active is not None and look is not None and look.pixel is not None:
            pixel = torch.tensor([look.pixel], dtype=torch.float64)
            lines = back_projected(active.radiograph.carm, active.world_from_camera, pixel)
        self._layers.put_lines("heatmap ray", lines, _LOOK, width=3.0)
        point = self._layers.get("heatmap point")
        if look is None:
            self._layers.drop("heatmap point")
        elif isinstance(point, Points):
            point.data = np.array([look.position[::-1]])
        else:
            self._layers.add("heatmap point", _look_point(look.position))

    def _put_others(self, others: Sequence[Exposure]) -> None:
        poses = tuple(entry.world_from_camera for entry in others)
        if self._layers.shows("other C-arms") and self._layers.changed("other C-arms", poses):
            lines = [frustum(e.radiograph.carm, e.world_from_camera) for e in others]
            self._layers.put_lines("other C-arms", _joined(lines), _BLUE, width=3.5)

    def _put_ghosts(self, active: Exposure | None) -> None:
        if not self._layers.shows("ghosts"):
            return
        poses = () if active is None else self._earlier(active)
        if self._layers.changed("ghosts", poses):
            # The detector's outline and the central ray: the rest would hide what it surrounds.
            lines = [frustum(active.radiograph.carm, pose)[4:] for pose in poses] if active else []
            self._layers.put_lines("earlier poses", _joined(lines), _GREY, width=3.5, opacity=0.6)

    def _earlier(self, active: Exposure) -> tuple[Pose, ...]:
        """Poses on record before and after the present one, the nearest in the history."""
        history = self._session.history
        near = history.records[max(0, history.at - _GHOSTS) : history.at + _GHOSTS // 2]
        there = (moment.state.find(active.id) for moment in near)
        poses = {id(one.world_from_camera): one.world_from_camera for one in there if one}
        poses.pop(id(active.world_from_camera), None)
        return tuple(poses.values())[-_GHOSTS:]


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
        **WORLD,
    )


def _joined(lines: Sequence[Float[ndarray, "n 2 3"]]) -> Float[ndarray, "m 2 3"]:
    return np.concatenate(lines) if lines else np.zeros((0, 2, 3))
