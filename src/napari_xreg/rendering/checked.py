"""What a caller says, checked before a kernel reads it: a kernel that is told NaN reads anywhere.

The compiled kernels have no bounds check per sample; they rely on coordinates that are finite, so
near that rounding stays far below the padding, and on rays that have a length.
"""

import functools
import math

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose

Matrix = npt.NDArray[np.float64]

FURTHEST = 1e9  # voxels or mm: float64 places a sample to 1e-6 of a voxel there
SHORTEST_MM = 1e-6  # of a ray
MOST_SAMPLES = 2**24  # of a ray: kernels count them in float32, which is exact up to here
MOST_PIXELS = 2**28  # of a radiograph, 16384 x 16384
MOST_ALONG_AN_AXIS = 2**20  # voxels: float32 places a sample to 0.1 of a voxel there


def check_poses(world_from_camera: Pose, what: str = "a pose to render from") -> None:
    """Refuse poses that hold NaN or infinity. (On a CUDA device this waits for it.)

    Raises
    ------
    ValueError
        Naming the part.
    """
    for part in ("rotation", "translation"):
        if not bool(torch.isfinite(getattr(world_from_camera, part).detach()).all()):
            raise ValueError(f"{what} must be finite: its {part} holds NaN or infinity")
    if bool((world_from_camera.translation.detach().abs() > FURTHEST).any()):
        raise ValueError(f"{what} lies further than {FURTHEST:.0e} mm away: check its unit")


def check_pixels(carm: CArm, pixels: Float[Tensor, "n 2"] | None) -> None:
    """Refuse a detector that no memory holds, and pixel lists that are none.

    Raises
    ------
    ValueError
        Saying which.
    """
    rows, columns = carm.detector.shape
    if pixels is None:
        if rows * columns > MOST_PIXELS:
            raise ValueError(
                f"a radiograph of {rows} x {columns} pixels cannot be rendered, at most "
                f"{MOST_PIXELS} can: use a coarser detector (Detector.resize) or a list of pixels"
            )
        return
    if pixels.ndim != 2 or pixels.shape[1] != 2:
        raise ValueError(f"pixels are a list of (row, column): got shape {tuple(pixels.shape)}")
    if not bool(torch.isfinite(pixels.detach()).all()):
        raise ValueError("pixels to render must be finite: the list holds NaN or infinity")


def check_frame(
    linear: Matrix, offset: Matrix, shape: tuple[int, ...], step_mm: float, frame: Matrix,
    ends: Matrix,
) -> None:  # fmt: skip
    """Refuse rays of a pixel grid that a kernel cannot follow; `check_frames` of one frame [5, 3]."""
    check_frames(linear, offset, shape, step_mm, frame[None], ends)


def check_frames(
    linear: Matrix, offset: Matrix, shape: tuple[int, ...], step_mm: float, frames: Matrix,
    ends: Matrix,
) -> None:  # fmt: skip
    """Refuse rays of pixel grids that a kernel cannot follow.

    Parameters
    ----------
    linear, offset, shape
        World (mm) to index of the padded grid, and its size (z, y, x).
    frames
        Of each view source, corner, step per row, step per column, pivot: [s, 5, 3], world, mm.
    ends
        Smallest and largest row and column: [2, 2].

    Raises
    ------
    ValueError
        Saying what is wrong, of the first that is.
    """
    if not np.isfinite(ends).all():
        raise ValueError("pixels to render must be finite: the list holds NaN or infinity")
    if not np.isfinite(frames).all():
        raise ValueError(
            "a march needs a finite source, finite rays and a finite pivot: got NaN or infinity"
        )
    (top, left), (bottom, right) = ends.tolist()
    grid = np.array([[top, left], [top, right], [bottom, left], [bottom, right]])
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        corners = frames[:, 1:2] + grid @ frames[:, 2:4]
        # (numpy's cross product takes longer than all the rest.)
        (ax, ay, az), (bx, by, bz) = frames[:, 2].T, frames[:, 3].T
        normal = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)
        area = np.sqrt((normal * normal).sum(-1))
        # Of the detector's plane; where there is none, of the one line or pixel that is asked for.
        away = np.abs((frames[:, 1] * normal).sum(-1)) / area
    for number in np.flatnonzero(~(area > 0)):
        away[number] = _from_line(corners[number])
    _check(linear, offset, shape, step_mm, frames[:, 0], corners, away)


