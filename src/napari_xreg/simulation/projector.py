"""The simulator's own integrator: path lengths per material, in float64, several rays a pixel.

It shares no code with `napari_xreg.rendering`, so that an image made here is not made by the
renderer that later registers it.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xreg.files import thread_count
from napari_xreg.geometry import CArm, Pose
from napari_xreg.simulation.decomposition import Decomposition

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PathLengths:
    """Thickness of pure material along rays, mm, each of shape (rows, columns, rays per pixel)."""

    soft: Array
    bone: Array
    metal: Array

    def __add__(self, other: "PathLengths") -> "PathLengths":
        return PathLengths(self.soft + other.soft, self.bone + other.bone, self.metal + other.metal)


def subpixel_rays(carm: CArm, world_from_camera: Pose, rays_per_side: int) -> tuple[Array, Array]:
    """Source (3) and rays (rows, columns, rays_per_side squared, 3) to the cells of each pixel, mm.

    The pixel is cut into equal cells and a ray is aimed at the centre of each, so their mean is
    the midpoint rule over the area of the pixel.
    """
    if rays_per_side < 1:
        raise ValueError(f"rays_per_side is at least 1: got {rays_per_side}")
    rows, columns = carm.detector.shape
    offsets = (torch.arange(rays_per_side, dtype=torch.float64) + 0.5) / rays_per_side - 0.5
    cells = torch.cartesian_prod(offsets, offsets).reshape(-1, 2)
    pixels = carm.detector.pixel_grid()[:, None] + cells
    pose = world_from_camera.to(dtype=torch.float64, device="cpu")
    source, r = carm.rays(pose, pixels.reshape(-1, 2))
    return (
        source.numpy().copy(),
        r.reshape(rows, columns, rays_per_side**2, 3).numpy().copy(),
    )


def path_lengths(
    relative: NDArray[np.float32],
    index_from_world: Array,
    source: Array,
    r: Array,
    *,
    decomposition: Decomposition,
    step_mm: float,
    outside: float = 0.0,
) -> PathLengths:
    """Thickness of water, bone and metal along each ray.

    Trilinear samples at the midpoints of equal steps between the ray's entry into and exit from
    the grid (grown by one voxel, over which the grid fades to `outside`).

    Parameters
    ----------
    relative
        Attenuation over that of water (1 + HU / 1000), stored (z, y, x).
    index_from_world
        World mm to (x, y, z) voxel index, 4 x 4.
    source, r
        World, mm; r leads from the source to the detector, shape (..., 3).
    decomposition
        What a sample is made of.
    step_mm
        Longest step along the ray.
    outside
        Value beyond the grid. The thicknesses of this value are taken off every sample, so
        that a bone cut out of its surroundings adds only what it adds to them.
    """
    # numba takes a second to import and the first call some more to compile: only when needed.
    from napari_xreg.simulation.marching import march

    if not step_mm > 0:
        raise ValueError(f"step_mm must be positive: got {step_mm}")
    contiguous = np.ascontiguousarray(relative, dtype=np.float32)
    padded = np.pad(np.maximum(contiguous, 0.0), 1, constant_values=outside)
    linear = np.ascontiguousarray(index_from_world[:3, :3], dtype=np.float64)
    start = linear @ source + index_from_world[:3, 3] + 1.0
    flat = np.ascontiguousarray(r.reshape(-1, 3), dtype=np.float64)
    out = np.zeros((len(flat), 3))
    baseline = np.array(decomposition.fractions(outside))
    constants = np.array(
        [decomposition.bone, decomposition.metal, decomposition.metal_threshold, step_mm]
    )
    # Rows of the image are dealt out in small blocks; each ray is summed by one thread alone, so
    # the result does not depend on their number.
    blocks = np.array_split(np.arange(len(flat)), max(1, min(64, len(flat))))
    tasks = [(block[0], block[-1] + 1) for block in blocks if len(block)]
    with ThreadPoolExecutor(thread_count()) as pool:
        jobs = [
            pool.submit(march, padded, start, linear, flat[a:b], constants, baseline, out[a:b])
            for a, b in tasks
        ]
        for job in jobs:
            job.result()
    out = out.reshape(*r.shape[:-1], 3)
    return PathLengths(out[..., 0], out[..., 1], out[..., 2])
