"""The errors that a study measures, each with its definition: one table."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.metrics import (
    diffpose_legacy_mtre,
    double_geodesic,
    mean_depth_error,
    mean_in_plane_error,
    mean_projection_error,
    mean_reprojection_distance,
    mean_reprojection_error,
    mean_target_registration_error,
    rayemb_legacy_mpd,
    rotation_error_deg,
    xvr_legacy_mpe,
    xvr_legacy_mtre,
)

Points = Float[Tensor, "n 3"]


@dataclass(frozen=True)
class Metric:
    """An error of a pose.

    Parameters
    ----------
    name
        In files.
    title, unit
        In tables.
    definition
        Printed beside it: the same three letters mean different things in different papers.
    of
        Computes it from found pose, truth, fiducials, C-arm and isocenter.
    """

    name: str
    title: str
    unit: str
    definition: str
    of: Callable[[Pose, Pose, Points, CArm, Float[Tensor, "3"]], Tensor]


METRICS: tuple[Metric, ...] = (
    Metric(
        "mtre_mm", "mTRE", "mm",
        "mean distance of the fiducials between their places in the found and in the true camera's axes",
        lambda pose, truth, points, carm, center: mean_target_registration_error(pose, truth, points),
    ),
    Metric(
        "in_plane_mm", "mTRE in plane", "mm",
        "the part of mTRE's distances that is parallel to the detector, averaged",
        lambda pose, truth, points, carm, center: mean_in_plane_error(pose, truth, points),
    ),
    Metric(
        "depth_mm", "mTRE in depth", "mm", "the part of mTRE's distances along the central ray, averaged",
        lambda pose, truth, points, carm, center: mean_depth_error(pose, truth, points),
    ),
    Metric(
        "mpd_mm", "mPD", "mm",
        "mean distance on the detector between the projections of the fiducials",
        lambda pose, truth, points, carm, center: mean_projection_error(pose, truth, points, carm),
    ),
    Metric(
        "mrpd_mm", "mRPD", "mm",
        "mean distance of the fiducials, where they truly are, from the rays on which the found pose sees them "
        "(van de Kraats 2005)",
        lambda pose, truth, points, carm, center: mean_reprojection_distance(pose, truth, points),
    ),
    Metric(
        "rotation_deg", "rotation", "deg", "angle of the rotation between found and true camera",
        lambda pose, truth, points, carm, center: rotation_error_deg(pose, truth),
    ),
    Metric(
        "double_geodesic_mm", "dGeo", "mm",
        "root of (half the source-to-detector distance times the angle)^2 + (distance of both sources, each seen "
        "from the isocenter in its own camera's axes)^2",
        lambda pose, truth, points, carm, center: double_geodesic(
            pose, truth, carm.source_to_detector, origin=center
        ),
    ),
    Metric(
        "xvr_mpe_mm", "mPE as xvr's code has it", "mm",
        "mean pixel distance of the projected fiducials times the spacing of the columns",
        lambda pose, truth, points, carm, center: xvr_legacy_mpe(pose, truth, points, carm),
    ),
    Metric(
        "xvr_mrpe_mm", "mRPE as xvr's code has it", "mm",
        "mean distance of both projections of the fiducials, each put onto its own camera's detector",
        lambda pose, truth, points, carm, center: mean_reprojection_error(pose, truth, points, carm),
    ),
    Metric(
        "diffpose_mtre", "mTRE as DiffPose's code has it", "",
        "mRPE of xvr times 0.194; no target registration error, for comparison with its tables alone",
        lambda pose, truth, points, carm, center: diffpose_legacy_mtre(pose, truth, points, carm),
    ),
    Metric(
        "xvr_mtre_mm", "mTRE as xvr's code has it", "mm",
        "mean distance of the fiducials, counted from the isocenter, between where the found and the true camera-to-world "
        "pose put them: the way of the source is in it, so it is mostly several times mTRE",
        lambda pose, truth, points, carm, center: xvr_legacy_mtre(pose, truth, points, carm, origin=center),
    ),
    Metric(
        "rayemb_mpd_mm", "mPD as RayEmb's code has it", "mm",
        "mPD times 1536/1436, as its code has it on real radiographs of DeepFluoro; of others it means nothing",
        lambda pose, truth, points, carm, center: rayemb_legacy_mpd(pose, truth, points, carm),
    ),
)  # fmt: skip
"""The first is what success is judged by."""
LATER = frozenset({"xvr_mtre_mm", "rayemb_mpd_mm"})
"""Absent in rows of before they were measured, where others are absent only if they are no numbers."""


def errors_of(
    pose: Pose, truth: Pose, points: Points, carm: CArm, center: Float[Tensor, "3"]
) -> dict[str, float]:
    """Every metric by name."""
    pose, truth = pose.to(dtype=torch.float64), truth.to(dtype=torch.float64)
    points, center = points.double(), center.double()
    found = {m.name: float(m.of(pose, truth, points, carm, center)) for m in METRICS}
    return {name: value for name, value in found.items() if abs(value) < float("inf")}


def claimed_error(
    poses: Sequence[Pose], truths: Sequence[Pose], points: Points, as_seen_in: int | None
) -> float | None:
    """The error that a verdict speaks of, mm: as seen in one radiograph (mRPD), or in space (mTRE); None: no number.

    Parameters
    ----------
    poses, truths
        World from camera of every radiograph: found, and true.
    points
        Where it is measured, world mm.
    as_seen_in
        As `Registration.as_seen_in`.
    """
    view = as_seen_in or 0
    error = mean_target_registration_error if as_seen_in is None else mean_reprojection_distance
    found, true = (each[view].to(dtype=torch.float64) for each in (poses, truths))
    value = float(error(found, true, points.double()))
    return value if math.isfinite(value) else None
