"""How a pose changes when a hand drags on the detector.

All take where the cursor was and where it is, in (row, column) pixels of the C-arm's detector, and
the pose at the beginning; the result depends on nothing in between, so a drag never drifts. The
patient seems to move and the C-arm does, so every motion here is the inverse of what is seen.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.carm import CArm
from napari_xreg.geometry.pose import Pose

Pixel = tuple[float, float]

TURN_DEG_PER_MM = 0.3
"""Of a rotation, per millimetre of cursor on the detector."""
DEPTH_MM_PER_MM = 2.0
"""Of a change of depth, likewise."""
_NEAR_MM = 3.0  # closer than this to the pivot a cursor has no direction


def shifted(pose: Pose, carm: CArm, began: Pixel, now: Pixel, pivot: Float[Tensor, "3"]) -> Pose:
    """Translate parallel to the detector: what lies at the pivot's depth follows the cursor."""
    x, y = _camera_mm(carm, began, now)
    scale = _depth(pose, pivot) / carm.source_to_detector
    return _translated(pose, -x * scale, -y * scale, 0.0)


def deepened(pose: Pose, carm: CArm, began: Pixel, now: Pixel) -> Pose:
    """Move along the central ray: dragged up, the patient comes nearer to the source and grows."""
    _, y = _camera_mm(carm, began, now)
    return _translated(pose, 0.0, 0.0, -y * DEPTH_MM_PER_MM)


def turned(pose: Pose, carm: CArm, began: Pixel, now: Pixel, pivot: Float[Tensor, "3"]) -> Pose:
    """Rotate about axes parallel to the detector through the pivot: the near side follows.

    The near side is the one that the reader faces: towards the detector in a mirrored image, else
    towards the source.
    """
    x, y = _camera_mm(carm, began, now)
    near = 1.0 if carm.detector.mirrored else -1.0
    # n x u for n = (0, 0, near): the rotation that carries the near side along u.
    per_mm = near * math.radians(TURN_DEG_PER_MM)
    return _rotated(pose, (-y * per_mm, x * per_mm, 0.0), pivot)


def rolled(pose: Pose, carm: CArm, began: Pixel, now: Pixel, pivot: Float[Tensor, "3"]) -> Pose:
    """Rotate about the detector's normal through the pivot, as the cursor goes round it."""
    row, column = (float(v) for v in carm.project(pivot.to(pose.rotation)[None], pose)[0])
    if not math.isfinite(row + column):
        row, column = carm.detector.center
    before = _camera_mm(carm, (row, column), began)
    after = _camera_mm(carm, (row, column), now)
    if min(math.hypot(*before), math.hypot(*after)) < _NEAR_MM:
        return pose
    cross = before[0] * after[1] - before[1] * after[0]
    dot = before[0] * after[0] + before[1] * after[1]
    return _rotated(pose, (0.0, 0.0, math.atan2(cross, dot)), pivot)


def point_under(
    pose: Pose, carm: CArm, pixel: Pixel, pivot: Float[Tensor, "3"]
) -> Float[Tensor, "3"]:
    """The world point seen at a pixel, as deep as the pivot."""
    pixels = torch.tensor([pixel], dtype=pose.rotation.dtype)
    source, rays = carm.rays(pose, pixels)
    return source + rays[0] * (_depth(pose, pivot) / carm.source_to_detector)


def _camera_mm(carm: CArm, began: Pixel, now: Pixel) -> tuple[float, float]:
    """The way between two pixels along the camera's x and y, mm on the detector."""
    s_row, s_column = carm.detector.spacing
    sign = -1.0 if carm.detector.mirrored else 1.0
    return sign * (now[1] - began[1]) * s_column, (now[0] - began[0]) * s_row


def _depth(pose: Pose, point: Float[Tensor, "3"]) -> float:
    """Of a point in front of the source, mm; never so small that moves vanish."""
    away = point.to(pose.translation) - pose.translation
    return max(float(pose.rotation[:, 2] @ away), 1.0)


def _translated(pose: Pose, x: float, y: float, z: float) -> Pose:
    local = pose.translation.new_tensor([x, y, z])
    return Pose(pose.rotation, pose.translation + pose.rotation @ local)


def _rotated(
    pose: Pose, patient_omega: tuple[float, float, float], pivot: Float[Tensor, "3"]
) -> Pose:
    """Turn the patient by a rotation vector in camera axes (rad), that is, the C-arm against it."""
    omega = pose.rotation @ pose.rotation.new_tensor(patient_omega)
    twist = torch.cat([-omega, torch.zeros_like(omega)])
    return pose.left_perturb(twist, pivot.to(pose.rotation))
