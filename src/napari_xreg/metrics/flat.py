"""When an image says nothing: it is constant, but for what rounding makes of a constant."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SMALLEST_SPREAD = 1e-6
"""Of line integrals, and of their size: float32 knows 40 to 4e-6, and a mean of such no better."""


def is_flat(values: Float[Tensor, "*batch n"]) -> Bool[Tensor, "*batch"]:
    """Whether the standard deviation is below `SMALLEST_SPREAD`, or below that share of the largest.

    So are no values at all.

    Examples
    --------
    >>> is_flat(torch.full((10700,), 40.3)), is_flat(torch.tensor([40.3, 40.4]))
    (tensor(True), tensor(False))
    """
    if values.shape[-1] == 0:
        return torch.ones(values.shape[:-1], dtype=torch.bool, device=values.device)
    precise = values.double()  # the sums of float32 end 1e-7 off, which is no spread
    spread = precise.std(-1, correction=0)
    return spread < SMALLEST_SPREAD * precise.abs().amax(-1).clamp_min(1.0)


def rounding_of(values: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """By how much equal values may differ after a filter or a change of size: eight roundings."""
    return 8 * torch.finfo(values.dtype).eps * values.abs().amax(-1)
