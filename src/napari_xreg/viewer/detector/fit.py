"""The detector fills the canvas, and goes on filling it while the canvas changes its size."""

import numpy as np
from napari.components import ViewerModel

from napari_xreg.geometry import Detector
from napari_xreg.viewer.layer_shelf import LayerShelf

MARGIN = 0.05
"""Of the canvas, left free."""


class DetectorFit:
    """Fits the view to the detector, again whenever the canvas becomes larger or smaller.

    A slider that appears below the canvas, a dock, another size of the window: each would cut the
    picture or leave it small. With a slider napari fits everything there is, landmarks beside the
    detector too. Once the user has moved or zoomed, the view is the user's.

    Parameters
    ----------
    viewer
        Whose camera is set.
    shelf
        Keeps the connection, until it is deafened.
    """

    def __init__(self, viewer: ViewerModel, shelf: LayerShelf) -> None:
        self._viewer = viewer
        self._detector: Detector | None = None
        self._left: tuple[float, ...] = ()
        self._order: tuple[int, ...] = ()
        self._touched = False
        camera = viewer.scene.camera
        for emitter, slot in (
            (viewer.canvas.events.size, self._on_size),
            (camera.events.center, self._on_camera),
            (camera.events.zoom, self._on_camera),
            (viewer.events.reset_view, self._on_reset),
        ):
            shelf.listen(emitter, slot)

    def fit(self, detector: Detector) -> None:
        """Fill the canvas with a detector, now and after changes of its size."""
        self._order, self._touched = self._viewer.dims.order, False
        self._detector = detector
        self._fit_again()

    def _fit_again(self) -> None:
        detector = self._detector
        if detector is not None and not self._touched:
            self._detector = None  # what the camera says meanwhile is not the user's doing
            look_at(self._viewer, detector)
            self._left, self._detector = self._view(), detector

    def _on_size(self, event: object = None) -> None:
        self._fit_again()

    def _on_camera(self, event: object = None) -> None:
        # With another order of the axes it is napari that fits: see `_on_reset`.
        if self._detector is not None and self._viewer.dims.order == self._order:
            self._touched = not np.allclose(self._view(), self._left, rtol=1e-4)

    def _on_reset(self, event: object = None) -> None:
        """napari has fitted everything: because an axis came or went, or for the Home button."""
        if self._detector is not None and self._viewer.dims.order != self._order:
            self._order = self._viewer.dims.order
            self._fit_again()

    def _view(self) -> tuple[float, ...]:
        camera = self._viewer.scene.camera
        return *camera.center[-2:], camera.zoom


def look_at(viewer: ViewerModel, detector: Detector) -> None:
    """Fill the canvas with the detector, where its plane is what the canvas shows.

    `ViewerModel.fit_to_view` does not know what to do with it beside layers of three axes (0.9.2).
    """
    if viewer.dims.displayed != (viewer.dims.ndim - 2, viewer.dims.ndim - 1):
        return
    size = np.array(detector.size_mm)
    camera = viewer.scene.camera
    camera.center = (0.0, *((size - detector.spacing) / 2))
    view = viewer.canvas.viewbox_size(viewer.layers)
    camera.zoom = (1 - MARGIN) * float(np.min(view / size))
