"""The same ray on two grids of pixels of one C-arm."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry.carm import CArm


def pixels_between(
    pixels: Float[Tensor, "*n 2"], source: CArm, target: CArm
) -> Float[Tensor, "*n 2"]:
    """Where the ray through a pixel of one grid meets another grid of the same C-arm.

    Row, column; exact for crops, resizings and mirrors, which all keep the ray.
    """
    a, b = source.camera_matrix().to(pixels), target.camera_matrix().to(pixels)
    column = b[0, 0] * (pixels[..., 1] - a[0, 2]) / a[0, 0] + b[0, 2]
    row = b[1, 1] * (pixels[..., 0] - a[1, 2]) / a[1, 1] + b[1, 2]
    return torch.stack([row, column], -1)


def covariance_between(
    covariance: Float[Tensor, "*n 2 2"], source: CArm, target: CArm
) -> Float[Tensor, "*n 2 2"]:
    """A pixel covariance (row, column) carried to another grid of the same C-arm."""
    a, b = source.camera_matrix(), target.camera_matrix()
    scale = covariance.new_tensor([float(b[1, 1] / a[1, 1]), float(b[0, 0] / a[0, 0])])
    return covariance * scale[:, None] * scale
