"""One march, one image per group of structures. The Triton kernel."""

from typing import no_type_check

import triton
import triton.language as tl

from napari_xreg.rendering.cuda.rays import FRAME, STEP, cell, index_ray, pair, place
from napari_xreg.rendering.cuda.trilinear import samples


# Sizes are not compiled in: one compilation serves every volume and detector.
@triton.jit(do_not_specialize=["poses", "count", "rows", "columns", "nx", "ny", "nz", "groups"])
@no_type_check
def structures(
    values, channels, frames, pixels, out, scale, poses, count, rows, columns, nx, ny, nz, groups,
    STORE: tl.constexpr, LISTED: tl.constexpr, SPLIT: tl.constexpr, WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Trilinear samples, each given to the channel of its nearest voxel; `out` begins as zeros.

    A lane keeps the sum of the channel it is in and adds it to `out` when the channel changes:
    rays cross few surfaces, and every lane owns its pixel, so nothing is added by two at once.
    """
    pose, part, at, live, row, column = place(
        pixels, count, rows, columns, SPLIT, LISTED, WIDE, BLOCK
    )
    f = frames + pose * FRAME
    qx, qy, qz, dx, dy, dz, length, farther = index_ray(f, row, column)
    begin, n = samples(f, qx, qy, qz, dx, dy, dz, length, farther, live, nx, ny, nz)
    step = tl.load(f + STEP)
    ux, uy, uz = dx / length, dy / length, dz / length
    x, y, z = qx + begin * ux, qy + begin * uy, qz + begin * uz
    ux, uy, uz = ux * step, uy * step, uz * step
    layer = nx * ny
    to = out + (part * poses + pose).to(tl.int64) * groups * count + at
    share = scale * step
    current = tl.zeros([BLOCK], tl.int32)
    kept = tl.zeros([BLOCK], tl.float32)
    most = tl.max(n, axis=0).to(tl.int32)
    per_part = tl.cdiv(most, SPLIT)
    for m in range(part * per_part, tl.minimum((part + 1) * per_part, most)):
        k = m * 1.0
        ix, wx = cell(x + k * ux)
        iy, wy = cell(y + k * uy)
        iz, wz = cell(z + k * uz)
        voxel = tl.where(k < n, iz * layer + iy * nx + ix, 0)
        a0, a1 = pair(values, voxel, 0.0, 0.0, STORE, False)
        b0, b1 = pair(values, voxel + nx, 0.0, 0.0, STORE, False)
        c0, c1 = pair(values, voxel + layer, 0.0, 0.0, STORE, False)
        e0, e1 = pair(values, voxel + layer + nx, 0.0, 0.0, STORE, False)
        a, b = a0 + wx * (a1 - a0), b0 + wx * (b1 - b0)
        c, e = c0 + wx * (c1 - c0), e0 + wx * (e1 - e0)
        near, far = a + wy * (b - a), c + wy * (e - c)
        nearest = voxel + (wx >= 0.5).to(tl.int32)
        nearest += tl.where(wy >= 0.5, nx, 0) + tl.where(wz >= 0.5, layer, 0)
        nearest = tl.where(k < n, nearest, 0)
        channel = tl.load(channels + nearest).to(tl.int32)
        changed = live & (channel != current)
        old = to + current * count
        tl.store(old, tl.load(old, mask=changed, other=0.0) + share * kept, mask=changed)
        kept = tl.where(changed, 0.0, kept) + near + wz * (far - near)
        current = tl.where(changed, channel, current)
    old = to + current * count
    tl.store(old, tl.load(old, mask=live, other=0.0) + share * kept, mask=live)
