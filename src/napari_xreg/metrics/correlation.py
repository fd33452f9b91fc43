"""Normalised cross-correlation: over the image, over every patch, and at several scales at once."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

EPS = 1e-7
"""Added to a variance of line integrals before division: below it an image is flat."""

_LEAST_USABLE = 0.5  # of a patch


def ncc(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    mask: Bool[Tensor, "rows columns"] | None = None,
    eps: float = EPS,
) -> Float[Tensor, "*batch"]:
    r"""Normalised cross-correlation of two images, in [-1, 1]; higher is better.

    .. math:: \frac1N \sum_i \frac{(x_i - \bar x)(y_i - \bar y)}{\sqrt{(\sigma_x^2 + \epsilon)(\sigma_y^2 + \epsilon)}}

    with means and (biased) variances over the N usable pixels. It ignores gain and offset of both
    images. A constant image scores 0, with a finite gradient. Differentiable in both images.

    Parameters
    ----------
    fixed, moving
        Line integrals; leading dimensions broadcast, so one radiograph may face many DRRs.
    mask
        True where a pixel may be used. None: everywhere.
    eps
        Added to both variances (squared units of the image).

    Raises
    ------
    ValueError
        If rows and columns differ, or the mask leaves no pixel.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 1.0], [2.0, 5.0]])
    >>> ncc(x, 3 * x + 7).round(decimals=4), ncc(x, -x).round(decimals=4)
    (tensor(1.), tensor(-1.))
    """
    check_images(fixed, moving, mask)
    x, y = fixed.flatten(-2), moving.flatten(-2)
    if mask is not None:
        usable = mask.flatten().to(x.device)
        x, y = x[..., usable], y[..., usable]
    return (z_scored(x, eps) * z_scored(y, eps)).mean(-1)


def local_ncc(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    patch: int,
    mask: Bool[Tensor, "rows columns"] | None = None,
    eps: float = EPS,
) -> Float[Tensor, "*batch"]:
    """Mean NCC of all ``patch`` x ``patch`` windows, stride 1; higher is better.

    Windows lie inside the image. With a mask, each uses its usable pixels, and windows with fewer
    than half their pixels usable are left out. A window that is flat in either image scores 0.
    Differentiable in both images.

    Parameters
    ----------
    fixed, moving
        Line integrals; leading dimensions broadcast.
    patch
        Side of a window, pixels.
    mask
        True where a pixel may be used. None: everywhere.
    eps
        Added to both variances of a window.

    Raises
    ------
    ValueError
        If `patch` does not fit into the image or is smaller than 2, or no window is usable.

    Notes
    -----
    Window sums are box filters: the cost does not grow with the area of the patch and nothing of
    size patch x patch x image is stored. They run in float64 where the device has it, because
    ``E[xy] - E[x] E[y]`` in float32 loses windows of low contrast (air) against `eps`.
    """
    check_images(fixed, moving, mask)
    rows, columns = fixed.shape[-2:]
    if not 2 <= patch <= min(rows, columns):
        raise ValueError(
            f"a patch is between 2 pixels and the image's shorter side ({min(rows, columns)}): "
            f"got {patch}"
        )
    precise = torch.float32 if fixed.device.type == "mps" else torch.float64
    x, y = _centered(fixed.to(precise), mask), _centered(moving.to(precise), mask)
    if mask is None:
        covered, counted = None, None
    else:
        covered = _window_mean(mask.to(x), patch)
        counted = covered >= _LEAST_USABLE
        if not counted.any():
            raise ValueError(
                f"the mask leaves no {patch} x {patch} window with half its pixels usable"
            )
        covered = covered.clamp_min(_LEAST_USABLE / patch**2)

    def mean(image: Tensor) -> Tensor:
        filtered = _window_mean(image, patch)
        return filtered if covered is None else filtered / covered

    mean_x, mean_y = mean(x), mean(y)
    covariance = mean(x * y) - mean_x * mean_y
    variance_x = (mean(x * x) - mean_x * mean_x).clamp_min(0) + eps
    variance_y = (mean(y * y) - mean_y * mean_y).clamp_min(0) + eps
    scores = covariance / (variance_x.sqrt() * variance_y.sqrt())
    if counted is None:
        score = scores.mean(dim=(-2, -1))
    else:
        score = torch.where(counted, scores, 0.0).sum(dim=(-2, -1)) / counted.sum()
    return score.to(torch.promote_types(fixed.dtype, moving.dtype))


def multiscale_ncc(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    patches: Sequence[int | None] = (None, 13),
    weights: Sequence[float] | None = None,
    mask: Bool[Tensor, "rows columns"] | None = None,
    eps: float = 1e-4,
) -> Float[Tensor, "*batch"]:
    """mNCC: weighted mean of NCC over the image (None) and over patches; higher is better.

    DiffPose uses patches (None, 13), RayEmb (None, 23), xvr (None, 9), all with equal weights.

    Parameters
    ----------
    fixed, moving, mask, eps
        As for `ncc` and `local_ncc`.
    patches
        One entry a scale: a side in pixels, or None for the whole image.
    weights
        One per scale; divided by their sum. None: equal.

    References
    ----------
    .. [1] Gopalakrishnan et al., "Intraoperative 2D/3D image registration via differentiable
       X-ray rendering" (DiffPose), CVPR 2024, supplement B.
    """
    if not patches:
        raise ValueError("multiscale NCC needs at least one scale: got no patches")
    shares = [1.0] * len(patches) if weights is None else list(weights)
    if len(shares) != len(patches) or min(shares) < 0 or not sum(shares) > 0:
        raise ValueError(
            f"multiscale NCC needs one weight per scale, not negative and not all zero: got "
            f"{len(shares)} weights {shares} for {len(patches)} scales"
        )
    scores = [
        ncc(fixed, moving, mask=mask, eps=eps)
        if patch is None
        else local_ncc(fixed, moving, patch=patch, mask=mask, eps=eps)
        for patch in patches
    ]
    total = torch.stack([share * score for share, score in zip(shares, scores, strict=True)])
    return total.sum(0) / sum(shares)


def z_scored(values: Float[Tensor, "*batch n"], eps: float) -> Float[Tensor, "*batch n"]:
    """Values with mean 0 and (biased) variance ``s^2 / (s^2 + eps)`` along the last dimension."""
    # A first mean rounds as the values do; of what it leaves the second one is exact.
    centered = values - values.mean(-1, keepdim=True).detach()
    centered = centered - centered.mean(-1, keepdim=True)
    return centered / (centered.square().mean(-1, keepdim=True) + eps).sqrt()


def check_images(
    fixed: Float[Tensor, "*rest"], moving: Float[Tensor, "*others"], mask: Tensor | None
) -> None:
    """Refuse images or a mask that differ in rows and columns, and an empty mask."""
    if fixed.ndim < 2 or moving.ndim < 2 or fixed.shape[-2:] != moving.shape[-2:]:
        raise ValueError(
            "images to compare have the same rows and columns: got "
            f"{tuple(fixed.shape)} and {tuple(moving.shape)}"
        )
    if mask is not None:
        if mask.shape != fixed.shape[-2:]:
            raise ValueError(
                "the mask has the rows and columns of the images: got "
                f"{tuple(mask.shape)} and {tuple(fixed.shape[-2:])}"
            )
        if not mask.any():
            raise ValueError("the mask leaves no pixel to compare")


def _centered(image: Tensor, mask: Tensor | None) -> Tensor:
    """The image less its mean: the offset would cost digits in the window sums. Masked pixels are 0."""
    if mask is None:
        return image - image.mean(dim=(-2, -1), keepdim=True).detach()
    usable = mask.to(image.device)
    # Values under the mask may be NaN: they are replaced before any arithmetic.
    image = torch.where(usable, image, 0.0)
    mean = image.sum(dim=(-2, -1), keepdim=True) / usable.sum()
    return torch.where(usable, image - mean.detach(), 0.0)


def _window_mean(image: Tensor, patch: int) -> Tensor:
    """Mean of every patch x patch window, as two one-dimensional box filters."""
    flat = image.reshape(-1, 1, *image.shape[-2:])
    filtered = functional.avg_pool2d(flat, (patch, 1), stride=1)
    filtered = functional.avg_pool2d(filtered, (1, patch), stride=1)
    return filtered.reshape(*image.shape[:-2], *filtered.shape[-2:])
