"""Down a learned similarity: Levenberg-Marquardt on its residual, from a pose to where it stalls."""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.similarity.comparing import Comparison
from napari_xreg.similarity.pose_distance import unit_step

ITERATIONS = 30
LONGEST = 0.35
"""No step is longer, radians: what is known of the slope is known of here."""
LEAST_GAIN = 1e-4
"""A step that gains less of the squared residual ends the descent."""
_FLAT = 1e-4
"""Derivatives below this are rounding: no rendering differs, the CT is out of view."""
_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1e-2, 1e-4, 1e4


@dataclass(frozen=True, eq=False)
class Descended:
    """A place on the way down.

    Parameters
    ----------
    world_from_camera
        The pose, float64.
    distance
        How far off it looks, radians of the pose's geodesic.
    iterations
        Steps that were tried so far.
    """

    world_from_camera: Pose
    distance: float
    iterations: int


def descend(
    comparison: Comparison,
    start: Pose,
    *,
    iterations: int = ITERATIONS,
    control: Control | None = None,
) -> Generator[Descended, None, Descended]:
    """From a pose down to where the similarity stalls.

    Parameters
    ----------
    comparison
        Of radiograph, CT and network.
    start
        ``world_from_camera``.
    iterations
        At most.
    control
        Cancel, pause, step.

    Yields
    ------
    Descended
        After every step that was taken.

    Returns
    -------
    Descended
        The end; after a cancel where it was. With no iteration where nothing changes about the start: the CT is out
        of view.
    """
    pose = start.to(dtype=torch.float64, device="cpu")
    residual, columns = comparison.linearised(pose)
    squared, damping, tried = _squared(residual), _FIRST_DAMPING, 0
    while tried < iterations and damping <= _MOST_DAMPING:
        if float(columns.abs().max()) < _FLAT or (control is not None and not control.proceed()):
            break
        tried += 1
        step = damped_step(residual, columns, damping)
        there = pose.left_perturb(step * unit_step(step), comparison.isocenter)
        gained = squared - _squared(comparison.residual(there))
        if not gained > 0:
            damping *= 10
            continue
        pose, small = there, gained < LEAST_GAIN * squared
        squared, damping = squared - gained, max(damping / 3, _LEAST_DAMPING)
        yield Descended(pose, squared**0.5, tried)
        if small:
            break
        residual, columns = comparison.linearised(pose)
    return Descended(pose, squared**0.5, tried)


def damped_step(
    residual: Float[Tensor, "n"], columns: Float[Tensor, "n 6"], damping: float
) -> Float[Tensor, "6"]:
    """The step of Levenberg and Marquardt in units of `unit_step`, at most `LONGEST`; differentiable."""
    columns, residual = columns.double(), residual.double()
    normal = columns.mT @ columns
    diagonal = normal.diagonal()
    # Of a column that is almost zero, a share of the largest: a pose may be blind to a parameter.
    damped = normal + damping * torch.diag(diagonal + 1e-4 * diagonal.max())
    step = torch.linalg.solve(damped, -(columns.mT @ residual))
    length = float(step.detach().square().sum().sqrt())
    return step * min(1.0, LONGEST / max(length, 1e-12))


def _squared(residual: Tensor) -> float:
    return float(residual.double().square().sum())
