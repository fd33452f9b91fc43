"""What a network says of several radiographs of one patient, joined to one pose by how far each errs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.regression.validation import errors_of

_STEPS = 20
_SMALL = 1e-9
"""Of a standard deviation: a step that changes no more is the last."""


@dataclass(frozen=True, eq=False)
class OneView:
    """What was said of one radiograph.

    Parameters
    ----------
    world_from_camera
        The predicted pose.
    first_from_camera
        Where this camera stands, in the axes of the first: what is known of the C-arm.
    errors
        Six standard deviations of the prediction: see `DEGREES_OF_FREEDOM`.
    """

    world_from_camera: Pose
    first_from_camera: Pose
    errors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class JoinedView:
    """The pose that all of them support.

    Parameters
    ----------
    world_from_camera
        Of the first radiograph.
    errors
        Six standard deviations of it, in the axes of its camera: see `DEGREES_OF_FREEDOM`.
    misfit
        Root mean square of what is left, in standard deviations: about 1 where the predictions err
        as they are said to, more where they contradict each other.
    chance
        Of predictions that err as they are said to differing so much (chi-squared); 1 for one view.
    apart_deg, apart_mm
        The most that a prediction is turned from the pose, and puts the centre elsewhere.
    """

    world_from_camera: Pose
    errors: tuple[float, ...]
    misfit: float
    chance: float
    apart_deg: float
    apart_mm: float


def join_views(views: Sequence[OneView], center: Float[Tensor, "3"]) -> JoinedView:
    """The pose of the first camera that is most likely, given what was said of each.

    The errors of the views are independent and normal. Two views at right angles know each other's depth.

    Parameters
    ----------
    views
        One or more; the first is what the pose is about.
    center
        About which errors are taken apart, world mm.

    Raises
    ------
    ValueError
        If there is no view, a pose is not finite, or a standard deviation is not positive.
    """
    if not views:
        raise ValueError("one view at least is needed")
    if not all(0 < error < math.inf for view in views for error in view.errors):
        raise ValueError("standard deviations of predictions must be positive")
    if not all(bool(view.world_from_camera.matrix().isfinite().all()) for view in views):
        raise ValueError("a predicted pose is not finite")
    center = center.double()
    known = [
        (
            view.world_from_camera.to(dtype=torch.float64),
            view.first_from_camera.to(dtype=torch.float64),
        )
        for view in views
    ]
    scales = torch.tensor([view.errors for view in views], dtype=torch.float64)

    def left(twist: Float[Tensor, "6"], pose: Pose) -> Float[Tensor, "n"]:
        """How far the predictions are off, in their standard deviations, if the first camera stands there."""
        moved = pose.left_perturb(twist, center)
        return (
            torch.stack([errors_of(said, moved @ at, center) for said, at in known]) / scales
        ).flatten()

    pose, none = known[0][0], torch.zeros(6, dtype=torch.float64)
    for _ in range(_STEPS):
        residual, jacobian = left(none, pose), _slope(partial(left, pose=pose))
        step = torch.linalg.lstsq(jacobian, -residual[:, None]).solution[:, 0]
        pose = pose.left_perturb(step, center).orthonormal()
        if float((jacobian @ step).norm()) < _SMALL:
            break
    residual, jacobian = left(none, pose), _slope(partial(left, pose=pose))
    about_first = _slope(lambda twist: errors_of(pose, pose.left_perturb(twist, center), center))
    variances = about_first @ torch.linalg.inv(jacobian.mT @ jacobian) @ about_first.mT
    free = 6 * (len(views) - 1)
    squares = float(residual.square().sum())
    misfit = math.sqrt(squares / free) if free else 0.0
    # That chi squared is larger than this by chance.
    chance = float(scipy.special.gammaincc(free / 2, squares / 2)) if free else 1.0
    turn, shift = (residual.reshape(-1, 6) * scales).split(3, dim=1)
    errors = tuple(variances.diagonal().sqrt().tolist())
    apart = (float(part.norm(dim=1).max()) for part in (turn, shift))
    return JoinedView(pose, errors, misfit, chance, *apart)


def _slope(of: Callable[[Float[Tensor, "6"]], Tensor]) -> Float[Tensor, "n 6"]:
    """By the six numbers of a small motion."""
    slope: Tensor = torch.autograd.functional.jacobian(of, torch.zeros(6, dtype=torch.float64))
    return slope
