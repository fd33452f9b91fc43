"""Images of a batch through a filter, and z-scored: arithmetic that knows no radiograph.

What is computed of one image does not depend, to the bit, on which others are in its batch.
"""

import functools

import cv2
import numpy as np
import numpy.typing as npt

from napari_xreg.metrics import SMALLEST_SPREAD

Array = npt.NDArray[np.float32]

_SMALL = 2**13
"""Pixels: smaller images are filtered one below the other. A call for each takes longer than its sums."""


def filtered(planes: Array, kernels: tuple[Array, Array]) -> Array:
    """Images [*batch rows columns] through a separable filter, mirrored at their borders."""
    along_row, along_column = kernels
    if along_row.size == along_column.size == 1:
        return planes
    rows, columns = planes.shape[-2:]
    stack = planes.reshape(-1, rows, columns)
    if len(stack) == 1 or rows * columns > _SMALL:
        done = np.empty(stack.shape, np.float32)
        for plane, out in zip(stack, done, strict=True):
            _filter(plane, kernels, out)
        return done.reshape(planes.shape)
    reach = along_column.size // 2
    apart = stack.take(_mirrored(rows, reach), 1)
    tall = apart.reshape(-1, columns)
    wide = _filter(tall, kernels, np.empty_like(tall)).reshape(apart.shape)
    return wide[:, reach : reach + rows].reshape(planes.shape)


def _filter(plane: Array, kernels: tuple[Array, Array], out: Array) -> Array:
    cv2.sepFilter2D(plane, cv2.CV_32F, *kernels, dst=out, borderType=cv2.BORDER_REFLECT)
    return out


@functools.lru_cache(maxsize=16)
def _mirrored(rows: int, reach: int) -> npt.NDArray[np.intp]:
    """Rows of an image with those that a filter sees beyond its borders."""
    return np.pad(np.arange(rows), reach, mode="symmetric")


def standardised(values: Array, w: Array) -> tuple[Array, Array]:
    """Weighted mean 0 and spread 1 [*batch n], and the spread they had [*batch 1]; weights sum to 1."""
    # Twice: float32 weights do not sum to exactly 1, which a flat image would take for a spread; the
    # second in float64, since a float32 dot product is off by up to 1e-5 of the mean, by processor.
    centred = values - dot(w, values)
    rest = np.sum(w * centred, axis=-1, keepdims=True, dtype=np.float64)
    centred -= rest.astype(np.float32)
    spread = np.maximum(np.sqrt(dot(w, centred * centred)), np.float32(SMALLEST_SPREAD))
    centred /= spread
    return centred, spread


def scored_slopes(slopes: Array, z: Array, spread: Array, w: Array) -> Array:
    """Of images z-scored by `standardised`, the derivative, which includes that of the z-scoring itself.

    ``dz = (dI - mean(dI) - z mean(z dI)) / std``, means weighted by `w`.

    Parameters
    ----------
    slopes
        Of the images, dI [*batch k n].
    z, spread, w
        As of `standardised`.
    """
    mean, along = (times(slopes, weights) for weights in (w, w * z))
    found = slopes - mean[..., None]
    found -= along[..., None] * z[..., None, :]
    found /= spread[..., None]
    return np.asarray(found, np.float32)


def dot(one: Array, other: Array) -> Array:
    """Sums of products over the last axis, which stays with length 1."""
    return np.asarray((one[..., None, :] @ other[..., None])[..., 0], np.float32)


def times(matrix: Array, vector: Array) -> Array:
    """``matrix @ vector`` of a batch, [*batch k]."""
    return np.asarray((matrix @ vector[..., None])[..., 0], np.float32)
