"""The CPU backend: plain numpy in and out, for callers that march hundreds of times.

`march_view` is the entry for an optimiser: one prepared volume, one pose, image and Jacobian;
`march_views` takes many poses, whose rays the threads share. `march` is the same on bare vectors; `render_drr` and `render_with_jacobian` (`drr`) are the public
tensor functions above them. numba is imported on the first march, not with the package.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.geometry import CArm, Pose
from napari_xreg.rendering.checked import MOST_PIXELS, check_frames, check_listed
from napari_xreg.rendering.prepared import FloatArray, Matrix, Prepared
from napari_xreg.rendering.threads import split, thread_count

Method = Literal["trilinear", "joseph", "siddon"]
Vector = npt.NDArray[np.floating] | Sequence[float]
METHODS = ("trilinear", "joseph", "siddon")

# Kernels write these beside the image (rays.py holds the same numbers; it imports numba).
_IMAGE, _JACOBIAN, _GRADIENTS = 0, 1, 2
_NO_RAYS = np.zeros((0, 3))
_NO_PIXELS = np.zeros((0, 2))
_NOTHING = np.zeros((6, 0), np.float32)


def march_view(
    prepared: Prepared,
    carm: CArm,
    world_from_camera: Pose,
    *,
    pivot: Vector = (0.0, 0.0, 0.0),
    method: Method = "joseph",
    step_mm: float | None = None,
    pixels: Matrix | None = None,
    jacobian: bool = True,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Image and Jacobian of one pose, numpy float32.

    Parameters
    ----------
    prepared
        ``prepare(volume)``.
    world_from_camera
        A single pose (no batch).
    pivot
        World point that a pure rotation leaves in place, mm.
    pixels
        [n, 2] row, column (fractional allowed); None: the whole detector.
    jacobian
        False: the image alone; the second result is empty.

    Returns
    -------
    image
        [rows, columns], or [n] for a pixel list.
    jacobian
        [6, rows, columns] or [6, n]: (omega x, y, z per rad, v x, y, z per mm) of a left twist
        in world axes about the pivot.

    Raises
    ------
    ValueError
        If anything is not finite, absurdly far away, or of another shape (`checked`).
    """
    if world_from_camera.batch_shape:
        raise ValueError(
            "a march takes one pose: got a batch of shape "
            f"{tuple(world_from_camera.batch_shape)}; `march_views` takes several"
        )
    source, corner, per_row, per_column = view_frame(carm, world_from_camera)
    rows, columns = carm.detector.shape
    return march(
        prepared, source, corner, per_row, per_column, rows, columns,
        pivot=pivot, method=method, step_mm=step_mm, pixels=pixels, jacobian=jacobian,
        threads=threads,
    )  # fmt: skip


def march_views(
    prepared: Prepared,
    carm: CArm,
    world_from_camera: Pose,
    *,
    pivot: Vector = (0.0, 0.0, 0.0),
    method: Method = "joseph",
    step_mm: float | None = None,
    threads: int | None = None,
) -> list[tuple[FloatArray, FloatArray]]:
    """Of every pose of a batch [s] what `march_view` gives, to the bit, all rays in one round of the threads.

    Parameters and errors as of `march_view`.
    """
    frames = np.empty((*world_from_camera.batch_shape, 5, 3))
    for number, part in enumerate(view_frame(carm, world_from_camera)):
        frames[:, number] = part
    frames[:, 4] = pivot
    rows, columns = carm.detector.shape
    shape = rows, columns
    _check_grid(prepared, frames, step_mm, shape)
    found = _run(
        prepared, frames, columns, _NO_PIXELS, _NO_RAYS, rows * columns, _JACOBIAN, method, step_mm,
        threads,
    )  # fmt: skip
    return [(image.reshape(shape), out.reshape(6, *shape)) for image, out in found]


