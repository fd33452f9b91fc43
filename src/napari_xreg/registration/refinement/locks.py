"""Holding C-arm parameters fixed during a refinement."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CARM_PARAMETERS, CArm, CArmPose, Pose, twists_of_carm_parameters


class Locks:
    """Which of the six C-arm parameters stay as they were at the start.

    Parameters
    ----------
    locked
        Names from ``("primary", "secondary", "roll", "x", "y", "depth")``.
    carm, isocenter
        Give the parameters their meaning.

    Raises
    ------
    ValueError
        If a name is unknown, or nothing is left to move.
    """

    def __init__(self, locked: Iterable[str], carm: CArm, isocenter: Float[Tensor, "3"]) -> None:
        self.locked = tuple(dict.fromkeys(locked))
        unknown = [name for name in self.locked if name not in CARM_PARAMETERS]
        if unknown:
            raise ValueError(
                f"cannot lock {', '.join(unknown)}: the parameters are {', '.join(CARM_PARAMETERS)}"
            )
        if len(self.locked) == len(CARM_PARAMETERS):
            raise ValueError("all six parameters are locked: nothing is left to refine")
        self._carm, self._isocenter = carm, isocenter

    def __bool__(self) -> bool:
        return bool(self.locked)

    def free(self, world_from_camera: Pose) -> npt.NDArray[np.float64]:
        """Basis (6 x k) of the twists that leave the locked parameters alone, to first order."""
        terms = self._carm.carm_pose(world_from_camera, self._isocenter)
        twists = twists_of_carm_parameters(world_from_camera, terms).numpy()
        kept = [i for i, name in enumerate(CARM_PARAMETERS) if name not in self.locked]
        basis: npt.NDArray[np.float64] = twists[:, kept]
        return basis

    def settle(self, old: Pose, new: Pose) -> Pose:
        """`new` with the locked parameters of `old`, exactly."""
        before = self._carm.carm_pose(old, self._isocenter)
        after = self._carm.carm_pose(new, self._isocenter)
        x, y, depth = (
            (before if name in self.locked else after).offset_mm[i]
            for i, name in enumerate(("x", "y", "depth"))
        )
        angles = {
            f"{name}_deg": getattr(before if name in self.locked else after, f"{name}_deg")
            for name in ("primary", "secondary", "roll")
        }
        held: CArmPose = replace(after, offset_mm=(x, y, depth), **angles)
        return self._carm.pose_from(held).to(dtype=new.translation.dtype)
