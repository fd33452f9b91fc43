"""Bodies that stay as they lie to the first one, and move with it."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose


class Tied:
    """What `Locks` is of one body, of several: the first moves, and the others along with it.

    Parameters
    ----------
    pivots
        Of every body, world mm.
    """

    def __init__(self, pivots: Float[Tensor, "bodies 3"]) -> None:
        self._pivots = pivots.double()

    def free(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s n 6"]:
        """The twists of all bodies, each about its own pivot, for a twist of the first."""
        views = len(poses) // len(self._pivots)
        first, pivot = poses[0].to(dtype=torch.float64), self._pivots[0]
        blocks = []
        for number, own in enumerate(self._pivots):
            between = poses[number * views].to(dtype=torch.float64) @ first.inverse()
            blocks.append(Pose(between.rotation, between.apply(pivot) - own).adjoint())
        return torch.cat(blocks, -2)

    def settle(self, old: tuple[Pose, ...], new: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """`new` with the others exactly where they lie to the first."""
        views = len(new) // len(self._pivots)
        change = [old[view].inverse() @ new[view] for view in range(views)]
        # Orthonormal: applied step after step, an error of 1e-7 grew to thousandths.
        return tuple((pose @ change[place % views]).orthonormal() for place, pose in enumerate(old))
