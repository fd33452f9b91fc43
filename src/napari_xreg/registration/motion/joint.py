"""Motion of one bone against another: the joint coordinate system, and the finite helical axis.

E. S. Grood and W. J. Suntay, J. Biomech. Eng. 105 (1983): the first axis is fixed to the proximal bone
(flexion), the third to the distal one (its long axis), the second floats between them. The angles do not
depend on an order of rotations. G. Wu et al., J. Biomech. 35 (2002) and 38 (2005), recommend such systems
for hip, ankle, wrist and others (ISB).
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose, euler_from_matrix

Side = Literal["left", "right"]
Bends = Literal["backward", "forward"]
"""Whither the distal bone goes in flexion: backward in a knee, forward in a hip, an elbow, a wrist, an ankle."""

JOINT_MOTIONS = (
    "flexion_deg", "adduction_deg", "internal_rotation_deg", "lateral_mm", "anterior_mm", "distraction_mm",
)  # fmt: skip
_LEAST_MM = 1e-3
_NUDGE = 1e-5
"""Of a bone, rad and mm, by which slopes of a joint's motion are taken."""


def bone_axes(
    medial: Float[Tensor, "3"],
    lateral: Float[Tensor, "3"],
    far: Float[Tensor, "3"],
    *,
    proximal: bool,
    side: Side,
) -> Pose:
    """``world_from_axes`` of a bone beside a joint: x to the patient's right, y to the front, z up the limb.

    The long axis is exact, the line across is taken perpendicular to it; the origin is midway between
    `medial` and `lateral`.

    Parameters
    ----------
    medial, lateral
        On the two sides of the joint: epicondyles of a femur, middles of the plateaus of a tibia, styloid
        processes of a forearm. World mm.
    far
        On the long axis, away from the joint: the hip's centre for a femur, the ankle's for a tibia.
    proximal
        Whether it is the bone above the joint.
    side
        Of the body.

    Raises
    ------
    ValueError
        If the three points lie on a line, or two are one.
    """
    medial, lateral, far = (point.double() for point in (medial, lateral, far))
    middle = (medial + lateral) / 2
    up = far - middle if proximal else middle - far
    across = lateral - medial if side == "right" else medial - lateral
    front = torch.linalg.cross(up, across)
    lengths = [float(v.norm()) for v in (up, across, front)]
    # So that what is no number is refused too.
    if not (min(lengths[:2]) >= _LEAST_MM and lengths[2] >= _LEAST_MM * lengths[0]):
        raise ValueError(
            "the three points of a bone's axes lie on a line or are the same: a medial and a lateral one "
            "beside the joint, and one at the bone's other end, are needed"
        )
    z, y = up / up.norm(), front / front.norm()
    return Pose(torch.stack([torch.linalg.cross(y, z), y, z], -1), middle)


def joint_motion(
    proximal_from_distal: Pose, *, side: Side, bends: Bends = "backward"
) -> Float[Tensor, "*batch 6"]:
    """Angles, degrees, and shifts, mm, of a distal bone against a proximal one: `JOINT_MOTIONS`.

    The shifts are of the distal bone's origin from the proximal one's along the three axes. Adduction takes the
    bone's far end towards the middle of the body, internal rotation its front.

    Parameters
    ----------
    proximal_from_distal
        Of the bones' axes (`bone_axes`).
    side
        Of the body.
    bends
        Which way is flexion.
    """
    outward = 1.0 if side == "right" else -1.0
    rotation = proximal_from_distal.rotation
    about_x, about_y, about_z = euler_from_matrix(rotation, "XYZ").unbind(-1)
    # Up the distal bone leans to the front where its far end goes back.
    flexion = -about_x if bends == "backward" else about_x
    angles = torch.stack([flexion, outward * about_y, outward * about_z], -1)
    first = rotation.new_tensor([1.0, 0.0, 0.0]).expand_as(proximal_from_distal.translation)
    third = rotation[..., 2]
    floating = torch.linalg.cross(third, first)
    floating = floating / floating.norm(dim=-1, keepdim=True)
    shift = proximal_from_distal.translation
    along = [(shift * axis).sum(-1) for axis in (first, floating, third)]
    shifts = torch.stack([outward * along[0], along[1], -along[2]], -1)
    return torch.cat([torch.rad2deg(angles), shifts], -1)


def joint_deviation(
    one_from_other: Pose,
    covariance: Float[Tensor, "6 6"],
    pivot: Float[Tensor, "3"],
    axes: tuple[Pose, Pose],
    *,
    side: Side,
    bends: Bends = "backward",
) -> Float[Tensor, "6"]:
    """Standard deviations of `joint_motion`, to first order, degrees and mm.

    Parameters
    ----------
    one_from_other
        How the distal bone's world lies in the proximal one's, float64.
    covariance, pivot
        Of its left twist (omega, v) about the pivot, rad and mm (`relative_covariance`).
    axes
        ``world_from_axes`` of the proximal and the distal bone.
    side, bends
        As of `joint_motion`.
    """
    proximal, distal = axes
    twists = _NUDGE * torch.eye(6, dtype=torch.float64)
    ends = [
        joint_motion(
            proximal.inverse() @ one_from_other.left_perturb(way * twist, pivot) @ distal,
            side=side, bends=bends,
        )
        for way in (1, -1) for twist in twists
    ]  # fmt: skip
    change = torch.stack(ends[:6], -1) - torch.stack(ends[6:], -1)
    change[:3] = (change[:3] + 180.0) % 360.0 - 180.0
    slopes = change / (2 * _NUDGE)
    return (slopes @ covariance.double() @ slopes.mT).diagonal().clamp_min(0).sqrt()


def helical_motion(
    motion: Pose,
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"], Float[Tensor, "*batch 3"]]:
    """Turn about the finite helical axis, degrees; shift along it, mm; its direction.

    The direction of a motion without a turn is that of its shift.

    Parameters
    ----------
    motion
        Of a bone, in a frame that rests.
    """
    omega = motion.log()[..., :3]
    angle, shift = omega.norm(dim=-1), motion.translation
    turned = (angle > 1e-9)[..., None]
    axis = torch.where(turned, omega, shift)
    axis = axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return torch.rad2deg(angle), (shift * axis).sum(-1), axis
