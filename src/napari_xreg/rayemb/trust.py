"""How far to trust a pose from correspondences: what was measured, and one number made of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari_xreg.images import Radiograph, Volume
from napari_xreg.rayemb.found import FoundPoints
from napari_xreg.rayemb.likeness import likeness
from napari_xreg.rayemb.polarity import BEYOND_DOUBT, Polarity
from napari_xreg.registration import Likelihood, PnPSolution


@dataclass(frozen=True)
class PoseEvidence:
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
    near_share
        Of all points used, those that the pose puts within `NEAR_MM` of their pixels, whatever
        their spread; 0 without a pose.
    polarity
        `Polarity.log_odds` of the radiograph; NaN where nobody looked.
    likeness
        Correlation of the radiograph and the CT rendered at the pose, of detail 20 to 70 mm wide
        at the isocenter; NaN without a pose, or where nobody looked.
    """

    inlier_share: float
    residual_mm: float
    spread_mm: float
    in_image: float
    near_share: float = math.nan
    polarity: float = math.nan
    likeness: float = math.nan


@dataclass(frozen=True)
class PoseVerdict:
    """Whether to go on from a pose that correspondences gave.

    Parameters
    ----------
    likelihood
        That the pose is good enough to refine from, on the scale of all poses.
    sentence
        For the user: what was seen, and if it is not to be trusted, what may be the matter.
    evidence
        What it is made of.
    """

    likelihood: Likelihood
    sentence: str
    evidence: PoseEvidence

    @property
    def trusted(self) -> bool:
        """Whether to go on from it."""
        return bool(self.likelihood.trusted)

    def __bool__(self) -> bool:
        return self.trusted


NEAR_MM = 12.0
"""On the detector: about what a network misses a point by."""

WITHIN_MM = 60.0
"""A start so near is good enough: 128 starts spread about it, of which the depth's standard deviation
is 30 mm, find the pose from there."""

MEASURES: Mapping[str, Callable[[PoseEvidence], float]] = {
    "near_share": lambda t: t.near_share,
    "polarity": lambda t: min(max(t.polarity, -10.0), 10.0),
    "likeness": lambda t: t.likeness,
}
"""What the log-odds are made of: larger is better; NaN says nothing."""

_OFFSET = -1.0
_WEIGHTS = {"near_share": 14.0, "polarity": 0.04, "likeness": 18.0}
_NEUTRAL = {"near_share": 0.90, "polarity": 0.0, "likeness": 0.69}
"""Where each measure speaks neither for nor against the pose (docs/decisions/0006-trust.md)."""


def pose_evidence(
    found: FoundPoints,
    solution: PnPSolution,
    radiograph: Radiograph,
    polarity: Polarity | None = None,
    volume: Volume | None = None,
) -> PoseEvidence:
    """See `PoseEvidence`.

    Parameters
    ----------
    polarity
        What was seen in the radiograph before it was embedded.
    volume
        The CT; without it the likeness is not known.
    """
    pose = solution.world_from_camera
    residuals = solution.residuals
    near = 0.0
    if pose is not None and residuals is not None:
        distances = residuals.nan_to_num(math.inf).norm(dim=1) * detector_pixel_mm(radiograph)
        near = float((distances < NEAR_MM).double().mean())
    mm = detector_pixel_mm(radiograph)
    variance = found.covariances.diagonal(dim1=1, dim2=2).mean(1)
    return PoseEvidence(
        inlier_share=float(solution.used.double().mean()),
        residual_mm=solution.rms_px * mm,
        spread_mm=float(variance.sqrt().median()) * mm,
        in_image=float(found.in_image.double().mean()),
        near_share=near,
        polarity=math.nan if polarity is None else polarity.log_odds,
        likeness=math.nan if volume is None or pose is None else likeness(radiograph, volume, pose),
    )


def pose_verdict(evidence: PoseEvidence, solution: PnPSolution) -> PoseVerdict:
    """Judge a pose by what was measured.

    A logistic combination, fitted on simulated radiographs (docs/decisions/0006-trust.md).
    """
    if solution.world_from_camera is None:
        reason = f"There is no pose to trust. {solution.reason}"
        return PoseVerdict(Likelihood(0.0, WITHIN_MM), reason, evidence)
    likelihood = Likelihood(probability_of(evidence), WITHIN_MM)
    return PoseVerdict(likelihood, _sentence(evidence, likelihood), evidence)


def terms_of(evidence: PoseEvidence) -> dict[str, float]:
    """What each of `MEASURES` adds to the log-odds of trust; 0 where it is not known."""
    values = {name: measure(evidence) for name, measure in MEASURES.items()}
    return {
        name: _WEIGHTS[name] * (value - _NEUTRAL[name]) if math.isfinite(value) else 0.0
        for name, value in values.items()
    }


def probability_of(evidence: PoseEvidence) -> float:
    """Of a start within `WITHIN_MM`, for a pose that exists."""
    odds = _OFFSET + sum(terms_of(evidence).values())
    return 1.0 / (1.0 + math.exp(-odds))


def detector_pixel_mm(radiograph: Radiograph) -> float:
    """Side of a square pixel of the same area, mm on the detector."""
    s_row, s_column = radiograph.carm.detector.spacing
    return math.sqrt(s_row * s_column)


def _sentence(evidence: PoseEvidence, likelihood: Likelihood) -> str:
    if likelihood.trusted:
        return (
            f"{likelihood.words}, near enough to start a refinement from: {evidence.near_share:.0%} of "
            f"the points lie within {NEAR_MM:g} mm of where this pose puts them, on the detector."
        )
    against = {
        "near_share": f"only {evidence.near_share:.0%} of the points lie within {NEAR_MM:g} mm of "
        "where it puts them",
        "likeness": "the CT, rendered at it, does not look like the radiograph",
    }
    terms = terms_of(evidence)
    weakest = min(against, key=lambda name: terms[name])
    reasons = [words for name, words in against.items() if terms[name] < 0 or name == weakest]
    if evidence.polarity < -BEYOND_DOUBT:
        reasons.append("the radiograph looks inverted")
    return (
        f"{likelihood.words}. Do not rely on this pose: {', '.join(reasons)}. The radiograph may show "
        "another patient or another part of the body, have the wrong polarity, or be taken from where "
        "the network has not learned to look."
    )
