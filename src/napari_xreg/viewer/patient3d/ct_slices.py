"""Slices of a CT as a reader expects them, and which point of the patient lies under a pixel.

Slices follow the voxels, so nothing is interpolated; the stored axes are put in the order and
direction nearest to the patient's (radiological: the patient's right is on the left, the head up).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from napari_xreg.images import Volume

PLANES = ("axial", "coronal", "sagittal")

# World axes (x left, y back, z up) that run down, to the right, and through the slices; -1: against.
_VIEWS = {
    "axial": ((1, 1), (0, 1), (2, 1)),
    "coronal": ((2, -1), (0, 1), (1, 1)),
    "sagittal": ((2, -1), (1, 1), (0, 1)),
}


@dataclass(frozen=True, eq=False)
class SliceGrid:
    """A CT cut in one plane.

    Parameters
    ----------
    volume
        The CT.
    plane
        One of `PLANES`.
    """

    volume: Volume
    plane: str

    def __post_init__(self) -> None:
        if self.plane not in PLANES:
            raise ValueError(f"planes are {', '.join(PLANES)}: got {self.plane!r}")

    @property
    def _axes(self) -> tuple[tuple[int, bool], tuple[int, bool], tuple[int, bool]]:
        """Stored axis (x, y, z) that runs down, right, through, and whether it is turned round."""
        stored = _nearest(self.volume.world_from_index.double().cpu().numpy()[:3, :3])
        down, right, through = (
            (stored[axis][0], stored[axis][1] * sign < 0) for axis, sign in _VIEWS[self.plane]
        )
        return down, right, through

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows and columns of a slice, and how many slices there are."""
        sizes = self.volume.shape[::-1]
        down, right, through = (sizes[axis] for axis, _ in self._axes)
        return down, right, through

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Between rows, columns and slices, mm."""
        down, right, through = (self.volume.spacing[axis] for axis, _ in self._axes)
        return down, right, through

    def picture(self, number: int) -> Float[ndarray, "rows columns"]:
        """One slice: HU where they are known, else attenuation (1/mm)."""
        values = self.volume.lac if self.volume.hu is None else self.volume.hu
        (down, down_back), (right, right_back), (through, through_back) = self._axes
        at = self.shape[2] - 1 - number if through_back else number
        # Stored (z, y, x).
        cut = values.select(2 - through, at).detach().cpu().float().numpy()
        if down < right:  # what is left of (z, y, x) has the higher axis first
            cut = cut.T
        return np.ascontiguousarray(
            cut[:: -1 if down_back else 1, :: -1 if right_back else 1], np.float32
        )

    def point(self, row: float, column: float, number: float) -> tuple[float, float, float]:
        """World (LPS), mm, of a place in a slice; integers are centres of voxels."""
        index = torch.ones(4, dtype=torch.float64)
        for (axis, back), value, size in zip(
            self._axes, (row, column, number), self.shape, strict=True
        ):
            index[axis] = size - 1 - value if back else value
        x, y, z = (self.volume.world_from_index.double().cpu() @ index)[:3].tolist()
        return x, y, z

    def place(self, point: tuple[float, float, float]) -> tuple[float, float, float]:
        """Row, column and slice of a world point, fractional; perhaps outside the CT."""
        world = torch.tensor([*point, 1.0], dtype=torch.float64)
        index = self.volume.index_from_world.double().cpu() @ world
        row, column, number = (
            float(size - 1 - index[axis] if back else index[axis])
            for (axis, back), size in zip(self._axes, self.shape, strict=True)
        )
        return row, column, number


def _nearest(directions: Float[ndarray, "3 3"]) -> list[tuple[int, int]]:
    """For x, y, z of the world the stored axis that runs most along it, and its sign."""
    unit = directions / np.linalg.norm(directions, axis=0)
    left = np.abs(unit)
    found: list[tuple[int, int]] = [(0, 1)] * 3
    for _ in range(3):
        world, stored = np.unravel_index(int(left.argmax()), left.shape)
        found[int(world)] = (int(stored), 1 if unit[world, stored] > 0 else -1)
        left[world, :] = left[:, stored] = -1.0
    return found
