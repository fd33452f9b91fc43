"""The layers that belong to one canvas, in the user's own layer list.

A layer is made when first needed and known by identity, so that a renamed one is still ours and a
removed one is simply made again. Each has a place from bottom to top; what the user has between
them stays there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from napari.components import ViewerModel
from napari.layers import Layer

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

    def __iter__(self) -> Iterator[Layer]:
        """Those that exist, from bottom to top."""
        return (layer for role in self._roles if (layer := self.get(role)) is not None)

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
        self._viewer.layers.insert(self._place(role), layer)
        if selected:
            self._viewer.layers.selection = selected
            self._viewer.layers.selection.active = active
        self._layers[role] = layer
        return layer

    def show(self, role: str, visible: bool) -> None:
        """Switch a layer on or off, if it is there."""
        layer = self.get(role)
        if layer is not None and layer.visible != visible:
            layer.visible = visible

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
