"""What is known beforehand of where bodies are, and of how they lie to each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose, left_jacobian
from napari_xreg.registration.motion.constant_velocity import step_between
from napari_xreg.registration.refinement.second_order.depth import SAYS_LITTLE


@dataclass(frozen=True, eq=False)
class Expected:
    """Where a body is expected.

    Parameters
    ----------
    body
        Its number.
    world_from_camera
        Of the first view.
    covariance
        Of the left twist (omega, v) about the body's pivot that leads from there to where it is, rad
        and mm, world axes.
    """

    body: int
    world_from_camera: Pose
    covariance: Float[Tensor, "6 6"]


@dataclass(frozen=True, eq=False)
class ExpectedBetween:
    """How two bodies are expected to lie to each other, as bones at a joint do.

    Parameters
    ----------
    one, other
        Their numbers.
    one_from_other
        Worlds of the two bodies.
    covariance
        Of the left twist (omega, v) about the pivot of `one` that leads from there to how they lie, rad
        and mm, in the world axes of `one`.
    """

    one: int
    other: int
    one_from_other: Pose
    covariance: Float[Tensor, "6 6"]


Prior = Expected | ExpectedBetween

_NOTHING = 1e6
"""Standard deviation, rad and mm, of what is not known."""


def in_depth(world_from_camera: Pose, sigma_mm: float) -> Float[Tensor, "6 6"]:
    """The covariance of who knows how far away a body is along a line of sight, and nothing else."""
    sight = world_from_camera.rotation[:, 2].double()
    covariance = _NOTHING**2 * torch.eye(6, dtype=torch.float64)
    covariance[3:, 3:] += (sigma_mm**2 - _NOTHING**2) * torch.outer(sight, sight)
    return covariance


def check_priors(priors: Sequence[Prior], bodies: int) -> None:
    """Refuse what says nothing, or is of no body.

    Raises
    ------
    ValueError
        If a number is none of the bodies', an expected pose is not finite, or a covariance is not symmetric and
        positive definite.
    """
    for prior in priors:
        numbers = (prior.body,) if isinstance(prior, Expected) else (prior.one, prior.other)
        if not all(0 <= number < bodies for number in numbers) or len(set(numbers)) < len(numbers):
            raise ValueError(
                f"a prior is of one body or of two, numbered 0 to {bodies - 1}: got {numbers}"
            )
        expected = prior.world_from_camera if isinstance(prior, Expected) else prior.one_from_other
        if not expected.matrix().isfinite().all():
            raise ValueError("the pose that a prior expects must be finite: got NaN or infinity")
        covariance = prior.covariance.double()
        if not torch.allclose(covariance, covariance.mT) or int(
            torch.linalg.cholesky_ex(covariance).info
        ):
            raise ValueError(
                "the covariance of a prior is symmetric and positive definite: what is not known has a large one"
            )


class PriorPull:
    """A `Pull` of several priors, each 0.5 r' C^-1 r for the twist r between what is expected and what is.

    A loss of z-scored pixels has no unit of information: each prior weighs as one of a few hundred
    details of a radiograph (`SAYS_LITTLE`).

    Parameters
    ----------
    priors
        What is known.
    pivots
        Of every body, world mm, float64.
    losses
        Of the starts where they begin.
    """

    def __init__(
        self,
        priors: Sequence[Prior],
        pivots: Float[Tensor, "bodies 3"],
        losses: Float[Tensor, "s"],
    ) -> None:
        self._priors, self._pivots = tuple(priors), pivots.double()
        self._weight = SAYS_LITTLE * losses
        self._information = [torch.linalg.inv(prior.covariance.double()) for prior in priors]

    def loss(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s"]:
        """What is added."""
        total = torch.zeros_like(self._weight)
        for prior, information in zip(self._priors, self._information, strict=True):
            residual, _ = self._row(prior, poses)
            total = total + 0.5 * (residual * (residual @ information)).sum(-1)
        return self._weight * total

    def gradient(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n"]:
        """Of it, for the left twists."""
        total = self._weight.new_zeros(len(self._weight), self._pivots.numel() * 2)
        for prior, information in zip(self._priors, self._information, strict=True):
            residual, slopes = self._row(prior, poses)
            total = total + ((residual @ information)[:, None] @ slopes)[:, 0]
        return self._weight[:, None] * total

    def hessian(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n n"]:
        """As `gradient`, of Gauss and Newton."""
        size = self._pivots.numel() * 2
        total = self._weight.new_zeros(len(self._weight), size, size)
        for prior, information in zip(self._priors, self._information, strict=True):
            _, slopes = self._row(prior, poses)
            total = total + slopes.mT @ information @ slopes
        return self._weight[:, None, None] * total

    def scatter(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n n"]:
        """How `gradient` scatters where what is expected is off as it may be: for the sandwich (`confidence`)."""
        return self._weight[:, None, None] * self.hessian(poses)

    def _row(
        self, prior: Prior, poses: tuple[Pose, ...]
    ) -> tuple[Float[Tensor, "s 6"], Float[Tensor, "s 6 n"]]:
        """The twist from what is expected, and its slopes."""
        views = len(poses) // len(self._pivots)
        one = prior.body if isinstance(prior, Expected) else prior.one
        pivot, pose = self._pivots[one], poses[one * views].to(dtype=torch.float64)
        slopes = torch.zeros(*pose.batch_shape, 6, self._pivots.numel() * 2, dtype=torch.float64)
        if isinstance(prior, Expected):
            residual = step_between(prior.world_from_camera.to(dtype=torch.float64), pose, pivot)
        else:
            other = self._pivots[prior.other]
            between = pose @ poses[prior.other * views].to(dtype=torch.float64).inverse()
            expected = prior.one_from_other.to(dtype=torch.float64)
            residual = step_between(expected, between, pivot)
            # A twist of the other body about its pivot, as the first one has it about its own.
            carried = Pose(between.rotation, between.apply(other) - pivot).adjoint()
            place = 6 * prior.other
            slopes[..., place : place + 6] = -torch.linalg.solve(left_jacobian(residual), carried)
        slopes[..., 6 * one : 6 * one + 6] = torch.linalg.inv(left_jacobian(residual))
        return residual, slopes
