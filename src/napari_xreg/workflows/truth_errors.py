"""Judge: a pose beside a truth that is known, and the errors to expect of landmarks."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Landmark, Volume
from napari_xreg.metrics import (
    double_geodesic,
    mean_projection_error,
    mean_reprojection_distance,
    mean_target_registration_error,
    pose_error_components,
    rotation_error_deg,
)
from napari_xreg.records import TruthFile
from napari_xreg.registration import Registration, landmark_uncertainty


def bone_points(
    volume: Volume, carm: CArm, world_from_camera: Pose, *, count: int, seed: int
) -> Float[Tensor, "n 3"]:
    """Points in bone (above 250 HU) that the view shows, world mm, drawn by the seed.

    Without such bone, points of the densest thousandth of the CT.
    """
    values = volume.lac if volume.hu is None else volume.hu.to(torch.float32)
    threshold = 250.0 if volume.hu is not None else float("inf")
    if not (values > threshold).any():
        # topk of a share, not quantile: torch's has a size limit of 2^24.
        keep = max(count, values.numel() // 1000)
        threshold = float(values.flatten().topk(min(keep, values.numel())).values[-1]) - 1e-9
    return _seen(volume, values > threshold, carm, world_from_camera, count, seed)


def body_points(
    volume: Volume, carm: CArm, world_from_camera: Pose, *, count: int, seed: int
) -> Float[Tensor, "n 3"]:
    """Voxels of a body (where it attenuates) that the view shows, world mm, drawn by the seed; none of one beyond it."""
    return _seen(volume, volume.lac > 0, carm, world_from_camera, count, seed)


def _seen(
    volume: Volume,
    wanted: Bool[Tensor, "z y x"],
    carm: CArm,
    world_from_camera: Pose,
    count: int,
    seed: int,
) -> Float[Tensor, "n 3"]:
    index = wanted.nonzero().double().flip(-1)
    generator = torch.Generator().manual_seed(seed)
    index = index[torch.randperm(len(index), generator=generator)[: 50 * count]]
    matrix = volume.world_from_index.double()
    points = index @ matrix[:3, :3].T + matrix[:3, 3]
    pixels = carm.project(points, world_from_camera.to(dtype=torch.float64))
    rows, columns = carm.detector.shape
    limits = torch.tensor([rows - 1.0, columns - 1.0], dtype=torch.float64)
    seen = ((pixels >= 0) & (pixels <= limits)).all(-1)
    return points[seen][:count]


def errors_against(
    truth: Pose,
    fiducials: Float[Tensor, "n 3"],
    carm: CArm,
    start: Pose,
    registration: Registration,
) -> dict[str, Any]:
    """Errors of the start and of the result, as a result file holds them."""
    return {
        "fiducials": len(fiducials),
        "frame": "camera: distance between the fiducial in predicted and in true camera axes",
        "start": pose_errors(start, truth, fiducials, carm, registration.pivot),
        "final": pose_errors(
            registration.world_from_camera, truth, fiducials, carm, registration.pivot
        ),
    }


SEVERAL_MOVED = "No errors: one of these structures moved by itself, so that no one pose is true of all: register it alone"
NONE_SEEN = "No errors: the radiograph shows no point of these structures where the truth puts them"


def errors_by_truth(
    truth: TruthFile,
    labels: Collection[int],
    volume: Volume,
    carm: CArm,
    start: Pose,
    registration: Registration,
) -> dict[str, Any] | str:
    """As `errors_against`, of the whole patient or of some structures; in words, why there are none.

    Parameters
    ----------
    truth
        Of the radiograph. A bone that has moved has its own; any other lies as the patient does.
    labels
        Ids of the structures; none: the patient.
    volume
        What is registered of them: voxels of it are the fiducials where the truth has none of them.
    """
    known = truth.true_of(labels)
    if known is None:
        return SEVERAL_MOVED
    pose, points = known
    if points is None:
        points = (
            body_points(volume, carm, pose, count=len(truth.fiducials_mm), seed=0)
            if labels
            else truth.fiducials_mm
        )
    if not len(points):
        return NONE_SEEN
    return errors_against(pose, points, carm, start, registration)


def pose_errors(
    pose: Pose,
    truth: Pose,
    fiducials: Float[Tensor, "n 3"],
    carm: CArm,
    pivot: Float[Tensor, "3"],
) -> dict[str, Any]:
    """Every figure with its unit in the name."""
    pose, truth = pose.to(dtype=torch.float64), truth.to(dtype=torch.float64)
    components = pose_error_components(pose, truth, pivot.double()).tolist()
    return {
        "mean_target_registration_error_mm": float(
            mean_target_registration_error(pose, truth, fiducials)
        ),
        "mean_projection_error_mm": float(mean_projection_error(pose, truth, fiducials, carm)),
        "mean_reprojection_distance_mm": float(mean_reprojection_distance(pose, truth, fiducials)),
        "double_geodesic_mm": float(
            double_geodesic(pose, truth, carm.source_to_detector, origin=pivot.double())
        ),
        "rotation_deg": float(rotation_error_deg(pose, truth)),
        "rotation_about_camera_axes_deg": components[:3],
        "shift_along_camera_axes_mm": components[3:],
    }


def predicted_landmarks(
    landmarks: Sequence[Landmark], carm: CArm, registration: Registration
) -> list[dict[str, Any]]:
    """Where landmarks with a position are seen and how far off they may be."""
    points = torch.tensor([mark.position for mark in landmarks], dtype=torch.float64)
    pose = registration.world_from_camera.to(dtype=torch.float64)
    pixels = carm.project(points, pose)
    entries: list[dict[str, Any]] = [
        {"name": mark.name, "position_mm": list(point), "pixel_row_column": pixel}
        for mark, point, pixel in zip(landmarks, points.tolist(), pixels.tolist(), strict=True)
    ]
    if registration.covariance is not None:
        spread = landmark_uncertainty(
            points,
            carm,
            pose,
            registration.covariance,
            registration.pivot,
            registration.scale,
        )
        for entry, cov_pixel, cov_mm in zip(
            entries, spread.pixel_covariance, spread.camera_covariance, strict=True
        ):
            entry["pixel_covariance"] = cov_pixel.tolist()
            entry["camera_covariance_mm2"] = cov_mm.tolist()
            entry["expected_error_mm"] = float(torch.trace(cov_mm).clamp_min(0).sqrt())
    return entries
