"""From pixels back to voxels: the transpose of the march. A Triton kernel.

Many rays add to one voxel at once, by atomic additions whose order changes from run to run: the
gradient to the volume is repeatable to float32 rounding only. No pose gradient comes from here.
"""

from typing import no_type_check

import triton
import triton.language as tl

from napari_xreg.rendering.cuda.joseph import planes
from napari_xreg.rendering.cuda.rays import FRAME, STEP, cell, index_ray, place
from napari_xreg.rendering.cuda.trilinear import samples


@triton.jit
@no_type_check
def _spread(grid, voxel, u_stride, v_stride, wu, wv, worth, alive):
    """To the four voxels about a point of a plane."""
    far = worth * wv
    near = worth - far
    tl.atomic_add(grid + voxel, near * (1 - wu), mask=alive, sem="relaxed")
    tl.atomic_add(grid + voxel + u_stride, near * wu, mask=alive, sem="relaxed")
    tl.atomic_add(grid + voxel + v_stride, far * (1 - wu), mask=alive, sem="relaxed")
    tl.atomic_add(grid + voxel + v_stride + u_stride, far * wu, mask=alive, sem="relaxed")


# Sizes are not compiled in: one compilation serves every volume and detector.
@triton.jit(do_not_specialize=["count", "rows", "columns", "nx", "ny", "nz"])
@no_type_check
def spread(
    grid, worth, frames, pixels, count, rows, columns, nx, ny, nz,
    PLANES: tl.constexpr, LISTED: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Trilinear samples, or Joseph's planes, times what their pixel is worth, to the padded grid."""
    pose, _, at, live, row, column = place(pixels, count, rows, columns, 1, LISTED, WIDE, BLOCK)
    f = frames + pose * FRAME
    value = tl.load(worth + pose.to(tl.int64) * count + at, mask=live, other=0.0)
    live = live & (value != 0)
    qx, qy, qz, dx, dy, dz, length, farther = index_ray(f, row, column)
    layer = nx * ny
    if PLANES:
        on_x, on_y, qk, dk, first, n = planes(f, qx, qy, qz, dx, dy, dz, live, nx, ny, nz)
        qu, du = tl.where(on_x, qy, qx), tl.where(on_x, dy, dx)
        qv, dv = tl.where(on_x | on_y, qz, qy), tl.where(on_x | on_y, dz, dy)
        plane = tl.where(on_x, 1, tl.where(on_y, nx, layer))
        u_stride = tl.where(on_x, nx, 1)
        v_stride = tl.where(on_x | on_y, layer, nx)
        slope = 1.0 / dk
        begin = (first - qk) * slope
        missed = n <= 0
        u, pu = tl.where(missed, 1.0, qu + begin * du), tl.where(missed, 0.0, du * slope)
        v, pv = tl.where(missed, 1.0, qv + begin * dv), tl.where(missed, 0.0, dv * slope)
        base = first.to(tl.int32) * plane
        value = tl.where(missed, 0.0, value * length * tl.abs(slope))
        for m in range(tl.max(n, axis=0).to(tl.int32)):
            k = m * 1.0
            alive = k < n
            iu, wu = cell(u + k * pu)
            iv, wv = cell(v + k * pv)
            voxel = tl.where(alive, base + m * plane + iu * u_stride + iv * v_stride, 0)
            _spread(grid, voxel, u_stride, v_stride, wu, wv, value, alive)
    else:
        begin, n = samples(f, qx, qy, qz, dx, dy, dz, length, farther, live, nx, ny, nz)
        step = tl.load(f + STEP)
        ux, uy, uz = dx / length, dy / length, dz / length
        x, y, z = qx + begin * ux, qy + begin * uy, qz + begin * uz
        ux, uy, uz = ux * step, uy * step, uz * step
        value = value * step
        for m in range(tl.max(n, axis=0).to(tl.int32)):
            k = m * 1.0
            alive = k < n
            ix, wx = cell(x + k * ux)
            iy, wy = cell(y + k * uy)
            iz, wz = cell(z + k * uz)
            voxel = tl.where(alive, iz * layer + iy * nx + ix, 0)
            _spread(grid, voxel, 1, nx, wx, wy, value * (1 - wz), alive)
            _spread(grid, voxel + layer, 1, nx, wx, wy, value * wz, alive)
