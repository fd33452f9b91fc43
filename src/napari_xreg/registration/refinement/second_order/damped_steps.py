"""Levenberg-Marquardt over one level of a refinement, of many starts at once.

Damping follows the gain ratio (Nielsen, "Damping parameter in Marquardt's method", 1999); the
Gauss-Newton matrix is scaled by its own diagonal, so radians and millimetres need no weights.

Every `if` is a `torch.where`: within an iteration nothing waits for a device, and an iteration can
be recorded (`batched.graph`). Between iterations the consumer looks, so that iterates can be shown
and a refinement that has ended is noticed.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.problem import Model, Problem, Seen
from napari_xreg.registration.refinement.result import Status

ARM_MM = 100.0
"""Rotations count as the way of a point this far from the isocenter, when a step is measured."""

MAX_ROTATION_RAD = 0.26  # 15 degrees: beyond, the linearisation means nothing
MAX_TRANSLATION_MM = 80.0
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e6
GENTLE = 1e-2
"""Damping that shortens a step by no more than this share."""
GROWTH = 2.0
"""Of the damping after a step in vain; twice as much each time, until a step is taken again."""

WITHIN = 10.0
"""Converged where an undamped step is at most this many tolerances long: of 34 last levels of
simulated cases that ended on a short step, the longest was 1.8."""
LEFT_TO_GAIN = 1e-5
"""... or where it promises less than this share of the loss: a direction that the image does not
determine makes the step long, and worth nothing."""


@dataclass(frozen=True, eq=False)
class Starts(Generic[Seen]):
    """Every start with what was seen at its pose; tensors begin with an axis [s] of starts.

    `ended` is where no further step is taken: converged or stuck, as `stopping_status` says.
    """

    poses: tuple[Pose, ...]
    seen: Seen
    model: Model
    damping: Float[Tensor, "s"]
    growth: Float[Tensor, "s"]
    active: Bool[Tensor, "s"]
    ended: Bool[Tensor, "s"]


@dataclass(frozen=True, eq=False)
class Round:
    """One step of every start, as tried; `drrs` of the first view."""

    poses: tuple[Pose, ...]
    drrs: Float[Tensor, "s rows columns"] | tuple[Tensor, ...]
    model: Model
    tried: Bool[Tensor, "s"]
    accepted: Bool[Tensor, "s"]
    damping: Float[Tensor, "s"]
    step_mm: Float[Tensor, "s"]


@runtime_checkable
class Pull(Protocol):
    """A quadratic term beside the loss of every start: what is known beforehand.

    Each takes poses as the `Problem` does.
    """

    def loss(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s"]:
        """What is added."""
        ...

    def gradient(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n"]:
        """Of it, for the left twists."""
        ...

    def hessian(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n n"]:
        """As `gradient`."""
        ...


@runtime_checkable
class Held(Protocol):
    """What does not move, or moves only with something else; poses as of the `Problem`."""

    def free(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n k"]:
        """Twists that leave it alone, to first order."""
        ...

    def settle(self, old: tuple[Pose, ...], new: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """`new` with what is held as in `old`, exactly."""
        ...


@runtime_checkable
class Bounds(Protocol):
    """Between which poses stay."""

    def kept(self, poses: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """Poses moved back within; those that are as they are."""
        ...


Advance = Callable[[Starts[Seen]], tuple[Round, Starts[Seen]]]
"""An iteration."""


def begin(problem: Problem[Seen], poses: tuple[Pose, ...]) -> Starts[Seen]:
    """The state at a batch of poses of every view, under the tone and weights of these poses."""
    seen, model = problem.begin(poses)
    one = torch.ones_like(model.loss)
    yes = torch.ones_like(one, dtype=torch.bool)
    return Starts(poses, seen, model, 1e-3 * one, GROWTH * one, yes, ~yes)


def better_of(
    problem: Problem[Seen],
    starts: Starts[Seen],
    poses: tuple[Pose, ...],
    rows: Bool[Tensor, "s"],
) -> Starts[Seen]:
    """Of some rows, each at the pose where its loss is lower: its own, or another."""
    seen, model = problem.attempt(poses, starts.seen, rows)
    # Each under the tone and weights that belong to it.
    _, model = problem.renew(seen, starts.seen, starts.model, rows)
    taken = rows & (model.loss < starts.model.loss)
    seen, model = problem.renew(seen, starts.seen, starts.model, taken)
    chosen = tuple(_where(taken, new, old) for new, old in zip(poses, starts.poses, strict=True))
    return replace(starts, poses=chosen, seen=seen, model=model)


def levenberg_marquardt(
    problem: Problem[Seen],
    start: Starts[Seen],
    *,
    iterations: int,
    tolerance_mm: float,
    untried_mm: float = 0.0,
    stride: float = 1.0,
    locks: Held | None = None,
    bounds: Bounds | None = None,
    pull: Pull | None = None,
    control: Control | None = None,
    recorder: Callable[[Advance[Seen], Starts[Seen]], Callable[[], tuple[Round, Starts[Seen]]]]
    | None = None,
) -> Iterator[tuple[Round, Starts[Seen]]]:
    """Minimise over the left twist of all views about the pivot; the consumer stops where nothing is active.

    Where several bodies move there is a twist of each.

    Parameters
    ----------
    problem
        What to minimise.
    start
        Where to begin, from `begin`.
    iterations
        At most this many renders.
    tolerance_mm
        A start has ended when a step is shorter than this (see `ARM_MM`), tried in vain or not.
    untried_mm
        A step shorter than this is taken, and ends it, without a look at where it led; not after one that was
        tried in vain.
    stride
        How many times as long as Gauss and Newton have it a step is, as far as images ask for it
        (`RefineSettings.stride_at`).
    locks
        What stays; None: nothing.
    bounds
        Between which the depth stays; None: it may go anywhere.
    pull
        Towards what is known of the depth beforehand; None: nothing.
    control
        Checked before every iteration.
    recorder
        See `Backend`.

    Yields
    ------
    Round, Starts
        What was tried, and the best states so far: first of the start as it is, then of every step.
    """
    none = torch.zeros_like(start.damping)
    drrs = problem.drrs(start.seen)
    yield Round(start.poses, drrs, start.model, start.active, start.active, none, none), start

    def advance(at: Starts[Seen]) -> tuple[Round, Starts[Seen]]:
        return step(problem, at, tolerance_mm, locks, bounds, pull, untried_mm, stride)

    state = start
    whole = None if recorder is None else recorder(advance, start)
    for _ in range(iterations):
        if control is not None and not control.proceed():
            return
        tried, state = advance(state) if whole is None else whole()
        yield tried, state


def step(
    problem: Problem[Seen],
    state: Starts[Seen],
    tolerance_mm: float,
    locks: Held | None = None,
    bounds: Bounds | None = None,
    pull: Pull | None = None,
    untried_mm: float = 0.0,
    stride: float = 1.0,
) -> tuple[Round, Starts[Seen]]:
    """One iteration, without a word from the device."""
    basis = None if locks is None else locks.free(state.poses)
    hessian, gradient = quadratic(state.model, state.poses, pull)
    # What is known beforehand is a true quadratic: its own steps go all of the way as they are.
    bend = hessian - (1 - 1 / stride) * state.model.hessian
    twist, predicted = _damped_step(hessian, gradient, state.damping, basis, bend=bend)
    length = _length_mm(twist)
    stuck = state.active & ~(predicted > 0)
    # A step that is short because those before it were tried in vain is no sign of the optimum.
    free = (state.growth <= GROWTH) & (state.damping <= GENTLE)
    untried = state.active & ~stuck & (length < untried_mm) & free
    active = state.active & ~stuck & ~untried
    poses = _moved(state.poses, twist, problem.pivot)
    if locks is not None:
        poses = locks.settle(state.poses, poses)
    if bounds is not None:
        poses = bounds.kept(poses)
    # The step is judged under the tone and weights it was computed with; the new ones come after.
    seen, model = problem.attempt(poses, state.seen, active)
    less = state.model.loss - model.loss
    if pull is not None:
        less = less + pull.loss(state.poses) - pull.loss(poses)
    gain = less / predicted
    accepted = active & torch.isfinite(model.loss) & (gain > 1e-3)
    tried = Round(
        poses, problem.drrs(seen), state.model.where(untried, model), active | untried,
        accepted | untried, state.damping, length,
    )  # fmt: skip
    seen, renewed = problem.renew(seen, state.seen, state.model, accepted)
    rejected = active & ~accepted
    gentler = state.damping * (1 - (2 * gain - 1) ** 3).clamp_min(1 / 3)
    damping = torch.where(accepted, gentler.clamp_min(MIN_DAMPING), state.damping)
    damping = torch.where(rejected, state.damping * state.growth, damping)
    growth = torch.where(accepted, GROWTH, torch.where(rejected, state.growth * 2, state.growth))
    short = length < tolerance_mm
    done = (active & short) | (rejected & (damping > MAX_DAMPING))
    return tried, Starts(
        poses=tuple(
            _where(accepted | untried, new, old)
            for new, old in zip(poses, state.poses, strict=True)
        ),
        seen=seen,
        model=renewed,
        damping=damping,
        growth=growth,
        active=active & ~done,
        ended=state.ended | stuck | untried | done,
    )


def quadratic(
    model: Model, poses: tuple[Pose, ...], pull: Pull | None
) -> tuple[Float[Tensor, "s n n"], Float[Tensor, "s n"]]:
    """Gauss-Newton matrix and gradient of what is minimised."""
    if pull is None:
        return model.hessian, model.gradient
    return model.hessian + pull.hessian(poses), model.gradient + pull.gradient(poses)


def stopping_status(
    loss: float,
    hessian: Float[Tensor, "n n"],
    gradient: Float[Tensor, "n"],
    tolerance_mm: float,
    basis: Float[Tensor, "n k"] | None = None,
    *,
    untried_mm: float = 0.0,
    cut_off: bool = False,
) -> Status:
    """What it means that no further step is taken: converged, or not; `basis` as `Locks.free`.

    What is known is of the pose before a step that was taken unseen: one as short as `untried_mm` is near too.

    A step may be short because the optimum is near, or because one after the other was tried in
    vain and damped; and it may be long, to the last iteration, where the image does not determine a
    direction and nothing is gained by going on (`cut_off`: there was no iteration left). The undamped
    step tells which.
    """
    otherwise = Status.ITERATION_LIMIT if cut_off else Status.STALLED
    if not (math.isfinite(loss) and bool(hessian.isfinite().all() & gradient.isfinite().all())):
        return otherwise
    undamped = hessian.new_zeros(1)
    free = None if basis is None else basis[None]
    twist, gain = _damped_step(hessian[None], gradient[None], undamped, free, _least_squares)
    near = float(_length_mm(twist)) <= max(WITHIN * tolerance_mm, untried_mm)
    return Status.CONVERGED if near or float(gain) <= LEFT_TO_GAIN * loss else otherwise


def _where(taken: Bool[Tensor, "s"], new: Pose, old: Pose) -> Pose:
    return Pose(
        torch.where(taken[:, None, None], new.rotation, old.rotation),
        torch.where(taken[:, None], new.translation, old.translation),
    )


def _moved(
    poses: tuple[Pose, ...], twist: Float[Tensor, "s n"], pivot: Float[Tensor, "*bodies 3"]
) -> tuple[Pose, ...]:
    """The views of every body by its own twist about its own pivot."""
    twists, pivots = twist.unflatten(1, (-1, 6)).unbind(1), pivot.reshape(-1, 3)
    views = len(poses) // len(twists)
    return tuple(
        pose.left_perturb(twists[place // views], pivots[place // views])
        for place, pose in enumerate(poses)
    )


def _ways(twist: Float[Tensor, "s n"]) -> tuple[Float[Tensor, "s"], Float[Tensor, "s"]]:
    """How far a step turns, rad, and shifts, mm; of several bodies the farthest."""
    bodies = twist.unflatten(1, (-1, 6))
    return bodies[..., :3].norm(dim=2).amax(1), bodies[..., 3:].norm(dim=2).amax(1)


def _length_mm(twist: Float[Tensor, "s n"]) -> Float[Tensor, "s"]:
    turn, shift = _ways(twist)
    return torch.hypot(turn * ARM_MM, shift)


def _solved(matrix: Float[Tensor, "s k k"], right: Float[Tensor, "s k"]) -> Float[Tensor, "s k"]:
    # Without the check, whose answer the processor would have to wait for.
    solution: Tensor = torch.linalg.solve_ex(matrix, right)[0]
    return solution


def _least_squares(
    matrix: Float[Tensor, "s k k"], right: Float[Tensor, "s k"]
) -> Float[Tensor, "s k"]:
    """Also where the image does not determine every direction; on the processor only."""
    solution: Tensor = torch.linalg.lstsq(matrix, right[..., None], driver="gelsd").solution
    return solution[..., 0]


def _damped_step(
    hessian: Float[Tensor, "s n n"],
    gradient: Float[Tensor, "s n"],
    damping: Float[Tensor, "s"],
    basis: Float[Tensor, "s n k"] | None,
    solve: Callable[[Tensor, Tensor], Tensor] = _solved,
    bend: Float[Tensor, "s n n"] | None = None,
) -> tuple[Float[Tensor, "s n"], Float[Tensor, "s"]]:
    """The damped Gauss-Newton step, by another matrix where there is one, and the decrease of the loss
    that it predicts.
    """
    bend = hessian if bend is None else bend
    if basis is not None:
        bend = basis.mT @ bend @ basis
        hessian = basis.mT @ hessian @ basis
        gradient = (basis.mT @ gradient[..., None])[..., 0]
    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    floor = 1e-12 * diagonal.amax(-1, keepdim=True).clamp_min(1e-30)
    damped = bend + torch.diag_embed(damping[:, None] * torch.maximum(diagonal, floor))
    # A DRR without content has no direction: its matrix is zero, and the step shall be.
    empty = diagonal.amax(-1) <= 0
    eye = torch.eye(diagonal.shape[-1], dtype=damped.dtype, device=damped.device)
    damped = torch.where(empty[:, None, None], eye, damped)
    reduced = torch.nan_to_num(-solve(damped, gradient), nan=0.0, posinf=0.0, neginf=0.0)
    twist = reduced if basis is None else (basis @ reduced[..., None])[..., 0]
    turn, shift = _ways(twist)
    shrink = torch.minimum(
        MAX_ROTATION_RAD / turn.clamp_min(1e-12), MAX_TRANSLATION_MM / shift.clamp_min(1e-12)
    ).clamp_max(1.0)
    twist, reduced = twist * shrink[:, None], reduced * shrink[:, None]
    turned = (hessian @ reduced[..., None])[..., 0]
    predicted = -(gradient * reduced).sum(-1) - 0.5 * (reduced * turned).sum(-1)
    return twist, predicted
