"""The layers of the room: in what order they are drawn, which parts are switched on, what is new."""

import operator
from collections.abc import Iterable
from typing import Any

from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Layer, Points, Vectors
from numpy import ndarray

WORLD: dict[str, Any] = {"units": ("mm",) * 3, "axis_labels": ("z", "y", "x")}
# From the first drawn to the last: what hides in the bone is drawn over it.
_ORDER = (
    *("CT", "bone", "earlier poses", "other C-arms", "rays"),
    *("C-arm", "detector", "source", "landmarks", "heatmap ray", "heatmap point"),
)
OF_PART = {
    "volume": ("CT",),
    "bone": ("bone",),
    "landmarks": ("landmarks",),
    "names": (),
    "C-arm": ("C-arm", "detector", "source"),
    "rays": ("rays", "heatmap ray", "heatmap point"),
    "other C-arms": ("other C-arms",),
    "ghosts": ("earlier poses",),
}
PARTS = tuple(OF_PART)
"""What can be shown or hidden."""

_SHOWN_AT_FIRST = ("bone", "landmarks", "C-arm", "rays", "other C-arms", "ghosts")


class RoomLayers:
    """By name, as they stand in the viewer.

    Parameters
    ----------
    viewer
        Its own model, not the user's layer list.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: dict[str, Layer] = {}
        self._shown = set(_SHOWN_AT_FIRST)
        self._seen: dict[str, tuple[object, ...]] = {}

    def get(self, name: str) -> Layer | None:
        """None where there is nothing of the kind yet."""
        return self._layers.get(name)

    def shows(self, part: str) -> bool:
        """Whether one of `PARTS` is switched on."""
        return part in self._shown

    def switch(self, part: str, on: bool) -> None:
        """Show or hide what there is of one of `PARTS`."""
        (self._shown.add if on else self._shown.discard)(part)
        for name in OF_PART[part]:
            if name in self._layers:
                self._layers[name].visible = on
        names = self._layers.get("landmarks")
        if part == "names" and isinstance(names, Points):
            names.text.visible = on

    def put_lines(
        self,
        name: str,
        lines: Float[ndarray, "n 2 3"],
        colour: str,
        *,
        width: float,
        opacity: float = 1.0,
    ) -> None:
        """Lines in a layer of this name; none where there are none.

        Parameters
        ----------
        lines
            Start and extent, (z, y, x), LPS mm.
        width
            mm.
        """
        layer = self._layers.get(name)
        if isinstance(layer, Vectors) and len(lines):
            layer.data = lines
            return
        self.drop(name)
        if len(lines):
            vectors = Vectors(
                lines,
                vector_style="line",
                edge_width=width,
                edge_color=colour,
                opacity=opacity,
                **WORLD,
            )
            self.add(name, vectors)

    def add(self, name: str, layer: Layer) -> None:
        """In its place among the others; the view stays."""
        layer.name = name
        layer.editable = False
        part = next(part for part, names in OF_PART.items() if name in names)
        layer.visible = self.shows(part)
        angles, centre = self._viewer.scene.camera.angles, self._viewer.scene.camera.center
        zoom, first = self._viewer.scene.camera.zoom, not self._viewer.layers
        before = set(_ORDER[: _ORDER.index(name)])
        self._viewer.layers.insert(len(before & self._layers.keys()), layer)
        self._viewer.layers.selection.clear()
        if not first:
            # What comes later does not move the user's view.
            self._viewer.scene.camera.angles, self._viewer.scene.camera.center = angles, centre
            self._viewer.scene.camera.zoom = zoom
        self._layers[name] = layer

    def drop(self, name: str) -> None:
        """Take a layer out, if it is there."""
        layer = self._layers.pop(name, None)
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def changed(self, what: str, values: Iterable[object]) -> bool:
        """Whether these are other objects than at the last call."""
        new, old = tuple(values), self._seen.get(what)
        if old is not None and len(old) == len(new) and all(map(operator.is_, old, new)):
            return False
        self._seen[what] = new
        return True

    def forget(self, what: str) -> None:
        """Whatever comes next of it is new."""
        self._seen.pop(what, None)

    def clear(self) -> None:
        """None any more."""
        self._viewer.layers.clear()
        self._layers.clear()
