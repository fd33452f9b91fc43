"""Joseph's method: bilinear samples on the planes of the dominant index axis. The CPU kernel.

Joseph, IEEE Trans. Med. Imaging 1982.
"""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.lanes import (
    LANES,
    image_sums,
    image_sums_side_by_side,
    slope_sums,
    slope_sums_side_by_side,
)
from napari_xreg.rendering.cpu.rays import IMAGE, clip, jit, pixel_ray, turned, write


@jit
@no_type_check
def joseph(
    values, scale, nz, ny, nx, linear, offset, frame, columns, pixels, rays, step, start, stop,
    mode, image, out,
):  # fmt: skip
    """Rays `start` to `stop`; see `cpu.march` for the arguments.

    A block of rays goes through the planes together. A ray's samples begin at the same plane whatever rays are beside
    it, and beyond its end it reads the zeros of the padding: its sum does not depend on them.
    """
    ax, ay, az = turned(linear, frame[0, 0], frame[0, 1], frame[0, 2])
    ax, ay, az = ax + offset[0], ay + offset[1], az + offset[2]
    ray, way = np.empty((LANES, 3)), np.empty((LANES, 3))
    axes, ends = np.empty(LANES, np.int64), np.empty((LANES, 2), np.int64)
    lines, sums = np.zeros((4, LANES), np.float32), np.zeros((5, LANES), np.float32)
    for block in range(start, stop, LANES):
        held = min(LANES, stop - block)
        for lane in range(held):
            rx, ry, rz = pixel_ray(block + lane, columns, pixels, rays, frame)
            dx, dy, dz = turned(linear, rx, ry, rz)
            enter, leave = clip(ax, dx, 1.0, nx - 2.0, 0.0, 1.0)
            enter, leave = clip(ay, dy, 1.0, ny - 2.0, enter, leave)
            enter, leave = clip(az, dz, 1.0, nz - 2.0, enter, leave)
            if abs(dx) >= abs(dy) and abs(dx) >= abs(dz):
                axis, ak, dk = 0, ax, dx
            elif abs(dy) >= abs(dz):
                axis, ak, dk = 1, ay, dy
            else:
                axis, ak, dk = 2, az, dz
            ray[lane, 0], ray[lane, 1], ray[lane, 2] = rx, ry, rz
            way[lane, 0], way[lane, 1], way[lane, 2] = dx, dy, dz
            axes[lane] = axis
            if enter < leave:
                k_enter, k_leave = ak + enter * dk, ak + leave * dk
                ends[lane, 0] = np.int64(np.ceil(min(k_enter, k_leave)))
                ends[lane, 1] = np.int64(np.floor(max(k_enter, k_leave)))
            else:
                ends[lane, 0], ends[lane, 1] = 1, 0
        # Axis k is the dominant one, u and v lie in its planes.
        for axis in range(3):
            if axis == 0:
                k, u, v, ak, au, av, nk, nu, nv = 0, 1, 2, ax, ay, az, nx, ny, nz
                plane, su, sv = 1, nx, nx * ny
            elif axis == 1:
                k, u, v, ak, au, av, nk, nu, nv = 1, 0, 2, ay, ax, az, ny, nx, nz
                plane, su, sv = nx, 1, nx * ny
            else:
                k, u, v, ak, au, av, nk, nu, nv = 2, 0, 1, az, ax, ay, nz, nx, ny
                plane, su, sv = nx * ny, 1, nx
            middle = nk // 2
            first, last = nk, -1
            for lane in range(held):
                if axes[lane] == axis and ends[lane, 0] <= ends[lane, 1]:
                    first = min(first, ends[lane, 0])
                    last = max(last, ends[lane, 1])
                    slope = 1.0 / way[lane, k]
                    alpha = (middle - ak) * slope
                    lines[0, lane] = au + alpha * way[lane, u]
                    lines[1, lane] = av + alpha * way[lane, v]
                    lines[2, lane], lines[3, lane] = way[lane, u] * slope, way[lane, v] * slope
                else:
                    lines[0, lane] = lines[1, lane] = lines[2, lane] = lines[3, lane] = 0.0
            if first <= last:
                count, from_middle = last - first + 1, first - middle
                end_u, end_v = np.float32(nu - 2), np.float32(nv - 2)
                # Neighbours along u lie side by side but where x is dominant.
                if mode == IMAGE and axis == 0:
                    image_sums(values, first, count, from_middle, plane, su, sv, end_u, end_v, lines, sums)  # fmt: skip
                elif mode == IMAGE:
                    image_sums_side_by_side(values, first, count, from_middle, plane, su, sv, end_u, end_v, lines, sums)  # fmt: skip
                elif axis == 0:
                    slope_sums(values, first, count, from_middle, plane, su, sv, end_u, end_v, lines, sums)  # fmt: skip
                else:
                    slope_sums_side_by_side(values, first, count, from_middle, plane, su, sv, end_u, end_v, lines, sums)  # fmt: skip
            for lane in range(held):
                if axes[lane] != axis:
                    continue
                total = gk = gu = gv = hk = hu = hv = along = 0.0
                rx, ry, rz = ray[lane, 0], ray[lane, 1], ray[lane, 2]
                if ends[lane, 0] <= ends[lane, 1]:
                    dk, du, dv = way[lane, k], way[lane, u], way[lane, v]
                    squared = rx * rx + ry * ry + rz * rz
                    weight = scale * np.sqrt(squared) / abs(dk)
                    alpha, slope = (middle - ak) / dk, 1.0 / dk
                    total = weight * sums[0, lane]
                    if mode != IMAGE:
                        gu, gv = weight * sums[1, lane], weight * sums[2, lane]
                        hu = alpha * gu + slope * weight * sums[3, lane]
                        hv = alpha * gv + slope * weight * sums[4, lane]
                        # A plane is crossed at alpha = (n - a_k) / d_k.
                        gk = -(du * gu + dv * gv) * slope
                        # The weight |r| / |r_k| changes too.
                        hk = -(du * hu + dv * hv) * slope - total * slope
                        along = total / squared
                at = block + lane
                if axis == 0:
                    write(mode, image, out, at, total, linear, frame, rx, ry, rz, gk, gu, gv, hk, hu, hv, along)  # fmt: skip
                elif axis == 1:
                    write(mode, image, out, at, total, linear, frame, rx, ry, rz, gu, gk, gv, hu, hk, hv, along)  # fmt: skip
                else:
                    write(mode, image, out, at, total, linear, frame, rx, ry, rz, gu, gv, gk, hu, hv, hk, along)  # fmt: skip
