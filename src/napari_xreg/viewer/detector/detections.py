"""Where a detector saw landmarks: an ellipse for each, coloured by its weight, and its samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from napari.layers import Points, Vectors
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.viewer.detector.landmark_colours import LandmarkColours
from napari_xreg.viewer.detector.uncertainty import CHORDS, ellipse_chords
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale, set_in_place

DETECTION_LAYERS = ("samples", "detections")

WEIGHT_COLOURS = Colormap(
    [[0.86, 0.30, 0.42, 1.0], [1.0, 0.78, 0.25, 1.0], [0.35, 0.95, 0.85, 1.0]], name="weight"
)
"""From a weight of 0 to 1; told apart by most colour-blind readers, by lightness too."""

NO_SAY = (0.6, 0.6, 0.6, 1.0)
"""Grey: of a landmark that no pose was fitted to."""

LEVEL = 0.95
"""Probability of the ellipses."""


@dataclass(frozen=True)
class Ellipse:
    """How sure a detector is of a landmark.

    Parameters
    ----------
    pixel
        (row, column).
    covariance
        Variance of the row, covariance, variance of the column; pixels squared.
    weight
        How much it counts, 0 to 1; None: not at all.
    """

    pixel: tuple[float, float]
    covariance: tuple[float, float, float]
    weight: float | None


class DetectionLayers:
    """Draws what it is told, on the canvas of the active radiograph.

    Parameters
    ----------
    shelf
        Where the layers are kept.
    colours
        Of the names.
    """

    def __init__(self, shelf: LayerShelf, colours: LandmarkColours) -> None:
        self._shelf = shelf
        self._colours = colours

    def show_ellipses(self, ellipses: Sequence[Ellipse], detector: Detector | None) -> None:
        """The 95 % ellipses about the picked pixels; none: nothing is drawn."""
        if detector is None or not ellipses:
            self._shelf.hide("detections")
            return
        centres = np.array([ellipse.pixel for ellipse in ellipses])
        covariances = np.array([[e.covariance[:2], e.covariance[1:]] for e in ellipses])
        layer = self._shelf.need("detections", _make_ellipses)
        if rescale(layer, detector):
            layer.edge_width = 0.005 * max(detector.shape)
        set_in_place(layer, ellipse_chords(centres, covariances, LEVEL))
        colours = np.repeat([weight_colour(e.weight) for e in ellipses], CHORDS, axis=0)
        if not np.array_equal(layer.edge_color, colours):
            layer.edge_color = colours
        self._shelf.unhide("detections")

    def show_samples(
        self,
        names: Sequence[str],
        samples: Float[ndarray, "s n 2"] | None,
        detector: Detector | None,
    ) -> None:
        """Every pass of the detector as a cloud of dots in the colour of its landmark; None: none."""
        if detector is None or samples is None or not samples.size:
            self._shelf.hide("samples")
            return
        layer = self._shelf.need("samples", _make_samples)
        if rescale(layer, detector):
            layer.current_size = 0.008 * max(detector.shape)
        layer.data = samples.reshape(-1, 2)
        layer.size = layer.current_size
        layer.face_color = np.tile(self._colours.table(names), (len(samples), 1))
        self._shelf.unhide("samples")


def weight_colour(weight: float | None) -> tuple[float, float, float, float]:
    """Of an ellipse and of a cell of the table: red, green, blue, opacity."""
    if weight is None:
        return NO_SAY
    red, green, blue, opacity = WEIGHT_COLOURS.map(np.clip([weight], 0, 1))[0]
    return float(red), float(green), float(blue), float(opacity)


def _make_ellipses() -> Vectors:
    return Vectors(np.zeros((0, 2, 2)), ndim=2, vector_style="line", **MILLIMETRES)


def _make_samples() -> Points:
    layer = Points(
        np.zeros((0, 2)),
        ndim=2,
        symbol="disc",
        opacity=0.5,
        border_width=0,
        canvas_size_limits=(2, 6),
        **MILLIMETRES,
    )
    layer.editable = False
    return layer
