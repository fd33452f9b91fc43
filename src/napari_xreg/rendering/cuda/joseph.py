"""Joseph's method: bilinear samples on the planes of the dominant index axis. The Triton kernel."""

from typing import no_type_check

import triton
import triton.language as tl

from napari_xreg.rendering.cuda.rays import (
    ABOVE,
    FRAME,
    GAIN,
    IMAGE,
    cell,
    clip,
    index_ray,
    occupied,
    pair,
    place,
    write,
)  # fmt: skip


@triton.jit
@no_type_check
def planes(f, qx, qy, qz, dx, dy, dz, live, nx, ny, nz):
    """The dominant axis of each ray, its first plane and how many planes it crosses."""
    enter, leave = clip(f, qx, qy, qz, dx, dy, dz, nx, ny, nz)
    on_x = (tl.abs(dx) >= tl.abs(dy)) & (tl.abs(dx) >= tl.abs(dz))
    on_y = (tl.abs(dy) >= tl.abs(dz)) & (on_x == 0)
    q = tl.where(on_x, qx, tl.where(on_y, qy, qz))
    d = tl.where(on_x, dx, tl.where(on_y, dy, dz))
    a, b = q + enter * d, q + leave * d
    first = tl.ceil(tl.minimum(a, b))
    n = tl.where(live & (enter < leave), tl.floor(tl.maximum(a, b)) - first + 1.0, 0.0)
    return on_x, on_y, q, d, tl.where(n > 0, first, 0.0), tl.maximum(n, 0.0)


# Sizes are not compiled in: one compilation serves every volume and detector.
@triton.jit(
    do_not_specialize=["poses", "count", "rows", "columns", "nx", "ny", "nz", "cells_x", "cells_y"]
)
@no_type_check
def joseph(
    values, cells, frames, pixels, out, scale, poses, count, rows, columns, nx, ny, nz, cells_x,
    cells_y, MODE: tl.constexpr, STORE: tl.constexpr, TURNED: tl.constexpr, LISTED: tl.constexpr,
    SKIP: tl.constexpr, SPLIT: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
    UNROLL: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    """`BLOCK` rays of one pose, one of `SPLIT` parts of their planes; see `launch`."""
    pose, part, at, live, row, column = place(
        pixels, count, rows, columns, SPLIT, LISTED, WIDE, BLOCK
    )
    f = frames + pose * FRAME
    gain, above = tl.load(f + GAIN), tl.load(f + ABOVE) / scale
    qx, qy, qz, dx, dy, dz, length, _ = index_ray(f, row, column)
    on_x, on_y, qk, dk, first, n = planes(f, qx, qy, qz, dx, dy, dz, live, nx, ny, nz)
    # u and v lie in the planes (k is their axis): y, z on x; x, z on y; x, y on z.
    qu, du = tl.where(on_x, qy, qx), tl.where(on_x, dy, dx)
    qv, dv = tl.where(on_x | on_y, qz, qy), tl.where(on_x | on_y, dz, dy)
    layer = nx * ny
    v_stride = tl.where(on_x | on_y, layer, nx)
    if TURNED:
        # In the turned copy (z, x, y) voxels of a plane across x lie side by side along y.
        plane = tl.where(on_x, ny, tl.where(on_y, nx, layer))
        u_stride = tl.full([BLOCK], 1, tl.int32)
        origin = tl.where(on_x, layer * nz, 0)
    else:
        plane = tl.where(on_x, 1, tl.where(on_y, nx, layer))
        u_stride = tl.where(on_x, nx, 1)
        origin = tl.zeros([BLOCK], tl.int32)
    slope = 1.0 / dk
    begin = (first - qk) * slope
    missed = n <= 0
    u, pu = tl.where(missed, 1.0, qu + begin * du), tl.where(missed, 0.0, du * slope)
    v, pv = tl.where(missed, 1.0, qv + begin * dv), tl.where(missed, 0.0, dv * slope)
    base = origin + first.to(tl.int32) * plane
    total = tl.zeros([BLOCK], tl.float32)
    s0, s1, t0, t1 = total, total, total, total
    most = tl.max(n, axis=0).to(tl.int32)
    # With empty space to skip, SKIP of them at a time are looked up; else all of a part are one run.
    size = tl.cdiv(most, SPLIT) if SKIP == 0 else SKIP
    runs = SPLIT if SKIP == 0 else tl.cdiv(most, SKIP)
    per_part = tl.cdiv(runs, SPLIT)
    for run in range(part * per_part, tl.minimum((part + 1) * per_part, runs)):
        start = run * size
        stop = tl.minimum(start + size, most)
        if SKIP > 0:
            beta = begin + (start * 1.0 + (SKIP - 1) / 2) * slope
            seen = occupied(
                cells, qx + beta * dx, qy + beta * dy, qz + beta * dz, nx, ny, nz, cells_x,
                cells_y, n > start * 1.0,
            )  # fmt: skip
            stop = start + (stop - start) * seen
        for m in tl.range(start, stop, loop_unroll_factor=UNROLL):
            k = m * 1.0
            iu, wu = cell(u + k * pu)
            iv, wv = cell(v + k * pv)
            voxel = tl.where(k < n, base + m * plane + iu * u_stride + iv * v_stride, 0)
            if TURNED:
                a, b = pair(values, voxel, gain, above, STORE, SCALED)
                c, e = pair(values, voxel + v_stride, gain, above, STORE, SCALED)
            else:
                a, _ = pair(values, voxel, gain, above, STORE, SCALED)
                b, _ = pair(values, voxel + u_stride, gain, above, STORE, SCALED)
                c, _ = pair(values, voxel + v_stride, gain, above, STORE, SCALED)
                e, _ = pair(values, voxel + v_stride + u_stride, gain, above, STORE, SCALED)
            ab, ce = b - a, e - c
            near = a + wu * ab
            gv = c + wu * ce - near
            total += near + wv * gv
            if MODE != IMAGE:
                gu = ab + wv * (ce - ab)
                s0 += gu
                s1 += gv
                t0 += k * gu
                t1 += k * gv
    weight = tl.where(missed, 0.0, scale * length * tl.abs(slope))
    total = total * weight
    gx, gy, gz = total, total, total
    hx, hy, hz = total, total, total
    along = total
    if MODE != IMAGE:
        gu, gv = weight * s0, weight * s1
        hu = begin * gu + slope * weight * t0
        hv = begin * gv + slope * weight * t1
        # A plane is crossed at alpha = (n - a_k) / d_k, and the weight |r| / |r_k| changes too.
        gk = -(du * gu + dv * gv) * slope
        hk = -(du * hu + dv * hv + total) * slope
        gk, hk = tl.where(missed, 0.0, gk), tl.where(missed, 0.0, hk)
        hu, hv = tl.where(missed, 0.0, hu), tl.where(missed, 0.0, hv)
        gx, hx = tl.where(on_x, gk, gu), tl.where(on_x, hk, hu)
        gy = tl.where(on_x, gu, tl.where(on_y, gk, gv))
        hy = tl.where(on_x, hu, tl.where(on_y, hk, hv))
        gz = tl.where(on_x | on_y, gv, gk)
        hz = tl.where(on_x | on_y, hv, hk)
        along = total / (length * length)
    write(
        f, out, pose, part, poses, count, at, live, row, column, total,
        gx, gy, gz, hx, hy, hz, along, MODE,
    )  # fmt: skip
