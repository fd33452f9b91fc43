"""The inner loop of the projector: trilinear samples along rays, split into materials."""

from typing import no_type_check

import numpy as np
from numpy.typing import NDArray

from napari_xreg.kernels import jit

Array = NDArray[np.float64]


# `no_type_check`: the tests' shape checks would wrap the function, which numba cannot compile.
@no_type_check
@jit(fastmath={"reassoc", "nsz", "contract"})
def march(
    volume: NDArray[np.float32],
    start: Array,
    linear: Array,
    rays: Array,
    constants: Array,
    baseline: Array,
    out: Array,
) -> None:
    """Soft, bone and metal thickness of rays; `start` and `linear` lead to padded indices."""
    nz, ny, nx = volume.shape
    u_bone, u_metal, u_threshold, step = constants
    flat = volume.reshape(-1)
    slab = np.uint32(ny * nx)
    line = np.uint32(nx)
    one = np.uint32(1)
    upper = (nx - 1.0, ny - 1.0, nz - 1.0)
    for i in range(rays.shape[0]):
        rx, ry, rz = rays[i, 0], rays[i, 1], rays[i, 2]
        length = np.sqrt(rx * rx + ry * ry + rz * rz)
        dx = linear[0, 0] * rx + linear[0, 1] * ry + linear[0, 2] * rz
        dy = linear[1, 0] * rx + linear[1, 1] * ry + linear[1, 2] * rz
        dz = linear[2, 0] * rx + linear[2, 1] * ry + linear[2, 2] * rz
        enter, leave = 0.0, 1.0
        for k in range(3):
            d = (dx, dy, dz)[k]
            if abs(d) < 1e-12:
                if start[k] < 0.0 or start[k] > upper[k]:
                    leave = -1.0
            else:
                a = -start[k] / d
                b = (upper[k] - start[k]) / d
                enter = max(enter, min(a, b))
                leave = min(leave, max(a, b))
        if leave <= enter:
            continue
        count = int(np.ceil((leave - enter) * length / step))
        width = (leave - enter) / count
        x0 = start[0] + dx * enter
        y0 = start[1] + dy * enter
        z0 = start[2] + dz * enter
        thin, mixed, dense, metal, solid = 0.0, 0.0, 0.0, 0.0, 0.0
        for m in range(count):
            t = (m + 0.5) * width
            # Rounding may leave the grid by 1e-13 voxel.
            x = min(max(x0 + dx * t, 0.0), upper[0] - 1e-9)
            y = min(max(y0 + dy * t, 0.0), upper[1] - 1e-9)
            z = min(max(z0 + dz * t, 0.0), upper[2] - 1e-9)
            ix, iy, iz = np.uint32(x), np.uint32(y), np.uint32(z)
            fx, fy, fz = x - ix, y - iy, z - iz
            p = iz * slab + iy * line + ix
            q = p + slab
            c00 = flat[p] + fx * (flat[p + one] - flat[p])
            c01 = flat[p + line] + fx * (flat[p + line + one] - flat[p + line])
            c10 = flat[q] + fx * (flat[q + one] - flat[q])
            c11 = flat[q + line] + fx * (flat[q + line + one] - flat[q + line])
            c0 = c00 + fy * (c01 - c00)
            c1 = c10 + fy * (c11 - c10)
            u = c0 + fz * (c1 - c0)
            tissue = u if u <= u_threshold else 0.0
            metal += u - tissue
            thin += min(tissue, 1.0)
            mixed += min(max(tissue - 1.0, 0.0), u_bone - 1.0)
            dense += max(tissue - u_bone, 0.0)
        h = width * length
        solid = mixed / (u_bone - 1.0)
        out[i, 0] = h * (thin - solid - count * baseline[0])
        out[i, 1] = h * (solid + dense / u_bone - count * baseline[1])
        out[i, 2] = h * (metal / u_metal - count * baseline[2])
