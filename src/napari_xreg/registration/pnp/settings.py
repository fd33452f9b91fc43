"""How to solve, and the correspondences as the fit and as OpenCV want them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_xreg.geometry import CArm, Pose, opencv_from_carm, opencv_points_from_pixels
from napari_xreg.registration.pnp.correspondences import Correspondences
from napari_xreg.registration.pnp.fit import Loss, Observations
from napari_xreg.registration.pnp.search import PnPSearch, PnPViews

Array = npt.NDArray[np.float64]

OUTLIER_MM = 12.0
"""On the detector, for picks by hand and for networks alike. Of 60 simulated sets of 14 landmarks
each, one in ten misplaced by 15 to 60 mm, the pose was off by (median, 90 %): picks by hand of 2 mm
4.2 and 13 mm with a limit of 5 mm, 2.8 and 7 with 12, 3.0 and 8 with 18; a detector of 3 to 9 mm
without its covariances 25 and 261, 13 and 49, 12 and 29; with them 12 and 49, 11 and 30, 11 and 28.
"""

NEAR_MM = 5.0
"""On the detector: what a hand misses a landmark by. Whether the mirror image fits better is judged
by this: within 12 mm of a wrong pose lie many landmarks."""


@dataclass(frozen=True)
class PnPSettings:
    """How to solve.

    Parameters
    ----------
    selection
        ``"magsac"``: find the points that agree and fit only those. ``"none"``: fit all.
    threshold_px
        A point farther than this from its pixel (and, where it has a covariance, beyond its 99.9 %
        ellipse) is an outlier. None: as many pixels as make `OUTLIER_MM` on the detector.
    loss, loss_scale
        ``"squared"``, ``"huber"``, ``"cauchy"`` or ``"geman-mcclure"`` of the Mahalanobis distance;
        beyond the scale a point counts less: in standard deviations where there are covariances,
        else in pixels of a point of weight 1.
    scale_covariance
        Whether to scale the covariance of the pose by the residual variance. None: only where there
        are no covariances, which alone say how large errors in pixels are.
    iterations
        Of each Levenberg-Marquardt fit.
    seed
        Of MAGSAC's samples.
    """

    selection: Literal["magsac", "none"] = "magsac"
    threshold_px: float | None = None
    loss: Loss = "squared"
    loss_scale: float = 3.0
    scale_covariance: bool | None = None
    iterations: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.selection not in ("magsac", "none"):
            raise ValueError(f"selection must be magsac or none: got {self.selection!r}")
        if self.loss not in ("squared", "huber", "cauchy", "geman-mcclure"):
            raise ValueError(
                f"loss must be squared, huber, cauchy or geman-mcclure: got {self.loss!r}"
            )
        if self.threshold_px is not None and not self.threshold_px > 0:
            raise ValueError(f"threshold_px must be positive, in pixels: got {self.threshold_px}")
        if not self.loss_scale > 0 or self.iterations < 1:
            raise ValueError(
                "loss_scale must be positive and iterations at least 1: got "
                f"{self.loss_scale} and {self.iterations}"
            )


def views_of(
    correspondences: Correspondences,
    carm: CArm,
    mask: npt.NDArray[np.bool_],
    settings: PnPSettings,
) -> PnPViews:
    """The points that are considered, as the fit and as OpenCV want them."""
    pixels = correspondences.pixels.detach().to("cpu", torch.float64)
    uv = opencv_points_from_pixels(carm.detector, pixels).numpy()[mask]
    camera = opencv_from_carm(carm, Pose.identity())
    seen = Observations(
        as_array(correspondences.points)[mask],
        pixels.numpy()[mask],
        _roots(correspondences)[mask],
        carm.camera_matrix().numpy(),
        settings.loss,
        settings.loss_scale,
    )
    return PnPViews(seen, np.ascontiguousarray(uv), camera.k.numpy())


def search_of(correspondences: Correspondences, carm: CArm, settings: PnPSettings) -> PnPSearch:
    rows, columns = carm.detector.shape
    threshold = settings.threshold_px or _pixels(OUTLIER_MM, carm)
    return PnPSearch(
        robust=settings.selection == "magsac",
        threshold_px=threshold,
        near_px=min(threshold, _pixels(NEAR_MM, carm)),
        area_px=float(rows * columns),
        has_covariances=correspondences.covariances is not None,
        iterations=settings.iterations,
        seed=settings.seed,
    )


def _pixels(mm: float, carm: CArm) -> float:
    s_row, s_column = carm.detector.spacing
    return float(mm / np.sqrt(s_row * s_column))


def _roots(correspondences: Correspondences) -> Array:
    """S of every point with ``S^T S`` its inverse covariance."""
    n = len(correspondences)
    if correspondences.covariances is not None:
        roots: Array = np.linalg.inv(np.linalg.cholesky(as_array(correspondences.covariances)))
        return roots
    weights = np.ones(n) if correspondences.weights is None else as_array(correspondences.weights)
    return np.sqrt(weights)[:, None, None] * np.eye(2)


def as_array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array
