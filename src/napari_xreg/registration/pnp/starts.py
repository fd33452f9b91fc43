"""Where a pose fit may begin: closed-form solutions, and what the shape of the points allows."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_xreg.registration.pnp.dlt import dlt

Array = npt.NDArray[np.float64]

COLLINEAR = 1e-3
"""Points are collinear where their spread across the line is less than this share of that along it."""

PLANAR = 1e-3
"""Likewise for a plane."""

NEARLY_PLANAR = 0.3
"""Below this flatness two poses may explain the image about equally well, so both are tried."""


@dataclass(frozen=True, eq=False)
class PnPStart:
    """World from camera, and which method proposed it."""

    method: str
    rotation: Array
    translation: Array


@dataclass(frozen=True, eq=False)
class Shape:
    """How points spread about their centroid."""

    center: Array
    axes: Array
    spreads: Array

    @property
    def collinear(self) -> bool:
        """On one line (or in one place)."""
        return bool(self.spreads[1] <= COLLINEAR * max(float(self.spreads[0]), 1e-12))

    @property
    def flatness(self) -> float:
        """Spread across the best plane as a share of the smaller one within it."""
        return float(self.spreads[2] / max(float(self.spreads[1]), 1e-300))


def shape_of(points: Array) -> Shape:
    """Principal axes (rows, longest first) and singular values of points [n, 3]."""
    center = points.mean(0)
    local = points - center
    values, vectors = np.linalg.eigh(local.T @ local)
    return Shape(center, vectors.T[::-1], np.sqrt(np.maximum(values[::-1], 0.0)))


def closed_form_starts(points: Array, uv: Array, k: Array) -> tuple[list[PnPStart], int]:
    """Poses proposed by closed-form solvers, every point in front of the source.

    Parameters
    ----------
    points
        [n, 3] world mm, n >= 4, not collinear.
    uv
        [n, 2] OpenCV's (u, v): unmirrored, see `geometry.pinhole`.
    k
        Camera matrix with positive focal lengths.

    Returns
    -------
    starts, behind
        And how many proposals had a point behind the source.
    """
    shape = shape_of(points)
    local = points - shape.center
    found: list[PnPStart] = []
    behind = 0
    for method, rotation, translation in _proposals(local, uv, k, shape):
        if not (np.isfinite(rotation).all() and np.isfinite(translation).all()):
            continue
        if not (local @ rotation[2] + translation[2] > 0).all():
            behind += 1
            continue
        found.append(PnPStart(method, rotation.T, shape.center - rotation.T @ translation))
    return found, behind


def _proposals(
    local: Array, uv: Array, k: Array, shape: Shape
) -> Iterator[tuple[str, Array, Array]]:
    """Camera-from-world rotations and translations of points about their centroid."""
    n = len(local)
    yield from _opencv("SQPnP", local, uv, k, cv2.SOLVEPNP_SQPNP)
    if shape.flatness > PLANAR:
        yield from _opencv("EPnP", local, uv, k, cv2.SOLVEPNP_EPNP)
        if n >= 6:
            rays = (uv - k[:2, 2]) / np.array([k[0, 0], k[1, 1]])
            solved = dlt(local, rays)
            if solved is not None and not solved[2]:
                yield "DLT", solved[0], solved[1]
    if shape.flatness < NEARLY_PLANAR:
        normal = shape.axes[2]
        flat = local - np.outer(local @ normal, normal)
        yield from _opencv("IPPE", flat, uv, k, cv2.SOLVEPNP_IPPE)
    if n == 4:
        # The fourth point is left to choose among the up to four solutions of the other three.
        yield from _opencv("P3P", local[:3], uv[:3], k, cv2.SOLVEPNP_P3P)


def _opencv(
    name: str, points: Array, uv: Array, k: Array, flag: int
) -> Iterator[tuple[str, Array, Array]]:
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(
            np.ascontiguousarray(points), np.ascontiguousarray(uv), k, None, flags=flag
        )
    except cv2.error:  # a degenerate set for this method; the others may still do
        return
    for turn, shift in zip(turns or (), shifts or (), strict=True):
        rotation: Array = np.asarray(cv2.Rodrigues(turn)[0], np.float64)
        yield name, rotation, np.asarray(shift, np.float64).reshape(3)
