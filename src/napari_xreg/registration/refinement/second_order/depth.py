"""Keeping a start from running away along the line of sight, where one radiograph sees least."""

from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose

SIGMAS = 10.0
"""A depth may end so many of its standard deviations (`Spread`) from where its start was."""

LEAST_MM = 20.0
"""... and at least so far."""


def furthest_mm(depth_sigma_mm: float) -> float:
    """How far a depth may run from where it was given."""
    return max(SIGMAS * depth_sigma_mm, LEAST_MM)


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

    def kept(self, poses: Pose) -> Pose:
        """Poses moved back along their line of sight into the bounds; those within as they are."""
        depth = self._depth(poses)
        beyond = depth - depth.clamp(self._nearest, self._farthest)
        back = poses.rotation[..., 2] * beyond[:, None].to(poses.rotation)
        return Pose(poses.rotation, poses.translation + back)

    def reached(self, poses: Pose) -> Bool[Tensor, "s"]:
        """Which have come to a bound."""
        depth = self._depth(poses)
        within = (depth > self._nearest + 1e-6) & (depth < self._farthest - 1e-6)
        return ~within

    def _depth(self, poses: Pose) -> Float[Tensor, "s"]:
        """Of the isocenter along the line of sight, mm from the source."""
        away = self._isocenter - poses.translation.double()
        return (poses.rotation[..., 2].double() * away).sum(-1)
