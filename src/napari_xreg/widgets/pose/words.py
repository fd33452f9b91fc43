"""A pose in words, and how far it is from a truth that is known."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.session import Result, Session

REACH_MM = 50.0
"""Half the edge of the cube on whose corners errors are measured where there are no landmarks."""


def carm_words(pose: CArmPose) -> str:
    """Six numbers with their units."""
    # Adding zero makes a zero of -0.0.
    x, y, depth = (round(v, 1) + 0.0 for v in pose.offset_mm)
    primary, secondary, roll = (
        round(v, 2) + 0.0 for v in (pose.primary_deg, pose.secondary_deg, pose.roll_deg)
    )
    return (
        f"primary {primary:.2f}°, secondary {secondary:.2f}°, roll {roll:.2f}°, "
        f"x {x:.1f}, y {y:.1f}, depth {depth:.1f} mm"
    )


def error_points(session: Session) -> tuple[Float[Tensor, "n 3"], str]:
    """Where errors are measured, world mm, and that in words."""
    marks = [mark.position for mark in session.landmarks.all if mark.position is not None]
    if marks:
        return torch.tensor(marks, dtype=torch.float64), f"{len(marks)} landmarks"
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    words = f"8 points {REACH_MM:g} mm about the isocenter along each axis"
    return session.patient.isocenter + REACH_MM * corners, words


def result_error_mm(session: Session, result: Result) -> float | None:
    """`truth_error_mm` of a result; None for a bone, of which the truth says nothing."""
    if result.bone is not None:
        return None
    pose = result.registration.world_from_camera
    return truth_error_mm(session, result.radiographs[0], pose)


def truth_error_mm(session: Session, radiograph: str, world_from_camera: Pose) -> float | None:
    """Mean target registration error in camera axes, mm; None where no truth is known.

    `radiograph` is an `Exposure.id`.
    """
    exposure = session.exposures.find(radiograph)
    truth = None if exposure is None else exposure.truth
    if truth is None:
        return None
    points, _ = error_points(session)
    return float(
        mean_target_registration_error(
            world_from_camera.to(dtype=torch.float64), truth.to(dtype=torch.float64), points
        )
    )
