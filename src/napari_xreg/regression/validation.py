"""What a pose network can do, on simulated radiographs that it does not learn from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.regression.frame import Place
from napari_xreg.regression.network.pose_network import PoseNetwork
from napari_xreg.regression.predicting import predict
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    STANDARD_CARM,
    PoseRange,
    points_in_bone,
    pose_error_mm,
    radiographs_at_random,
)

CUT_MM = 100.0
"""Errors count up to here in the score: what is lost is lost."""

DEGREES_OF_FREEDOM = ("about x", "about y", "about z", "x", "y", "depth")
"""Of `PoseCaseResult.errors`: degrees about the camera's axes through the centre, then mm along them."""


@dataclass(frozen=True, eq=False)
class PoseCase:
    """A radiograph of known pose.

    Parameters
    ----------
    radiograph, truth
        The image and its ``world_from_camera``.
    center
        Middle of the bone, world mm; errors are taken apart about it.
    place
        Of the CT's grid, with its middle.
    fiducials
        On which the target registration error is measured, world mm.
    """

    radiograph: Radiograph
    truth: Pose
    center: Float[Tensor, "3"]
    place: Place
    fiducials: Float[Tensor, "m 3"]


@dataclass(frozen=True, eq=False)
class PoseCaseResult:
    """What a network said of a case.

    Parameters
    ----------
    predicted
        ``world_from_camera``.
    mtre_mm
        At most `training.LOST_MM`.
    errors
        See `DEGREES_OF_FREEDOM`; how the prediction would have to move, in the true camera's axes.
    """

    case: PoseCase
    predicted: Pose
    mtre_mm: float
    errors: Float[Tensor, "6"]


def pose_cases(
    volume: Volume,
    labels: LabelMap | None,
    *,
    seeds: Sequence[int],
    poses: PoseRange | None = None,
    carm: CArm = STANDARD_CARM,
    isocenter: Float[Tensor, "3"] | None = None,
    severity: str = "typical",
    bone_above_hu: float = 250.0,
    step_mm: float = 1.0,
    rays_per_side: int = 1,
) -> tuple[PoseCase, ...]:
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
    points = points_in_bone(volume, labels, bone_above_hu, seeds[0])
    center = points.mean(0) if isocenter is None else isocenter.double()
    made = radiographs_at_random(
        volume, labels, carm, poses or PoseRange(), center, seeds, severity=severity,
        step_mm=step_mm, rays_per_side=rays_per_side,
    )  # fmt: skip
    place = Place.of_volume(volume)
    return tuple(PoseCase(image, truth, center, place, points[:50]) for image, truth in made)


def phantom_pose_cases(
    seed: int, images: Sequence[int], *, poses: PoseRange | None = None
) -> tuple[PoseCase, ...]:
    """A phantom with one simulated radiograph for each image seed."""
    made = phantom(spacing_mm=4.0, seed=seed)
    return pose_cases(made.volume, made.labels, seeds=images, poses=poses)


def asked_about(case: PoseCase, network: PoseNetwork) -> Place:
    """Where the case's CT lies, as the network means it."""
    center = network.frame.center
    if center == "volume":
        return case.place
    at = case.center if center == "bone" else torch.tensor(center, dtype=torch.float64)
    return Place(at, case.place.extent_mm)


def evaluate(network: PoseNetwork, cases: Iterable[PoseCase]) -> list[PoseCaseResult]:
    """One result for each case."""
    results = []
    for case in cases:
        found = predict(network, case.radiograph, asked_about(case, network)).world_from_camera
        mtre = pose_error_mm(found, case.truth, case.fiducials)
        results.append(PoseCaseResult(case, found, mtre, errors_of(found, case.truth, case.center)))
    return results


def errors_of(predicted: Pose, truth: Pose, center: Float[Tensor, "3"]) -> Float[Tensor, "6"]:
    """Rotation in degrees about the true camera's axes, then the shift of the centre along them, mm."""
    from_true = predicted.inverse() @ truth
    turn = torch.rad2deg(from_true.log()[..., :3])
    seen = [pose.inverse().apply(center) for pose in (predicted, truth)]
    return torch.cat([turn, seen[0] - seen[1]], -1)


class PoseValidator:
    """Scores of a network over some cases; call it with the network."""

    def __init__(self, cases: Sequence[PoseCase]) -> None:
        if not cases:
            raise ValueError("validation needs at least one case")
        self.cases = tuple(cases)

    def __call__(self, network: PoseNetwork) -> tuple[Mapping[str, float], list[PoseCaseResult]]:
        """Scores, the unit in the name; ``"score"`` is the mean mTRE, each cut at 100 mm."""
        results = evaluate(network, self.cases)
        mtre = torch.tensor([result.mtre_mm for result in results], dtype=torch.float64)
        errors = torch.stack([result.errors for result in results]).abs()
        median = errors.median(0).values
        scores = {
            "score": float(mtre.clamp(max=CUT_MM).mean()),
            "median_mtre_mm": float(mtre.median()),
            "within_30mm_share": float((mtre < 30).double().mean()),
            "rotation_deg": float(errors[:, :3].square().sum(1).sqrt().median()),
            "in_plane_mm": float(errors[:, 3:5].square().sum(1).sqrt().median()),
            "depth_mm": float(median[5]),
        }
        return scores, results


def standard_errors(results: Sequence[PoseCaseResult]) -> tuple[float, ...] | None:
    """For `PoseNetwork.errors`: six standard deviations about 0 that outliers do not move.

    From the median of the absolute values; on the images the training was validated with it
    flatters a little. None where there are fewer than four.
    """
    if len(results) < 4:
        return None
    errors = torch.stack([result.errors for result in results]).abs()
    # The median of |x| of a normal distribution is 0.6745 of its deviation.
    return tuple((errors.median(0).values / 0.6745).tolist())
