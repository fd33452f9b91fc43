"""One march, one image per group of structures. The CPU kernel."""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.rays import clip, jit, pixel_ray, turned


@jit
@no_type_check
def structures(
    values, channels, nz, ny, nx, linear, offset, frame, columns, pixels, step,
    start, stop, out,
):  # fmt: skip
    """Rays `start` to `stop`: trilinear samples, each given to the channel of its nearest voxel."""
    no_rays = np.zeros((0, 3))
    ax, ay, az = turned(linear, frame[0, 0], frame[0, 1], frame[0, 2])
    ax, ay, az = ax + offset[0], ay + offset[1], az + offset[2]
    row, layer = nx, nx * ny
    for i in range(start, stop):
        rx, ry, rz = pixel_ray(i, columns, pixels, no_rays, frame)
        dx, dy, dz = turned(linear, rx, ry, rz)
        enter, leave = clip(ax, dx, 1.0, nx - 2.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 2.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 2.0, enter, leave)
        if not enter < leave:
            continue
        per_sample = step / np.sqrt(rx * rx + ry * ry + rz * rz)
        first = np.int64(np.ceil(enter / per_sample - 0.5))
        last = np.int64(np.floor(leave / per_sample - 0.5))
        for m in range(first, last + 1):
            alpha = (m + 0.5) * per_sample
            x, y, z = ax + alpha * dx, ay + alpha * dy, az + alpha * dz
            ix, iy, iz = np.int64(x), np.int64(y), np.int64(z)
            wx, wy, wz = x - ix, y - iy, z - iz
            a = (iz * ny + iy) * nx + ix
            near0 = values[a] + wx * (values[a + 1] - values[a])
            near1 = values[a + row] + wx * (values[a + row + 1] - values[a + row])
            a += layer
            far0 = values[a] + wx * (values[a + 1] - values[a])
            far1 = values[a + row] + wx * (values[a + row + 1] - values[a + row])
            near, far = near0 + wy * (near1 - near0), far0 + wy * (far1 - far0)
            nearest = (np.int64(z + 0.5) * ny + np.int64(y + 0.5)) * nx + np.int64(x + 0.5)
            out[channels[nearest], i] += step * (near + wz * (far - near))
