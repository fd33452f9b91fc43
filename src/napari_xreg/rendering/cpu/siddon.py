"""Siddon's exact sum over voxels of constant attenuation, walked cell by cell. The CPU kernel."""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.rays import (
    IMAGE,
    clip,
    inlined,
    jit,
    pixel_ray,
    single,
    turned,
    write,
)

_NEVER = 1e30


@inlined
@no_type_check
def _first_wall(position, direction, cell):
    """Next wall crossed along one axis: its alpha, the alpha between walls, the step in cells."""
    if direction > 0.0:
        return (cell + 1 - position) / direction, 1.0 / direction, 1
    if direction < 0.0:
        return (cell - position) / direction, -1.0 / direction, -1
    return _NEVER, 0.0, 0


@jit
@no_type_check
def siddon(
    values, scale, nz, ny, nx, linear, offset, frame, columns, pixels, rays, step, start, stop,
    mode, image, out,
):  # fmt: skip
    """Rays `start` to `stop`; see `cpu.march` for the arguments."""
    # Shifted by half a voxel: cell i holds positions i to i + 1.
    ax, ay, az = turned(linear, frame[0, 0], frame[0, 1], frame[0, 2])
    ax, ay, az = ax + offset[0] + 0.5, ay + offset[1] + 0.5, az + offset[2] + 0.5
    for i in range(start, stop):
        rx, ry, rz = pixel_ray(i, columns, pixels, rays, frame)
        dx, dy, dz = turned(linear, rx, ry, rz)
        # One shell of zero cells is walked too, so that the outermost walls are crossings like
        # all others.
        enter, leave = clip(ax, dx, 1.0, nx - 1.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 1.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 1.0, enter, leave)
        total = s0 = s1 = s2 = t0 = t1 = t2 = along = 0.0
        if enter < leave:
            ix = min(max(np.int64(np.floor(ax + enter * dx)), 1), nx - 2)
            iy = min(max(np.int64(np.floor(ay + enter * dy)), 1), ny - 2)
            iz = min(max(np.int64(np.floor(az + enter * dz)), 1), nz - 2)
            wall_x, bx, jx = _first_wall(ax, dx, ix)
            wall_y, by, jy = _first_wall(ay, dy, iy)
            wall_z, bz, jz = _first_wall(az, dz, iz)
            squared = rx * rx + ry * ry + rz * rz
            length = scale * np.sqrt(squared)
            alpha = enter
            v = np.float64(single(values, (iz * ny + iy) * nx + ix))
            while True:
                wall = min(wall_x, min(wall_y, wall_z))
                if wall >= leave:
                    break
                total += v * (wall - alpha)
                alpha = wall
                if wall == wall_x:
                    axis, ix, wall_x = 0, ix + jx, wall_x + bx
                    if ix < 0 or ix >= nx:
                        v = 0.0
                        break
                elif wall == wall_y:
                    axis, iy, wall_y = 1, iy + jy, wall_y + by
                    if iy < 0 or iy >= ny:
                        v = 0.0
                        break
                else:
                    axis, iz, wall_z = 2, iz + jz, wall_z + bz
                    if iz < 0 or iz >= nz:
                        v = 0.0
                        break
                behind, v = v, np.float64(single(values, (iz * ny + iy) * nx + ix))
                if mode != IMAGE:
                    jump = (behind - v) * length
                    if axis == 0:
                        s0 += jump
                        t0 += jump * alpha
                    elif axis == 1:
                        s1 += jump
                        t1 += jump * alpha
                    else:
                        s2 += jump
                        t2 += jump * alpha
            total += v * (leave - alpha)
            total *= length
            # A wall is crossed at alpha = (n - a) / d.
            if dx != 0.0:
                s0, t0 = -s0 / dx, -t0 / dx
            if dy != 0.0:
                s1, t1 = -s1 / dy, -t1 / dy
            if dz != 0.0:
                s2, t2 = -s2 / dz, -t2 / dz
            along = total / squared
        write(mode, image, out, i, total, linear, frame, rx, ry, rz, s0, s1, s2, t0, t1, t2, along)  # fmt: skip
