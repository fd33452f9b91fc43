"""When not to trust: one uncertainty for a whole image, and what is gained by withholding results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.landmarks.detections import Detections, SpreadOf
from napari_xreg.registration import TRUSTED, Likelihood
from napari_xreg.training import isocenter_pixel_mm

GOOD_MM = 20.0
"""A pose is good up to this mTRE: a refinement from several starts mends the rest."""

_STEEPNESS = 3.0
"""How fast the odds of a good pose fall with the spread: a choice, not a fit. That of what was up to
the threshold at least 0.9 are good is measured, detector by detector (`fitted_threshold`)."""

FEWEST = 6
"""Landmarks in the image below which one wrong one cannot be noticed."""


@dataclass(frozen=True)
class DetectionTrust:
    """Whether to go on with the landmarks of an image; false where not, and where nobody knows.

    Parameters
    ----------
    uncertainty_mm
        See `image_uncertainty_mm`.
    threshold_mm
        Up to which it is trusted; None: never measured for this detector, so `trusted` is not known.
    visible
        Landmarks that are likely to be in the image.
    reason
        A sentence for the user.
    """

    uncertainty_mm: float
    threshold_mm: float | None
    visible: int
    reason: str

    @property
    def likelihood(self) -> Likelihood:
        """That the pose of these landmarks is good enough to refine from, on the scale of all poses."""
        probability = None
        if self.threshold_mm is not None:
            # At the threshold exactly `TRUSTED`; nothing is sure, and nothing is spread infinitely.
            worse = self.uncertainty_mm / max(self.threshold_mm, 1e-9)
            probability = 1.0 / (1.0 + (1.0 - TRUSTED) / TRUSTED * worse**_STEEPNESS)
        return Likelihood(probability, GOOD_MM, doubted=self.visible < FEWEST)

    @property
    def trusted(self) -> bool | None:
        """True, False, or None where it is not known."""
        return self.likelihood.trusted

    def __bool__(self) -> bool:
        return self.trusted is True


def image_uncertainty_mm(
    detections: Detections,
    carm: CArm,
    *,
    spread: SpreadOf = "total",
    visible_above: float = 0.5,
) -> float:
    """Mean over the visible landmarks of how far they are spread, mm at the isocenter.

    The paper's score: the mean of the u of equation 5, which is the spread of the passes.
    Infinite where no landmark is visible.
    """
    shown = detections.visible >= visible_above
    if not bool(shown.any()):
        return float("inf")
    covariances = detections.spread(spread)[shown]
    u = torch.diagonal(covariances, dim1=-2, dim2=-1).sum(-1).sqrt()
    return float(u.mean()) * isocenter_pixel_mm(carm)


def trust_of(
    detections: Detections,
    carm: CArm,
    *,
    threshold_mm: float | None,
    visible_above: float = 0.5,
) -> DetectionTrust:
    """Whether the detections of an image are to be trusted, and a sentence that says so.

    Parameters
    ----------
    detections
        With their pixels on `carm`'s detector.
    threshold_mm
        `LandmarkDetector.trusted_mm`.
    """
    u = image_uncertainty_mm(detections, carm, visible_above=visible_above)
    count = int((detections.visible >= visible_above).sum())
    total = len(detections)
    found = DetectionTrust(u, threshold_mm, count, "")
    said = f"{found.likelihood.words}. "
    if count < FEWEST:
        reason = (
            f"{found.likelihood.word.capitalize()}: only {count} of {total} landmarks seem to be in the "
            "image, too few to notice a wrong one. Compare the pose with the radiograph, or move the "
            "C-arm."
        )
    elif threshold_mm is None:
        reason = (
            f"{said}The landmarks are spread by {u:.1f} mm on average; for this detector nobody has "
            "measured up to where that can be trusted: compare them with the radiograph before use."
        )
    elif found.trusted:
        reason = (
            f"{said}The landmarks are spread by {u:.1f} mm on average, within the {threshold_mm:.1f} mm "
            "up to which this detector's results were good on simulated radiographs."
        )
    else:
        reason = (
            f"{said}The landmarks are spread by {u:.1f} mm on average, beyond the "
            f"{threshold_mm:.1f} mm up to which this detector's results were good on simulated "
            "radiographs. Place landmarks by hand, or look for a better start."
        )
    return replace(found, reason=reason)


def fitted_threshold(
    uncertainty: Float[Tensor, "n"] | Sequence[float],
    error: Float[Tensor, "n"] | Sequence[float],
    *,
    good: float,
    wanted: float = 0.9,
) -> float | None:
    """The largest uncertainty up to which at least `wanted` of the images have a good result.

    To be fitted on tuning images and measured on others.

    Parameters
    ----------
    good
        Largest error of a good result, in the unit of the errors.
    wanted
        Share of good results among those trusted.

    Returns
    -------
    float or None
        None where no threshold that keeps at least five images reaches the share.
    """
    u = torch.as_tensor(uncertainty, dtype=torch.float64)
    e = torch.as_tensor(error, dtype=torch.float64)
    order = u.argsort(stable=True)
    share = (e[order] <= good).double().cumsum(0) / torch.arange(1, len(u) + 1)
    reached = torch.nonzero(share >= wanted)[:, 0]
    reached = reached[reached >= 4]
    return float(u[order[reached[-1]]]) if len(reached) else None
