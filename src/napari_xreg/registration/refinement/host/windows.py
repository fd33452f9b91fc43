"""Windows of a picture: where a body is seen, so that sums are made there alone."""

import numpy as np
import numpy.typing as npt

Window = tuple[slice, slice]
"""Rows and columns."""


def window_of(jacobian: npt.NDArray[np.float32]) -> Window:
    """Where it is not zero; the first pixel where it is zero everywhere."""
    there: npt.NDArray[np.bool_] = np.any(jacobian, axis=0)
    ends = (np.flatnonzero(there.any(axis)) for axis in (1, 0))
    rows, columns = (slice(int(e[0]), int(e[-1]) + 1) if e.size else slice(0, 1) for e in ends)
    return rows, columns


def grown(window: Window, reach: int, shape: tuple[int, int]) -> Window:
    """With so many pixels about it, within the image."""
    rows, columns = (
        slice(max(each.start - reach, 0), min(each.stop + reach, size))
        for each, size in zip(window, shape, strict=True)
    )
    return rows, columns


def common(one: Window, other: Window) -> Window | None:
    """What is in both; None: nothing."""
    rows, columns = (
        slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(one, other, strict=True)
    )
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def within(part: Window, of: Window) -> Window:
    """A window as counted from the first pixel of another."""
    rows, columns = (
        slice(a.start - b.start, a.stop - b.start) for a, b in zip(part, of, strict=True)
    )
    return rows, columns
