"""Holding C-arm parameters fixed during a refinement: for a batch of poses, on any device."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CARM_PARAMETERS, CArm, Pose, rotation_from_angles
from napari_xreg.registration.refinement.views import carried_along


class Locks:
    """Which of the six C-arm parameters stay as they were at the start.

    Parameters
    ----------
    locked
        Names from ``("primary", "secondary", "roll", "x", "y", "depth")``.
    carm, isocenter
        Give the parameters their meaning; poses are on the device of the isocenter.

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
        device = isocenter.device
        held = [name in self.locked for name in CARM_PARAMETERS]
        self._kept = [i for i, yes in enumerate(held) if not yes]
        self._held = torch.tensor(held, device=device)
        self._isocenter = isocenter.double()
        self._to_source = torch.tensor(
            [0.0, 0.0, carm.source_to_isocenter], dtype=torch.float64, device=device
        )

    def __bool__(self) -> bool:
        return bool(self.locked)

    def free(self, poses: tuple[Pose, ...]) -> Float[Tensor, "s 6 k"]:
        """Twists that leave the locked parameters of the first view alone, to first order."""
        rotation = poses[0].rotation.double()
        primary = self._terms(poses[0])[:, 0]
        zero = torch.zeros_like(primary)
        # As `twists_of_carm_parameters`, of a batch: turns about world z, the tilted axis, the ray.
        nothing = torch.zeros_like(rotation)
        turns = torch.stack(
            [
                torch.stack([zero, zero, zero + 1], -1),
                torch.stack([-primary.cos(), -primary.sin(), zero], -1),
                rotation[..., 2],
            ],
            -1,
        )
        above = torch.cat([turns, nothing], -1)
        twists = torch.cat([above, torch.cat([nothing, rotation], -1)], -2)
        return torch.stack([twists[..., i] for i in self._kept], -1)

    def settle(self, old: tuple[Pose, ...], new: tuple[Pose, ...]) -> tuple[Pose, ...]:
        """`new` with the locked parameters of `old` in the first view, exactly; the others move along."""
        return carried_along(new, self._settled(old[0], new[0]))

    def _settled(self, old: Pose, new: Pose) -> Pose:
        terms = torch.where(self._held, self._terms(old), self._terms(new))
        rotation = rotation_from_angles(*torch.rad2deg(terms[:, :3]).unbind(-1))
        local = terms[:, 3:] - self._to_source
        translation = (rotation @ local[..., None])[..., 0] + self._isocenter
        return Pose(rotation.to(new.rotation), translation.to(new.translation))

    def _terms(self, poses: Pose) -> Float[Tensor, "s 6"]:
        """`CArm.carm_pose` of every pose, radians and mm."""
        rotation = poses.rotation.double()
        z = rotation[..., 2]
        horizontal = torch.hypot(z[:, 0], z[:, 1])
        secondary = torch.atan2(z[:, 2], horizontal)
        upright = horizontal > 1e-9
        primary = torch.where(upright, torch.atan2(z[:, 0], -z[:, 1]), torch.zeros_like(horizontal))
        unrolled = rotation_from_angles(
            torch.rad2deg(primary), torch.rad2deg(secondary), torch.zeros_like(primary)
        )
        rolled = unrolled.mT @ rotation
        roll = torch.atan2(rolled[:, 1, 0], rolled[:, 0, 0])
        apart = poses.translation.double() - self._isocenter
        offset = (rotation.mT @ apart[..., None])[..., 0] + self._to_source
        return torch.cat([torch.stack([primary, secondary, roll], -1), offset], -1)
