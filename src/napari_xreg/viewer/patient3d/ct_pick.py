"""Points of the patient by the mouse on the CT's own layers, as far as the viewer has any."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_xreg.images import LabelMap, Volume
from napari_xreg.session import Session
from napari_xreg.viewer.adoption import world_matrix
from napari_xreg.viewer.layer_data import carried

Point = tuple[float, float, float]


class CtPick:
    """While on, a click or drag on the selected CT layer gives the point under the mouse.

    Parameters
    ----------
    viewer
        Where the layers are; only its flat (2D) display is used.
    session
        Layers that were made from another CT than its own are refused.
    picked
        Called with (x, y, z), LPS mm, on the click and at every move while the button is held.
    refused
        Called with a sentence.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        picked: Callable[[Point], None],
        refused: Callable[[str], None],
    ) -> None:
        self._viewer, self._session = viewer, session
        self._picked, self._refused = picked, refused
        self.on = True
        # The very same object each time: a bound method is made anew by every look-up.
        self._callback = self._press
        viewer.mouse_drag_callbacks.append(self._callback)

    def close(self) -> None:
        """Listen no more."""
        if self._callback in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._callback)

    def _press(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        layer = viewer.layers.selection.active
        if not self.on or event.button != 1 or event.modifiers or viewer.dims.ndisplay != 2:
            return
        if not _is_ct(layer) or self._session.patient.volume is None:
            return
        why = self._stranger(layer)
        if why:
            self._refused(why)
            return
        found = point_in(layer, event.position)
        if found is None:
            return
        camera = viewer.scene.camera
        panned = camera.mouse_pan
        camera.mouse_pan = False
        event.handled = True
        try:
            self._picked(found)
            yield
            while event.type == "mouse_move":
                event.handled = True
                found = point_in(layer, event.position)
                if found is not None:
                    self._picked(found)
                yield
        finally:
            camera.mouse_pan = panned

    def _stranger(self, layer: Layer) -> str:
        """Why a layer is not this patient's; empty where it may be."""
        carry = carried(layer.metadata)
        value = None if carry is None else carry.value
        ours = (self._session.patient.volume, self._session.patient.labels)
        if isinstance(value, Volume | LabelMap) and not any(value is own for own in ours):
            return f"{layer.name} is not the CT of this session: choose it in Data first."
        return ""


def point_in(layer: Layer, position: Any) -> Point | None:
    """World (LPS), mm, of a place on a layer; None outside its data.

    Parameters
    ----------
    position
        In the viewer's coordinates, as of a mouse event.
    """
    index = np.asarray(layer.world_to_data(position), np.float64)[-3:]
    size = np.asarray(layer.data.shape[-3:])
    if ((index < -0.5) | (index > size - 0.5)).any():
        return None
    # As when the layer is taken over as a CT: whatever its scale, affine and unit are.
    matrix, _ = world_matrix(layer)
    z, y, x = (float(v) for v in matrix[:3, :3] @ index + matrix[:3, 3])
    return x, y, z


def _is_ct(layer: Layer | None) -> bool:
    flat = layer is None or layer.ndim != 3 or not layer.visible
    return not flat and isinstance(layer, Image | Labels) and not getattr(layer, "rgb", False)
