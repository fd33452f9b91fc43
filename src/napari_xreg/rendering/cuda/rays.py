"""What the Triton kernels share: which pixels a program does, where their rays run, what is written.

Coordinates are float32. They stay accurate because every ray is described from a point in the
middle of the volume (its *anchor*) and not from the source half a metre away: a pose's numbers come
from `frame` in float64, and what a pixel adds to them is small.

A kernel reads the padded volume (`volume.PAD` zero voxels on every side) without bounds masks: a
lane whose ray has ended reads voxel 0, whose neighbours are padding too, and so adds nothing.
"""

from typing import no_type_check

import triton
import triton.language as tl

# Columns of a pose's frame; `frame` writes them.
FRAME = tl.constexpr(44)
ANCHOR, CENTRAL, PER_ROW, PER_COLUMN = (
    tl.constexpr(0), tl.constexpr(3), tl.constexpr(6), tl.constexpr(9),
)  # fmt: skip
ALPHA, PHASE, DISTANCE, STEP = (
    tl.constexpr(12), tl.constexpr(13), tl.constexpr(14), tl.constexpr(15),
)  # fmt: skip
ROW, COLUMN, ROW_MM, COLUMN_MM = (
    tl.constexpr(16), tl.constexpr(17), tl.constexpr(18), tl.constexpr(19),
)  # fmt: skip
WORLD_CENTRAL, WORLD_ROW, WORLD_COLUMN = tl.constexpr(20), tl.constexpr(23), tl.constexpr(26)
LEVER, LINEAR = tl.constexpr(29), tl.constexpr(32)
# Written by `launch`, where what exceeds an attenuation is scaled.
GAIN, ABOVE = tl.constexpr(41), tl.constexpr(42)

# What a kernel writes beside the image.
IMAGE, JACOBIAN, GRADIENTS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
# How voxels are stored.
FLOAT32, UINT16, FLOAT16 = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)

# Adding 2^23 to a float of [0, 2^23) rounds it to a whole number that stands in the low bits:
# three cheap instructions instead of two conversions at a quarter of the rate.
_SHIFT = tl.constexpr(8388608.0)
_SHIFT_BITS = tl.constexpr(0x4B000000)
_LOW = tl.constexpr(0x7FFFFF)


