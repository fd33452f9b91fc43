"""How far to trust a pose from correspondences: what was measured, and one number made of it."""

import math
from dataclasses import dataclass

from napari_xreg.images import Radiograph
from napari_xreg.rayemb.correspond import Found
from napari_xreg.rayemb.polarity import Polarity
from napari_xreg.registration import PnPSolution


@dataclass(frozen=True)
class Trust:
    """What speaks for a pose from correspondences, and against it.

    Parameters
    ----------
    inlier_share
        Of the points that were used to solve, those that agree with the pose.
    residual_mm
        Root mean square distance of these from their pixels, mm on the detector; NaN without a
        pose.
    spread_mm
        Median standard deviation of the posteriors of all points used, mm on the detector.
    in_image
        Mean probability of these points to be in the image; NaN where that was never learned.
    polarity
        `Polarity.log_odds` of the radiograph; NaN where nobody looked.
    """

    inlier_share: float
    residual_mm: float
    spread_mm: float
    in_image: float
    polarity: float = math.nan


@dataclass(frozen=True)
class Verdict:
    """Whether to go on from a pose that correspondences gave.

    Parameters
    ----------
    trusted
        Whether `score` reaches the threshold.
    score
        0 to 1: the share of matching radiographs among simulated ones that look like this.
    sentence
        For the user: what was seen, and if it is not to be trusted, what may be the matter.
    evidence
        What it is made of.
    """

    trusted: bool
    score: float
    sentence: str
    evidence: Trust

    def __bool__(self) -> bool:
        return self.trusted


THRESHOLD = 0.5
"""Of `Verdict.score`."""

_CONSTANT = -3.0
_WEIGHTS = {"inlier_share": 8.0, "in_image": 0.0, "spread_mm": -0.02, "residual_mm": -0.1}


def trust_of(
    found: Found,
    solution: PnPSolution,
    radiograph: Radiograph,
    polarity: Polarity | None = None,
) -> Trust:
    """See `Trust`."""
    mm = detector_pixel_mm(radiograph)
    variance = found.covariances.diagonal(dim1=1, dim2=2).mean(1)
    return Trust(
        inlier_share=float(solution.used.double().mean()),
        residual_mm=solution.rms_px * mm,
        spread_mm=float(variance.sqrt().median()) * mm,
        in_image=float(found.in_image.double().mean()),
        polarity=math.nan if polarity is None else polarity.log_odds,
    )


def verdict_of(trust: Trust, solution: PnPSolution) -> Verdict:
    """Judge a pose by what was measured.

    A logistic combination, fitted on simulated radiographs (docs/decisions/0006-trust.md).
    """
    if solution.world_from_camera is None:
        reason = f"There is no pose to trust. {solution.reason}"
        return Verdict(False, 0.0, reason, trust)
    terms = {
        name: weight * value
        for name, weight in _WEIGHTS.items()
        if math.isfinite(value := float(getattr(trust, name)))
    }
    score = 1.0 / (1.0 + math.exp(-(_CONSTANT + sum(terms.values()))))
    trusted = score >= THRESHOLD
    return Verdict(trusted, score, _sentence(trust, trusted), trust)


def detector_pixel_mm(radiograph: Radiograph) -> float:
    """Side of a square pixel of the same area, mm on the detector."""
    s_row, s_column = radiograph.carm.detector.spacing
    return math.sqrt(s_row * s_column)


def _sentence(trust: Trust, trusted: bool) -> str:
    seen = (
        f"{trust.inlier_share:.0%} of the points agree with this pose, to "
        f"{trust.residual_mm:.0f} mm on the detector"
    )
    if trusted:
        return f"{seen}: good enough to start a refinement from."
    return (
        f"Do not rely on this pose: only {seen}. The radiograph may show another patient or another "
        "part of the body, be inverted or mirrored, or be taken from where the network has not "
        "learned to look."
    )
