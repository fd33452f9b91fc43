"""Trilinear samples every `step` mm from the source: the CPU kernel."""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.rays import IMAGE, clip, inlined, jit, pair, pixel_ray, turned, write


@inlined
@no_type_check
def _samples(values, ny, nx, x, y, z, dx, dy, dz, count):
    """Sum of the interpolated attenuation."""
    sy, sz = np.uint32(nx), np.uint32(nx * ny)
    total = np.float32(0)
    for m in range(count):
        f = np.float32(m)
        px, py, pz = x + f * dx, y + f * dy, z + f * dz
        ix, iy, iz = np.uint32(np.int32(px)), np.uint32(np.int32(py)), np.uint32(np.int32(pz))
        wx = px - np.float32(np.int32(ix))
        wy = py - np.float32(np.int32(iy))
        wz = pz - np.float32(np.int32(iz))
        at = iz * sz + iy * sy + ix
        a0, a1 = pair(values, at)
        b0, b1 = pair(values, at + sy)
        c0, c1 = pair(values, at + sz)
        d0, d1 = pair(values, at + sz + sy)
        a, b = a0 + wx * (a1 - a0), b0 + wx * (b1 - b0)
        c, d = c0 + wx * (c1 - c0), d0 + wx * (d1 - d0)
        e, g = a + wy * (b - a), c + wy * (d - c)
        total += e + wz * (g - e)
    return total


@inlined
@no_type_check
def _samples_and_slopes(values, ny, nx, x, y, z, dx, dy, dz, count):
    """Also the sums of the gradient of the interpolant, plain and times the sample's number."""
    sy, sz = np.uint32(nx), np.uint32(nx * ny)
    total = np.float32(0)
    s0 = s1 = s2 = t0 = t1 = t2 = np.float32(0)
    for m in range(count):
        f = np.float32(m)
        px, py, pz = x + f * dx, y + f * dy, z + f * dz
        ix, iy, iz = np.uint32(np.int32(px)), np.uint32(np.int32(py)), np.uint32(np.int32(pz))
        wx = px - np.float32(np.int32(ix))
        wy = py - np.float32(np.int32(iy))
        wz = pz - np.float32(np.int32(iz))
        at = iz * sz + iy * sy + ix
        a0, a1 = pair(values, at)
        b0, b1 = pair(values, at + sy)
        c0, c1 = pair(values, at + sz)
        d0, d1 = pair(values, at + sz + sy)
        da, db, dc, dd = a1 - a0, b1 - b0, c1 - c0, d1 - d0
        a, b, c, d = a0 + wx * da, b0 + wx * db, c0 + wx * dc, d0 + wx * dd
        ab, cd = b - a, d - c
        e, g = a + wy * ab, c + wy * cd
        gx0, gx1 = da + wy * (db - da), dc + wy * (dd - dc)
        gx = gx0 + wz * (gx1 - gx0)
        gy = ab + wz * (cd - ab)
        gz = g - e
        total += e + wz * gz
        s0 += gx
        s1 += gy
        s2 += gz
        t0 += f * gx
        t1 += f * gy
        t2 += f * gz
    return total, s0, s1, s2, t0, t1, t2


@jit
@no_type_check
def trilinear(
    values, scale, nz, ny, nx, linear, offset, frame, columns, pixels, rays, step, start, stop,
    mode, image, out,
):  # fmt: skip
    """Rays `start` to `stop`; see `cpu.march` for the arguments."""
    ax, ay, az = turned(linear, frame[0, 0], frame[0, 1], frame[0, 2])
    ax, ay, az = ax + offset[0], ay + offset[1], az + offset[2]
    share = step * scale
    for i in range(start, stop):
        rx, ry, rz = pixel_ray(i, columns, pixels, rays, frame)
        dx, dy, dz = turned(linear, rx, ry, rz)
        # The interpolant lives strictly between the first pad voxels next to the data.
        enter, leave = clip(ax, dx, 1.0, nx - 2.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 2.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 2.0, enter, leave)
        length = np.sqrt(rx * rx + ry * ry + rz * rz)
        total = s0 = s1 = s2 = t0 = t1 = t2 = along = 0.0
        if enter < leave:
            per_sample = step / length
            first = np.int64(np.ceil(enter / per_sample - 0.5))
            last = np.int64(np.floor(leave / per_sample - 0.5))
            count = last - first + 1
            if count > 0:
                alpha = (first + 0.5) * per_sample
                x, y, z = np.float32(ax + alpha * dx), np.float32(ay + alpha * dy), np.float32(az + alpha * dz)  # fmt: skip
                ux, uy, uz = np.float32(dx * per_sample), np.float32(dy * per_sample), np.float32(dz * per_sample)  # fmt: skip
                if mode == IMAGE:
                    total = share * _samples(values, ny, nx, x, y, z, ux, uy, uz, count)
                else:
                    v, p0, p1, p2, q0, q1, q2 = _samples_and_slopes(
                        values, ny, nx, x, y, z, ux, uy, uz, count
                    )
                    total = share * v
                    s0, s1, s2 = share * p0, share * p1, share * p2
                    t0 = alpha * s0 + per_sample * share * q0
                    t1 = alpha * s1 + per_sample * share * q1
                    t2 = alpha * s2 + per_sample * share * q2
                    # alpha = distance / |r|: stretching r moves no sample.
                    along = -(t0 * dx + t1 * dy + t2 * dz) / (length * length)
        write(mode, image, out, i, total, linear, frame, rx, ry, rz, s0, s1, s2, t0, t1, t2, along)  # fmt: skip
