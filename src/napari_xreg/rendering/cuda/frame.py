"""What is the same for all rays of a pose, worked out on the device in float64. A Triton kernel."""

from typing import no_type_check

import triton
import triton.language as tl

from napari_xreg.rendering.cuda.rays import (
    ALPHA,
    ANCHOR,
    CENTRAL,
    COLUMN,
    COLUMN_MM,
    DISTANCE,
    FRAME,
    LEVER,
    LINEAR,
    PER_COLUMN,
    PER_ROW,
    PHASE,
    ROW,
    ROW_MM,
    STEP,
    WORLD_CENTRAL,
    WORLD_COLUMN,
    WORLD_ROW,
)  # fmt: skip


@triton.jit
@no_type_check
def _put(f, at, x, y, z):
    tl.store(f + at, x.to(tl.float32))
    tl.store(f + at + 1, y.to(tl.float32))
    tl.store(f + at + 2, z.to(tl.float32))


@triton.jit
@no_type_check
def _index(volume, x, y, z):
    """A world vector in index axes."""
    return (
        tl.load(volume) * x + tl.load(volume + 1) * y + tl.load(volume + 2) * z,
        tl.load(volume + 3) * x + tl.load(volume + 4) * y + tl.load(volume + 5) * z,
        tl.load(volume + 6) * x + tl.load(volume + 7) * y + tl.load(volume + 8) * z,
    )


@triton.jit
@no_type_check
def frame(rotation, translation, pivot, volume, view, frames):
    """One program a pose; everything it reads is float64.

    `volume`: world to index (3 x 3, then the offset), then the index of the middle. `view`: source
    to detector, row and column spacing (the column's negative when mirrored), row and column of the
    principal point, step.
    """
    pose = tl.program_id(0)
    turn = rotation + pose * 9
    x0, y0, z0 = tl.load(turn), tl.load(turn + 1), tl.load(turn + 2)
    x1, y1, z1 = tl.load(turn + 3), tl.load(turn + 4), tl.load(turn + 5)
    x2, y2, z2 = tl.load(turn + 6), tl.load(turn + 7), tl.load(turn + 8)
    s0 = tl.load(translation + pose * 3)
    s1 = tl.load(translation + pose * 3 + 1)
    s2 = tl.load(translation + pose * 3 + 2)
    distance = tl.load(view)
    row_mm, column_mm = tl.load(view + 1), tl.load(view + 2)
    step = tl.load(view + 5)
    # Columns of the rotation are the camera's x (along columns), y (along rows) and z axes.
    r0, r1, r2 = z0 * distance, z1 * distance, z2 * distance
    dx, dy, dz = _index(volume, r0, r1, r2)
    ax, ay, az = _index(volume, s0, s1, s2)
    ax += tl.load(volume + 9)
    ay += tl.load(volume + 10)
    az += tl.load(volume + 11)
    mx = tl.load(volume + 12) - ax
    my = tl.load(volume + 13) - ay
    mz = tl.load(volume + 14) - az
    # The point of the central ray nearest the middle of the volume; rounded first, so that the
    # float32 number the kernels use is the one everything else was worked out with.
    alpha = (mx * dx + my * dy + mz * dz) / (dx * dx + dy * dy + dz * dz)
    alpha = alpha.to(tl.float32).to(tl.float64)
    samples = alpha * distance / step
    f = frames + pose * FRAME
    _put(f, ANCHOR, ax + alpha * dx, ay + alpha * dy, az + alpha * dz)
    _put(f, CENTRAL, dx, dy, dz)
    ux, uy, uz = _index(volume, y0 * row_mm, y1 * row_mm, y2 * row_mm)
    _put(f, PER_ROW, ux, uy, uz)
    vx, vy, vz = _index(volume, x0 * column_mm, x1 * column_mm, x2 * column_mm)
    _put(f, PER_COLUMN, vx, vy, vz)
    tl.store(f + ALPHA, alpha.to(tl.float32))
    tl.store(f + PHASE, (samples - tl.floor(samples)).to(tl.float32))
    tl.store(f + DISTANCE, distance.to(tl.float32))
    tl.store(f + STEP, step.to(tl.float32))
    tl.store(f + ROW, tl.load(view + 3).to(tl.float32))
    tl.store(f + COLUMN, tl.load(view + 4).to(tl.float32))
    tl.store(f + ROW_MM, row_mm.to(tl.float32))
    tl.store(f + COLUMN_MM, column_mm.to(tl.float32))
    _put(f, WORLD_CENTRAL, r0, r1, r2)
    _put(f, WORLD_ROW, y0 * row_mm, y1 * row_mm, y2 * row_mm)
    _put(f, WORLD_COLUMN, x0 * column_mm, x1 * column_mm, x2 * column_mm)
    _put(
        f, LEVER,
        s0 + alpha * r0 - tl.load(pivot),
        s1 + alpha * r1 - tl.load(pivot + 1),
        s2 + alpha * r2 - tl.load(pivot + 2),
    )  # fmt: skip
    for i in tl.static_range(9):
        tl.store(f + LINEAR + i, tl.load(volume + i).to(tl.float32))
