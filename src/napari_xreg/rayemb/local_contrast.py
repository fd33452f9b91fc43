"""What an image holds beside brightness and slow shading: z-scores and bands of detail, in a mask."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.metrics import SMALLEST_SPREAD


def z_scores(
    images: Float[Tensor, "n rows columns"], usable: Float[Tensor, "rows columns"]
) -> Float[Tensor, "n rows columns"]:
    """Z-scores over the usable pixels, zero elsewhere; metal and air do not go beyond 4.

    All zero where the usable pixels are constant but for rounding: that has no sign to tell.
    """
    centered = centered_in(images, usable)
    deviation = (centered.square().sum((1, 2), keepdim=True) / usable.sum()).sqrt()
    largest = torch.where(usable > 0, images, 0.0).abs().amax((1, 2), keepdim=True)
    least = SMALLEST_SPREAD * largest.clamp_min(1.0)
    return torch.where(deviation > least, centered / deviation, 0.0).clamp(-4, 4)


def centered_in(
    images: Float[Tensor, "n rows columns"], usable: Float[Tensor, "rows columns"]
) -> Float[Tensor, "n rows columns"]:
    """Less the mean over the usable pixels, zero elsewhere."""
    values = torch.where(usable > 0, images, 0.0)
    return (values - values.sum((1, 2), keepdim=True) / usable.sum()) * usable


def normalised_in(
    images: Float[Tensor, "n rows columns"], usable: Float[Tensor, "rows columns"]
) -> Float[Tensor, "n rows columns"]:
    """Such that a sum of products is a correlation."""
    centered = centered_in(images, usable)
    return centered / centered.square().sum((1, 2), keepdim=True).sqrt().clamp_min(1e-9)


def band_between(
    scores: Float[Tensor, "n rows columns"],
    usable: Float[Tensor, "rows columns"],
    fine: int,
    coarse: int,
) -> Float[Tensor, "n rows columns"]:
    """Local contrast: what is left between two widths, pixels; extremes cut at 4 deviations."""
    near = mean_near(scores, usable, fine) - mean_near(scores, usable, coarse)
    band = near * usable
    deviation = (band.square().sum((1, 2), keepdim=True) / usable.sum()).sqrt()
    return torch.minimum(torch.maximum(band, -4 * deviation), 4 * deviation)


def mean_near(
    images: Float[Tensor, "n rows columns"], usable: Float[Tensor, "rows columns"], width: int
) -> Float[Tensor, "n rows columns"]:
    """Mean over the usable pixels of a square window."""
    if width == 1:
        return images
    weight = _box(usable[None], width).clamp_min(1e-3)
    return _box(images * usable, width) / weight


def _box(images: Tensor, width: int) -> Tensor:
    half = width // 2
    down = functional.avg_pool2d(images[:, None], (width, 1), 1, padding=(half, 0))
    return functional.avg_pool2d(down, (1, width), 1, padding=(0, half))[:, 0]
