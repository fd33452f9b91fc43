"""From pixels back to voxels: the transpose of the march, which is the gradient to the volume."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.rendering.reference import integrate


def backproject(
    volume: Volume,
    source: npt.NDArray[np.float64],
    rays: npt.NDArray[np.float64],
    upstream: npt.NDArray[np.float64],
    *,
    method: str,
    step_mm: float,
) -> Float[Tensor, "z y x"]:
    """Gradient of ``upstream . integrals`` by ``volume.lac``; world vectors, mm."""
    with torch.enable_grad():
        lac = volume.lac.detach().clone().requires_grad_()
        image = integrate(
            Volume(lac, volume.world_from_index),
            torch.from_numpy(source),
            torch.from_numpy(rays),
            method=method,
            step_mm=step_mm,
        )
        (gradient,) = torch.autograd.grad(image, lac, torch.from_numpy(upstream).to(image))
    return gradient
