"""The transpose of the three marches: what a pixel is worth, spread over the voxels it saw."""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.rays import clip, inlined, jit, turned
from napari_xreg.rendering.cpu.siddon import _first_wall


@inlined
@no_type_check
def _spread(grid, ny, nx, x, y, z, worth):
    ix, iy, iz = np.int64(x), np.int64(y), np.int64(z)
    wx, wy, wz = x - ix, y - iy, z - iz
    at = (iz * ny + iy) * nx + ix
    far = worth * wz
    near = worth - far
    row = nx * ny
    grid[at] += np.float32(near * (1 - wy) * (1 - wx))
    grid[at + 1] += np.float32(near * (1 - wy) * wx)
    grid[at + nx] += np.float32(near * wy * (1 - wx))
    grid[at + nx + 1] += np.float32(near * wy * wx)
    grid[at + row] += np.float32(far * (1 - wy) * (1 - wx))
    grid[at + row + 1] += np.float32(far * (1 - wy) * wx)
    grid[at + row + nx] += np.float32(far * wy * (1 - wx))
    grid[at + row + nx + 1] += np.float32(far * wy * wx)


@jit
@no_type_check
def spread_samples(grid, nz, ny, nx, linear, start, rays, step, worth, dominant):
    """Trilinear samples (`dominant` False) or Joseph planes (True), added to the padded grid."""
    ax, ay, az = start[0], start[1], start[2]
    for i in range(rays.shape[0]):
        rx, ry, rz = rays[i, 0], rays[i, 1], rays[i, 2]
        dx, dy, dz = turned(linear, rx, ry, rz)
        enter, leave = clip(ax, dx, 1.0, nx - 2.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 2.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 2.0, enter, leave)
        if not enter < leave or worth[i] == 0.0:
            continue
        length = np.sqrt(rx * rx + ry * ry + rz * rz)
        if not dominant:
            per_sample = step / length
            first = np.int64(np.ceil(enter / per_sample - 0.5))
            last = np.int64(np.floor(leave / per_sample - 0.5))
            for m in range(first, last + 1):
                alpha = (m + 0.5) * per_sample
                x, y, z = ax + alpha * dx, ay + alpha * dy, az + alpha * dz
                _spread(grid, ny, nx, x, y, z, worth[i] * step)
            continue
        if abs(dx) >= abs(dy) and abs(dx) >= abs(dz):
            axis, ak, dk = 0, ax, dx
        elif abs(dy) >= abs(dz):
            axis, ak, dk = 1, ay, dy
        else:
            axis, ak, dk = 2, az, dz
        k_enter, k_leave = ak + enter * dk, ak + leave * dk
        first = np.int64(np.ceil(min(k_enter, k_leave)))
        last = np.int64(np.floor(max(k_enter, k_leave)))
        share = worth[i] * length / abs(dk)
        for n in range(first, last + 1):
            alpha = (n - ak) / dk
            x, y, z = ax + alpha * dx, ay + alpha * dy, az + alpha * dz
            # Exactly on the plane, so that rounding cannot reach the voxel before it.
            if axis == 0:
                x = np.float64(n)
            elif axis == 1:
                y = np.float64(n)
            else:
                z = np.float64(n)
            _spread(grid, ny, nx, x, y, z, share)


@jit
@no_type_check
def spread_cells(grid, nz, ny, nx, linear, start, rays, worth):
    """Siddon's lengths, added to the padded grid."""
    ax, ay, az = start[0] + 0.5, start[1] + 0.5, start[2] + 0.5
    for i in range(rays.shape[0]):
        rx, ry, rz = rays[i, 0], rays[i, 1], rays[i, 2]
        dx, dy, dz = turned(linear, rx, ry, rz)
        enter, leave = clip(ax, dx, 1.0, nx - 1.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 1.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 1.0, enter, leave)
        if not enter < leave or worth[i] == 0.0:
            continue
        share = worth[i] * np.sqrt(rx * rx + ry * ry + rz * rz)
        ix = min(max(np.int64(np.floor(ax + enter * dx)), 1), nx - 2)
        iy = min(max(np.int64(np.floor(ay + enter * dy)), 1), ny - 2)
        iz = min(max(np.int64(np.floor(az + enter * dz)), 1), nz - 2)
        wall_x, bx, jx = _first_wall(ax, dx, ix)
        wall_y, by, jy = _first_wall(ay, dy, iy)
        wall_z, bz, jz = _first_wall(az, dz, iz)
        alpha = enter
        while alpha < leave:
            if ix < 0 or ix >= nx or iy < 0 or iy >= ny or iz < 0 or iz >= nz:
                break
            wall = min(wall_x, min(wall_y, min(wall_z, leave)))
            grid[(iz * ny + iy) * nx + ix] += np.float32(share * (wall - alpha))
            alpha = wall
            if wall == wall_x:
                ix, wall_x = ix + jx, wall_x + bx
            elif wall == wall_y:
                iy, wall_y = iy + jy, wall_y + by
            else:
                iz, wall_z = iz + jz, wall_z + bz
