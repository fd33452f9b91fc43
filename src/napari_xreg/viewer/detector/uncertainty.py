"""Error ellipses of landmarks, as predicted by the covariance of a registration."""

import math

import numpy as np
import torch
from jaxtyping import Float
from napari.layers import Vectors
from numpy import ndarray

from napari_xreg.registration import landmark_uncertainty
from napari_xreg.session import Result, Session
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, rescale, set_in_place

CHORDS = 48
"""Straight pieces that an ellipse is drawn with."""

ELLIPSE_COLOUR = "#7dffb0"


class UncertaintyLayer:
    """Ellipses about the projections of the session's landmarks, at the pose of a result.

    Parameters
    ----------
    shelf
        Where the layer is kept.
    session
        Whose landmarks and radiographs they are.
    """

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf = shelf
        self._session = session
        self._result: Result | None = None
        self._level = 0.95
        self._magnified = self._named = 1.0

    def show(self, result: Result | None, level: float = 0.95, *, magnified: float = 1.0) -> None:
        """The ellipses that hold each projection with this probability; None: no ellipses.

        Parameters
        ----------
        result
            Whose covariance it is.
        level
            Probability that a projection lies inside an ellipse that is not magnified.
        magnified
            How many times larger they are drawn. True to scale, those of a good result are smaller
            than the points that mark the landmarks. The layer's name says it.
        """
        if not 0 < level < 1:
            raise ValueError(f"the probability must lie between 0 and 1: got {level}")
        if not magnified > 0:
            raise ValueError(f"ellipses are drawn some positive times larger: got {magnified}")
        self._result, self._level, self._magnified = result, level, magnified
        self.update()

    def update(self) -> None:
        """Again, for the radiograph and the landmarks there are now."""
        active, marks, result = (
            self._session.exposures.active,
            self._session.landmarks.all,
            self._result,
        )
        pose = None if active is None or result is None else result.poses.get(active.id)
        covariance = None if result is None else result.registration.covariance
        if result is None or covariance is None or active is None or pose is None or not marks:
            self._shelf.hide("ellipses")
            return
        points = torch.tensor([mark.position for mark in marks], dtype=torch.float64)
        carm = active.radiograph.carm
        seen = landmark_uncertainty(
            points,
            carm,
            pose.to(dtype=torch.float64),
            covariance.double(),
            result.registration.pivot.double(),
            result.registration.scale,
        )
        ok = torch.isfinite(seen.pixels).all(-1)
        chords = ellipse_chords(
            seen.pixels[ok].numpy(),
            seen.pixel_covariance[ok].numpy() * self._magnified**2,
            self._level,
        )
        fresh = self._shelf.get("ellipses") is None
        layer = self._shelf.need("ellipses", self._make)
        if fresh or self._named != self._magnified:
            self._named = self._magnified
            layer.name = "ellipses" if self._named == 1 else f"ellipses × {self._named:g}"
        if rescale(layer, carm.detector):
            layer.edge_width = 0.004 * max(carm.detector.shape)
        set_in_place(layer, chords)
        self._shelf.unhide("ellipses")

    @staticmethod
    def _make() -> Vectors:
        return Vectors(
            np.zeros((0, 2, 2)),
            ndim=2,
            vector_style="line",
            edge_color=ELLIPSE_COLOUR,
            **MILLIMETRES,
        )


def ellipse_chords(
    centres: Float[ndarray, "n 2"], covariances: Float[ndarray, "n 2 2"], level: float
) -> Float[ndarray, "chords 2 2"]:
    """napari vectors (start, direction) along ellipses of the given probability.

    Parameters
    ----------
    centres
        (row, column).
    covariances
        In the same order and units, squared.
    level
        Probability that a bivariate normal lies inside.
    """
    radius = math.sqrt(-2 * math.log(1 - level))  # chi-squared of two degrees of freedom
    variances, axes = np.linalg.eigh(covariances)
    half_axes = axes * np.sqrt(np.maximum(variances, 0))[:, None, :] * radius
    turn = np.linspace(0, 2 * np.pi, CHORDS + 1)
    circle = np.stack([np.cos(turn), np.sin(turn)])
    corners = centres[:, None, :] + np.moveaxis(half_axes @ circle, 1, 2)
    starts = corners[:, :-1]
    chords: Float[ndarray, "chords 2 2"] = np.stack(
        [starts, corners[:, 1:] - starts], axis=2
    ).reshape(-1, 2, 2)
    return chords
