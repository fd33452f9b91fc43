"""What a detector can do, on simulated radiographs of patients it does not learn from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume
from napari_xreg.landmarks.detecting import DetectSettings, detect
from napari_xreg.landmarks.detections import Detections
from napari_xreg.landmarks.detector import LandmarkDetector
from napari_xreg.landmarks.trust import GOOD_MM, fitted_threshold, image_uncertainty_mm
from napari_xreg.progress import run
from napari_xreg.registration import PnPSettings, PnPSolution, Weighting, solve_pnp
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    STANDARD_CARM,
    PoseRange,
    isocenter_pixel_mm,
    points_in_bone,
    pose_error_mm,
    radiographs_at_random,
    scores_of,
    usable_at,
)


@dataclass(frozen=True, eq=False)
class LandmarkCase:
    """A radiograph of known pose and the landmarks of its patient.

    Parameters
    ----------
    name
        For tables.
    radiograph, truth
        The image and its ``world_from_camera``.
    landmarks
        With positions.
    """

    name: str
    radiograph: Radiograph
    truth: Pose
    landmarks: tuple[Landmark, ...]

    @property
    def places(self) -> Float[Tensor, "n 3"]:
        """Of the landmarks, world mm."""
        return torch.tensor([m.position for m in self.landmarks], dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class CaseResult:
    """What came of a radiograph.

    Parameters
    ----------
    case, detections
        What was asked and found.
    error_mm
        Distance of each detection from the landmark's projection, mm at the isocenter, in the
        detector's order; NaN for landmarks the patient does not have.
    inside
        Whether the projection lies on a usable pixel.
    solution
        Of the PnP.
    mtre_mm
        Of its pose, over the case's landmarks; `training.LOST_MM` where there is none.
    """

    case: LandmarkCase
    detections: Detections
    error_mm: Float[Tensor, "n"]
    inside: Bool[Tensor, "n"]
    solution: PnPSolution
    mtre_mm: float


def landmark_cases(
    volume: Volume,
    labels: LabelMap | None,
    landmarks: Iterable[Landmark],
    *,
    seeds: Sequence[int],
    name: str = "CT",
    poses: PoseRange | None = None,
    carm: CArm = STANDARD_CARM,
    isocenter: Float[Tensor, "3"] | None = None,
    severity: str = "typical",
    bone_above_hu: float = 250.0,
    step_mm: float = 0.5,
    rays_per_side: int = 2,
) -> tuple[LandmarkCase, ...]:
    """Simulated radiographs of a CT.

    Parameters
    ----------
    seeds
        See `training.radiographs_at_random`.
    poses
        About the isocenter. None: those of training.
    isocenter
        World mm. None: the middle of the bones.
    step_mm, rays_per_side
        Of the simulator.
    """
    if isocenter is None:
        isocenter = points_in_bone(volume, labels, bone_above_hu, seeds[0]).mean(0)
    marks = tuple(mark for mark in landmarks if mark.position is not None)
    made = radiographs_at_random(
        volume, labels, carm, poses or PoseRange(), isocenter, seeds, severity=severity,
        step_mm=step_mm, rays_per_side=rays_per_side,
    )  # fmt: skip
    return tuple(
        LandmarkCase(f"{name}, image {seed}", radiograph, truth, marks)
        for seed, (radiograph, truth) in zip(seeds, made, strict=True)
    )


def phantom_cases(
    seed: int,
    images: Sequence[int],
    *,
    spacing_mm: float = 3.0,
    severity: str = "typical",
    poses: PoseRange | None = None,
) -> tuple[LandmarkCase, ...]:
    """A phantom with one simulated radiograph for each image seed."""
    made = phantom(spacing_mm=spacing_mm, seed=seed)
    marks = [Landmark(name, place) for name, place in made.landmarks.items()]
    return landmark_cases(
        made.volume, made.labels, marks, seeds=images, name=f"phantom {seed}", severity=severity,
        poses=poses,
    )  # fmt: skip


def evaluate(
    detector: LandmarkDetector,
    cases: Sequence[LandmarkCase],
    *,
    settings: DetectSettings | None = None,
    weighting: Weighting | None = None,
    pnp: PnPSettings | None = None,
    visible_above: float = 0.5,
) -> list[CaseResult]:
    """Detect, solve for the pose, measure both; one result for each case."""
    results = []
    for case in cases:
        detections = run(detect(detector, case.radiograph, settings=settings))
        assert detections is not None  # nothing cancels it
        results.append(judged(case, detections, weighting, pnp, visible_above=visible_above))
    return results


def judged(
    case: LandmarkCase,
    detections: Detections,
    weighting: Weighting | None = None,
    pnp: PnPSettings | None = None,
    *,
    visible_above: float = 0.5,
) -> CaseResult:
    """Detections of a case and the pose that follows, against the truth."""
    carm = case.radiograph.carm
    known = {mark.name: mark.position for mark in case.landmarks}
    nothing = (float("nan"),) * 3
    places = torch.tensor(
        [known.get(name) or nothing for name in detections.names], dtype=torch.float64
    )
    there = ~torch.isnan(places).any(1)
    pixels = carm.project(places.nan_to_num(0.0), case.truth)
    inside = there & usable_at(case.radiograph.usable[None], pixels[None])[0]
    error = (detections.pixels - pixels).square().sum(1).sqrt() * isocenter_pixel_mm(carm)
    error = torch.where(there, error, torch.nan)
    pairs = detections.correspondences(
        case.landmarks, weighting=weighting, visible_above=visible_above
    )
    solution = solve_pnp(pairs, carm, settings=pnp)
    mtre = pose_error_mm(solution.world_from_camera, case.truth, case.places)
    return CaseResult(case, detections, error, inside, solution, mtre)


class LandmarkValidator:
    """Scores of a detector over some cases; call it with the detector.

    Parameters
    ----------
    cases
        Not of the patients it learns from.
    settings
        None: 8 passes.
    weighting
        Of the PnP. None: by covariance.
    """

    def __init__(
        self,
        cases: Sequence[LandmarkCase],
        settings: DetectSettings | None = None,
        weighting: Weighting | None = None,
    ) -> None:
        if not cases:
            raise ValueError("validation needs at least one case")
        self.cases = tuple(cases)
        self.settings = settings or DetectSettings(passes=8, batch=8, keep_heatmaps=False)
        self.weighting = weighting

    def __call__(self, detector: LandmarkDetector) -> tuple[Mapping[str, float], list[CaseResult]]:
        """Scores, the unit in the name; ``"score"`` is the mean of the errors cut at 30 mm."""
        results = evaluate(detector, self.cases, settings=self.settings, weighting=self.weighting)
        errors = torch.cat([r.error_mm[r.inside] for r in results])
        known = torch.cat([~torch.isnan(r.error_mm) for r in results])
        inside = torch.cat([r.inside for r in results])
        told = torch.cat([r.detections.visible for r in results]) >= 0.5
        scores = {
            "score": float(errors.clamp(max=30.0).mean()),
            **scores_of(errors, [r.mtre_mm for r in results]),
            "visible_accuracy": float((told == inside)[known].double().mean()),
        }
        return scores, results


def trust_threshold(
    results: Sequence[CaseResult], *, good_mm: float = GOOD_MM, wanted: float = 0.9
) -> float | None:
    """For `LandmarkDetector.trusted_mm`: up to which spread so many of the poses were good.

    On the images the training was validated with it flatters a little; None where they are too few
    or too bad to tell.
    """
    u = [image_uncertainty_mm(r.detections, r.case.radiograph.carm) for r in results]
    return fitted_threshold(u, [r.mtre_mm for r in results], good=good_mm, wanted=wanted)
