r"""How the solved pose depends on its inputs, by the implicit function theorem.

At the solution the gradient g of the cost with respect to the twist is zero, whatever the inputs x
are, so :math:`d\xi = -H^{-1} (\partial g / \partial x)\, dx` with the exact Hessian H: no step of the
solver is stored or differentiated, and the result is that of the solver run to convergence.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_xreg.geometry import Pose


def with_gradient(
    points: Float[Tensor, "n 3"],
    pixels: Float[Tensor, "n 2"],
    precisions: Float[Tensor, "n 2 2"],
    k: Float[Tensor, "3 3"],
    world_from_camera: Pose,
    *,
    loss: str,
    loss_scale: float,
) -> Pose:
    """The same pose, which knows how it depends on points, pixels and precisions (once).

    Parameters
    ----------
    points, pixels, precisions
        What it was fitted to; precisions are inverse covariances of (row, column), float64.
    k
        `CArm.camera_matrix`.
    world_from_camera
        The solution, a stationary point of the cost.
    """
    rotation, translation = _Implicit.apply(
        points,
        pixels,
        precisions,
        world_from_camera.rotation.detach(),
        world_from_camera.translation.detach(),
        k,
        loss,
        loss_scale,
    )
    return Pose(rotation, translation)


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        pixels: Tensor,
        precisions: Tensor,
        rotation: Tensor,
        translation: Tensor,
        k: Tensor,
        loss: str,
        loss_scale: float,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(points, pixels, precisions, rotation, translation, k)
        ctx.loss, ctx.loss_scale = loss, loss_scale
        return rotation.clone(), translation.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        points, pixels, precisions, rotation, translation, k = ctx.saved_tensors
        inputs = [t.detach().requires_grad_(True) for t in (points, pixels, precisions)]
        pivot = points.detach().mean(0)
        with torch.enable_grad():
            twist = torch.zeros(6, dtype=rotation.dtype, requires_grad=True)
            moved, shifted = _retract(twist, rotation, translation, pivot)
            (wanted,) = torch.autograd.grad(
                (moved, shifted), twist, grad_outputs=outer, retain_graph=True
            )
            cost = _cost(inputs, moved, shifted, k, ctx.loss, ctx.loss_scale)
            (slope,) = torch.autograd.grad(cost, twist, create_graph=True)
            hessian = torch.stack(
                [torch.autograd.grad(slope[i], twist, retain_graph=True)[0] for i in range(6)]
            )
            solved = torch.linalg.solve(hessian, wanted)
            grads = torch.autograd.grad(slope, inputs, grad_outputs=-solved)
        return (*grads, None, None, None, None, None)


def _retract(
    twist: Tensor, rotation: Tensor, translation: Tensor, pivot: Tensor
) -> tuple[Tensor, Tensor]:
    """Left twist about the pivot, exact to second order: all that derivatives at zero need."""
    x, y, z = twist[:3].unbind()
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    turn = torch.eye(3, dtype=twist.dtype) + cross + 0.5 * cross @ cross
    return turn @ rotation, turn @ (translation - pivot) + pivot + twist[3:]


def _cost(
    inputs: list[Tensor], rotation: Tensor, translation: Tensor, k: Tensor, loss: str, scale: float
) -> Tensor:
    points, pixels, precisions = inputs
    camera = (points - translation) @ rotation
    row = k[1, 1] * camera[:, 1] / camera[:, 2] + k[1, 2]
    column = k[0, 0] * camera[:, 0] / camera[:, 2] + k[0, 2]
    r = torch.stack([row, column], -1) - pixels
    s = (r[:, None, :] @ precisions @ r[:, :, None])[:, 0, 0]
    c2 = scale * scale
    if loss == "huber":
        beyond = s > c2
        far = 2 * scale * torch.where(beyond, s, torch.full_like(s, c2)).sqrt() - c2
        s = torch.where(beyond, far, s)
    elif loss == "cauchy":
        s = c2 * torch.log1p(s / c2)
    elif loss == "geman-mcclure":
        s = s * c2 / (s + c2)
    return 0.5 * s.sum()
