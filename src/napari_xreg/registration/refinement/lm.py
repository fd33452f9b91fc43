"""Levenberg-Marquardt over one level of a refinement.

Damping follows the gain ratio (Nielsen, "Damping parameter in Marquardt's method", 1999); the
Gauss-Newton matrix is scaled by its own diagonal, so radians and millimetres need no weights.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.problem import Linearisation, Nuisance, Observation
from napari_xreg.registration.refinement.result import Status
from napari_xreg.registration.refinement.views import JointProblem

ARM_MM = 100.0
"""Rotations count as the way of a point this far from the isocenter, when a step is measured."""

MAX_ROTATION_RAD = 0.26  # 15 degrees: beyond, the linearisation means nothing
MAX_TRANSLATION_MM = 80.0
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e6

WITHIN = 10.0
"""Converged where an undamped step is at most this many tolerances long: of 34 last levels of
simulated cases that ended on a short step, the longest was 1.8."""
LEFT_TO_GAIN = 1e-5
"""... or where it promises less than this share of the loss: a direction that the image does not
determine makes the step long, and worth nothing."""

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class State:
    """A pose (of every view) with what was seen there."""

    poses: tuple[Pose, ...]
    observations: tuple[Observation, ...]
    nuisances: tuple[Nuisance, ...]
    model: Linearisation

    @property
    def loss(self) -> float:
        """The minimised value."""
        return self.model.loss


@dataclass(frozen=True, eq=False)
class Trial:
    """One step tried."""

    state: State
    accepted: bool
    damping: float
    step_mm: float


def evaluate(problem: JointProblem, poses: tuple[Pose, ...]) -> State:
    """The state at a pose under the tone and robust weights of that very pose."""
    observations = problem.observe(poses)
    nuisances = problem.nuisances(observations)
    return State(poses, observations, nuisances, problem.linearise(observations, nuisances))


def levenberg_marquardt(
    problem: JointProblem,
    start: State,
    *,
    iterations: int,
    tolerance_mm: float,
    free: Callable[[Pose], Matrix] | None = None,
    settle: Callable[[Pose, Pose], Pose] | None = None,
    control: Control | None = None,
) -> Generator[Trial, None, tuple[State, Status]]:
    """Minimise over the left twist of all views about the pivot.

    Parameters
    ----------
    problem
        What to minimise.
    start
        Where to begin, from `evaluate`.
    iterations
        At most this many renders.
    tolerance_mm
        Ended when a step is shorter than this (see `ARM_MM`), tried in vain or not.
    free
        Basis (6 x k) of the directions that may move at a pose; None: all six.
    settle
        Called with (old, new) pose after a step, to hold locked parameters exactly.
    control
        Checked before every render.

    Yields
    ------
    Trial
        Every step tried.

    Returns
    -------
    State, Status
        Best state, and how it was reached: ``CONVERGED``, ``STALLED`` (`ended_as`) or
        ``ITERATION_LIMIT``.
    """
    state, damping, growth = start, 1e-3, 2.0
    for _ in range(iterations):
        if control is not None and not control.proceed():
            return state, Status.ITERATION_LIMIT
        twist, predicted = _step(state, damping, free)
        length = _length_mm(twist)
        if not predicted > 0:  # also where it is not a number
            return state, ended_as(state, tolerance_mm, free)
        moved = torch.from_numpy(twist)
        poses = tuple(pose.left_perturb(moved, problem.pivot) for pose in state.poses)
        if settle is not None:
            first = settle(state.poses[0], poses[0])
            change = first @ poses[0].inverse()
            poses = (first, *(change @ pose for pose in poses[1:]))
        observations = problem.observe(poses)
        # The step is judged under the tone and weights it was computed with; the new ones come after.
        model = problem.linearise(observations, state.nuisances)
        gain = (state.loss - model.loss) / predicted if np.isfinite(model.loss) else -1.0
        accepted = gain > 1e-3
        trial = State(poses, observations, state.nuisances, model)
        yield Trial(trial, accepted, damping, length)
        if accepted:
            damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), MIN_DAMPING)
            growth = 2.0
            nuisances = problem.nuisances(observations)
            state = replace(
                trial, nuisances=nuisances, model=problem.linearise(observations, nuisances)
            )
            if length < tolerance_mm:
                return state, ended_as(state, tolerance_mm, free)
        else:
            damping, growth = damping * growth, growth * 2
            if length < tolerance_mm or damping > MAX_DAMPING:
                return state, ended_as(state, tolerance_mm, free)
    return state, Status.ITERATION_LIMIT


def ended_as(
    state: State, tolerance_mm: float, free: Callable[[Pose], Matrix] | None = None
) -> Status:
    """What it means that no further step is taken from a state: converged, or stuck."""
    basis = None if free is None else free(state.poses[0])
    model = state.model
    return ended_at(model.loss, model.hessian, model.gradient, tolerance_mm, basis)


def ended_at(
    loss: float,
    hessian: Matrix,
    gradient: Matrix,
    tolerance_mm: float,
    basis: Matrix | None = None,
) -> Status:
    """The same of bare numbers; `basis` (6 x k) as `Locks.free`.

    A step may be short because the optimum is near, or because one after the other was tried in
    vain and damped. The undamped step tells which.
    """
    if not (np.isfinite(loss) and np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return Status.STALLED
    twist, gain = _damped_step(hessian, gradient, 0.0, basis)
    near = _length_mm(twist) <= WITHIN * tolerance_mm
    return Status.CONVERGED if near or gain <= LEFT_TO_GAIN * loss else Status.STALLED


def _length_mm(twist: Matrix) -> float:
    return float(np.hypot(np.linalg.norm(twist[:3]) * ARM_MM, np.linalg.norm(twist[3:])))


def _step(
    state: State, damping: float, free: Callable[[Pose], Matrix] | None
) -> tuple[Matrix, float]:
    """The damped Gauss-Newton step and the decrease of the loss it predicts."""
    basis = None if free is None else free(state.poses[0])
    hessian, gradient = state.model.hessian, state.model.gradient
    if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return np.zeros(6), 0.0  # no direction leads on from here
    return _damped_step(hessian, gradient, damping, basis)


def _damped_step(
    hessian: Matrix, gradient: Matrix, damping: float, basis: Matrix | None
) -> tuple[Matrix, float]:
    basis = np.eye(6) if basis is None else basis
    hessian = basis.T @ hessian @ basis
    gradient = basis.T @ gradient
    diagonal = np.diag(hessian)
    floor = 1e-12 * max(float(diagonal.max()), 1e-30)
    damped = hessian + np.diag(damping * np.maximum(diagonal, floor))
    reduced = -np.linalg.lstsq(damped, gradient, rcond=None)[0]
    twist = basis @ reduced
    shrink = min(
        1.0,
        MAX_ROTATION_RAD / max(float(np.linalg.norm(twist[:3])), 1e-12),
        MAX_TRANSLATION_MM / max(float(np.linalg.norm(twist[3:])), 1e-12),
    )
    twist, reduced = twist * shrink, reduced * shrink
    predicted = -float(gradient @ reduced) - 0.5 * float(reduced @ hessian @ reduced)
    return twist, predicted
