"""Where a heatmap peaks, between its pixels: a soft-argmax over the pixels around the peak."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

WINDOW = 9


@dataclass(frozen=True, eq=False)
class Peak:
    """Peaks of heatmaps.

    Parameters
    ----------
    pixels
        (row, column), integer = centre of a heatmap pixel.
    covariances
        Second moments of the window about `pixels`, heatmap pixels squared.
    """

    pixels: Float[Tensor, "*n 2"]
    covariances: Float[Tensor, "*n 2 2"]


def local_soft_argmax(logits: Float[Tensor, "*n rows columns"], *, window: int = WINDOW) -> Peak:
    """The mean of the softmax over a window about the largest pixel.

    The window is centred on the largest pixel; where that lies near a border, the mean is taken over
    as much on either side, so a symmetric peak stays unbiased (the covariance is not: of what there
    is beyond the border nothing is known). Differentiable: every pixel of the window has a say,
    unlike in an argmax, or in a softmax so sharp that only one has.

    Parameters
    ----------
    logits
        Of one map or many.
    window
        Side of the window, odd.

    Raises
    ------
    ValueError
        If the window is even or not positive.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f"the window about a peak has an odd side, so a middle: got {window}")
    size = logits.shape[-2:]
    top = peaks(logits)
    # How far there are pixels on both sides.
    both = torch.minimum(top, top.new_tensor([size[0] - 1, size[1] - 1]) - top)
    half = torch.full_like(both, window // 2)
    down, right, _ = _shares(logits, top, torch.minimum(both, half))
    row, column = (torch.arange(n, device=logits.device).to(logits) for n in size)
    pixels = torch.stack([(down * row).sum(-1), (right * column).sum(-1)], -1)
    down, right, share = _shares(logits, top, half)
    v, u = row - pixels[..., :1], column - pixels[..., 1:]
    across = (share * v[..., :, None] * u[..., None, :]).sum((-2, -1))
    vv, uu = (down * v.square()).sum(-1), (right * u.square()).sum(-1)
    covariances = torch.stack([torch.stack([vv, across], -1), torch.stack([across, uu], -1)], -2)
    return Peak(pixels, covariances)


def _shares(
    logits: Float[Tensor, "*n rows columns"], top: Int[Tensor, "*n 2"], reach: Int[Tensor, "*n 2"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax over a window: by row, by column, and by pixel."""
    rows, columns = (torch.arange(n, device=logits.device) for n in logits.shape[-2:])
    near = ((rows - top[..., :1]).abs() <= reach[..., :1])[..., :, None]
    near = near & ((columns - top[..., 1:]).abs() <= reach[..., 1:])[..., None, :]
    share = logits.masked_fill(~near, -torch.inf).flatten(-2).softmax(-1)
    share = share.unflatten(-1, logits.shape[-2:])
    return share.sum(-1), share.sum(-2), share


def peaks(logits: Float[Tensor, "*n rows columns"]) -> Int[Tensor, "*n 2"]:
    """Row, column of the largest pixel of each map; of equal ones the first."""
    at = logits.detach().flatten(-2).argmax(-1)
    columns = logits.shape[-1]
    return torch.stack([at // columns, at % columns], -1)
