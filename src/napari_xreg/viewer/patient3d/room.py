"""The room: the patient, the C-arm that looks at it, and what its radiograph says, in 3D."""

import itertools
from dataclasses import replace

import numpy as np
import scipy.spatial.transform  # noqa: F401  (napari's camera asks for it when it is turned: not in the window's thread)
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points, Surface, Vectors
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import reverse_axes
from napari_xreg.session import Session
from napari_xreg.viewer.layer_data import placement
from napari_xreg.viewer.patient3d.room_carms import CArmsInRoom
from napari_xreg.viewer.patient3d.room_layers import PARTS, WORLD, RoomLayers
from napari_xreg.viewer.patient3d.room_mouse import RoomMouse
from napari_xreg.viewer.patient3d.room_patient import BONE_HU, PatientModel, PatientRequest
from napari_xreg.viewer.patient3d.room_view import fit, turn

_GREEN = "#1FA97F"
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
        self._layers = RoomLayers(viewer)
        self._carms = CArmsInRoom(self._layers, session)
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
        return self._layers.shows(part)

    def show(self, part: str, on: bool) -> None:
        """Show or hide one of `PARTS`."""
        if part not in PARTS:
            raise ValueError(f"the room shows {', '.join(PARTS)}: got {part!r}")
        self._layers.switch(part, on)
        if on:
            self.refresh()

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
        self._layers.drop("CT")
        self._layers.drop("bone")
        self._put_patient()
        if not self._framed:
            self._framed = True
            self.look()

    def refresh(self) -> None:
        """Show what changed in the session; what did not, or is hidden, costs nothing."""
        if self.session.patient.volume is None and self.patient is not None:
            self.patient = None
            self._layers.drop("CT")
            self._layers.drop("bone")
        self._put_patient()
        active = self.session.exposures.active
        self._carms.refresh()
        self._put_landmarks()
        if active is not None and not self._framed and self.session.patient.volume is None:
            self._framed = True
            self.look()

    def close(self) -> None:
        """Remove callbacks and layers."""
        self._mouse.close()
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
        if self.shows("volume") and self._layers.get("CT") is None:
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
            self._layers.add("CT", image)
        if self.shows("bone") and self._layers.get("bone") is None and len(model.faces):
            # napari's own light fails in a camera of this handedness: it falls on the inside.
            light = 0.5 + 0.5 * model.normals @ _LIGHT
            surface = Surface(
                (model.vertices, model.faces, light),
                colormap=Colormap([_SHADE, _BONE], name="lit bone"),
                contrast_limits=(0.0, 1.0),
                shading="none",
                **WORLD,
            )
            self._layers.add("bone", surface)

    def _put_landmarks(self) -> None:
        marks = self.session.landmarks.all
        if not self.shows("landmarks") or not self._layers.changed("landmarks", marks):
            return
        at = np.array([mark.position for mark in marks], np.float64).reshape(-1, 3)[:, ::-1]
        names = [mark.name for mark in marks]
        layer = self._layers.get("landmarks")
        if isinstance(layer, Points) and list(layer.features["name"]) == names:
            layer.data = at
            return
        self._layers.drop("landmarks")
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
            **WORLD,
        )
        self._layers.add("landmarks", points)
