"""How far apart poses are, and which way that grows: what a learned similarity shall say of their images."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import LENGTH_MM, Pose, motion_about, so4_from_pose, so4_squared_distance

Metric = Literal["double_quaternion", "contraction", "polar", "se3"]
METRICS: tuple[Metric, ...] = ("double_quaternion", "contraction", "polar", "se3")
"""The geodesic of SO(4) in one of three embeddings, or the length of the twist of SE(3)."""


def squared_pose_distance(
    a: Pose, b: Pose, isocenter: Float[Tensor, "3"], metric: Metric = "double_quaternion"
) -> Float[Tensor, "*batch"]:
    """Of the motion from one pose to the other about the isocenter, square radians.

    A shift of `geometry.LENGTH_MM` counts as a radian. Smooth where the poses are equal.
    """
    if metric == "se3":
        twist = motion_about(b, a, isocenter).log()
        scaled = torch.cat([twist[..., :3], twist[..., 3:] / LENGTH_MM], -1)
        return scaled.square().sum(-1)
    # The polar factor measures a shift at half its length.
    length = LENGTH_MM / 2 if metric == "polar" else LENGTH_MM
    turned = so4_from_pose(b, embedding=metric, length_mm=length, reference=a, pivot=isocenter)
    return so4_squared_distance(torch.eye(4).to(turned), turned)


def pair_distances(
    a: Pose, b: Pose, isocenter: Float[Tensor, "3"], metric: Metric = "double_quaternion"
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m 6"]]:
    """Of every pose of `a` to every one of `b`: the distance, and its derivative by a twist of that of `b`.

    Parameters
    ----------
    a, b
        Batches of n and m poses, float64.
    isocenter
        World mm; twists turn about it, in world axes.

    Returns
    -------
    distance
        Radians.
    slope
        By turns (rad) and shifts (in units of `geometry.LENGTH_MM`): as long as 1 where the distance is
        Euclidean. Zero where the poses are equal.
    """
    n, m = len(a.translation), len(b.translation)
    steps = torch.zeros(n, m, 6, dtype=torch.float64, requires_grad=True)
    rows = Pose(a.rotation[:, None].expand(n, m, 3, 3), a.translation[:, None].expand(n, m, 3))
    columns = Pose(b.rotation[None].expand(n, m, 3, 3), b.translation[None].expand(n, m, 3))
    with torch.enable_grad():
        moved = columns.left_perturb(steps * unit_step(steps), isocenter)
        squared = squared_pose_distance(rows, moved, isocenter, metric)
        (slope,) = torch.autograd.grad(squared.sum(), steps)
    distance = squared.detach().clamp_min(0).sqrt()
    return distance, slope / (2 * distance).clamp_min(1e-9)[..., None]


def unit_step(like: Tensor) -> Float[Tensor, "6"]:
    """A twist whose parts each count 1: a radian about an axis, `geometry.LENGTH_MM` along one."""
    return like.new_tensor([1.0, 1.0, 1.0, LENGTH_MM, LENGTH_MM, LENGTH_MM])
