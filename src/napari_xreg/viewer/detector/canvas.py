"""The detector canvas: the session's active radiograph, and what explains it, as napari layers.

Where things are: (row, column) in millimetres on the detector, the centre of pixel (0, 0) at the
origin. A layer on the radiograph's grid has ``scale = detector.spacing`` and no translation; one
on a coarser grid (a preview) covers the same area, so it is also moved by half a pixel's
difference. Points, vectors and labels hold pixels of the radiograph.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_warning
from numpy import ndarray
from psygnal import SignalInstance

from napari_xreg.geometry import CArm, Pose
from napari_xreg.session import Preview, Result, Session
from napari_xreg.viewer.detector.detections import DETECTION_LAYERS, DetectionLayers
from napari_xreg.viewer.detector.fit import DetectorFit
from napari_xreg.viewer.detector.landmarks import LandmarkLayers
from napari_xreg.viewer.detector.mask import MaskLayer
from napari_xreg.viewer.detector.pictures import OVERLAYS, PictureLayers, paint
from napari_xreg.viewer.detector.pose_handles import ROLE as HANDLES, PoseHandles
from napari_xreg.viewer.detector.radiograph_layer import RadiographLayer
from napari_xreg.viewer.detector.uncertainty import UncertaintyLayer
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf

__all__ = ["OVERLAYS", "DetectorCanvas"]

_ROLES = (
    *("radiograph", "DRR", "difference", "checkerboard", "swipe", "edges", "heatmap", "mask"),
    *DETECTION_LAYERS,
    *("ellipses", "residuals", "projected landmarks", "landmarks", HANDLES),
)


class DetectorCanvas:
    """Shows the active radiograph of a session, the DRR at its pose, landmarks and mask.

    Layers are made when first needed and again if the user removed them. What the user does to
    landmarks and mask goes back into the session.

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
        self._shelf = LayerShelf(viewer, _ROLES)
        self._fit = DetectorFit(viewer, self._shelf)
        self._pictures = PictureLayers(self._shelf)
        self._radiograph = RadiographLayer(viewer, self._shelf, session)
        self._landmarks = LandmarkLayers(self._shelf, session)
        self._detections = DetectionLayers(self._shelf, self._landmarks.colours)
        self._uncertainty = UncertaintyLayer(self._shelf, session)
        self._mask = MaskLayer(self._shelf, session)
        self._handles = PoseHandles(self._shelf, session)
        self._volume = session.patient.rendering
        self._warned = False
        self._links: list[tuple[SignalInstance, Callable[[], None]]] = [
            (session.exposures.active_changed, self._on_radiograph),
            (session.exposures.changed, self._on_radiograph),
            (session.patient.changed, self._on_volume),
            (session.poses.changed, self._on_pose),
            (session.landmarks.changed, self._on_landmarks),
            (session.exposures.mask_changed, self._mask.show),
        ]
        for signal, slot in self._links:
            signal.connect(slot)
        self._shelf.listen(viewer.layers.events.inserted, self._check_units)
        self._swipe = self._follow_mouse  # the very same object, to take it off again
        viewer.mouse_move_callbacks.append(self._swipe)
        self._on_radiograph()

    # ------------------------------------------------------------------ geometry

    @property
    def carm(self) -> CArm | None:
        """Of the active radiograph; None where there is none."""
        active = self.session.exposures.active
        return None if active is None else active.radiograph.carm

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those of the user's layers that are this canvas's own."""
        return tuple(self._shelf)

    def layer(self, role: str) -> Layer | None:
        """One of them by what it is, whatever it is called; None where it was never needed."""
        return self._shelf.get(role)

    def preview_carm(self, pixels: int) -> CArm:
        """The same C-arm, its detector's longer side sampled with at most `pixels`.

        Raises
        ------
        ValueError
            If there is no radiograph, or `pixels` is not positive.
        """
        carm = self.carm
        if carm is None:
            raise ValueError("there is no radiograph to preview: load one first")
        return carm.at_most(pixels)

    # ------------------------------------------------------------------ pictures

    @property
    def overlay(self) -> str:
        """How radiograph and DRR are compared: one of `OVERLAYS`."""
        return self._pictures.mode

    @overlay.setter
    def overlay(self, mode: str) -> None:
        self._pictures.mode = mode

    @property
    def backdrop(self) -> bool:
        """Whether the radiograph lies under a coloured picture that the canvas does not know."""
        return self._pictures.backdrop

    @backdrop.setter
    def backdrop(self, below: bool) -> None:
        self._pictures.backdrop = below

    @property
    def tied_contrast(self) -> bool:
        """Whether window and level of radiograph and DRR change together.

        Each has its own range of values: the same shares of it are shown.
        """
        return self._pictures.tied

    @tied_contrast.setter
    def tied_contrast(self, tied: bool) -> None:
        self._pictures.tied = tied

    def name_radiograph(self) -> None:
        """Give the radiograph's layer its name, where another layer had it."""
        self._radiograph.show()

    def show_landmarks_at(self, pose: Pose | None) -> None:
        """Projected landmarks and residuals at another pose than the session's; None: hidden.

        Until the session's pose is shown again.
        """
        self._landmarks.follow(pose)

    def show_preview(self, preview: Preview) -> None:
        """Paint a DRR and all that is drawn from it or from its pose, in one go.

        Nothing is painted where it belongs to another detector than the active radiograph's.
        """
        carm = self.carm
        if carm is None:
            return
        request = preview.request
        if not np.allclose(request.carm.detector.size_mm, carm.detector.size_mm):
            return
        self._pictures.show_drr(preview.image, request.carm.detector)
        self._landmarks.keep_up(request.world_from_camera)
        self._handles.show(request.world_from_camera)

    def fit_contrast(self) -> None:
        """Contrast of radiograph and DRR from what is shown now; else it stays as at first."""
        self._pictures.fit_contrast()

    def blink(self) -> None:
        """The other one of radiograph and DRR: called by a timer while the overlay is "blink"."""
        self._pictures.blink()

    def show_heatmap(
        self,
        heatmap: Float[ndarray, "rows columns"] | None,
        *,
        limits: tuple[float, float] | None = None,
    ) -> None:
        """A map of the detector's area, of any resolution, over the radiograph; None: none.

        Parameters
        ----------
        heatmap
            Rows and columns as of the radiograph.
        limits
            Values at the ends of its colours; None: 0 and the highest.

        Raises
        ------
        ValueError
            If there is no radiograph to lay it over.
        """
        if heatmap is None:
            self._shelf.hide("heatmap")
            return
        carm = self.carm
        if carm is None:
            raise ValueError("a heatmap lies over a radiograph: load one first")
        layer = self._shelf.need("heatmap", _make_heatmap)
        if limits is None:
            finite = heatmap[np.isfinite(heatmap)]
            high = float(finite.max()) if finite.size else 1.0
            limits = (0.0, high if high > 0 else 1.0)
        layer.contrast_limits = limits
        paint(layer, heatmap, carm.detector.resize(*heatmap.shape), carm.detector)
        self._shelf.unhide("heatmap")

    def drop_heatmap(self) -> None:
        """Take its layer out of the list."""
        self._shelf.drop("heatmap")

    # ------------------------------------------------------------------ landmarks and mask

    @property
    def landmarks(self) -> LandmarkLayers:
        """Picked and projected landmarks, and what may be asked of their drawing."""
        return self._landmarks

    @property
    def handles(self) -> PoseHandles:
        """By which the mouse takes the pose."""
        return self._handles

    @property
    def detections(self) -> DetectionLayers:
        """Ellipses and samples of detected landmarks."""
        return self._detections

    def show_uncertainty(
        self, result: Result | None, level: float = 0.95, *, magnified: float = 1.0
    ) -> None:
        """Error ellipses of the landmarks at the pose of a result, of this probability.

        None, or a result without covariance or of other radiographs: no ellipses. Ones drawn
        larger than they are say so in their layer's name.
        """
        self._uncertainty.show(result, level, magnified=magnified)

    def edit_mask(self) -> Labels | None:
        """The mask layer, selected, with a brush that excludes pixels; None without a radiograph."""
        return self._mask.edit()

    def close(self, *, remove_layers: bool = False) -> None:
        """Follow session and layers no longer; the layers stay unless asked otherwise."""
        for signal, slot in self._links:
            signal.disconnect(slot, missing_ok=True)
        self._links.clear()
        if self._swipe in self.viewer.mouse_move_callbacks:
            self.viewer.mouse_move_callbacks.remove(self._swipe)
        self._shelf.deafen()
        if remove_layers:
            self._shelf.remove_all()

    def _follow_mouse(self, viewer: ViewerModel, event: Any) -> None:
        """The swipe changes pictures where the mouse is."""
        carm = self.carm
        if self.overlay == "swipe" and carm is not None and viewer.dims.ndisplay == 2:
            self._pictures.swipe_at = float(event.position[-1]) / carm.detector.size_mm[1]

    # ------------------------------------------------------------------ what the session says

    def _on_radiograph(self) -> None:
        active = self.session.exposures.active
        radiograph = None if active is None else active.radiograph
        if radiograph is not self._pictures.radiograph:
            before = self._pictures.radiograph
            self._pictures.show_radiograph(radiograph)
            self._shelf.hide("heatmap")
            if radiograph is not None:
                detector = radiograph.carm.detector
                if before is None or before.carm.detector.size_mm != detector.size_mm:
                    self._fit.fit(detector)
        self._radiograph.show()
        self._landmarks.show(self.session.poses.current)
        self._handles.show(self.session.poses.current)
        self._uncertainty.update()
        self._mask.show()

    def _on_volume(self) -> None:
        volume = self.session.patient.rendering
        if volume is not self._volume:
            self._volume = volume
            self._pictures.forget_drr()

    def _on_pose(self) -> None:
        """With a CT, landmarks wait for its DRR, so that both move at once."""
        if self.session.patient.volume is None:
            self._landmarks.keep_up(self.session.poses.current)
            self._handles.show(self.session.poses.current)

    def _on_landmarks(self) -> None:
        self._landmarks.show(self.session.poses.current)
        self._uncertainty.update()

    def _check_units(self, event: object = None) -> None:
        """Say once which layer's units put ours out of scale, where there is one."""
        if self._warned or next(iter(self._shelf), None) is None:
            return
        strange = next((one for one in self.viewer.layers if not _in_millimetres(one)), None)
        if strange is not None:
            self._warned = True
            units = " x ".join(str(unit) for unit in strange.units[-2:])
            show_warning(
                f"The layer {strange.name!r} is measured in {units}, not in mm, so positions read off "
                "the viewer may be wrong: set its units to mm, or remove it."
            )


def _in_millimetres(layer: Layer) -> bool:
    """Along its last two axes, which lie on the detector's; what else it has is its own affair."""
    return all(str(unit) == "millimeter" for unit in layer.units[-2:])


def _make_heatmap() -> Image:
    return Image(
        np.zeros((2, 2), np.float32),
        colormap="inferno",
        interpolation2d="linear",
        blending="additive",
        opacity=0.7,
        **MILLIMETRES,
    )
