"""Structural similarity."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.metrics.correlation import check_images
from napari_xreg.metrics.flat import rounding_of

_RADIUS = 5  # 3.5 sigma of 1.5 pixels, as Wang et al. and scikit-image


def ssim(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    data_range: float | None = None,
    mask: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Mean structural similarity, in [-1, 1]; higher is better.

    Gaussian windows of sigma 1.5 pixels (11 x 11), K1 = 0.01, K2 = 0.03, biased covariances, mean
    over the windows that lie inside the image and, with a mask, on usable pixels only.
    Differentiable in both images (not in the data range). Unlike NCC it sees gain and offset: a
    DRR of other units than the radiograph scores low.

    Parameters
    ----------
    fixed, moving
        Line integrals; leading dimensions broadcast.
    data_range
        Largest minus smallest possible value. None: that of the usable pixels of each `fixed`
        image; where this is zero (a constant image) the score is 0.
    mask
        True where a pixel may be used. None: everywhere.

    Raises
    ------
    ValueError
        If the image is smaller than 11 pixels, or no window is usable.

    References
    ----------
    .. [1] Wang et al., "Image quality assessment: from error visibility to structural similarity",
       IEEE TIP 2004.
    """
    check_images(fixed, moving, mask)
    side = 2 * _RADIUS + 1
    if min(fixed.shape[-2:]) < side:
        raise ValueError(f"SSIM needs at least {side} x {side} pixels: got {fixed.shape[-2:]}")
    if data_range is not None and not data_range > 0:
        raise ValueError(f"the data range must be positive: got {data_range}")
    counted = None
    if mask is not None:
        usable = mask.to(fixed.device)
        fixed, moving = torch.where(usable, fixed, 0.0), torch.where(usable, moving, 0.0)
        blocked = (~usable).to(fixed.dtype)[None, None]
        counted = functional.max_pool2d(blocked, side, stride=1)[0, 0] == 0
        if not counted.any():
            raise ValueError(f"the mask leaves no {side} x {side} window without a masked pixel")
    if data_range is None:
        used = fixed.detach().flatten(-2)
        used = used if mask is None else used[..., mask.flatten().to(used.device)]
        span = used.amax(-1) - used.amin(-1)
        known = span > rounding_of(used)
    else:
        span = fixed.new_tensor(data_range)
        known = span > 0
    span = torch.where(known, span, 1.0)[..., None, None]
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    # The offset is taken out of the second moments, which lose digits to it in float32.
    shift = fixed.detach().mean(dim=(-2, -1), keepdim=True)
    x, y = fixed - shift, moving - shift
    mean_x, mean_y = _window(x), _window(y)
    variance_x = _window(x * x) - mean_x**2
    variance_y = _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    level_x, level_y = mean_x + shift, mean_y + shift
    score = (2 * level_x * level_y + c1) * (2 * covariance + c2)
    score = score / ((level_x**2 + level_y**2 + c1) * (variance_x + variance_y + c2))
    if counted is None:
        mean = score.mean(dim=(-2, -1))
    else:
        mean = torch.where(counted, score, 0.0).sum(dim=(-2, -1)) / counted.sum()
    return torch.where(known, mean, 0.0)


def _window(image: Tensor) -> Tensor:
    """Gaussian mean of every window inside the image."""
    x = torch.arange(-_RADIUS, _RADIUS + 1, dtype=image.dtype, device=image.device)
    kernel = torch.exp(-0.5 * (x / 1.5) ** 2)
    kernel = kernel / kernel.sum()
    flat = image.reshape(-1, 1, *image.shape[-2:])
    flat = functional.conv2d(flat, kernel[None, None, :, None])
    flat = functional.conv2d(flat, kernel[None, None, None, :])
    return flat.reshape(*image.shape[:-2], *flat.shape[-2:])
