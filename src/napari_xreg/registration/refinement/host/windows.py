"""Windows of a picture: where a body is seen, so that sums are made there alone."""

import numpy as np
import numpy.typing as npt

from napari_xreg.registration.refinement.host.planes import filtered
from napari_xreg.registration.refinement.host.seen import (
    Array,
    Compared,
    Observation,
    Scored,
    Window,
)

Matrix = npt.NDArray[np.float64]


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


def sums_by_windows(
    observation: Observation, steepness: Array | None, channel: Compared, scored: Scored
) -> tuple[Matrix, Matrix]:
    """Gauss-Newton matrix and gradient of a channel, of bodies each of which is seen in a window.

    As of `planes.scored_slopes`, whose slopes are nowhere zero since the z-scoring is of the whole image: with means m
    and a over the whole, ``sum w dz dz' = (sum w dI dI' - m m' - a a') / variance``.
    """
    shape = observation.image.shape
    z, spread, residual, w = scored.z, scored.spread, scored.residual, scored.w
    # [weight, times z, times the residual] of every pixel; nothing where it is not compared.
    whole = np.zeros((3, observation.image.size), np.float32)
    whole[:, channel.index] = w, w * z, w * residual
    whole = whole.reshape(3, *shape)
    reach = channel.size // 2
    parts = []
    for body, window in enumerate(observation.windows):
        at = grown(window, reach, shape)
        seen = observation.jacobian[6 * body : 6 * body + 6, at[0], at[1]]
        seen = seen if steepness is None else seen * steepness[at]
        parts.append((at, np.stack([filtered(each, channel.kernels) for each in seen])))
    size = len(observation.jacobian)
    products, means = np.zeros((size, size)), np.zeros((size, 3))
    for one, (at, slopes) in enumerate(parts):
        own = slice(6 * one, 6 * one + 6)
        means[own] = slopes.reshape(6, -1) @ whole[:, at[0], at[1]].reshape(3, -1).T
        weighted = slopes * whole[0][at]
        for other, (there, further) in enumerate(parts[: one + 1]):
            both = common(at, there)
            if both is None:
                continue
            here, beside = (
                each[:, rows, columns].reshape(6, -1)
                for each, (rows, columns) in (
                    (weighted, within(both, at)), (further, within(both, there))
                )
            )  # fmt: skip
            theirs = slice(6 * other, 6 * other + 6)
            products[own, theirs] = here @ beside.T
            products[theirs, own] = products[own, theirs].T
    mean, along, across = means.T
    matrix = products - np.outer(mean, mean) - np.outer(along, along)
    gradient = across - mean * float(np.dot(w, residual)) - along * float(np.dot(w * z, residual))
    return matrix / spread**2, gradient / spread
