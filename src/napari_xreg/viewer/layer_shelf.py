"""The layers that belong to one canvas, in the user's own layer list.

A layer is made when first needed and known by identity, so that a renamed one is still ours and a
removed one is simply made again. Each has a place from bottom to top; what the user has between
them stays there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points, Vectors
from napari.utils.events import EventEmitter
from numpy import ndarray
from psygnal import SignalInstance

from napari_xreg.geometry import Detector

SomeLayer = TypeVar("SomeLayer", bound=Layer)

MILLIMETRES = {"units": ("mm", "mm"), "axis_labels": ("row", "column")}
"""Keywords of every layer on the detector."""


class LayerShelf:
    """Layers by role.

    Parameters
    ----------
    viewer
        Whose list they are in.
    roles
        Names, from bottom to top.
    """

    def __init__(self, viewer: ViewerModel, roles: Sequence[str]) -> None:
        self._viewer = viewer
        self._roles = tuple(roles)
        self._layers: dict[str, Layer] = {}
        self._hidden: set[str] = set()
        self._heard: list[tuple[EventEmitter | SignalInstance, Callable[..., None]]] = []

    def __iter__(self) -> Iterator[Layer]:
        """Those that exist, from bottom to top."""
        return (layer for role in self._roles if (layer := self.get(role)) is not None)

    @property
    def roles(self) -> tuple[str, ...]:
        """From bottom to top."""
        return self._roles

    def get(self, role: str) -> Layer | None:
        """The layer, or None where it was never needed or was removed by the user."""
        layer = self._layers.get(role)
        if layer is not None and not any(layer is other for other in self._viewer.layers):
            del self._layers[role]
            return None
        return layer

    def need(self, role: str, make: Callable[[], SomeLayer]) -> SomeLayer:
        """The layer, made and put in its place if it is not there. The selection stays."""
        known = self.get(role)
        if known is not None:
            return known
        layer = make()
        layer.name = role
        selected = set(self._viewer.layers.selection)
        active = self._viewer.layers.selection.active
        place = self._place(role)
        self._layers[role] = layer  # whoever hears that it is there knows whose it is
        self._viewer.layers.insert(place, layer)
        if selected:
            self._viewer.layers.selection = selected
            self._viewer.layers.selection.active = active
        self._hidden.discard(role)
        return layer

    def take_over(self, role: str, other: "LayerShelf") -> Layer | None:
        """The layer of another shelf in the same role, which is this one's from now on; None: it has none."""
        layer = other.get(role)
        if layer is not None:
            self._layers[role] = other._layers.pop(role)
        return layer

    def show(self, role: str, visible: bool) -> None:
        """Switch a layer on or off, if it is there."""
        layer = self.get(role)
        if layer is not None and layer.visible != visible:
            layer.visible = visible

    def hide(self, role: str) -> None:
        """Switch a layer off until `unhide`; one that the user switched off stays the user's."""
        layer = self.get(role)
        if layer is not None and layer.visible:
            layer.visible = False
            self._hidden.add(role)

    def unhide(self, role: str) -> None:
        """Take a `hide` back."""
        if role in self._hidden:
            self._hidden.discard(role)
            self.show(role, True)

    def select(self, layer: Layer) -> None:
        """Make it the one that mouse and keys act on."""
        self._viewer.layers.selection.select_only(layer)

    def listen(self, emitter: EventEmitter | SignalInstance, slot: Callable[..., None]) -> None:
        """Connect until `deafen`."""
        emitter.connect(slot)
        self._heard.append((emitter, slot))

    def deafen(self) -> None:
        """Disconnect everything that `listen` connected."""
        for emitter, slot in self._heard:
            emitter.disconnect(slot)
        self._heard.clear()

    def drop(self, role: str) -> None:
        """Take a layer out of the list, if it is there."""
        layer = self.get(role)
        self._hidden.discard(role)
        if layer is not None:
            self._viewer.layers.remove(layer)
            self._layers.pop(role, None)  # who hears of it may have looked

    def remove_all(self) -> None:
        """Take them out of the list."""
        for layer in list(self):
            self._viewer.layers.remove(layer)
        self._layers.clear()

    def _place(self, role: str) -> int:
        rank = self._roles.index(role)
        below = above = None
        for other in self._roles:
            layer = self.get(other)
            if layer is None:
                continue
            at = next(i for i, one in enumerate(self._viewer.layers) if one is layer)
            if self._roles.index(other) < rank:
                below = at if below is None else max(below, at)
            else:
                above = at if above is None else min(above, at)
        if below is not None:
            return below + 1
        return len(self._viewer.layers) if above is None else above


def rescale(layer: Layer, detector: Detector) -> bool:
    """Lay data in pixels of `detector` on its canvas; True where the detector is another one."""
    if layer.metadata.get("detector") == (detector.shape, detector.spacing):
        return False
    layer.metadata["detector"] = (detector.shape, detector.spacing)
    layer.scale = detector.spacing
    return True


def set_in_place(layer: Points | Vectors, data: Float[ndarray, "n *more"]) -> None:
    """New coordinates; a change of their number goes through the layer's setter."""
    if layer.data.shape == data.shape and layer.data.dtype == data.dtype:
        layer.data[...] = data
        layer.refresh(thumbnail=False, highlight=False, extent=False)
    else:
        layer.data = data


def place(layer: Image, detector: Detector, full: Detector) -> None:
    """Lay pixels of `detector` where they are on the canvas of `full`: outer edges agree."""
    translate = tuple(
        (mine - theirs) / 2 for mine, theirs in zip(detector.spacing, full.spacing, strict=True)
    )
    if not np.allclose(layer.scale, detector.spacing, rtol=1e-9, atol=0):
        layer.scale = detector.spacing
    if not np.allclose(layer.translate, translate, rtol=1e-9, atol=1e-9):
        layer.translate = translate
