"""Trilinear samples every `step` mm from the source: the Triton kernel."""

from typing import no_type_check

import triton
import triton.language as tl

from napari_xreg.rendering.cuda.rays import (
    ABOVE,
    ALPHA,
    FRAME,
    GAIN,
    IMAGE,
    PHASE,
    STEP,
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
def samples(f, qx, qy, qz, dx, dy, dz, length, farther, live, nx, ny, nz):
    """First sample (its distance from the anchor, mm) of each ray, and how many there are."""
    enter, leave = clip(f, qx, qy, qz, dx, dy, dz, nx, ny, nz)
    step, phase = tl.load(f + STEP), tl.load(f + PHASE)
    # Samples lie at (m + 1/2) step from the source; numbered from the central ray's anchor, their
    # numbers are small and their fractions exact.
    first = tl.ceil((enter * length + farther) / step + phase - 0.5)
    last = tl.floor((leave * length + farther) / step + phase - 0.5)
    count = tl.where(live & (enter < leave), last - first + 1.0, 0.0)
    begin = (first + 0.5 - phase) * step - farther
    # A ray that misses may begin nowhere finite.
    return tl.where(count > 0, begin, 0.0), tl.maximum(count, 0.0)


# Sizes are not compiled in: one compilation serves every volume and detector.
@triton.jit(
    do_not_specialize=["poses", "count", "rows", "columns", "nx", "ny", "nz", "cells_x", "cells_y"]
)
@no_type_check
def trilinear(
    values, cells, frames, pixels, out, scale, poses, count, rows, columns, nx, ny, nz, cells_x,
    cells_y, MODE: tl.constexpr, STORE: tl.constexpr, TURNED: tl.constexpr, LISTED: tl.constexpr,
    SKIP: tl.constexpr, SPLIT: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
    UNROLL: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    """`BLOCK` rays of one pose, one of `SPLIT` parts of their samples; see `launch`."""
    pose, part, at, live, row, column = place(
        pixels, count, rows, columns, SPLIT, LISTED, WIDE, BLOCK
    )
    f = frames + pose * FRAME
    gain, above = tl.load(f + GAIN), tl.load(f + ABOVE) / scale
    qx, qy, qz, dx, dy, dz, length, farther = index_ray(f, row, column)
    begin, n = samples(f, qx, qy, qz, dx, dy, dz, length, farther, live, nx, ny, nz)
    per_mm = 1.0 / length
    step = tl.load(f + STEP)
    ux, uy, uz = dx * per_mm, dy * per_mm, dz * per_mm
    x, y, z = qx + begin * ux, qy + begin * uy, qz + begin * uz
    ux, uy, uz = ux * step, uy * step, uz * step
    # Lanes lie side by side across the rays. In the turned copy y is the contiguous axis: for rays
    # that run along x, so that the voxels of neighbouring lanes share a cache line.
    turn = TURNED & (tl.abs(dx) > tl.abs(dy))
    px, py = tl.where(turn, y, x), tl.where(turn, x, y)
    vx, vy = tl.where(turn, uy, ux), tl.where(turn, ux, uy)
    row_stride = tl.where(turn, ny, nx)
    layer = nx * ny
    origin = tl.where(turn, layer * nz, 0)
    total = tl.zeros([BLOCK], tl.float32)
    s0, s1, s2 = total, total, total
    t0, t1, t2 = total, total, total
    most = tl.max(n, axis=0).to(tl.int32)
    # With empty space to skip, SKIP of them at a time are looked up; else all of a part are one run.
    size = tl.cdiv(most, SPLIT) if SKIP == 0 else SKIP
    runs = SPLIT if SKIP == 0 else tl.cdiv(most, SKIP)
    per_part = tl.cdiv(runs, SPLIT)
    for run in range(part * per_part, tl.minimum((part + 1) * per_part, runs)):
        start = run * size
        stop = tl.minimum(start + size, most)
        if SKIP > 0:
            middle = start * 1.0 + (SKIP - 1) / 2
            alive = n > start * 1.0
            seen = occupied(
                cells, x + middle * ux, y + middle * uy, z + middle * uz, nx, ny, nz, cells_x,
                cells_y, alive,
            )  # fmt: skip
            stop = start + (stop - start) * seen
        for m in tl.range(start, stop, loop_unroll_factor=UNROLL):
            k = m * 1.0
            ix, wx = cell(px + k * vx)
            iy, wy = cell(py + k * vy)
            iz, wz = cell(z + k * uz)
            voxel = tl.where(k < n, origin + iz * layer + iy * row_stride + ix, 0)
            a0, a1 = pair(values, voxel, gain, above, STORE, SCALED)
            b0, b1 = pair(values, voxel + row_stride, gain, above, STORE, SCALED)
            c0, c1 = pair(values, voxel + layer, gain, above, STORE, SCALED)
            e0, e1 = pair(values, voxel + layer + row_stride, gain, above, STORE, SCALED)
            da, db, dc, de = a1 - a0, b1 - b0, c1 - c0, e1 - e0
            a, b, c, e = a0 + wx * da, b0 + wx * db, c0 + wx * dc, e0 + wx * de
            ab, ce = b - a, e - c
            near = a + wy * ab
            gz = c + wy * ce - near
            total += near + wz * gz
            if MODE != IMAGE:
                gx0 = da + wy * (db - da)
                gx = gx0 + wz * (dc + wy * (de - dc) - gx0)
                gy = ab + wz * (ce - ab)
                s0 += gx
                s1 += gy
                s2 += gz
                t0 += k * gx
                t1 += k * gy
                t2 += k * gz
    share = scale * step
    total = total * share
    gx, gy, gz = total, total, total
    hx, hy, hz = total, total, total
    along = total
    if MODE != IMAGE:
        first, per_sample = begin * per_mm * share, step * per_mm * share
        gx, gy = share * tl.where(turn, s1, s0), share * tl.where(turn, s0, s1)
        gz = share * s2
        tx, ty = tl.where(turn, t1, t0), tl.where(turn, t0, t1)
        hx = first * tl.where(turn, s1, s0) + per_sample * tx
        hy = first * tl.where(turn, s0, s1) + per_sample * ty
        hz = first * s2 + per_sample * t2
        # alpha = distance / |r|: stretching r moves no sample.
        alpha0 = tl.load(f + ALPHA)
        along = (alpha0 * gx + hx) * dx + (alpha0 * gy + hy) * dy + (alpha0 * gz + hz) * dz
        along = -along * per_mm * per_mm
    write(
        f, out, pose, part, poses, count, at, live, row, column, total,
        gx, gy, gz, hx, hy, hz, along, MODE,
    )  # fmt: skip
