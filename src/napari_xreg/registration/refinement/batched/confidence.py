"""`confidence.covariance_of` for poses on a device: the part of it that looks at every pixel."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from napari_xreg.registration.refinement.batched.lm import Starts
from napari_xreg.registration.refinement.batched.problem import DeviceProblem
from napari_xreg.registration.refinement.confidence import CORRELATION_REACH


def correlated_sums(
    problem: DeviceProblem, state: Starts, rows: Int[Tensor, "cases"]
) -> Float[Tensor, "cases 6 6"]:
    """The sandwich's filling, for some poses of a batch: products of gradients nearby, summed."""
    total = torch.zeros(len(rows), 6, 6, dtype=torch.float64, device=rows.device)
    for part, seen in zip(problem.parts, state.seen, strict=True):
        assert seen.weights is not None
        slopes, residual = part.residuals(seen, seen)
        felt = part.shares[:, None] * seen.weights * residual[:, :, 0]
        scores = (slopes.double() * felt[:, :, None]).sum(1)[rows]
        size = seen.image.shape[1:]
        reach = max(1, round(CORRELATION_REACH * max(size)))
        stack = _box_sums(scores.reshape(-1, 6, *size), reach).flatten(2)
        total = total + stack @ stack.mT / (reach**2 * len(problem.parts) ** 2)
    return total


def _box_sums(planes: Float[Tensor, "cases 6 rows columns"], reach: int) -> Tensor:
    """Sums over all boxes of a side of `reach` pixels that touch the image."""
    padded = torch.nn.functional.pad(planes, (reach - 1,) * 4)
    return padded.unfold(-1, reach, 1).sum(-1).unfold(-2, reach, 1).sum(-1)
