"""Mutual information of two images, by a histogram that is differentiable."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.metrics.correlation import check_images
from napari_xreg.metrics.flat import rounding_of


def mutual_information(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    bins: int = 32,
    mask: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "*batch"]:
    r"""Mutual information in nats; higher is better.

    .. math:: \sum_{ab} p_{ab} \log \frac{p_{ab}}{p_a p_b}

    of the joint histogram of `joint_histogram`. At most ``log(bins)``; 0 for a constant image.
    Differentiable in both images (not in the limits of the histogram).

    Parameters
    ----------
    fixed, moving
        Line integrals; leading dimensions broadcast.
    bins
        Number of intensity levels of each image.
    mask
        True where a pixel may be used. None: everywhere.
    """
    joint = joint_histogram(fixed, moving, bins=bins, mask=mask)
    h_fixed, h_moving, h_joint = _entropies(joint)
    return h_fixed + h_moving - h_joint


def normalized_mutual_information(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    bins: int = 32,
    mask: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Studholme's ``(H(x) + H(y)) / H(x, y) - 1``, in [0, 1]; higher is better.

    One less than scikit-image's, so that independent images, and a constant one, score 0. An image
    scores 1 with itself only where its values lie on bin centres: others are shared by two bins.

    References
    ----------
    .. [1] Studholme, Hill and Hawkes, "An overlap invariant entropy measure of 3D medical image
       alignment", Pattern Recognition 1999.
    """
    h_fixed, h_moving, h_joint = _entropies(joint_histogram(fixed, moving, bins=bins, mask=mask))
    flat = h_joint <= 1e-12
    return torch.where(flat, 0.0, (h_fixed + h_moving) / torch.where(flat, 1.0, h_joint) - 1.0)


def joint_histogram(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    bins: int = 32,
    mask: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "*batch bins bins"]:
    """Shares of pixels at each pair of intensities, rows for `fixed`; they sum to 1.

    Each value is split linearly between its two nearest bin centres (a Parzen window of one
    triangle). The first centre lies at the smallest and the last at the largest usable value of
    each image, so images of `bins` equally spaced levels give the plain histogram.
    """
    check_images(fixed, moving, mask)
    if bins < 2:
        raise ValueError(f"a histogram needs at least two bins: got {bins}")
    x, y = fixed.flatten(-2), moving.flatten(-2)
    if mask is not None:
        usable = mask.flatten().to(x.device)
        x, y = x[..., usable], y[..., usable]
    return _bin_weights(x, bins) @ _bin_weights(y, bins).mT / x.shape[-1]


def _bin_weights(values: Float[Tensor, "*batch n"], bins: int) -> Float[Tensor, "*batch bins n"]:
    low = values.detach().amin(-1, keepdim=True)
    spread = values.detach().amax(-1, keepdim=True) - low
    # A constant image has no spread but rounding: all of it falls into the first bin.
    known = spread > rounding_of(values.detach())[..., None]
    place = torch.where(known, (values - low) / torch.where(known, spread, 1.0), 0.0) * (bins - 1)
    centers = torch.arange(bins, dtype=values.dtype, device=values.device)[:, None]
    return (1 - (place[..., None, :] - centers).abs()).clamp_min(0)


def _entropies(joint: Float[Tensor, "*batch bins bins"]) -> tuple[Tensor, Tensor, Tensor]:
    """Of rows, of columns, and joint, nats."""
    return (
        _entropy(joint.sum(-1)).sum(-1),
        _entropy(joint.sum(-2)).sum(-1),
        _entropy(joint).sum(dim=(-2, -1)),
    )


def _entropy(p: Tensor) -> Tensor:
    """``-p log p``, 0 at 0; the gradient there is 0 too, since an empty bin stays empty."""
    filled = p > 0
    return torch.where(filled, -p * torch.where(filled, p, 1.0).log(), 0.0)
