"""Levenberg-Marquardt of many starts at once on a device: `lm`, with every `if` a `torch.where`.

The processor sends one iteration after the other and reads one small table between them, so that
iterates can be shown and a refinement that has ended is noticed. Within an iteration nothing waits.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.batched.locks import DeviceLocks
from napari_xreg.registration.refinement.batched.problem import DeviceProblem, Model, Seen
from napari_xreg.registration.refinement.lm import (
    ARM_MM,
    MAX_DAMPING,
    MAX_ROTATION_RAD,
    MAX_TRANSLATION_MM,
    MIN_DAMPING,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Starts:
    """Every start with what was seen at its pose; tensors begin with an axis [s] of starts.

    `ended` is where no further step is taken: converged or stuck, as `lm.ended_at` says.
    """

    poses: tuple[Pose, ...]
    seen: tuple[Seen, ...]
    model: Model
    damping: Float[Tensor, "s"]
    growth: Float[Tensor, "s"]
    active: Bool[Tensor, "s"]
    ended: Bool[Tensor, "s"]


@dataclass(frozen=True, eq=False)
class Round:
    """One step of every start, as tried."""

    poses: tuple[Pose, ...]
    image: Float[Tensor, "s rows columns"]
    model: Model
    tried: Bool[Tensor, "s"]
    accepted: Bool[Tensor, "s"]
    damping: Float[Tensor, "s"]
    step_mm: Float[Tensor, "s"]


Advance = Callable[[Starts], tuple[Round, Starts]]
"""An iteration."""


def begin(problem: DeviceProblem, poses: tuple[Pose, ...]) -> Starts:
    """The state at a batch of poses of every view, under the tone and weights of these poses."""
    seen = problem.fitted(problem.observe(poses))
    model = problem.linearise(seen, seen)
    one = torch.ones_like(model.loss)
    yes = torch.ones_like(one, dtype=torch.bool)
    return Starts(poses, seen, model, 1e-3 * one, 2.0 * one, yes, ~yes)


def levenberg_marquardt(
    problem: DeviceProblem,
    start: Starts,
    *,
    iterations: int,
    tolerance_mm: float,
    locks: DeviceLocks | None = None,
    control: Control | None = None,
    recorded: Callable[[Advance, Starts], Callable[[], tuple[Round, Starts]]] | None = None,
) -> Generator[tuple[Round, Starts], bool, Starts]:
    """As `lm.levenberg_marquardt`, for every start; the consumer sends True to end.

    Parameters
    ----------
    recorded
        Makes of an iteration and its first state one that goes to the device as a whole (see
        `device_graph`); None: operation by operation.

    Yields
    ------
    Round, Starts
        What was tried, and where that leads.
    """
    state = start

    def advance(at: Starts) -> tuple[Round, Starts]:
        return step(problem, at, tolerance_mm, locks)

    whole = None if recorded is None else recorded(advance, start)
    for _ in range(iterations):
        if control is not None and not control.proceed():
            return state
        round_, state = advance(state) if whole is None else whole()
        ended = yield round_, state
        if ended:
            return state
    return state


def step(
    problem: DeviceProblem, state: Starts, tolerance_mm: float, locks: DeviceLocks | None = None
) -> tuple[Round, Starts]:
    """One iteration, without a word from the device."""
    twist, predicted = _step(state, locks)
    length = torch.hypot(twist[:, :3].norm(dim=1) * ARM_MM, twist[:, 3:].norm(dim=1))
    stuck = state.active & ~(predicted > 0)
    active = state.active & ~stuck
    poses = tuple(pose.left_perturb(twist, problem.pivot) for pose in state.poses)
    if locks is not None:
        first = locks.settle(state.poses[0], poses[0])
        change = first @ poses[0].inverse()
        poses = (first, *(change @ pose for pose in poses[1:]))
    seen = problem.observe(poses)
    # The step is judged under the tone and weights it was computed with; the new ones come after.
    model = problem.linearise(seen, state.seen)
    gain = (state.model.loss - model.loss) / predicted
    accepted = active & torch.isfinite(model.loss) & (gain > 1e-3)
    tried = Round(poses, seen[0].image, model, active, accepted, state.damping, length)
    fitted = problem.fitted(seen)
    renewed = problem.linearise(fitted, fitted)
    rejected = active & ~accepted
    gentler = state.damping * (1 - (2 * gain - 1) ** 3).clamp_min(1 / 3)
    damping = torch.where(accepted, gentler.clamp_min(MIN_DAMPING), state.damping)
    damping = torch.where(rejected, state.damping * state.growth, damping)
    growth = torch.where(accepted, 2.0, torch.where(rejected, state.growth * 2, state.growth))
    short = length < tolerance_mm
    done = (active & short) | (rejected & (damping > MAX_DAMPING))
    turn, shift = accepted[:, None, None], accepted[:, None]
    return tried, Starts(
        poses=tuple(
            Pose(
                torch.where(turn, new.rotation, old.rotation),
                torch.where(shift, new.translation, old.translation),
            )
            for new, old in zip(poses, state.poses, strict=True)
        ),
        seen=tuple(new.where(accepted, old) for new, old in zip(fitted, state.seen, strict=True)),
        model=renewed.where(accepted, state.model),
        damping=damping,
        growth=growth,
        active=active & ~done,
        ended=state.ended | stuck | done,
    )


def _step(
    state: Starts, locks: DeviceLocks | None
) -> tuple[Float[Tensor, "s 6"], Float[Tensor, "s"]]:
    """The damped Gauss-Newton step of every start and the decrease of its loss it predicts."""
    hessian, gradient = state.model.hessian, state.model.gradient
    basis = None if locks is None else locks.free(state.poses[0])
    if basis is not None:
        hessian = basis.mT @ hessian @ basis
        gradient = (basis.mT @ gradient[..., None])[..., 0]
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    floor = 1e-12 * diagonal.amax(-1, keepdim=True).clamp_min(1e-30)
    damped = hessian + torch.diag_embed(state.damping[:, None] * torch.maximum(diagonal, floor))
    # A DRR without content has no direction: its matrix is zero, and the step shall be.
    empty = diagonal.amax(-1) <= 0
    eye = torch.eye(diagonal.shape[-1], dtype=damped.dtype, device=damped.device)
    damped = torch.where(empty[:, None, None], eye, damped)
    reduced = -torch.linalg.solve_ex(damped, gradient)[0]
    reduced = torch.nan_to_num(reduced, nan=0.0, posinf=0.0, neginf=0.0)
    twist = reduced if basis is None else (basis @ reduced[..., None])[..., 0]
    shrink = torch.minimum(
        MAX_ROTATION_RAD / twist[:, :3].norm(dim=1).clamp_min(1e-12),
        MAX_TRANSLATION_MM / twist[:, 3:].norm(dim=1).clamp_min(1e-12),
    ).clamp_max(1.0)
    twist, reduced = twist * shrink[:, None], reduced * shrink[:, None]
    bent = (hessian @ reduced[..., None])[..., 0]
    predicted = -(gradient * reduced).sum(-1) - 0.5 * (reduced * bent).sum(-1)
    return twist, predicted
