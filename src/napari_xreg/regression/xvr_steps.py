"""The steps by which xvr brings a radiograph before its networks, one after the other.

For comparisons: `FixedCamera` does all of it in one resampling, with any pixels.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.geometry import CArm
from napari_xreg.regression.network.pose_network import Look
from napari_xreg.training import FixedCamera


def xvr_channel(
    image: Float[Tensor, "rows columns"], carm: CArm, camera: FixedCamera, look: Look
) -> Float[Tensor, "1 1 h w"]:
    """What xvr 0.1.0 would show a network: moved, cropped, padded and scaled in whole pixels.

    Parameters
    ----------
    image
        Bone bright, mirrored as the camera is; every pixel counts.
    carm
        Of the image; its pixels must be square.
    camera, look
        Of the network.

    Raises
    ------
    ValueError
        If the pixels are not square.
    """
    spacing = carm.detector.spacing
    if spacing[0] != spacing[1]:
        raise ValueError(f"xvr takes square pixels: got {spacing[0]:g} x {spacing[1]:g} mm")
    rows, columns = image.shape
    x = image[None, None].float()
    row, column = carm.detector.center
    x = _moved(x, (rows - 1) / 2 - row, (columns - 1) / 2 - column)
    focal = torch.tensor(camera.source_to_detector / carm.source_to_detector).item()
    size = [int(torch.tensor(side) / focal) for side in (rows, columns)]
    x = functional.interpolate(_centre_crop(x, size), (rows, columns), mode="bilinear")
    pixel = camera.pixel_mm / (min(rows, columns) / camera.pixels)
    down, right = (
        int(torch.tensor(side) * (pixel / spacing[0] - 1) / 2) for side in (rows, columns)
    )
    x = functional.interpolate(
        functional.pad(x, (right, right, down, down)), (rows, columns), mode="bilinear"
    )
    side = min(rows, columns)
    top, left = round((rows - side) / 2), round((columns - side) / 2)
    x = x[..., top : top + side, left : left + side]
    x = (x - x.min()) / (x.max() - x.min() + 1e-6)
    shape = (camera.pixels, camera.pixels)
    x = functional.interpolate(x, shape, mode="bilinear", antialias=True)
    return (x - look.mean) / look.deviation


def _moved(x: Tensor, down: float, right: float) -> Tensor:
    """By a fraction of a pixel, bilinear, 0 from outside."""
    return _sampled(x, x.shape[-2], x.shape[-1], -down, -right)


def _centre_crop(x: Tensor, size: list[int]) -> Tensor:
    rows, columns = x.shape[-2:]
    return _sampled(x, size[0], size[1], (rows - size[0]) / 2, (columns - size[1]) / 2)


def _sampled(x: Tensor, rows: int, columns: int, top: float, left: float) -> Tensor:
    """A window that begins between pixels."""
    h, w = x.shape[-2:]
    v = (torch.arange(rows) + top) / (h - 1) * 2 - 1
    u = (torch.arange(columns) + left) / (w - 1) * 2 - 1
    grid = torch.stack(torch.meshgrid(v, u, indexing="ij")[::-1], -1)[None].to(x)
    return functional.grid_sample(x, grid, mode="bilinear", align_corners=True)
