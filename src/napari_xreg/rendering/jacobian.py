"""From what a ray feels to what a pose feels: six columns out of two gradients."""

import torch
from jaxtyping import Float
from torch import Tensor


def twist_jacobian(
    by_source: Float[Tensor, "*n 3"],
    by_ray: Float[Tensor, "*n 3"],
    source: Float[Tensor, "*m 3"],
    rays: Float[Tensor, "*n 3"],
    pivot: Float[Tensor, "3"],
) -> Float[Tensor, "6 *n"]:
    """Derivative of each integral by a left twist of the camera about the pivot, world axes.

    A twist (omega, v) moves the source by ``omega x (source - pivot) + v`` and turns every ray by
    ``omega x r``, hence ``dI/dv = G0`` and ``dI/domega = (source - pivot) x G0 + r x G1``.

    Parameters
    ----------
    by_source, by_ray
        G0 = dI/d(source) at fixed r, and G1 = dI/dr, per mm. Any part of G1 along r drops out.
    source, rays, pivot
        World, mm.

    Returns
    -------
    Tensor
        (omega x, y, z per rad, v x, y, z per mm).
    """
    lever = (source - pivot).expand_as(by_source)
    turn = torch.linalg.cross(lever, by_source) + torch.linalg.cross(rays, by_ray)
    return torch.cat([turn, by_source], -1).movedim(-1, 0)
