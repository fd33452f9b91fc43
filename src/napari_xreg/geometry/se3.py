"""How a rigid motion changes with its twist."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.so3 import hat

_TERMS = 12
"""Of the series; of twists that turn less than a radian the next is below 1e-9."""


def left_jacobian(twist: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 6 6"]:
    """The matrix J with ``exp(twist + change) = exp(J change) exp(twist)``, to first order.

    By its series (Barfoot, "State Estimation for Robotics", 2017, 7.85): for steps between frames.

    Parameters
    ----------
    twist
        (omega, v), rad and mm, as of `Pose.exp`; turns below a radian.
    """
    turning, moving = hat(twist[..., :3]), hat(twist[..., 3:])
    top = torch.cat([turning, torch.zeros_like(turning)], -1)
    bracket = torch.cat([top, torch.cat([moving, turning], -1)], -2)
    total = term = torch.eye(6, dtype=twist.dtype, device=twist.device)
    for number in range(1, _TERMS):
        term = term @ bracket / (number + 1)
        total = total + term
    return total
