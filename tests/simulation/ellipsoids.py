"""Additive ellipsoids: the phantom whose line integrals are known exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.simulation.solids import Ellipsoid, Solid
from napari_xreg.simulation.voxelise import slabs


@dataclass(frozen=True, eq=False)
class AttenuatingEllipsoid:
    """An ellipsoid that adds `lac` (1/mm, may be negative) to whatever lies there already."""

    ellipsoid: Ellipsoid
    lac: float


def ellipsoid_line_integrals(
    ellipsoids: Sequence[AttenuatingEllipsoid],
    source: Float[Tensor, "*batch 3"],
    r: Float[Tensor, "*batch rays 3"],
) -> Float[Tensor, "*batch rays"]:
    """Line integrals through additive ellipsoids, in closed form: attenuation times chord.

    Parameters
    ----------
    ellipsoids
        World, mm; attenuation 1/mm.
    source, r
        Rays run from `source` to ``source + r`` and end there, as `CArm.rays` gives them. World, mm.

    Returns
    -------
    Tensor
        Dimensionless, float64, not differentiable.
    """
    start = source.detach().double().numpy()[..., None, :]
    rays = r.detach().double().numpy()
    total = np.zeros(np.broadcast_shapes(start.shape[:-1], rays.shape[:-1]))
    for body in ellipsoids:
        total = total + body.lac * Solid((body.ellipsoid,)).chord_lengths(start, rays)
    return torch.from_numpy(np.asarray(total))


def ellipsoid_volume(
    ellipsoids: Sequence[AttenuatingEllipsoid],
    *,
    spacing_mm: float,
    shape: tuple[int, int, int],
    origin_mm: tuple[float, float, float],
    lines_per_side: int = 3,
) -> Volume:
    """Additive ellipsoids on a grid; a voxel cut by a surface holds its share.

    Parameters
    ----------
    ellipsoids
        World, mm; attenuation 1/mm. Their sum must not be negative anywhere.
    spacing_mm
        Of the cubic voxels, along world axes.
    shape
        Voxels (z, y, x).
    origin_mm
        World position of the centre of voxel (0, 0, 0).
    lines_per_side
        Coverage is exact along x and averaged over the square of this many lines.
    """
    values = np.zeros(shape, dtype=np.float32)
    origin = np.asarray(origin_mm, dtype=np.float64)
    for body in ellipsoids:
        solid = Solid((body.ellipsoid,))
        for slab, share in slabs(solid, origin, spacing_mm, shape, lines_per_side):
            values[slab] += np.float32(body.lac) * share
    world_from_index = torch.eye(4, dtype=torch.float64)
    world_from_index[:3, :3] *= spacing_mm
    world_from_index[:3, 3] = torch.from_numpy(origin)
    return Volume(torch.from_numpy(values), world_from_index)
