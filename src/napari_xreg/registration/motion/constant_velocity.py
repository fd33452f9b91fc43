"""What is expected of a motion between frames that were registered, and after them."""

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose


def moved_on(before: Pose, last: Pose, frames: float, pivot: Float[Tensor, "3"]) -> Pose:
    """Where a body will be that goes on as it went from `before` to `last`.

    The same turn about the moving pivot and the same way, again: constant velocity in SE(3), as
    Autoscoper extrapolates, and between two poses the shortest turn.

    Parameters
    ----------
    before, last
        ``world_from_rig``: the rig of the cameras as the body, whose frame is the world, sees it.
    frames
        How often the step from `before` to `last` is repeated: 1 for the next frame where they are
        neighbours; -0.5 for half way between them.
    pivot
        Point of the body that turns are taken about, world mm.
    """
    # Orthonormal: an error of 1e-7 in the rotation grew threefold a frame.
    return last.left_perturb(frames * step_between(before, last, pivot), pivot).orthonormal()


def step_between(one: Pose, other: Pose, pivot: Float[Tensor, "3"]) -> Float[Tensor, "*batch 6"]:
    """The twist (omega, v) about the pivot with ``other = one.left_perturb(twist, pivot)``, rad and mm.

    Parameters
    ----------
    one, other
        Of one precision; poses and batches of them broadcast.
    pivot
        World mm.
    """
    motion = other @ one.inverse()
    # Seen from the pivot the rotation stays and the translation is that of the pivot itself.
    return Pose(motion.rotation, motion.apply(pivot) - pivot).log()
