"""Multiscale NCC on a few sampled patches, so that only their pixels need to be rendered."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from napari_xreg.metrics.correlation import vector_ncc


def sample_patches(
    weights: Float[Tensor, "rows columns"],
    count: int,
    *,
    patch: int = 13,
    generator: torch.Generator | None = None,
) -> Int[Tensor, "count pixels 2"]:
    """Row, column of the pixels of square patches whose centres are drawn by weight.

    Patches lie inside the image (centres at least ``patch // 2`` pixels from its border, where
    DiffPose keeps one more) and may overlap.

    Parameters
    ----------
    weights
        Not negative; how likely a pixel is a centre, up to a factor. Constant weights give
        DiffPose's "unbiased" variant, a network's activations its "biased" one.
    count
        Number of patches (DiffPose: 100).
    patch
        Side, pixels, odd.
    generator
        Where the randomness comes from; None: torch's global one.

    Raises
    ------
    ValueError
        If the patch is even or does not fit, or no allowed centre has weight.
    """
    rows, columns = weights.shape
    radius = patch // 2
    if patch % 2 == 0 or not 3 <= patch <= min(rows, columns):
        raise ValueError(
            f"a patch has an odd side between 3 and {min(rows, columns)} pixels: got {patch}"
        )
    if count < 1:
        raise ValueError(f"at least one patch is needed: got {count}")
    inner = weights[radius : rows - radius, radius : columns - radius]
    if not (torch.isfinite(inner).all() and (inner >= 0).all() and inner.sum() > 0):
        raise ValueError(
            "weights of patch centres must be finite, not negative, and not all zero where a "
            f"patch fits (at least {radius} pixels from the border)"
        )
    drawn = torch.multinomial(inner.flatten(), count, replacement=True, generator=generator)
    width = columns - 2 * radius
    centers = torch.stack([drawn // width + radius, drawn % width + radius], -1)
    reach = torch.arange(-radius, radius + 1, device=weights.device)
    return centers[:, None, :] + torch.cartesian_prod(reach, reach)


def distinct_pixels(
    patches: Int[Tensor, "count pixels 2"], columns: int
) -> tuple[Int[Tensor, "n 2"], Int[Tensor, "count pixels"]]:
    """Each pixel of overlapping patches once, and where each patch finds its own in that list.

    ``values = render(pixels)`` then ``values[..., places]`` are the patches.
    """
    flat = patches[..., 0] * columns + patches[..., 1]
    unique, places = torch.unique(flat, return_inverse=True)
    return torch.stack([unique // columns, unique % columns], -1), places


def sparse_multiscale_ncc(
    fixed: Float[Tensor, "*#batch n"],
    moving: Float[Tensor, "*#batch n"],
    places: Int[Tensor, "count pixels"],
    *,
    eps: float = 1e-4,
) -> Float[Tensor, "*batch"]:
    """Mean of the NCC over all sampled pixels and of the mean NCC of the patches.

    A biased estimate of `multiscale_ncc` with one patch size; higher is better. Differentiable in
    the values.

    Parameters
    ----------
    fixed, moving
        Line integrals at the distinct pixels that `distinct_pixels` lists; leading dimensions
        broadcast.
    places
        Where each patch finds its pixels in that list.
    eps
        Added to every variance.

    References
    ----------
    .. [1] Gopalakrishnan et al. (DiffPose), CVPR 2024, supplement C.

    Examples
    --------
    >>> image = torch.rand(32, 40, generator=torch.Generator().manual_seed(3))
    >>> patches = sample_patches(torch.ones(32, 40), 5, patch=7, generator=torch.Generator().manual_seed(1))
    >>> pixels, places = distinct_pixels(patches, columns=40)
    >>> values = image[pixels[:, 0], pixels[:, 1]]
    >>> bool(sparse_multiscale_ncc(values, values, places) > 0.99)
    True
    """
    local = vector_ncc(fixed[..., places], moving[..., places], eps=eps).mean(-1)
    return (vector_ncc(fixed, moving, eps=eps) + local) / 2
