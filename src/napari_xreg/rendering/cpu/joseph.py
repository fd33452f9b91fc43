"""Joseph's method: bilinear samples on the planes of the dominant index axis. The CPU kernel."""

from typing import no_type_check

import numpy as np

from napari_xreg.rendering.cpu.rays import IMAGE, clip, inlined, jit, pair, pixel_ray, single, write


@inlined
@no_type_check
def _planes(values, plane, su, sv, base, u, v, du, dv, count):
    """Sum of the bilinear samples; `plane`, `su`, `sv` are strides, `base` the first plane."""
    total = np.float32(0)
    if su == 1:
        # The usual case: neighbours along u lie side by side, and one load may bring both.
        for m in range(count):
            f = np.float32(m)
            pu, pv = u + f * du, v + f * dv
            iu, iv = np.uint32(np.int32(pu)), np.uint32(np.int32(pv))
            wu, wv = pu - np.float32(np.int32(iu)), pv - np.float32(np.int32(iv))
            at = np.uint32(base + np.uint32(m) * plane + iu + iv * sv)
            a, b = pair(values, at)
            c, d = pair(values, at + sv)
            e, g = a + wu * (b - a), c + wu * (d - c)
            total += e + wv * (g - e)
        return total
    for m in range(count):
        f = np.float32(m)
        pu, pv = u + f * du, v + f * dv
        iu, iv = np.uint32(np.int32(pu)), np.uint32(np.int32(pv))
        wu, wv = pu - np.float32(np.int32(iu)), pv - np.float32(np.int32(iv))
        at = np.uint32(base + np.uint32(m) * plane + iu * su + iv * sv)
        a, b = single(values, at), single(values, at + su)
        c, d = single(values, at + sv), single(values, at + su + sv)
        e, g = a + wu * (b - a), c + wu * (d - c)
        total += e + wv * (g - e)
    return total


@inlined
@no_type_check
def _planes_and_slopes(values, plane, su, sv, base, u, v, du, dv, count):
    """Also the sums of both in-plane slopes, plain and times the number of the plane."""
    total = np.float32(0)
    s0 = s1 = t0 = t1 = np.float32(0)
    if su == 1:
        for m in range(count):
            f = np.float32(m)
            pu, pv = u + f * du, v + f * dv
            iu, iv = np.uint32(np.int32(pu)), np.uint32(np.int32(pv))
            wu, wv = pu - np.float32(np.int32(iu)), pv - np.float32(np.int32(iv))
            at = np.uint32(base + np.uint32(m) * plane + iu + iv * sv)
            a, b = pair(values, at)
            c, d = pair(values, at + sv)
            ab, cd = b - a, d - c
            e, g = a + wu * ab, c + wu * cd
            gv = g - e
            gu = ab + wv * (cd - ab)
            total += e + wv * gv
            s0 += gu
            s1 += gv
            t0 += f * gu
            t1 += f * gv
        return total, s0, s1, t0, t1
    for m in range(count):
        f = np.float32(m)
        pu, pv = u + f * du, v + f * dv
        iu, iv = np.uint32(np.int32(pu)), np.uint32(np.int32(pv))
        wu, wv = pu - np.float32(np.int32(iu)), pv - np.float32(np.int32(iv))
        at = np.uint32(base + np.uint32(m) * plane + iu * su + iv * sv)
        a, b = single(values, at), single(values, at + su)
        c, d = single(values, at + sv), single(values, at + su + sv)
        ab, cd = b - a, d - c
        e, g = a + wu * ab, c + wu * cd
        gv = g - e
        gu = ab + wv * (cd - ab)
        total += e + wv * gv
        s0 += gu
        s1 += gv
        t0 += f * gu
        t1 += f * gv
    return total, s0, s1, t0, t1


