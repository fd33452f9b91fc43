"""Overlap of two soft masks, with a gradient wherever there is bone."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.metrics.correlation import check_images

LENGTH = 0.25
"""Line integral at which a soft mask is 1 - 1/e: 5 mm of bone of 0.05 / mm."""


def soft_mask(
    line_integrals: Float[Tensor, "*batch rows columns"], length: float = LENGTH
) -> Float[Tensor, "*batch rows columns"]:
    """Where there is something on the way of a ray, 0 to 1: 1 - exp(-integral / length).

    A mask by a threshold (xvr's) is constant but at its edge, and has no gradient there: this one has.
    """
    return -torch.expm1(-line_integrals.clamp_min(0) / length)


def soft_dice(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    length: float = LENGTH,
) -> Float[Tensor, "*batch"]:
    """Dice's overlap of the soft masks of two images: 2 sum(a b) / (sum(a a) + sum(b b)), in [0, 1].

    The squares (Milletari et al., V-Net, 3DV 2016) make it 1 for equal masks, however soft, and only for
    those. Differentiable in both; 0 where neither image shows anything.

    Parameters
    ----------
    fixed, moving
        Line integrals of one kind of tissue; leading dimensions broadcast.
    length
        See `LENGTH`.

    Raises
    ------
    ValueError
        If the images differ in size, or the length is not positive.
    """
    check_images(fixed, moving, None)
    if not length > 0:
        raise ValueError(f"the length must be positive: got {length}")
    a, b = soft_mask(fixed, length), soft_mask(moving, length)
    both = (a * b).sum((-2, -1))
    each = a.square().sum((-2, -1)) + b.square().sum((-2, -1))
    return 2 * both / each.clamp_min(torch.finfo(each.dtype).tiny)
