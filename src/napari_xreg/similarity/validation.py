"""From how far a learned similarity leads home, on simulated radiographs that it does not learn from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.progress import run
from napari_xreg.registration import Spread, perturbed
from napari_xreg.rendering import Prepared
from napari_xreg.similarity.comparing import Comparison, prepared_for
from napari_xreg.similarity.descending import descend
from napari_xreg.similarity.network.encoder import SimilarityNetwork
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    STANDARD_CARM,
    PoseRange,
    points_in_bone,
    pose_error_mm,
    radiographs_at_random,
)

FACTORS = (1.0, 3.0, 6.0)
"""Starts are drawn with so many times the usual `Spread`, case by case in turn."""
HOME_MM = 20.0
"""Nearer than this, the refinement finds the rest from one start."""
CUT_MM = 100.0
"""Errors count up to here in the score: what is lost is lost."""


@dataclass(frozen=True, eq=False)
class DescentCase:
    """A radiograph of known pose, and a start.

    Parameters
    ----------
    radiograph, truth
        The image and its ``world_from_camera``.
    prepared
        The CT, as `Comparison` renders it.
    isocenter
        World mm.
    start, factor
        Where the descent begins, and how many times the usual spread it was drawn with.
    fiducials
        On which the target registration error is measured, world mm.
    """

    radiograph: Radiograph
    truth: Pose
    prepared: Prepared
    isocenter: Float[Tensor, "3"]
    start: Pose
    factor: float
    fiducials: Float[Tensor, "m 3"]


@dataclass(frozen=True, eq=False)
class DescentResult:
    """Where a descent ended.

    Parameters
    ----------
    found
        ``world_from_camera``.
    start_mm, mtre_mm
        How far off it began and ended, at most `training.LOST_MM`.
    """

    case: DescentCase
    found: Pose
    start_mm: float
    mtre_mm: float


def descent_cases(
    volume: Volume,
    labels: LabelMap | None,
    *,
    seeds: Sequence[int],
    poses: PoseRange | None = None,
    carm: CArm = STANDARD_CARM,
    isocenter: Float[Tensor, "3"] | None = None,
    severity: str = "typical",
    bone_above_hu: float = 250.0,
    first: int = 0,
) -> tuple[DescentCase, ...]:
    """Simulated radiographs of a CT with starts about their poses.

    Parameters
    ----------
    seeds
        See `training.radiographs_at_random`; also those of the starts.
    poses
        About the isocenter. None: those of training.
    isocenter
        World mm. None: the middle of the bones.
    first
        Number of the first case, where there were others before: `FACTORS` go on in turn.
    """
    points = points_in_bone(volume, labels, bone_above_hu, seeds[0])
    center = points.mean(0) if isocenter is None else isocenter.double()
    made = radiographs_at_random(
        volume, labels, carm, poses or PoseRange(), center, seeds, severity=severity,
        step_mm=1.0, rays_per_side=1,
    )  # fmt: skip
    prepared, cases = prepared_for(volume), []
    for number, (seed, (image, truth)) in enumerate(zip(seeds, made, strict=True), first):
        generator = torch.Generator().manual_seed(seed)
        normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
        factor = FACTORS[number % len(FACTORS)]
        start = perturbed(truth, center, normals, Spread().scaled(factor))[0]
        cases.append(DescentCase(image, truth, prepared, center, start, factor, points[:50]))
    return tuple(cases)


def phantom_descent_cases(
    seed: int, images: Sequence[int], *, poses: PoseRange | None = None, first: int = 0
) -> tuple[DescentCase, ...]:
    """A phantom with one simulated radiograph for each image seed; see `descent_cases`."""
    made = phantom(spacing_mm=4.0, seed=seed)
    return descent_cases(made.volume, made.labels, seeds=images, poses=poses, first=first)


def evaluate(network: SimilarityNetwork, cases: Iterable[DescentCase]) -> list[DescentResult]:
    """One descent for each case."""
    results = []
    for case in cases:
        seen = Comparison(network, case.prepared, case.radiograph, case.isocenter)
        found = run(descend(seen, case.start)).world_from_camera
        errors = (pose_error_mm(at, case.truth, case.fiducials) for at in (case.start, found))
        results.append(DescentResult(case, found, *errors))
    return results


class DescentValidator:
    """Scores of a network over some cases; call it with the network."""

    def __init__(self, cases: Sequence[DescentCase]) -> None:
        if not cases:
            raise ValueError("validation needs at least one case")
        self.cases = tuple(cases)

    def __call__(
        self, network: SimilarityNetwork
    ) -> tuple[Mapping[str, float], list[DescentResult]]:
        """Scores, the unit in the name; ``"score"`` is the mean mTRE, each cut at 100 mm."""
        results = evaluate(network, self.cases)
        mtre = torch.tensor([result.mtre_mm for result in results], dtype=torch.float64)
        began = torch.tensor([result.start_mm for result in results], dtype=torch.float64)
        scores = {
            "score": float(mtre.clamp(max=CUT_MM).mean()),
            "median_mtre_mm": float(mtre.median()),
            "start_mtre_mm": float(began.median()),
            "home_share": float((mtre < HOME_MM).double().mean()),
        }
        for factor in sorted({case.factor for case in self.cases}):
            of = torch.tensor([case.factor == factor for case in self.cases])
            scores[f"home_share_{factor:g}x"] = float((mtre[of] < HOME_MM).double().mean())
        return scores, results