def view_frame(carm: CArm, world_from_camera: Pose) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Source, and the vector from it to pixel (0, 0) with its steps per row and per column.

    World, mm, float64, [*batch 3]: the rays of ``carm.rays`` are ``corner + row per_row + column per_column``.
    """
    rotation = world_from_camera.rotation.detach().cpu().to(torch.float64).numpy()
    source = world_from_camera.translation.detach().cpu().to(torch.float64).numpy()
    detector = carm.detector
    (c_row, c_column), (s_row, s_column) = detector.center, detector.spacing
    per_row = rotation[..., 1] * s_row
    per_column = rotation[..., 0] * (-s_column if detector.mirrored else s_column)
    corner = rotation[..., 2] * carm.source_to_detector - c_row * per_row - c_column * per_column
    return source, corner, per_row, per_column


def march(
    prepared: Prepared,
    source: Vector,
    r_origin: Vector,
    dr_row: Vector,
    dr_column: Vector,
    rows: int,
    columns: int,
    *,
    pivot: Vector = (0.0, 0.0, 0.0),
    method: Method = "joseph",
    step_mm: float | None = None,
    pixels: Matrix | None = None,
    jacobian: bool = True,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """`march_view` on bare vectors (world, mm): ray = r_origin + row dr_row + column dr_column."""
    frame = np.array([source, r_origin, dr_row, dr_column, pivot], np.float64)
    shape: tuple[int, ...] = (rows, columns)
    listed = _NO_PIXELS
    if pixels is not None:
        listed = np.ascontiguousarray(pixels, np.float64)
        if listed.ndim != 2 or listed.shape[1] != 2:
            raise ValueError(f"pixels are a list of (row, column): got shape {listed.shape}")
        shape = (listed.shape[0],)
    count = shape[0] * shape[1] if pixels is None else shape[0]
    ends = None if pixels is None or not count else np.array([listed.min(0), listed.max(0)])
    _check_grid(prepared, frame[None], step_mm, shape, ends)
    mode = _JACOBIAN if jacobian else _IMAGE
    ((image, out),) = _run(
        prepared, frame[None], columns, listed, _NO_RAYS, count, mode, method, step_mm, threads
    )
    return image.reshape(shape), (out.reshape(6, *shape) if jacobian else out)


def _check_grid(
    prepared: Prepared,
    frames: Matrix,
    step_mm: float | None,
    shape: tuple[int, ...],
    ends: Matrix | None = None,
) -> None:
    """Of every frame, for pixels of a grid or, between `ends`, of a list."""
    count = math.prod(shape)
    if count > MOST_PIXELS:
        raise ValueError(f"at most {MOST_PIXELS} pixels can be rendered at once: got {count}")
    if not count:
        return
    if ends is None:
        ends = np.array([[0, 0], [shape[0] - 1, shape[1] - 1]], np.float64)
    step = _step(prepared, step_mm)
    check_frames(prepared.linear, prepared.offset, prepared.values.shape, step, frames, ends)


def march_rays(
    prepared: Prepared,
    source: Vector,
    rays: npt.NDArray[np.floating],
    *,
    method: Method = "trilinear",
    step_mm: float | None = None,
    gradients: bool = True,
    threads: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Integrals [n] along ``source + alpha rays[n]``, and [6, n]: dI/d(source), dI/dr, world axes."""
    frame = np.zeros((5, 3))
    frame[0] = source
    listed = np.ascontiguousarray(rays, np.float64)
    grid = prepared.linear, prepared.offset, prepared.values.shape
    check_listed(*grid, _step(prepared, step_mm), frame[0], listed)
    mode = _GRADIENTS if gradients else _IMAGE
    n = listed.shape[0]
    ((image, out),) = _run(
        prepared, frame[None], n, _NO_PIXELS, listed, n, mode, method, step_mm, threads
    )
    return image, out


def _run(
    prepared: Prepared,
    frames: Matrix,
    columns: int,
    pixels: Matrix,
    rays: Matrix,
    count: int,
    mode: int,
    method: Method,
    step_mm: float | None,
    threads: int | None,
) -> list[tuple[FloatArray, FloatArray]]:
    """`count` rays of every frame [s 5 3]: an image [count] and what the kernel writes beside it, [6 count]."""
    kernel = kernel_of(method)
    step = _step(prepared, step_mm)
    # Each by itself, so that one that is kept does not keep the others.
    found = [
        (
            np.empty(count, np.float32),
            _NOTHING if mode == _IMAGE else np.empty((6, count), np.float32),
        )
        for _ in frames
    ]
    nz, ny, nx = prepared.values.shape
    flat, scale = prepared.row, prepared.scale

    def work(start: int, stop: int) -> None:
        while start < stop:
            number, first = divmod(start, count)
            last = min(count, first + stop - start)
            image, out = found[number]
            kernel(
                flat, scale, nz, ny, nx, prepared.linear, prepared.offset, frames[number], columns,
                pixels, rays, step, first, last, mode, image, out,
            )  # fmt: skip
            start += last - first

    if count:
        split(work, len(found) * count, threads=threads or thread_count(), smallest=512)
    return found


def _step(prepared: Prepared, step_mm: float | None) -> float:
    step = prepared.default_step_mm if step_mm is None else float(step_mm)
    if not 0 < step < float("inf"):
        raise ValueError(f"step_mm must be positive, in mm: got {step_mm}")
    return step


@functools.cache
def kernel_of(method: Method) -> Callable[..., Any]:
    """The compiled kernel of a method; the first call imports numba."""
    if method == "trilinear":
        from napari_xreg.rendering.cpu.trilinear import trilinear

        return trilinear
    if method == "joseph":
        from napari_xreg.rendering.cpu.joseph import joseph

        return joseph
    if method == "siddon":
        from napari_xreg.rendering.cpu.siddon import siddon

        return siddon
    raise ValueError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