@triton.jit
@no_type_check
def place(
    pixels, count, rows, columns,
    SPLIT: tl.constexpr, LISTED: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Which pose, which part of the sample range, and which pixels this program does."""
    program = tl.program_id(0)
    part = program % SPLIT
    block = program // SPLIT
    lane = tl.arange(0, BLOCK)
    if LISTED:
        blocks = tl.cdiv(count, BLOCK)
        pose = block // blocks
        at = (block % blocks) * BLOCK + lane
        live = at < count
        row = tl.load(pixels + 2 * at, mask=live, other=0.0)
        column = tl.load(pixels + 2 * at + 1, mask=live, other=0.0)
    else:
        TALL: tl.constexpr = BLOCK // WIDE
        across = tl.cdiv(columns, WIDE)
        blocks = across * tl.cdiv(rows, TALL)
        pose = block // blocks
        tile = block % blocks
        r = (tile // across) * TALL + lane // WIDE
        c = (tile % across) * WIDE + lane % WIDE
        live = (r < rows) & (c < columns)
        at = r * columns + c
        row, column = r.to(tl.float32), c.to(tl.float32)
    return pose, part, at, live, row, column


@triton.jit
@no_type_check
def index_ray(f, row, column):
    """Anchor q and direction d of each ray in index axes, and its length, mm.

    ``q + (alpha - alpha0) d`` is the point at `alpha` (0 source, 1 detector); the last result is by
    how much the anchor is farther from the source than that of the central ray, mm.
    """
    r = row - tl.load(f + ROW)
    c = column - tl.load(f + COLUMN)
    alpha0 = tl.load(f + ALPHA)
    sx = r * tl.load(f + PER_ROW) + c * tl.load(f + PER_COLUMN)
    sy = r * tl.load(f + PER_ROW + 1) + c * tl.load(f + PER_COLUMN + 1)
    sz = r * tl.load(f + PER_ROW + 2) + c * tl.load(f + PER_COLUMN + 2)
    dx = tl.load(f + CENTRAL) + sx
    dy = tl.load(f + CENTRAL + 1) + sy
    dz = tl.load(f + CENTRAL + 2) + sz
    qx = tl.load(f + ANCHOR) + alpha0 * sx
    qy = tl.load(f + ANCHOR + 1) + alpha0 * sy
    qz = tl.load(f + ANCHOR + 2) + alpha0 * sz
    # The detector stands across the central ray.
    a, b = r * tl.load(f + ROW_MM), c * tl.load(f + COLUMN_MM)
    off = a * a + b * b
    distance = tl.load(f + DISTANCE)
    length = tl.sqrt(distance * distance + off)
    farther = alpha0 * (off / (length + distance))
    return qx, qy, qz, dx, dy, dz, length, farther


@triton.jit
@no_type_check
def clip_axis(q, d, high, enter, leave):
    """The part of [enter, leave] where ``1 <= q + beta d <= high``, in parameters from the anchor."""
    safe = tl.where(tl.abs(d) < 1e-9, 1e-9, d)
    a = (1.0 - q) / safe
    b = (high - q) / safe
    return tl.maximum(enter, tl.minimum(a, b)), tl.minimum(leave, tl.maximum(a, b))


@triton.jit
@no_type_check
def clip(f, qx, qy, qz, dx, dy, dz, nx, ny, nz):
    """Where each ray is inside the support of the interpolant: within the first pad voxels."""
    alpha0 = tl.load(f + ALPHA)
    enter, leave = tl.zeros_like(qx) - alpha0, tl.zeros_like(qx) + (1.0 - alpha0)
    enter, leave = clip_axis(qx, dx, nx - 2.0, enter, leave)
    enter, leave = clip_axis(qy, dy, ny - 2.0, enter, leave)
    enter, leave = clip_axis(qz, dz, nz - 2.0, enter, leave)
    return enter, leave


@triton.jit
@no_type_check
def cell(x):
    """Whole voxel at or below x (not negative), and how far beyond it x is.

    At a whole number the voxel below may be given with a distance of 1: the same point.
    """
    shifted = (x - 0.5) + _SHIFT
    return shifted.to(tl.int32, bitcast=True) & _LOW, x - (shifted - _SHIFT)


@triton.jit
@no_type_check
def pair(values, at, gain, above, STORE: tl.constexpr, SCALED: tl.constexpr):
    """Voxel `at` and the next one, in stored units; what exceeds `above` is scaled where asked."""
    if STORE == FLOAT32:
        first, second = tl.load(values + at), tl.load(values + at + 1)
    else:
        both = tl.load(values + at)
        low, high = both & 0xFFFF, (both >> 16) & 0xFFFF
        if STORE == UINT16:
            first = (low | _SHIFT_BITS).to(tl.float32, bitcast=True) - _SHIFT
            second = (high | _SHIFT_BITS).to(tl.float32, bitcast=True) - _SHIFT
        else:
            first = low.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
            second = high.to(tl.int16).to(tl.float16, bitcast=True).to(tl.float32)
    if SCALED:
        first += gain * tl.maximum(first - above, 0.0)
        second += gain * tl.maximum(second - above, 0.0)
    return first, second


@triton.jit
@no_type_check
def occupied(cells, x, y, z, nx, ny, nz, cells_x, cells_y, alive):
    """Whether anything is within 8 voxels of a point, for any living lane of the program.

    `cells` are 8 x 8 x 8 voxels, set where they or a neighbour hold attenuation.
    """
    ix, _ = cell(tl.minimum(tl.maximum(x, 0.5), nx - 1.0))
    iy, _ = cell(tl.minimum(tl.maximum(y, 0.5), ny - 1.0))
    iz, _ = cell(tl.minimum(tl.maximum(z, 0.5), nz - 1.0))
    at = ((iz >> 3) * cells_y + (iy >> 3)) * cells_x + (ix >> 3)
    found = tl.load(cells + at).to(tl.int32)
    return tl.max(tl.where(alive, found, 0), axis=0)


@triton.jit
@no_type_check
def write(
    f, out, pose, part, poses, count, at, live, row, column, total,
    gx, gy, gz, hx, hy, hz, along, MODE: tl.constexpr,
):  # fmt: skip
    """Sums of each ray to `out` [part, pose, channel, pixel].

    `g` is dI/d(source) and `h` the sum of (alpha - alpha0) dI/dx in index axes; `along` is the part
    of dI/dr along r over |r|^2.
    """
    CHANNELS: tl.constexpr = 1 if MODE == IMAGE else 7
    to = out + (part * poses + pose).to(tl.int64) * CHANNELS * count + at
    tl.store(to, total, mask=live)
    if MODE != IMAGE:
        l00, l01, l02 = tl.load(f + LINEAR), tl.load(f + LINEAR + 1), tl.load(f + LINEAR + 2)
        l10, l11, l12 = tl.load(f + LINEAR + 3), tl.load(f + LINEAR + 4), tl.load(f + LINEAR + 5)
        l20, l21, l22 = tl.load(f + LINEAR + 6), tl.load(f + LINEAR + 7), tl.load(f + LINEAR + 8)
        ax = l00 * gx + l10 * gy + l20 * gz
        ay = l01 * gx + l11 * gy + l21 * gz
        az = l02 * gx + l12 * gy + l22 * gz
        bx = l00 * hx + l10 * hy + l20 * hz
        by = l01 * hx + l11 * hy + l21 * hz
        bz = l02 * hx + l12 * hy + l22 * hz
        r = row - tl.load(f + ROW)
        c = column - tl.load(f + COLUMN)
        ox = r * tl.load(f + WORLD_ROW) + c * tl.load(f + WORLD_COLUMN)
        oy = r * tl.load(f + WORLD_ROW + 1) + c * tl.load(f + WORLD_COLUMN + 1)
        oz = r * tl.load(f + WORLD_ROW + 2) + c * tl.load(f + WORLD_COLUMN + 2)
        rx = tl.load(f + WORLD_CENTRAL) + ox
        ry = tl.load(f + WORLD_CENTRAL + 1) + oy
        rz = tl.load(f + WORLD_CENTRAL + 2) + oz
        alpha0 = tl.load(f + ALPHA)
        if MODE == JACOBIAN:
            # (source - pivot) x G0 + r x G1, both taken from the anchor: nothing large cancels.
            px = tl.load(f + LEVER) + alpha0 * ox
            py = tl.load(f + LEVER + 1) + alpha0 * oy
            pz = tl.load(f + LEVER + 2) + alpha0 * oz
            tl.store(to + count, py * az - pz * ay + ry * bz - rz * by, mask=live)
            tl.store(to + 2 * count, pz * ax - px * az + rz * bx - rx * bz, mask=live)
            tl.store(to + 3 * count, px * ay - py * ax + rx * by - ry * bx, mask=live)
            tl.store(to + 4 * count, ax, mask=live)
            tl.store(to + 5 * count, ay, mask=live)
            tl.store(to + 6 * count, az, mask=live)
        else:
            tl.store(to + count, ax, mask=live)
            tl.store(to + 2 * count, ay, mask=live)
            tl.store(to + 3 * count, az, mask=live)
            tl.store(to + 4 * count, alpha0 * ax + bx + along * rx, mask=live)
            tl.store(to + 5 * count, alpha0 * ay + by + along * ry, mask=live)
            tl.store(to + 6 * count, alpha0 * az + bz + along * rz, mask=live)
