"""Poses as rotations of four dimensions, so that one angle measures turning and shifting.

SE(3) has no metric that is invariant on both sides; SO(4) has one. With a length scale that turns
millimetres into radians a pose becomes a 4 x 4 rotation, and the distance of two poses the geodesic
there. Rigid motions far from the origin suffer most from the embedding (a distance between poses
900 mm away is off by 9 %), so express poses about the isocenter: give `reference` and `pivot`.
"""

from functools import cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.nearest import nearest_rotation
from napari_xreg.geometry.pose import Pose

LENGTH_MM = 510.0
"""Default length scale: half of a usual source-to-detector distance of 1020 mm."""

Embedding = Literal["double_quaternion", "contraction", "polar"]


def so4_from_pose(
    pose: Pose,
    *,
    embedding: Embedding = "double_quaternion",
    length_mm: float = LENGTH_MM,
    reference: Pose | None = None,
    pivot: Float[Tensor, "3"] | None = None,
) -> Float[Tensor, "*batch 4 4"]:
    r"""Embed poses in SO(4).

    Parameters
    ----------
    pose
        World from camera.
    embedding
        ``double_quaternion``: :math:`D(t)\,R` with D the turn by :math:`\|t\|/\rho` in the plane of
        t and the fourth axis [1]_. ``contraction``: the exponential of the twist with
        :math:`v/\rho` in the fourth column and its negative in the fourth row. ``polar``: the
        rotation nearest to the homogeneous matrix with :math:`t/\rho` [2]_; it measures a shift at
        half its length, so give it half the `length_mm` to compare.
    length_mm
        :math:`\rho`, the shift that counts as one radian, mm.
    reference, pivot
        Embed the motion that carries `reference` to `pose`, ``pose @ reference.inverse()``, about
        the pivot (the isocenter, world mm; the world origin if None). Without a reference the
        pose itself is embedded.

    Returns
    -------
    Tensor
        Rotations of four dimensions, differentiable, also at the identity.

    Raises
    ------
    ValueError
        If the embedding is unknown, the length is not positive, or a pivot has no reference.

    References
    ----------
    .. [1] Etzel and McCarthy, "A metric for spatial displacement using biquaternions on SO(4)",
       ICRA 1996.
    .. [2] Larochelle, Murray and Angeles, "A distance metric for finite sets of rigid-body
       displacements via the polar decomposition", J. Mech. Des. 129 (2007).
    """
    if not 0 < length_mm < float("inf"):
        raise ValueError(f"length_mm must be positive, in mm: got {length_mm}")
    if reference is not None:
        pose = motion_about(pose, reference, pivot)
    elif pivot is not None:
        raise ValueError("a pivot only has a meaning for a motion from a reference pose: give both")
    if embedding == "double_quaternion":
        return _shift_rotation(pose.translation / length_mm) @ _widen(pose.rotation)
    if embedding == "contraction":
        twist = pose.log()
        return _so4_exp(twist[..., :3], twist[..., 3:] / length_mm)
    if embedding == "polar":
        scaled = Pose(pose.rotation, pose.translation / length_mm)
        return nearest_rotation(scaled.matrix())
    raise ValueError(
        f"unknown embedding {embedding!r}: expected double_quaternion, contraction or polar"
    )


def motion_about(pose: Pose, reference: Pose, pivot: Float[Tensor, "3"] | None = None) -> Pose:
    """The world motion from `reference` to `pose`, in axes that have their origin at the pivot.

    ``reference.left_perturb(motion.log(), pivot)`` is `pose` for motions that turn by less than
    180 degrees.
    """
    motion = pose @ reference.inverse()
    if pivot is None:
        return motion
    pivot = pivot.to(motion.translation)
    moved = (motion.rotation @ pivot[..., None])[..., 0] + motion.translation
    return Pose(motion.rotation, moved - pivot)


def so4_squared_distance(
    a: Float[Tensor, "*#batch 4 4"], b: Float[Tensor, "*#batch 4 4"]
) -> Float[Tensor, "*pairs"]:
    r"""Squared geodesic distance on SO(4), :math:`\theta_1^2 + \theta_2^2`, square radians.

    The angles are those of the two planes that :math:`A^T B` turns. Invariant under
    multiplication of both arguments by a rotation from either side. Smooth where the arguments
    are equal; not differentiable where a plane is turned by 180 degrees.
    """
    left, right = _isoclinic(a.mT @ b)
    return 2 * (_squared_angle(left) + _squared_angle(right))


def so4_distance(
    a: Float[Tensor, "*#batch 4 4"], b: Float[Tensor, "*#batch 4 4"]
) -> Float[Tensor, "*pairs"]:
    """Geodesic distance on SO(4), radians; times the length scale it is mm.

    Its gradient is taken as zero where the arguments are equal (the distance has a kink there).
    """
    squared = so4_squared_distance(a, b)
    apart = squared > 0
    root = torch.where(apart, squared, torch.ones_like(squared)).sqrt()
    return torch.where(apart, root, torch.zeros_like(root))