def check_listed(
    linear: Matrix, offset: Matrix, shape: tuple[int, ...], step_mm: float, source: Matrix,
    rays: Matrix,
) -> None:  # fmt: skip
    """The same for a list of rays [n, 3]."""
    if rays.ndim != 2 or rays.shape[1] != 3:
        raise ValueError(f"rays are a list of vectors [n, 3]: got shape {rays.shape}")
    if not np.isfinite(source).all() or not np.isfinite(rays).all():
        raise ValueError("a march needs a finite source and finite rays: got NaN or infinity")
    if len(rays):
        with np.errstate(over="ignore"):
            shortest = np.linalg.norm(rays, axis=1).min(keepdims=True)
        _check(linear, offset, shape, step_mm, source[None], rays[None], shortest)


def _check(
    linear: Matrix, offset: Matrix, shape: tuple[int, ...], step_mm: float, sources: Matrix,
    rays: Matrix, shortest_mm: Matrix,
) -> None:  # fmt: skip
    """Of views [s] the sources [s, 3], the outermost rays [s, n, 3] and the length of the shortest [s]."""
    with np.errstate(over="ignore", invalid="ignore"):
        longest_mm = np.sqrt((rays * rays).sum(-1).max(-1))
        steps = np.abs(rays @ linear.T).max((-1, -2))
        start = np.abs(sources @ linear.T + offset).max(-1)
        across_mm, least = _sizes(linear.tobytes(), shape)
        near = (start < FURTHEST) & (steps < FURTHEST) & (longest_mm < FURTHEST)
        long = (shortest_mm >= SHORTEST_MM) & (shortest_mm * least >= SHORTEST_MM**2)
        samples = np.minimum(longest_mm, across_mm) / step_mm
    if not near.all():
        first = int(near.argmin())
        place = ", ".join(f"{value:.3g}" for value in sources[first])
        raise ValueError(
            f"the source or the detector lies too far from the CT: source at ({place}) mm, rays of "
            f"up to {longest_mm[first]:.3g} mm, CT at most {FURTHEST:.0e} voxels away; check the "
            "pose, the detector's geometry and the position and spacing of the CT"
        )
    if not long.all():
        raise ValueError(
            f"a ray from the source to a pixel has no length: got {shortest_mm[long.argmin()]:.3g} "
            "mm; the detector must lie apart from the source"
        )
    if not (samples <= MOST_SAMPLES).all():
        raise ValueError(
            f"step_mm is too small: {step_mm:.3g} mm asks for {samples.max():.3g} samples along a "
            f"ray, at most {MOST_SAMPLES} can be taken"
        )


def _from_line(corners: Matrix) -> float:
    """Distance of the origin from the line through (or the point of) the outermost pixels."""
    first, last = corners[0], corners[-1]
    along = last - first
    squared = float(along @ along)
    share = min(max(-float(first @ along) / squared, 0.0), 1.0) if squared > 0 else 0.0
    return math.sqrt(float(((first + share * along) ** 2).sum()))


@functools.lru_cache(maxsize=64)
def _sizes(linear: bytes, shape: tuple[int, ...]) -> tuple[float, float]:
    """Diagonal of a grid, mm at most, and its voxels per mm, at least, in any direction."""
    matrix = np.frombuffer(linear).reshape(3, 3)
    corner = np.abs(np.linalg.inv(matrix)) @ np.array(shape[::-1], np.float64)
    return float(np.linalg.norm(corner)), float(np.linalg.norm(matrix, -2))
