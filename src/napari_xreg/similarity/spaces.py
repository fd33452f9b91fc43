"""Where embeddings lie, and how far apart they are there: a sphere, and two others to compare it with."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Space = Literal["sphere", "euclidean", "hyperbolic"]
SPACES: tuple[Space, ...] = ("sphere", "euclidean", "hyperbolic")

_SMALL = 1e-4  # of a squared chord: below, series are exact to float32


def placed(numbers: Float[Tensor, "*b m"], space: Space) -> Float[Tensor, "*b n"]:
    """What a network says, as points of a space.

    On the sphere of radius 1: the direction. Of the hyperbolic space of curvature -1: points of the
    hyperboloid, one number longer, with the numbers as the coordinates beside the first.
    """
    if space == "sphere":
        return numbers / numbers.square().sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
    if space == "hyperbolic":
        return torch.cat([(1 + numbers.square().sum(-1, keepdim=True)).sqrt(), numbers], -1)
    return numbers


def squared_distance(
    a: Float[Tensor, "*#b n"], b: Float[Tensor, "*#b n"], space: Space
) -> Float[Tensor, "*b"]:
    r"""Squared geodesic between points of a space, smooth where they are equal.

    On the sphere :math:`2\,\mathrm{asin}(\|a - b\| / 2)`, and not the arccosine of the product: that has an infinite
    slope at equality. On the hyperboloid :math:`2\,\mathrm{asinh}` of the same with the Minkowski product.
    """
    step = (a - b).square()
    if space == "euclidean":
        return step.sum(-1)
    if space == "sphere":
        chord = step.sum(-1) / 4
        near = chord < _SMALL
        safe = torch.where(near, 0.5, chord.clamp(max=1 - 1e-6))
        far = 2 * torch.atan2(safe.sqrt(), (1 - safe).sqrt())
        # asin(x)^2 = x^2 + x^4 / 3 + 8 x^6 / 45 + ...
        return torch.where(near, 4 * (chord + chord**2 / 3 + 8 * chord**3 / 45), far**2)
    chord = (step[..., 1:].sum(-1) - step[..., 0]) / 4
    near = chord < _SMALL
    safe = torch.where(near, 0.5, chord)
    far = 2 * torch.asinh(safe.sqrt())
    return torch.where(near, 4 * (chord - chord**2 / 3 + 8 * chord**3 / 45), far**2)


def residual(
    fixed: Float[Tensor, "n"], moving: Float[Tensor, "*b n"], space: Space
) -> Float[Tensor, "*b n"]:
    """The logarithm of `moving` at `fixed`: a tangent vector as long as the geodesic; differentiable.

    Of the hyperboloid its first number is left at 0 and the rest scaled to that length, so that
    squares add up.
    """
    if space == "euclidean":
        return moving - fixed
    length = squared_distance(fixed, moving, space).clamp_min(1e-14).sqrt()
    if space == "sphere":
        along = (fixed * moving).sum(-1, keepdim=True)
        step = moving - along * fixed
    else:
        product = (fixed[1:] * moving[..., 1:]).sum(-1) - fixed[0] * moving[..., 0]
        step = moving + product[..., None] * fixed
        step = torch.cat([torch.zeros_like(step[..., :1]), step[..., 1:]], -1)
    norm = step.square().sum(-1).clamp_min(1e-14).sqrt()
    return step * (length / norm)[..., None]
