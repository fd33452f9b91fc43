"""Named points on the detector canvas, and who changed them: the plugin, or its user."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from napari.layers import Points
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.viewer.layer_shelf import MILLIMETRES, rescale, set_in_place

LINE, MARKER = 0.004, 0.025
"""Width of lines and size of markers, as a share of the detector's longer side."""


class OwnWriting:
    """Events of layers that come while the plugin writes are no intents of the user."""

    def __init__(self) -> None:
        self.busy = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Until it ends, what layers say is the plugin's own doing."""
        before, self.busy = self.busy, True
        try:
            yield
        finally:
            self.busy = before

    def write(
        self,
        layer: Points,
        names: list[str],
        pixels: Float[ndarray, "n 2"],
        detector: Detector | None,
    ) -> None:
        """Other points, (row, column) of a detector; None: it stays as it is."""
        with self.writing():
            if detector is not None and rescale(layer, detector):
                layer.current_size = MARKER * max(detector.shape)
                layer.size = layer.current_size
            same = list(layer.features["name"]) == names
            if same and np.array_equal(layer.data, pixels):
                pass
            elif same:
                set_in_place(layer, pixels)
            else:
                layer.selected_data = set()
                layer.data = pixels
                if not layer.visible:  # napari does not slice it, and its text asks for points gone
                    layer.set_view_slice()
                features = {"name": np.array(names, dtype=object)}
                layer.features = table(names, names) if "label" in layer.features else features


def points(colour: str, symbol: str, anchor: str, text: str) -> Points:
    """An empty layer; `text` says what is written beside each."""
    return Points(
        np.zeros((0, 2)),
        ndim=2,
        features=table([], []) if "label" in text else {"name": np.array([], dtype=object)},
        text={"string": text, "size": 10, "color": colour, "anchor": anchor},
        face_color=colour,
        border_color="black",
        symbol=symbol,
        canvas_size_limits=(7, 16),
        **MILLIMETRES,
    )


def table(names: list[str], labels: list[str]) -> dict[str, ndarray]:
    """A landmark's name, and what is written beside it."""
    return {"name": np.array(names, dtype=object), "label": np.array(labels, dtype=object)}
