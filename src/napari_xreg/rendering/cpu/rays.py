"""What the three CPU integrators share: where a ray runs, and what becomes of its sums."""

from typing import no_type_check

import numba
import numpy as np
from numba.extending import overload

from napari_xreg import kernels

# What a kernel writes beside the image.
IMAGE, JACOBIAN, GRADIENTS = 0, 1, 2

# Kernels carry `no_type_check`: the shape checks of the tests would wrap them, and numba cannot
# compile the wrapper.
jit = kernels.jit(fastmath=True, error_model="numpy")

# What kernels call is made part of them. Left as functions, a kernel that was compiled in this process would call
# the functions as they were compiled by themselves, one that was kept on disk those within its own file;
# the two sum in another order, and the first start after an installation had other last digits than the next.
inlined = kernels.jit(fastmath=True, error_model="numpy", forceinline=True)


@no_type_check
def pair(values, at):
    """Voxel `at` and its neighbour in x. Only within a kernel.

    `values` is float32, or uint32 at every 2 bytes: two uint16 voxels in one load (`Prepared`).
    """
    raise NotImplementedError("pair is known to numba only")


@no_type_check
def single(values, at):
    """Voxel `at`, as `pair`."""
    raise NotImplementedError("single is known to numba only")


@overload(pair)
@no_type_check
def _pair(values, at):
    if values.dtype == numba.float32:
        return lambda values, at: (values[at], values[at + np.uint32(1)])

    def unpack(values, at):
        both = values[at]
        return (
            np.float32(np.int32(both & np.uint32(0xFFFF))),
            np.float32(np.int32(both >> np.uint32(16))),
        )

    return unpack


@overload(single)
@no_type_check
def _single(values, at):
    if values.dtype == numba.float32:
        return lambda values, at: values[at]
    return lambda values, at: np.float32(np.int32(values[at] & np.uint32(0xFFFF)))


@inlined
@no_type_check
def pixel_ray(i, columns, pixels, rays, frame):
    """World vector from the source of the i-th ray.

    `frame` rows: source, corner, step per row, step per column, pivot (world, mm). The rays come
    from a list of vectors, of pixels, or from the grid, in this order.
    """
    if rays.shape[0] > 0:
        return rays[i, 0], rays[i, 1], rays[i, 2]
    if pixels.shape[0] > 0:
        row, column = pixels[i, 0], pixels[i, 1]
    else:
        row, column = np.float64(i // columns), np.float64(i % columns)
    return (
        frame[1, 0] + row * frame[2, 0] + column * frame[3, 0],
        frame[1, 1] + row * frame[2, 1] + column * frame[3, 1],
        frame[1, 2] + row * frame[2, 2] + column * frame[3, 2],
    )


@inlined
@no_type_check
def turned(linear, x, y, z):
    """``linear`` times a vector: of the world, mm, to the axes of the grid, voxels."""
    return (
        linear[0, 0] * x + linear[0, 1] * y + linear[0, 2] * z,
        linear[1, 0] * x + linear[1, 1] * y + linear[1, 2] * z,
        linear[2, 0] * x + linear[2, 1] * y + linear[2, 2] * z,
    )


@inlined
@no_type_check
def clip(position, direction, low, high, enter, leave):
    """The part of [enter, leave] where ``low <= position + alpha direction <= high``."""
    if direction == 0.0:
        if position < low or position > high:
            return 1.0, 0.0
        return enter, leave
    a = (low - position) / direction
    b = (high - position) / direction
    return max(enter, min(a, b)), min(leave, max(a, b))


@inlined
@no_type_check
def write(mode, image, out, at, total, linear, frame, rx, ry, rz, s0, s1, s2, t0, t1, t2, along):
    """Sums of one ray to the output.

    `s` is dI/d(source) and `t` dI/dr in index axes, `along` the part of dI/dr that lies along r
    (a length, which no rigid motion changes) divided by the squared length of r.
    """
    image[at] = total
    if mode == IMAGE:
        return
    gx = linear[0, 0] * s0 + linear[1, 0] * s1 + linear[2, 0] * s2
    gy = linear[0, 1] * s0 + linear[1, 1] * s1 + linear[2, 1] * s2
    gz = linear[0, 2] * s0 + linear[1, 2] * s1 + linear[2, 2] * s2
    hx = linear[0, 0] * t0 + linear[1, 0] * t1 + linear[2, 0] * t2 + along * rx
    hy = linear[0, 1] * t0 + linear[1, 1] * t1 + linear[2, 1] * t2 + along * ry
    hz = linear[0, 2] * t0 + linear[1, 2] * t1 + linear[2, 2] * t2 + along * rz
    if mode == GRADIENTS:
        out[0, at], out[1, at], out[2, at] = gx, gy, gz
        out[3, at], out[4, at], out[5, at] = hx, hy, hz
        return
    px, py, pz = frame[0, 0] - frame[4, 0], frame[0, 1] - frame[4, 1], frame[0, 2] - frame[4, 2]
    out[0, at] = py * gz - pz * gy + ry * hz - rz * hy
    out[1, at] = pz * gx - px * gz + rz * hx - rx * hz
    out[2, at] = px * gy - py * gx + rx * hy - ry * hx
    out[3, at], out[4, at], out[5, at] = gx, gy, gz
