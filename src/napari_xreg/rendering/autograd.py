"""The CPU kernels as one differentiable operation on rays."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_xreg.images import Volume
from napari_xreg.rendering.adjoint import backproject
from napari_xreg.rendering.cpu.march import Method, march_rays
from napari_xreg.rendering.prepared import prepare


class _March(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        lac: Tensor,
        source: Tensor,
        rays: Tensor,
        volume: Volume,
        method: Method,
        step_mm: float,
    ) -> Tensor:
        moving = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        image, gradients = march_rays(
            prepare(volume),
            source.detach().double().numpy(),
            rays.detach().double().numpy(),
            method=method,
            step_mm=step_mm,
            gradients=moving,
        )
        ctx.save_for_backward(source, rays, torch.from_numpy(gradients))
        ctx.volume, ctx.method, ctx.step_mm = volume, method, step_mm
        return torch.from_numpy(image).to(lac.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        source, rays, gradients = ctx.saved_tensors
        to_lac = to_source = to_rays = None
        if ctx.needs_input_grad[0]:
            gradient = backproject(
                ctx.volume,
                source.detach().double().numpy(),
                rays.detach().double().numpy(),
                upstream.detach().double().numpy(),
                method=ctx.method,
                step_mm=ctx.step_mm,
            )
            to_lac = torch.from_numpy(gradient).to(ctx.volume.lac.dtype)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            felt = gradients.double() * upstream.double()
            to_source = felt[:3].sum(1).to(source)
            to_rays = felt[3:].T.to(rays)
        return to_lac, to_source, to_rays, None, None, None


def march_differentiably(
    volume: Volume,
    source: Float[Tensor, "3"],
    rays: Float[Tensor, "n 3"],
    *,
    method: Method,
    step_mm: float,
) -> Float[Tensor, "n"]:
    """Line integrals along ``source + alpha rays`` (world, mm), by the CPU kernels.

    Differentiable once, in ``volume.lac``, `source` and `rays`: the forward march keeps the six
    numbers per ray that the backward pass multiplies, so nothing is marched twice for a pose.
    """
    result: Tensor = _March.apply(volume.lac, source, rays, volume, method, step_mm)
    return result
