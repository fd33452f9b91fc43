"""Landmarks on the detector canvas: those picked, those projected, and the gap between them.

The projected ones follow the pose and cannot be edited. Data are (row, column) in pixels of the
radiograph.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from napari.layers import Points, Vectors
from numpy import ndarray

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.session import Exposure, Session
from napari_xreg.viewer.detector.named_points import LINE, OwnWriting, points, table
from napari_xreg.viewer.detector.picked_landmarks import PickedLandmarks
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale, set_in_place

PROJECTED_COLOUR, RESIDUAL_COLOUR = "#00c8ff", "#ff7a5a"


class LandmarkLayers:
    """Shows landmarks of the active radiograph, from a pose.

    Parameters
    ----------
    shelf
        Where the layers are kept.
    session
        Whose landmarks they are.
    """

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf, self._session = shelf, session
        self._own = OwnWriting()
        self.picked = PickedLandmarks(shelf, session)
        self.colours = self.picked.colours
        self._pinned: Pose | None = None

    def show(self, pose: Pose | None) -> None:
        """Everything, for the active radiograph seen from this pose; nothing where there is none."""
        self.picked.show()
        self.keep_up(pose)

    def keep_up(self, pose: Pose | None) -> None:
        """The session's pose is this now; one that is pinned goes before it."""
        self.follow(pose if self._pinned is None or pose is None else self._pinned)

    def pin(self, pose: Pose | None) -> None:
        """Project from here whatever the session's pose is; None: from that again."""
        self._pinned = pose
        self.keep_up(self._session.poses.current)

    def follow(self, pose: Pose | None) -> None:
        """Only what moves with the pose: the projected landmarks and the residuals."""
        active = self._session.exposures.active
        marks = self._session.landmarks.all
        if active is None or pose is None or not marks:
            self._shelf.hide("projected landmarks")
            self._shelf.hide("residuals")
            return
        carm = active.radiograph.carm
        names, pixels = projected(
            marks, carm.project(_positions(marks), pose.to(dtype=torch.float64))
        )
        layer = self._shelf.need("projected landmarks", self._make_projected)
        self._own.write(layer, names, pixels, carm.detector)
        self._label(layer, names, {mark.name for mark in active.landmarks})
        self._shelf.unhide("projected landmarks")
        self._show_residuals(active, dict(zip(names, pixels, strict=True)))

    def _label(self, layer: Points, names: list[str], picked: set[str]) -> None:
        """One name is enough for a projection and its pick."""
        labels = ["" if name in picked else name for name in names]
        if list(layer.features["label"]) != labels:
            with self._own.writing():
                layer.features = table(names, labels)

    def _show_residuals(self, active: Exposure, at: Mapping[str, Float[ndarray, "2"]]) -> None:
        pairs = [(at[m.name], np.array(m.pixel)) for m in self.picked.marks(active) if m.name in at]
        if not pairs:
            self._shelf.hide("residuals")
            return
        arrows = residual_arrows(
            np.array([seen for seen, _ in pairs]), np.array([picked for _, picked in pairs])
        )
        layer = self._shelf.need("residuals", self._make_residuals)
        detector = active.radiograph.carm.detector
        if rescale(layer, detector):
            layer.edge_width = LINE * max(detector.shape)
        set_in_place(layer, arrows)
        self._shelf.unhide("residuals")

    def _on_projected(self) -> None:
        """The projected points were edited after all: put them back."""
        layer = self._shelf.get("projected landmarks")
        if not self._own.busy and layer is not None:
            self.follow(self._session.poses.current)

    def _make_projected(self) -> Points:
        layer = points(PROJECTED_COLOUR, "disc", "upper_right", "{label}   ")
        layer.editable = False
        self._shelf.listen(layer.events.editable, lambda: _lock(layer))
        self._shelf.listen(layer.events.data, self._on_projected)
        return layer

    @staticmethod
    def _make_residuals() -> Vectors:
        return Vectors(
            np.zeros((0, 2, 2)),
            ndim=2,
            vector_style="arrow",
            edge_color=RESIDUAL_COLOUR,
            **MILLIMETRES,
        )


def projected(
    marks: tuple[Landmark, ...], pixels: Float[torch.Tensor, "n 2"]
) -> tuple[list[str], Float[ndarray, "m 2"]]:
    """Names and (row, column) of the landmarks that lie in front of the source."""
    seen = torch.isfinite(pixels).all(-1)
    names = [mark.name for mark, ok in zip(marks, seen.tolist(), strict=True) if ok]
    return names, pixels[seen].detach().cpu().numpy()


def residual_arrows(
    projected_pixels: Float[ndarray, "n 2"], picked_pixels: Float[ndarray, "n 2"]
) -> Float[ndarray, "n 2 2"]:
    """napari vectors (start, direction) from each projection to where its landmark was picked.

    The reprojection residual in the usual sense, observed minus predicted: the way the DRR has to
    move.
    """
    return np.stack([projected_pixels, picked_pixels - projected_pixels], axis=1)


def _lock(layer: Points) -> None:
    if layer.editable:
        layer.editable = False


def _positions(marks: tuple[Landmark, ...]) -> Float[torch.Tensor, "n 3"]:
    return torch.tensor([mark.position for mark in marks], dtype=torch.float64)
