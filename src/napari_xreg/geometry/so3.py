"""The exponential and the logarithm of rotations, and the Jacobian that joins translations to them.

Written out here and not taken from a library, because every start of the program needs them:
importing roma brings torch's compiler, which takes as long as torch itself and Triton along
(`docs/decisions/0010-rotations-without-roma.md`, 0012). All broadcast over leading dimensions, keep dtype
and device, are differentiable (the logarithm not at half a turn) and ask the device for nothing.
Formulas: Murray, Li and Sastry, "A Mathematical Introduction to Robotic Manipulation" (1994), 2.36.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Below this angle the closed forms lose digits and their series are exact to float64.
_SMALL_ANGLE = 1e-3


def hat(v: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix of the cross product with v."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, -1).reshape(*v.shape[:-1], 3, 3)


def exponential(
    omega: Float[Tensor, "*batch 3"],
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3 3"]]:
    """Rotation by a vector of axis times angle (radians), and V with translation = V v in SE(3)."""
    squared, angle, small = _angle(omega)
    # Not 1 - cos: in float32 that is wrong by 10 % at 1e-3 rad, 0.005 mm in a shift of 100 mm.
    half = torch.where(small, 0.5 - squared / 24, 2 * (angle / 2).sin() ** 2 / angle**2)
    sine = angle.sin()
    sinc = torch.where(small, 1 - squared / 6 + squared**2 / 120, sine / angle)
    third = torch.where(small, 1 / 6 - squared / 120, (angle - sine) / angle**3)
    k = hat(omega)
    kk = k @ k
    sinc, half, third = (c[..., None, None] for c in (sinc, half, third))
    eye = torch.eye(3, dtype=omega.dtype, device=omega.device)
    return eye + sinc * k + half * kk, eye + half * k + third * kk


def logarithm(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Axis times angle of a rotation, radians; the angle lies in [0, pi]."""
    unit = unit_quaternion(rotation)
    w, xyz = unit[..., 0], unit[..., 1:]
    squared = (xyz * xyz).sum(-1)
    small = squared < (_SMALL_ANGLE / 2) ** 2
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    near = 2 / w.clamp_min(0.5) * (1 - squared / (3 * w.clamp_min(0.5) ** 2))
    return xyz * torch.where(small, near, 2 * torch.atan2(sine, w) / sine)[..., None]


def unit_quaternion(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """(w, x, y, z) of a rotation, w not negative.

    Of four ways to write it the one that divides by the largest number (Shepperd, "Quaternion from
    rotation matrix", 1978).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in rotation.unbind(-2))
    trace = xx + yy + zz
    a, b, c = zy - yz, xz - zx, yx - xy
    d, e, f = xy + yx, yz + zy, zx + xz
    ways = torch.stack(
        [
            torch.stack([1 + trace, a, b, c], -1),
            torch.stack([a, 1 - trace + 2 * xx, d, f], -1),
            torch.stack([b, d, 1 - trace + 2 * yy, e], -1),
            torch.stack([c, f, e, 1 - trace + 2 * zz], -1),
        ],
        -2,
    )
    best = torch.stack([trace, xx, yy, zz], -1).argmax(-1)
    chosen = ways.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    unit = chosen / torch.linalg.vector_norm(chosen, dim=-1, keepdim=True)
    return torch.where(unit[..., :1] < 0, -unit, unit)


def inverse_left_jacobian(omega: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The inverse of the V of `exponential`."""
    squared, angle, small = _angle(omega)
    half = angle / 2
    c = torch.where(small, 1 / 12 + squared / 720, (1 - half * half.cos() / half.sin()) / angle**2)
    k = hat(omega)
    eye = torch.eye(3, dtype=omega.dtype, device=omega.device)
    return eye - 0.5 * k + c[..., None, None] * (k @ k)


def _angle(omega: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Squared angle, an angle safe to divide by (1 where it is small), and where it is small."""
    squared = (omega * omega).sum(-1)
    small = squared < _SMALL_ANGLE**2
    return squared, torch.where(small, torch.ones_like(squared), squared).sqrt(), small
