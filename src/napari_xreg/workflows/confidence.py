"""Confidence: how sure a registered pose is, in the C-arm's terms and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArm
from napari_xreg.images import Landmark
from napari_xreg.registration import (
    Registration,
    carm_covariance,
    landmark_uncertainty,
    weakest_direction,
)

CALIBRATION_WORDS = (
    "How far to trust this: the standard deviations were calibrated on simulated radiographs of two "
    "CTs, and allow for a CT whose scale, or a radiograph whose distances, are wrong by 1 %. On other "
    "simulated radiographs (211 trusted results, of typical to real quality, whole CTs and single bones, "
    "one view and two; scales drawn with that very 1 %, so it is no proof that a CT is right within it) the "
    "50 % ellipses held 52 % of the landmarks and the 95 % ellipses 93 %; in space 51 % and 92 %; in the "
    "worst of six anatomies 47 % and 84 %. A wrong optimum is not covered: see Loss landscape."
)
"""What docs/decisions/0005-calibrated-covariance.md measured."""


@dataclass(frozen=True, eq=False)
class Confidence:
    """What there is to say about a result.

    Parameters
    ----------
    deviations
        Of `CARM_PARAMETERS`, degrees and mm.
    correlations
        6 x 6, same order.
    weakest
        In words.
    landmarks
        Predicted target registration error of every landmark, mm, root mean square, by name.
    depth_share
        Of the mean squared error: how much lies along the central ray.
    """

    deviations: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]
    weakest: str
    landmarks: dict[str, float]
    depth_share: float

    @property
    def target_error_mm(self) -> float | None:
        """Root mean square over the landmarks; None without landmarks."""
        if not self.landmarks:
            return None
        return float(np.sqrt(np.mean(np.square(list(self.landmarks.values())))))


def confidence_of(
    registration: Registration, carm: CArm, landmarks: Sequence[Landmark] = ()
) -> Confidence | None:
    """Worked out from the covariance of a registration; None where it has none.

    Parameters
    ----------
    registration
        What was found.
    carm
        Of its first radiograph.
    landmarks
        Of the patient; those with a position (LPS mm) count.
    """
    if registration.covariance is None:
        return None
    pose, pivot = registration.world_from_camera, registration.pivot
    covariance = registration.covariance.double()
    terms = carm_covariance(carm, pose, covariance, pivot).numpy()
    deviations = np.sqrt(np.maximum(np.diag(terms), 0.0))
    safe = np.maximum(deviations, 1e-12)
    correlations = np.clip(terms / np.outer(safe, safe), -1.0, 1.0)
    marks = [mark for mark in landmarks if mark.position is not None]
    errors: dict[str, float] = {}
    share = 0.0
    if marks:
        points = torch.tensor([mark.position for mark in marks], dtype=torch.float64)
        spread = landmark_uncertainty(points, carm, pose, covariance, pivot, registration.scale)
        squared = torch.diagonal(spread.camera_covariance, dim1=-2, dim2=-1)
        errors = {m.name: float(s.sum().sqrt()) for m, s in zip(marks, squared, strict=True)}
        share = float(squared[:, 2].sum() / squared.sum().clamp_min(1e-30))
    weakest = weakest_direction(carm, pose, covariance, pivot)
    return Confidence(deviations, correlations, weakest, errors, share)


def target_words(found: Confidence | None) -> str:
    """The predicted error of landmarks in a sentence."""
    if found is None:
        return "Nothing to predict from."
    error = found.target_error_mm
    if error is None:
        return "No landmarks with a position: load or place some to see their predicted error."
    worst = max(found.landmarks, key=lambda name: found.landmarks[name])
    return (
        f"Predicted target registration error: {error:.2f} mm root mean square over "
        f"{len(found.landmarks)} landmarks, {100 * found.depth_share:.0f} % of its square along "
        f"the central ray. Largest at {worst}: {found.landmarks[worst]:.2f} mm."
    )
