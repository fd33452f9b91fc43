"""Keeping a start from running away along the line of sight, where one radiograph sees least."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.views import carried_along

SIGMAS = 10.0
"""A depth may end so many of its standard deviations (`Spread`) from where its start was."""

LEAST_MM = 20.0
"""... and at least so far."""


def furthest_mm(depth_sigma_mm: float) -> float:
    """How far a depth may run from where it was given."""
    return max(SIGMAS * depth_sigma_mm, LEAST_MM)


SAYS_LITTLE = 0.003
"""What is known of the depth beforehand weighs this share of the loss: as one of a few hundred details of a
radiograph. Real bones (wrist, one view): where the radiograph tells the depth, a standard deviation of 15 mm
costs 2.5 to 5 % of the loss; where it does not, 45 mm cost less than 1 %, and are spent on noise."""


@dataclass(frozen=True)
class ExpectedDepth:
    """Where the isocenter is thought to be, along the line of sight.

    Parameters
    ----------
    mm
        From the source of the first view.
    sigma_mm
        Standard deviation.
    """

    mm: float
    sigma_mm: float

    def __post_init__(self) -> None:
        if not self.sigma_mm > 0:
            raise ValueError(f"a depth is known within something: got {self.sigma_mm} mm")


class DepthPull:
    """A `Pull` towards an expected depth of the first view.

    Parameters
    ----------
    expected
        The depth.
    isocenter
        Twists are taken about it; world, mm, on the device of the poses.
    losses
        Of the starts where they begin: what the term weighs is a share of them (`SAYS_LITTLE`).
    """

    def __init__(
        self, expected: ExpectedDepth, isocenter: Float[Tensor, "3"], losses: Float[Tensor, "s"]
    ) -> None:
        self._expected, self._isocenter = expected, isocenter.double()
        self._weight = SAYS_LITTLE * losses / expected.sigma_mm**2

    def loss(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s"]:
        """What is added."""
        return 0.5 * self._weight * self._beyond(poses) ** 2

    def gradient(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s 6"]:
        """For the left twist: turning about the isocenter changes no depth, following it lessens it."""
        pull = -(self._weight * self._beyond(poses))[:, None] * poses[0].rotation[..., 2].double()
        return torch.cat([torch.zeros_like(pull), pull], -1)

    def hessian(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s 6 6"]:
        """As `gradient`."""
        sight = poses[0].rotation[..., 2].double()
        line = torch.cat([torch.zeros_like(sight), sight], -1)
        return self._weight[:, None, None] * line[:, :, None] * line[:, None, :]

    def _beyond(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s"]:
        return _depth_of(poses[0], self._isocenter) - self._expected.mm


class DepthBounds:
    """How far from its source the isocenter may come, for every pose of a batch.

    Parameters
    ----------
    given
        Where each start was: of the first view.
    isocenter
        World, mm, on the device of the poses.
    furthest_mm
        On either side.
    """

    def __init__(self, given: Pose, isocenter: Float[Tensor, "3"], furthest_mm: float) -> None:
        self._isocenter = isocenter.double()
        middle = self._depth(given)
        self._nearest, self._farthest = middle - furthest_mm, middle + furthest_mm

    def kept(self, poses: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """Poses moved back along the first view's line of sight into the bounds; those within as they are."""
        first = poses[0]
        depth = self._depth(first)
        beyond = depth - depth.clamp(self._nearest, self._farthest)
        back = first.rotation[..., 2] * beyond[:, None].to(first.rotation)
        return carried_along(poses, Pose(first.rotation, first.translation + back))

    def reached(self, poses: Pose) -> Bool[Tensor, "s"]:
        """Which have come to a bound."""
        depth = self._depth(poses)
        within = (depth > self._nearest + 1e-6) & (depth < self._farthest - 1e-6)
        return ~within

    def _depth(self, poses: Pose) -> Float[Tensor, "s"]:
        """Of the isocenter along the line of sight, mm from the source."""
        return _depth_of(poses, self._isocenter)


def _depth_of(poses: Pose, point: Float[Tensor, "3"]) -> Float[Tensor, "s"]:
    """Of a point along the line of sight, mm from the source."""
    away = point - poses.translation.double()
    return (poses.rotation[..., 2].double() * away).sum(-1)