def so4_plane_angles(
    a: Float[Tensor, "*#batch 4 4"], b: Float[Tensor, "*#batch 4 4"]
) -> Float[Tensor, "*pairs 2"]:
    """The angles of the two planes turned from a to b, radians in [0, pi], the larger first.

    Not differentiable where they are equal or zero: `so4_squared_distance` is.
    """
    left, right = (_squared_angle(q).sqrt() for q in _isoclinic(a.mT @ b))
    return torch.stack([left + right, (left - right).abs()], -1)


def _isoclinic(q: Float[Tensor, "*batch 4 4"]) -> tuple[Tensor, Tensor]:
    """Unit quaternions p, r with ``q = L(p) R(r)``, chosen so that their angles sum to <= pi.

    The plane angles are the sum and the difference of the angles of p and r. They follow from
    atan2, while the traces of q and q^2 give cosines only: their arccos has an infinite derivative
    and half the digits at equality.
    """
    basis = _isoclinic_basis().to(q)
    product = torch.einsum("ijab,...ab->...ij", basis, q) / 4  # p r^T, of rank one
    best = torch.linalg.vector_norm(product, dim=-1).argmax(-1)
    row = product.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    right = row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)
    left = (product @ right[..., None])[..., 0]
    # cos(alpha + beta) of the pair and of its negative differ in nothing, their sum does:
    # alpha + beta <= pi where the real parts add up to >= 0.
    negative = left[..., :1] + right[..., :1] < 0
    return torch.where(negative, -left, left), torch.where(negative, -right, right)


def _squared_angle(unit: Float[Tensor, "*batch 4"]) -> Tensor:
    """Square of the angle between a unit quaternion and 1, smooth at 0."""
    w, squared = unit[..., 0], (unit[..., 1:] ** 2).sum(-1)
    small = (squared < 1e-6) & (w > 0)
    sine = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt()
    angle = torch.where(squared > 0, torch.atan2(sine, w), torch.where(w > 0, 0.0, torch.pi).to(w))
    # (arcsin n)^2 = n^2 + n^4/3 + 8 n^6/45 + ...
    return torch.where(small, squared + squared**2 / 3 + 8 * squared**3 / 45, angle**2)


@cache
def _isoclinic_basis() -> Float[Tensor, "4 4 4 4"]:
    """``L(e_i) R(e_j)``: sixteen orthogonal matrices of squared norm 4 that span all 4 x 4 ones."""
    i = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]
    j = [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]
    left = torch.tensor([i, j], dtype=torch.float64)
    left = torch.stack([torch.eye(4, dtype=torch.float64), left[0], left[1], left[0] @ left[1]])
    i = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, -1, 0]]
    j = [[0, 0, -1, 0], [0, 0, 0, -1], [1, 0, 0, 0], [0, 1, 0, 0]]
    right = torch.tensor([i, j], dtype=torch.float64)
    right = torch.stack([left[0], right[0], right[1], right[0] @ right[1]])
    return torch.einsum("iab,jbc->ijac", left, right)


def _shift_rotation(u: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 4"]:
    """The turn by |u| in the plane of u and the fourth axis, as a power series where u is small."""
    squared = (u * u).sum(-1)[..., None]
    small = squared < 1e-6
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    sinc = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    bend = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, (1 - angle.cos()) / angle**2)
    eye = torch.eye(3, dtype=u.dtype, device=u.device)
    block = eye - bend[..., None] * u[..., :, None] * u[..., None, :]
    top = torch.cat([block, (sinc * u)[..., None]], -1)
    bottom = torch.cat([-sinc * u, 1 - bend * squared], -1)[..., None, :]
    return torch.cat([top, bottom], -2)


def _so4_exp(omega: Float[Tensor, "*batch 3"], u: Float[Tensor, "*batch 3"]) -> Tensor:
    """Exponential of ``[[hat(omega), u], [-u^T, 0]]``, exact: torch.matrix_exp is off by 1e-10.

    The matrix is a sum of two that commute and whose squares are multiples of the identity.
    """
    plus, minus = (omega + u) / 2, (omega - u) / 2
    eye = torch.eye(4, dtype=u.dtype, device=u.device)
    factors = []
    for w, sign in ((plus, 1), (minus, -1)):
        squared = (w * w).sum(-1)[..., None, None]
        small = squared < 1e-6
        angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
        sinc = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
        cosine = torch.where(small, 1 - squared / 2 + squared**2 / 24, angle.cos())
        factors.append(cosine * eye + sinc * _so4_hat(w, sign * w))
    return factors[0] @ factors[1]


def _so4_hat(omega: Float[Tensor, "*batch 3"], u: Float[Tensor, "*batch 3"]) -> Tensor:
    x, y, z = omega.unbind(-1)
    a, b, c = u.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, a, z, zero, -x, b, -y, x, zero, c, -a, -b, -c, zero]
    return torch.stack(rows, -1).reshape(*omega.shape[:-1], 4, 4)


def _widen(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4 4"]:
    return Pose(rotation, torch.zeros_like(rotation[..., 0])).matrix()
