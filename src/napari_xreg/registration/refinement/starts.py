"""Starting poses for a multi-start refinement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.options import Option
from napari_xreg.registration.refinement.sobol import scrambled_sobol

_SIGMA = "One standard deviation of the further starting poses."


@dataclass(frozen=True)
class Spread:
    """How far the true pose may be from the start: standard deviations.

    Parameters
    ----------
    rotation_deg
        About each camera axis through the isocenter.
    in_plane_mm
        Along the detector's rows and columns.
    depth_mm
        Along the central ray.
    """

    rotation_deg: Annotated[float, Option("Spread, rotation", _SIGMA, "°", 0.0, 200.0)] = 3.0
    in_plane_mm: Annotated[float, Option("Spread, in plane", _SIGMA, "mm", 0.0, 200.0)] = 10.0
    depth_mm: Annotated[float, Option("Spread, depth", _SIGMA, "mm", 0.0, 200.0)] = 15.0

    def __post_init__(self) -> None:
        if min(self.rotation_deg, self.in_plane_mm, self.depth_mm) < 0:
            raise ValueError(f"a spread cannot be negative: got {self!r}")

    def scaled(self, factor: float) -> "Spread":
        """All of it, `factor` times as wide."""
        return Spread(self.rotation_deg * factor, self.in_plane_mm * factor, self.depth_mm * factor)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A pose that somebody or something proposes, and how far it may be off.

    Parameters
    ----------
    world_from_camera
        Of the first radiograph.
    origin
        Who proposed it, in words; empty: nobody asks.
    starts
        So many poses spread about it are refined.
    spread
        Of those.
    """

    world_from_camera: Pose
    origin: str = ""
    starts: int = 1
    spread: Spread = field(default_factory=Spread)

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise ValueError(f"a hypothesis has at least one start: got {self.starts}")


def perturbed(
    world_from_camera: Pose,
    isocenter: Float[Tensor, "3"],
    normals: Float[Tensor, "n 6"],
    spread: Spread,
) -> Pose:
    """The pose moved about the isocenter, in camera axes; a batch of n.

    Parameters
    ----------
    world_from_camera
        One pose.
    isocenter
        World, mm.
    normals
        Standard normal numbers: rotations about the camera's x, y, z, then shifts along them.
    spread
        What one standard deviation is.
    """
    camera = world_from_camera.rotation
    angles = normals[:, :3] * np.deg2rad(spread.rotation_deg)
    millimetres = normals.new_tensor([spread.in_plane_mm, spread.in_plane_mm, spread.depth_mm])
    shifts = normals[:, 3:] * millimetres
    twist = torch.cat([angles @ camera.mT, shifts @ camera.mT], -1)
    batch = Pose(
        camera.expand(len(normals), 3, 3), world_from_camera.translation.expand(len(normals), 3)
    )
    return batch.left_perturb(twist, isocenter)


def going_on(losses: Mapping[int, float], keep: int, given: Sequence[int] = (0,)) -> list[int]:
    """Which starts enter the next level: the best, and the given ones with them.

    A start that somebody or something had reason to give is not dropped for what a coarse level
    says; where only one goes on, it is the best.

    Parameters
    ----------
    losses
        Of each start that is left, by its number.
    keep
        Of the best.
    given
        Numbers of those that were not drawn about another.
    """
    best = sorted(losses, key=lambda start: losses[start])[:keep]
    along = [start for start in given if start in losses and start not in best]
    return [*best, *along] if keep > 1 else best


def spread_starts(
    world_from_camera: Pose, isocenter: Float[Tensor, "3"], count: int, spread: Spread, seed: int
) -> list[Pose]:
    """The given start, then ``count - 1`` more, spread evenly (scrambled Sobol) over the normal."""
    if count < 1:
        raise ValueError(f"at least one start is needed: got {count}")
    if count == 1:
        return [world_from_camera]
    # A fifth of a second, and only where several starts are drawn.
    from scipy.special import ndtri

    uniform = scrambled_sobol((count - 1).bit_length(), seed)[: count - 1]
    normals = torch.from_numpy(ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)))
    batch = perturbed(world_from_camera, isocenter, normals, spread)
    return [world_from_camera, *(batch[i] for i in range(count - 1))]
