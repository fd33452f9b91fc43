"""A slider of napari's, with its play button, over the frames of a sequence.

The radiograph on the canvas is one picture: what gives the viewer an axis of frames is a layer with nothing to be
seen, from the first frame to the last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Layer, Points
from numpy import ndarray
from psygnal import Signal

from napari_xreg.viewer.iterates.axes import FRAME, axes_between
from napari_xreg.viewer.layer_shelf import LayerShelf

ROLE = "frames of the sequence"


class FrameAxis:
    """Says where the slider over the frames was moved to.

    Parameters
    ----------
    viewer
        The user's own.
    """

    moved = Signal(int)
    """The number of the frame that the slider stands at, by the user or while it plays."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._shelf = LayerShelf(viewer, (ROLE,))
        self._numbers: tuple[int, ...] = ()
        self._at = 0
        self._placing = False
        self._shelf.listen(viewer.dims.events.point, self._on_slider)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            self._shelf.listen(event, self._on_layers)

    def show(self, numbers: Sequence[int]) -> None:
        """A slider over these frames; over one alone, or none, there is none."""
        self._numbers, self._at = tuple(numbers), 0
        if len(self._numbers) < 2:
            self._numbers = ()
            self._shelf.remove_all()
        else:
            self._place()

    def go(self, number: int) -> None:
        """Put the slider at a frame, as if nobody had moved it."""
        if number in self._numbers:
            self._at = self._numbers.index(number)
            self._move()

    def close(self, *, remove_layers: bool) -> None:
        """For good; the slider goes unless the viewer goes anyhow."""
        self._shelf.deafen()
        self._numbers = ()
        if remove_layers:
            self._shelf.remove_all()

    def _axis(self) -> int:
        """Of the viewer, that counts frames; negative where there is none."""
        layer = self._shelf.get(ROLE)
        return -1 if layer is None else int(self._viewer.dims.ndim) - layer.ndim

    def _place(self) -> None:
        """In front of all axes that other layers have; iterations come before it."""
        between = axes_between(self._viewer.layers, frames=False)
        ends = np.zeros((2, len(between) + 3))
        ends[1, 0] = len(self._numbers) - 1
        # As thick as other layers are, or their own sliders went in other steps.
        where = {
            "scale": (1.0, *between.scale, 1.0, 1.0),
            "translate": (0.0, *between.translate, 0.0, 0.0),
            "units": ("dimensionless", *map(str, between.units), "millimeter", "millimeter"),
            "axis_labels": (FRAME, *between.labels, "row", "column"),
        }
        self._placing = True
        try:
            layer = self._shelf.get(ROLE)
            if layer is not None and not _lies(layer, ends, where):
                self._shelf.drop(ROLE)
            self._shelf.need(ROLE, lambda: Points(ends, visible=False, **where))
        finally:
            self._placing = False
        self._move()

    def _move(self) -> None:
        axis = self._axis()
        if axis < 0:
            return
        was, self._placing = self._placing, True
        try:
            self._viewer.dims.set_point(axis, float(self._at))
        finally:
            self._placing = was

    def _on_layers(self, event: Any = None) -> None:
        """A CT came, or went: frames keep a slider of their own."""
        if self._numbers and not self._placing and self._shelf.get(ROLE) is not None:
            self._place()

    def _on_slider(self, event: Any = None) -> None:
        axis = self._axis()
        if self._placing or axis < 0 or not self._numbers:
            return
        at = min(max(round(float(self._viewer.dims.point[axis])), 0), len(self._numbers) - 1)
        if at != self._at:
            self._at = at
            self.moved.emit(self._numbers[at])


def _lies(layer: Layer, ends: Float[ndarray, "2 axes"], where: Mapping[str, Any]) -> bool:
    """Whether a layer is where it would be made."""
    if not np.array_equal(layer.data, ends) or layer.axis_labels != where["axis_labels"]:
        return False
    return np.allclose(layer.scale, where["scale"]) and np.allclose(
        layer.translate, where["translate"]
    )
