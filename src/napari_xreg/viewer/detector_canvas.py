"""The detector canvas: the session's active radiograph, and what explains it, as napari layers.

Where things are: (row, column) in millimetres on the detector, the centre of pixel (0, 0) at the
origin. A layer on the radiograph's grid has ``scale = detector.spacing`` and no translation; one
on a coarser grid (a preview) covers the same area, so it is also moved by half a pixel's
difference. Data of points and vectors are pixels of the radiograph.
"""

from dataclasses import replace

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.session import Preview, Session
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf

OVERLAYS = ("blend", "edges", "difference", "checkerboard", "blink", "radiograph", "DRR")
ROLES = ("radiograph", "DRR", "difference", "checkerboard", "edges", "heatmap", "mask")


class DetectorCanvas:
    """Shows the active radiograph of a session and the DRR at its pose.

    Parameters
    ----------
    viewer
        The user's own; the layers are added to its list.
    session
        The truth; what it announces is shown here.
    """

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        self.viewer = viewer
        self.session = session
        self._shelf = LayerShelf(viewer, ROLES)
        self._overlay = "blend"
        self._shown: Radiograph | None = None
        self._drr_fitted = False
        session.active_changed.connect(self._show_radiograph)
        session.radiographs_changed.connect(self._show_radiograph)
        self._show_radiograph()

    @property
    def carm(self) -> CArm | None:
        """Of the active radiograph; None where there is none."""
        active = self.session.active
        return None if active is None else active.radiograph.carm

    def preview_carm(self, pixels: int) -> CArm:
        """The same C-arm, its detector's longer side sampled with at most `pixels`."""
        carm = self.carm
        if carm is None:
            raise ValueError("there is no radiograph: load one first")
        rows, columns = carm.detector.shape
        shrink = min(1.0, pixels / max(rows, columns))
        if shrink == 1.0:
            return carm
        shape = max(1, round(rows * shrink)), max(1, round(columns * shrink))
        return replace(carm, detector=carm.detector.resize(*shape))

    @property
    def overlay(self) -> str:
        """How radiograph and DRR are compared: one of `OVERLAYS`."""
        return self._overlay

    @overlay.setter
    def overlay(self, mode: str) -> None:
        if mode not in OVERLAYS:
            raise ValueError(f"the overlay must be one of {', '.join(OVERLAYS)}: got {mode!r}")
        self._overlay = mode
        self._shelf.show("radiograph", mode != "DRR")
        self._shelf.show("DRR", mode != "radiograph")

    def show_preview(self, preview: Preview) -> None:
        """Paint a DRR; nothing where it belongs to another radiograph."""
        carm = self.carm
        if carm is None:
            return
        detector = preview.request.carm.detector
        if not np.allclose(detector.size_mm, carm.detector.size_mm):
            return
        layer = self._shelf.need("DRR", self._make_drr)
        paint(layer, preview.image, detector, carm.detector)
        if not self._drr_fitted and preview.image.max() > 0:
            layer.contrast_limits = robust_limits(preview.image)
            self._drr_fitted = True

    def blink(self) -> None:
        """The other picture of the pair: called by a timer while the overlay is "blink"."""

    def close(self, *, remove_layers: bool = False) -> None:
        """Follow the session no longer; the layers stay unless asked otherwise."""
        self.session.active_changed.disconnect(self._show_radiograph, missing_ok=True)
        self.session.radiographs_changed.disconnect(self._show_radiograph, missing_ok=True)
        if remove_layers:
            self._shelf.remove_all()

    def _show_radiograph(self) -> None:
        active = self.session.active
        if active is None:
            self._shown = None
            self._shelf.show("radiograph", False)
            self._shelf.show("DRR", False)
            return
        radiograph = active.radiograph
        if radiograph is self._shown:
            return
        detector = radiograph.carm.detector
        moved = self._shown is None or self._shown.carm.detector.size_mm != detector.size_mm
        self._shown = radiograph
        self._drr_fitted = False
        picture = radiograph.line_integrals.detach().cpu().numpy().astype(np.float32)
        layer = self._shelf.need("radiograph", self._make_radiograph)
        paint(layer, picture, detector, detector)
        layer.contrast_limits = robust_limits(picture)
        self.overlay = self._overlay
        if moved:
            self.viewer.fit_to_view(layers=[layer])

    @staticmethod
    def _make_radiograph() -> Image:
        return Image(np.zeros((2, 2), np.float32), colormap="gray", **MILLIMETRES)

    @staticmethod
    def _make_drr() -> Image:
        blank = np.zeros((2, 2), np.float32)
        return Image(blank, colormap="green", blending="additive", **MILLIMETRES)


def paint(layer: Image, picture: NDArray[np.float32], detector: Detector, full: Detector) -> None:
    """Show a picture of `detector`, which samples the area of `full`, in place where it can be."""
    if layer.data.shape != picture.shape:
        layer.data = np.array(picture, np.float32)
    else:
        layer.data[...] = picture
        layer.refresh(thumbnail=False, highlight=False, extent=False)
    translate = tuple(
        (mine - theirs) / 2 for mine, theirs in zip(detector.spacing, full.spacing, strict=True)
    )
    if not np.allclose(layer.scale, detector.spacing, rtol=1e-12, atol=0):
        layer.scale = detector.spacing
    if not np.allclose(layer.translate, translate, rtol=1e-9, atol=1e-12):
        layer.translate = translate


def robust_limits(picture: NDArray[np.float32]) -> tuple[float, float]:
    """The 0.5th and 99.5th percentile of what is finite; always an interval."""
    finite = picture[np.isfinite(picture)]
    low, high = (float(v) for v in np.percentile(finite, (0.5, 99.5))) if finite.size else (0, 1)
    return (low, high) if high > low else (low, low + 1.0)
