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
    window
        The part (z, y, x) of the volume that `values` holds.
    linear, offset
        World (mm) to index (x, y, z) of `values`: ``linear @ x + offset``.
    spacing
        Distance of voxel centres along the stored axes (x, y, z), mm.
    """

    values: FloatArray
    window: tuple[slice, slice, slice]
    linear: Matrix
    offset: Matrix
    spacing: tuple[float, float, float]

    @property
    def default_step_mm(self) -> float:
        """Half the smallest voxel spacing: two samples per voxel along its shortest edge."""
        return 0.5 * min(self.spacing)


_cache: "WeakKeyDictionary[Volume, tuple[int, Prepared]]" = WeakKeyDictionary()
_lock = threading.Lock()


def prepare(volume: Volume) -> Prepared:
    """The padded copy of a volume, made on the first call and remembered with the volume.

    It is made anew after ``volume.lac`` was changed in place by torch (an optimiser's step does
    that); a change through a numpy view of the same memory is not noticed.
    """
    # Tensors made in inference mode keep no version, and cannot be changed outside of it.
    version = 0 if volume.lac.is_inference() else volume.lac._version
    with _lock:
        found = _cache.get(volume)
    if found is None or found[0] != version:
        found = (version, _make(volume))
        with _lock:
            _cache[volume] = found
    return found[1]


def _make(volume: Volume) -> Prepared:
    lac = volume.lac.detach().cpu().numpy()
    index_from_world = np.linalg.inv(volume.world_from_index.detach().cpu().double().numpy())
    z, y, x = (slice(*_extent(lac, axis)) for axis in range(3))
    values = np.pad(lac[z, y, x].astype(np.float32), PAD)
    offset = index_from_world[:3, 3] + PAD - np.array([x.start, y.start, z.start], np.float64)
    linear = np.ascontiguousarray(index_from_world[:3, :3])
    return Prepared(values, (z, y, x), linear, offset, volume.spacing)


def _extent(lac: npt.NDArray[np.floating], axis: int) -> tuple[int, int]:
    """First and last + 1 slice that holds any attenuation; one slice if there is none."""
    others = tuple(a for a in range(3) if a != axis)
    occupied = np.flatnonzero((lac != 0).any(axis=others))
    return (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 1)
