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
from napari_xreg.registration.control import Control
from napari_xreg.registration.problem import Linearisation, Nuisance, Observation
from napari_xreg.registration.views import JointProblem

ARM_MM = 100.0
"""Rotations count as the way of a point this far from the isocenter, when a step is measured."""

MAX_ROTATION_RAD = 0.26  # 15 degrees: beyond, the linearisation means nothing
MAX_TRANSLATION_MM = 80.0
MIN_DAMPING, MAX_DAMPING = 1e-6, 1e6

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
) -> Generator[Trial, None, tuple[State, bool]]:
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
        Converged when an accepted step is shorter than this (see `ARM_MM`).
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
    State, bool
        Best state, and whether it converged.
    """
    state, damping, growth = start, 1e-3, 2.0
    for _ in range(iterations):
        if control is not None and not control.proceed():
            return state, False
        twist, predicted = _step(state, damping, free)
        length = float(np.hypot(np.linalg.norm(twist[:3]) * ARM_MM, np.linalg.norm(twist[3:])))
        if predicted <= 0:
            return state, True
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
                return state, True
        else:
            damping, growth = damping * growth, growth * 2
            if length < tolerance_mm or damping > MAX_DAMPING:
                return state, True
    return state, False


def _step(
    state: State, damping: float, free: Callable[[Pose], Matrix] | None
) -> tuple[Matrix, float]:
    """The damped Gauss-Newton step and the decrease of the loss it predicts."""
    basis = np.eye(6) if free is None else free(state.poses[0])
    hessian = basis.T @ state.model.hessian @ basis
    gradient = basis.T @ state.model.gradient
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
