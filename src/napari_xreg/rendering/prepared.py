"""A volume made ready for the CPU kernels once, and kept as long as the volume lives."""

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_xreg.images import Volume

FloatArray = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

# One zero voxel lets the interpolant fade out; the second catches the rounding of a float32
# coordinate at the edge, so that no kernel needs a bounds check per sample.
PAD = 2


@dataclass(frozen=True, eq=False)
class Prepared:
    """Attenuation cropped to where it is not zero, padded with zeros, contiguous float32.

    Attributes
    ----------
    values
        Stored (z, y, x), with `PAD` zero voxels on every side.
    linear, offset
        World (mm) to index (x, y, z) of `values`: ``linear @ x + offset``.
    spacing
        Distance of voxel centres along the stored axes (x, y, z), mm.
    """

    values: FloatArray
    linear: Matrix
    offset: Matrix
    spacing: tuple[float, float, float]

    @property
    def default_step_mm(self) -> float:
        """Half the smallest voxel spacing: two samples per voxel along its shortest edge."""
        return 0.5 * min(self.spacing)


_cache: "WeakKeyDictionary[Volume, Prepared]" = WeakKeyDictionary()
_lock = threading.Lock()


def prepare(volume: Volume) -> Prepared:
    """The padded copy of a volume, made on the first call and remembered with the volume.

    A volume is a value: attenuation changed in place after the first render is not seen.
    """
    with _lock:
        found = _cache.get(volume)
    if found is None:
        found = _make(volume)
        with _lock:
            found = _cache.setdefault(volume, found)
    return found


def _make(volume: Volume) -> Prepared:
    lac = volume.lac.detach().cpu().numpy()
    index_from_world = np.linalg.inv(volume.world_from_index.detach().cpu().double().numpy())
    window = [_extent(lac, axis) for axis in range(3)]
    (z0, z1), (y0, y1), (x0, x1) = window
    values = np.zeros((z1 - z0 + 2 * PAD, y1 - y0 + 2 * PAD, x1 - x0 + 2 * PAD), np.float32)
    values[PAD:-PAD, PAD:-PAD, PAD:-PAD] = lac[z0:z1, y0:y1, x0:x1]
    offset = index_from_world[:3, 3] + PAD - np.array([x0, y0, z0], np.float64)
    linear = np.ascontiguousarray(index_from_world[:3, :3])
    return Prepared(values, linear, offset, volume.spacing)


def _extent(lac: npt.NDArray[np.floating], axis: int) -> tuple[int, int]:
    """First and last + 1 slice that holds any attenuation; one slice if there is none."""
    others = tuple(a for a in range(3) if a != axis)
    occupied = np.flatnonzero((lac != 0).any(axis=others))
    return (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 1)