@jit
@no_type_check
def joseph(
    values, scale, nz, ny, nx, linear, offset, frame, columns, pixels, rays, step, start, stop,
    mode, image, out,
):  # fmt: skip
    """Rays `start` to `stop`; see `cpu.march` for the arguments."""
    ax = linear[0, 0] * frame[0, 0] + linear[0, 1] * frame[0, 1] + linear[0, 2] * frame[0, 2]
    ay = linear[1, 0] * frame[0, 0] + linear[1, 1] * frame[0, 1] + linear[1, 2] * frame[0, 2]
    az = linear[2, 0] * frame[0, 0] + linear[2, 1] * frame[0, 1] + linear[2, 2] * frame[0, 2]
    ax, ay, az = ax + offset[0], ay + offset[1], az + offset[2]
    sx, sy, sz = np.uint32(1), np.uint32(nx), np.uint32(nx * ny)
    for i in range(start, stop):
        rx, ry, rz = pixel_ray(i, columns, pixels, rays, frame)
        dx = linear[0, 0] * rx + linear[0, 1] * ry + linear[0, 2] * rz
        dy = linear[1, 0] * rx + linear[1, 1] * ry + linear[1, 2] * rz
        dz = linear[2, 0] * rx + linear[2, 1] * ry + linear[2, 2] * rz
        enter, leave = clip(ax, dx, 1.0, nx - 2.0, 0.0, 1.0)
        enter, leave = clip(ay, dy, 1.0, ny - 2.0, enter, leave)
        enter, leave = clip(az, dz, 1.0, nz - 2.0, enter, leave)
        # Axis 0 is the dominant one (k), 1 and 2 lie in its planes (u, v).
        if abs(dx) >= abs(dy) and abs(dx) >= abs(dz):
            axis, ak, dk, au, du, av, dv = 0, ax, dx, ay, dy, az, dz
            plane, su, sv = sx, sy, sz
        elif abs(dy) >= abs(dz):
            axis, ak, dk, au, du, av, dv = 1, ay, dy, ax, dx, az, dz
            plane, su, sv = sy, sx, sz
        else:
            axis, ak, dk, au, du, av, dv = 2, az, dz, ax, dx, ay, dy
            plane, su, sv = sz, sx, sy
        total = gk = gu = gv = hk = hu = hv = along = 0.0
        if enter < leave:
            k_enter, k_leave = ak + enter * dk, ak + leave * dk
            first = np.int64(np.ceil(min(k_enter, k_leave)))
            last = np.int64(np.floor(max(k_enter, k_leave)))
            count = last - first + 1
            if count > 0:
                squared = rx * rx + ry * ry + rz * rz
                weight = scale * np.sqrt(squared) / abs(dk)
                alpha, slope = (first - ak) / dk, 1.0 / dk
                u, v = np.float32(au + alpha * du), np.float32(av + alpha * dv)
                pu, pv = np.float32(du * slope), np.float32(dv * slope)
                base = np.uint32(first) * plane
                if mode == IMAGE:
                    total = weight * _planes(values, plane, su, sv, base, u, v, pu, pv, count)
                else:
                    s, p0, p1, q0, q1 = _planes_and_slopes(
                        values, plane, su, sv, base, u, v, pu, pv, count
                    )
                    total = weight * s
                    gu, gv = weight * p0, weight * p1
                    hu = alpha * gu + slope * weight * q0
                    hv = alpha * gv + slope * weight * q1
                    # A plane is crossed at alpha = (n - a_k) / d_k.
                    gk = -(du * gu + dv * gv) * slope
                    # The weight |r| / |r_k| changes too.
                    hk = -(du * hu + dv * hv) * slope - total * slope
                    along = total / squared
        if axis == 0:
            write(mode, image, out, i, total, linear, frame, rx, ry, rz, gk, gu, gv, hk, hu, hv, along)  # fmt: skip
        elif axis == 1:
            write(mode, image, out, i, total, linear, frame, rx, ry, rz, gu, gk, gv, hu, hk, hv, along)  # fmt: skip
        else:
            write(mode, image, out, i, total, linear, frame, rx, ry, rz, gu, gv, gk, hu, hv, hk, along)  # fmt: skip
