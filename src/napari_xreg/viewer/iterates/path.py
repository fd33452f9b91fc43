"""The path layer: one point per iterate where the anatomy was projected, with all its numbers."""

from collections.abc import Callable

import numpy as np
from napari.layers import Points

from napari_xreg.viewer.iterates.record import IterateRecord
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale

POINT, CURRENT = 0.012, 2.2
"""Size as a share of the detector's longer side, and of the current point against the others."""


class IteratePath:
    """Paints a record; says which point was clicked.

    Parameters
    ----------
    shelf, role
        Where the layer is kept.
    clicked
        Called with the number of the one point selected by the user.
    """

    def __init__(self, shelf: LayerShelf, role: str, clicked: Callable[[int], None]) -> None:
        self._shelf, self._role, self._clicked = shelf, role, clicked
        self._painting = False

    def paint(self, record: IterateRecord, current: int) -> None:
        """All points and the whole features table."""
        layer = self._shelf.need(self._role, self._make)
        self._painting = True
        try:
            rescale(layer, record.carm.detector)
            layer.selected_data = set()
            layer.data = record.path()
            layer.features = record.columns()
        finally:
            self._painting = False
        self.mark(record, current)

    def mark(self, record: IterateRecord, current: int) -> None:
        """Make the current iterate's point larger than the others."""
        layer = self._shelf.get(self._role)
        if layer is None or len(layer.data) != len(record):
            return
        size = np.full(len(record), POINT * max(record.carm.detector.shape))
        if 0 <= current < len(size):
            size[current] *= CURRENT
        self._painting = True
        try:
            layer.size = size
        finally:
            self._painting = False

    def describe(self, words: dict[str, object]) -> None:
        """Keep what is known of the whole refinement in the layer's metadata."""
        layer = self._shelf.get(self._role)
        if layer is not None:
            layer.metadata["xreg"] = words

    def _make(self) -> Points:
        layer = Points(
            np.zeros((0, 2)),
            ndim=2,
            border_width=0,
            face_color="#d0a0ff",
            canvas_size_limits=(3, 14),
            **MILLIMETRES,
        )
        self._shelf.listen(layer.selected_data.events.items_changed, self._on_selected)
        return layer

    def _on_selected(self, event: object = None) -> None:
        layer = self._shelf.get(self._role)
        if not self._painting and layer is not None and len(layer.selected_data) == 1:
            self._clicked(int(next(iter(layer.selected_data))))
