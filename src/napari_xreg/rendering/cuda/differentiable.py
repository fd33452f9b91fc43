"""The Triton march as one differentiable operation from pose and attenuation to line integrals."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering.cuda import launch
from napari_xreg.rendering.cuda.volume import on_device, whole_grid


class _March(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        lac: Tensor,
        rotation: Tensor,
        translation: Tensor,
        volume: Volume,
        carm: CArm,
        pixels: Tensor | None,
        method: str,
        step_mm: float,
    ) -> Tensor:
        ready = on_device(volume)
        seen = launch.views(
            ready.grid, carm, Pose(rotation, translation), pixels=pixels, step_mm=step_mm
        )
        moving = ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        mode = launch.GRADIENTS if moving else launch.IMAGE
        out = launch.march(ready, seen, method=method, mode=mode)
        ctx.save_for_backward(rotation, translation, out[:, 1:] if moving else None)
        ctx.volume, ctx.carm, ctx.pixels = volume, carm, pixels
        ctx.method, ctx.step_mm = method, step_mm
        return out[:, 0].to(lac.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        rotation, translation, gradients = ctx.saved_tensors
        to_lac = to_rotation = to_translation = None
        if ctx.needs_input_grad[0]:
            pose = Pose(rotation, translation)
            seen = launch.views(
                whole_grid(ctx.volume), ctx.carm, pose, pixels=ctx.pixels, step_mm=ctx.step_mm
            )
            to_lac = launch.backproject(ctx.volume.lac, seen, upstream, method=ctx.method)
        if gradients is not None:
            felt = gradients * upstream[:, None].to(gradients)
            # Sums and no matrix product: repeatable, and never in TF32. float64 costs little here.
            if ctx.needs_input_grad[2]:
                to_translation = felt[:, :3].sum(-1, dtype=torch.float64).to(translation)
            if ctx.needs_input_grad[1]:
                camera = Pose(torch.eye(3, device=felt.device), torch.zeros(3, device=felt.device))
                _, rays = ctx.carm.rays(camera, ctx.pixels)
                by_ray = felt[:, 3:, None, :] * rays.mT.to(felt)
                to_rotation = by_ray.sum(-1, dtype=torch.float64).to(rotation)
        return to_lac, to_rotation, to_translation, None, None, None, None, None


def march_poses(
    volume: Volume,
    carm: CArm,
    world_from_camera: Pose,
    *,
    method: str,
    step_mm: float,
    pixels: Float[Tensor, "n 2"] | None = None,
) -> Float[Tensor, "poses n"]:
    """Line integrals of a batch [poses] of poses, in the dtype of ``volume.lac``.

    Differentiable once, in ``volume.lac`` and the pose. The forward march keeps six numbers a ray,
    which the backward pass multiplies: nothing is marched twice for a pose, and its gradient is the
    same on every run.
    """
    result: Tensor = _March.apply(
        volume.lac,
        world_from_camera.rotation,
        world_from_camera.translation,
        volume,
        carm,
        pixels,
        method,
        step_mm,
    )
    return result
