"""What RayEmb found, on the detector canvas: the peak of a heatmap, its spread, many points."""

import numpy as np
from jaxtyping import Float, UInt8
from napari.components import ViewerModel
from napari.layers import Image, Points, Vectors
from napari.utils.colormaps import Colormap
from numpy import ndarray

from napari_xreg.geometry import Detector
from napari_xreg.viewer.detector.uncertainty import ellipse_chords
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, place, rescale, set_in_place

EMBEDDING, FOUND, ELLIPSE = "RayEmb feature map", "RayEmb points", "RayEmb ellipse"
MISS, HERE, PEAK = "RayEmb distance", "RayEmb projection", "RayEmb peak"
ROLES = (EMBEDDING, FOUND, ELLIPSE, MISS, HERE, PEAK)
"""From bottom to top."""

TWO_SIGMA = 1 - float(np.exp(-2.0))
"""Probability within two standard deviations of a bivariate normal: 86 %."""

PEAK_COLOUR, HERE_COLOUR = "#7dffb0", "#00c8ff"
SCORE_COLOURS = Colormap(
    ((0.27, 0.0, 0.33), (0.13, 0.57, 0.55), (0.99, 0.91, 0.14)), name="RayEmb score"
)
LINE = 0.004
"""Width of lines, as a share of the detector's longer side."""


class HeatmapLayers:
    """The layers of one RayEmb widget.

    Parameters
    ----------
    viewer
        In whose list they are.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._shelf = LayerShelf(viewer, ROLES)

    def show_point(
        self,
        detector: Detector,
        peak: Float[ndarray, "2"],
        covariance: Float[ndarray, "2 2"],
        projected: Float[ndarray, "2"] | None,
    ) -> None:
        """A point's peak with its ellipse of two sigma, and where it is at the current pose.

        Parameters
        ----------
        detector
            In whose pixels the rest is given, (row, column).
        peak, covariance
            Of the posterior; pixels squared.
        projected
            None: not known, or behind the source.
        """
        chords = ellipse_chords(peak[None], covariance[None], TWO_SIGMA)
        self._lines(ELLIPSE, chords, detector, PEAK_COLOUR)
        self._marker(PEAK, peak[None], detector, PEAK_COLOUR, "cross")
        self.move_projection(detector, peak, projected)

    def move_projection(
        self,
        detector: Detector,
        peak: Float[ndarray, "2"],
        projected: Float[ndarray, "2"] | None,
    ) -> None:
        """The same point after the pose moved."""
        if projected is None or not np.isfinite(projected).all():
            self._shelf.hide(HERE)
            self._shelf.hide(MISS)
            return
        self._marker(HERE, projected[None], detector, HERE_COLOUR, "ring")
        self._lines(MISS, np.stack([projected, peak - projected])[None], detector, HERE_COLOUR)

    def hide_point(self) -> None:
        """No point is looked at."""
        for role in (ELLIPSE, MISS, HERE, PEAK):
            self._shelf.hide(role)

    def show_found(
        self,
        detector: Detector,
        pixels: Float[ndarray, "n 2"],
        share: Float[ndarray, "n"],
    ) -> None:
        """Many points, coloured from dark (0) to yellow (1); none: the layer is hidden."""
        if not len(pixels):
            self._shelf.hide(FOUND)
            return
        layer = self._shelf.need(FOUND, lambda: self._locked(_make_found()))
        if rescale(layer, detector):
            layer.current_size = 0.015 * max(detector.shape)
        layer.data = pixels.copy()
        layer.size = 0.015 * max(detector.shape)
        layer.features = {"score": share}
        layer.face_color = SCORE_COLOURS.map(np.clip(share, 0, 1))
        self._shelf.unhide(FOUND)

    def show_embedding(
        self, detector: Detector, colours: UInt8[ndarray, "rows columns 3"] | None
    ) -> None:
        """The embedding as a colour picture of the detector's area; None: hidden."""
        if colours is None:
            self._shelf.hide(EMBEDDING)
            return
        layer = self._shelf.need(EMBEDDING, _make_embedding)
        layer.data = colours
        rows, columns = colours.shape[:2]
        place(layer, detector.resize(rows, columns), detector)
        self._shelf.unhide(EMBEDDING)

    def close(self, *, remove_layers: bool) -> None:
        """Take them out of the list, unless the viewer goes anyhow."""
        self._shelf.deafen()
        if remove_layers:
            self._shelf.remove_all()

    def _locked(self, layer: Points) -> Points:
        """Not to be edited; napari makes a layer editable whenever the dimensions change."""
        self._shelf.listen(layer.events.editable, lambda: _lock(layer))
        _lock(layer)
        return layer

    def _marker(
        self,
        role: str,
        pixels: Float[ndarray, "n 2"],
        detector: Detector,
        colour: str,
        symbol: str,
    ) -> None:
        layer = self._shelf.need(role, lambda: self._locked(_make_marker(colour, symbol)))
        if rescale(layer, detector):
            layer.current_size = 0.03 * max(detector.shape)
        if len(layer.data) != len(pixels):
            layer.data = pixels.copy()  # written into below: it must not be the caller's
            layer.size = 0.03 * max(detector.shape)
        else:
            set_in_place(layer, pixels)
        self._shelf.unhide(role)

    def _lines(
        self, role: str, lines: Float[ndarray, "n 2 2"], detector: Detector, colour: str
    ) -> None:
        layer = self._shelf.need(role, lambda: _make_lines(colour))
        if rescale(layer, detector):
            layer.edge_width = LINE * max(detector.shape)
        set_in_place(layer, lines)
        self._shelf.unhide(role)


def _lock(layer: Points) -> None:
    if layer.editable:
        layer.editable = False


def _make_marker(colour: str, symbol: str) -> Points:
    return Points(
        np.zeros((0, 2)),
        ndim=2,
        face_color=colour,
        border_color="black",
        symbol=symbol,
        canvas_size_limits=(9, 20),
        **MILLIMETRES,
    )


def _make_found() -> Points:
    return Points(
        np.zeros((0, 2)), ndim=2, border_width=0, canvas_size_limits=(4, 9), **MILLIMETRES
    )


def _make_lines(colour: str) -> Vectors:
    return Vectors(
        np.zeros((0, 2, 2)), ndim=2, vector_style="line", edge_color=colour, **MILLIMETRES
    )


def _make_embedding() -> Image:
    return Image(
        np.zeros((2, 2, 3), np.uint8),
        rgb=True,
        opacity=0.55,
        blending="translucent",
        **MILLIMETRES,
    )
