"""Slices of a CT as a reader expects them, and which point of the patient lies under a pixel.

Planes are the patient's own, however the CT is stored: radiological, the patient's right on the left, the
head up. Each pixel is the voxel nearest to it, and no step along a patient's axis is longer than a voxel: in a
CT stored along these axes pixels are voxels, in an oblique one (a C-arm's, a tilted gantry's) a voxel is drawn
at most half its size away. (Interpolating takes ten times as long: too long for a crosshair that is dragged.)
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from napari_xreg.images import Volume

PLANES = ("axial", "coronal", "sagittal")
SIDES = {
    "axial": ("A", "P", "R", "L"),
    "coronal": ("S", "I", "R", "L"),
    "sagittal": ("S", "I", "A", "P"),
}
"""Where the patient's anterior, posterior, superior, inferior, right and left are: at the top, at the bottom,
on the left, on the right."""

# World axes (x left, y back, z up) that run down, to the right, and through the slices; -1: against.
_VIEWS = {
    "axial": ((1, 1), (0, 1), (2, 1)),
    "coronal": ((2, -1), (0, 1), (1, 1)),
    "sagittal": ((2, -1), (1, 1), (0, 1)),
}
_FINEST = 1024  # pixels of the longer side of a slice: more than a canvas has


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """A CT cut in one plane of the patient.

    Parameters
    ----------
    volume
        The CT.
    plane
        One of `PLANES`.

    Raises
    ------
    ValueError
        If there is no such plane.
    """

    volume: Volume
    plane: str

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise ValueError(f"planes are {', '.join(PLANES)}: got {self.plane!r}")

    @cached_property
    def _index_from_world(self) -> Float[ndarray, "4 4"]:
        return self.volume.index_from_world.double().cpu().numpy()

    @cached_property
    def _values(self) -> ndarray:
        volume = self.volume
        return (volume.lac if volume.hu is None else volume.hu).detach().cpu().numpy()

    @cached_property
    def _box(self) -> tuple[Float[ndarray, "3"], Float[ndarray, "3"]]:
        """Lowest and highest x, y, z of any voxel centre."""
        corners = self.volume.corners.double().cpu().numpy()
        return corners.min(axis=0), corners.max(axis=0)

    @cached_property
    def _pitch(self) -> Float[ndarray, "3"]:
        """Steps along x, y, z of the patient, mm; none is longer than a voxel in any stored direction."""
        with np.errstate(divide="ignore"):
            pitch = (1.0 / np.abs(self._index_from_world[:3, :3])).min(axis=0)
        low, high = self._box
        pitch = np.maximum(pitch, (high - low).max() / _FINEST)
        return np.asarray(pitch)

    @property
    def axis(self) -> int:
        """Which of the patient's axes (x, y, z) runs through the slices."""
        return _VIEWS[self.plane][2][0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows and columns of a slice, and how many slices there are."""
        low, high = self._box
        counts = np.rint((high - low) / self._pitch).astype(int) + 1
        down, right, through = (int(counts[axis]) for axis, _ in _VIEWS[self.plane])
        return down, right, through

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Between rows, columns and slices, mm."""
        down, right, through = (float(self._pitch[axis]) for axis, _ in _VIEWS[self.plane])
        return down, right, through

    def picture(self, number: int) -> Float[ndarray, "rows columns"]:
        """One slice: HU where they are known, else attenuation (1/mm); air outside the CT."""
        rows, columns, _ = self.shape
        first, down, right = (step.astype(np.float32) for step in self._index_steps(number))
        r, c = np.arange(rows, dtype=np.float32), np.arange(columns, dtype=np.float32)
        # Twice as fast in 32 bits.
        whole = np.int32 if self._values.size < 2**31 else np.int64
        flat = np.zeros((rows, columns), whole)
        inside = np.ones((rows, columns), bool)
        for i, size in enumerate(self.volume.shape):  # z, y, x
            at = (first[2 - i] + down[2 - i] * r)[:, None] + right[2 - i] * c
            index = np.rint(at, out=at).astype(whole)
            inside &= (index >= 0) & (index < size)
            flat *= size
            flat += index
        seen = self._values.reshape(-1).take(flat, mode="clip").astype(np.float32)
        seen[~inside] = 0.0 if self.volume.hu is None else -1000.0
        return seen

    def point(self, row: float, column: float, number: float) -> tuple[float, float, float]:
        """World (LPS), mm, of a place in a slice; integers are centres of pixels."""
        at = np.empty(3)
        low, high = self._box
        for (axis, sign), steps in zip(_VIEWS[self.plane], (row, column, number), strict=True):
            end = low[axis] if sign > 0 else high[axis]
            at[axis] = end + sign * steps * self._pitch[axis]
        x, y, z = at.tolist()
        return x, y, z

    def place(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        """Row, column and slice of a world point, fractional; perhaps outside the CT."""
        low, high = self._box
        row, column, number = (
            float(point[axis] - low[axis] if sign > 0 else high[axis] - point[axis])
            / float(self._pitch[axis])
            for axis, sign in _VIEWS[self.plane]
        )
        return row, column, number

    def value(self, point: tuple[float, float, float]) -> float | None:
        """What `picture` shows there: of the nearest voxel; None outside the CT."""
        matrix = self._index_from_world
        x, y, z = np.rint(matrix[:3, :3] @ np.array(point) + matrix[:3, 3]).astype(int).tolist()
        nz, ny, nx = self.volume.shape
        if not (0 <= x < nx and 0 <= y < ny and 0 <= z < nz):
            return None
        return float(self._values[z, y, x])

    # ------------------------------------------------------------------ inside

    def _index_steps(self, number: int) -> tuple[Float[ndarray, "3"], ...]:
        """Index (x, y, z) of the first pixel, and what a row and a column add to it."""
        matrix = self._index_from_world
        first = matrix[:3, :3] @ np.array(self.point(0, 0, number)) + matrix[:3, 3]
        (down, down_sign), (right, right_sign), _ = _VIEWS[self.plane]
        row = matrix[:3, down] * self._pitch[down] * down_sign
        column = matrix[:3, right] * self._pitch[right] * right_sign
        return first, row, column
