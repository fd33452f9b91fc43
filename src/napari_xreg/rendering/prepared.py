"""A volume made ready for the CPU kernels once, and kept as long as the volume lives."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.images import Volume
from napari_xreg.rendering.checked import MOST_ALONG_AN_AXIS
from napari_xreg.rendering.derived import derived
from napari_xreg.rendering.threads import split, thread_count

FloatArray = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

# One zero voxel lets the interpolant fade out; the second catches the rounding of a float32
# coordinate at the edge, so that no kernel needs a bounds check per sample.
PAD = 2

_BLOCK = 2**18
"""Voxels that are worked on at a time: they stay in a processor's cache."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Attenuation cropped to where it is not zero, padded with zeros, contiguous.

    Attributes
    ----------
    values
        Stored (z, y, x), with `PAD` zero voxels on every side: float32, or uint16 when packed.
    row
        The same memory in one row as the kernels take it: float32, or uint32 at every 2 bytes, so
        that one load brings a packed voxel and its neighbour in x.
    scale
        1/mm per unit of `values`.
    window
        The part (z, y, x) of the volume that `values` holds.
    linear, offset
        World (mm) to index (x, y, z) of `values`: ``linear @ x + offset``.
    spacing
        Distance of voxel centres along the stored axes (x, y, z), mm.
    """

    values: npt.NDArray[np.float32] | npt.NDArray[np.uint16]
    row: npt.NDArray[np.float32] | npt.NDArray[np.uint32]
    scale: float
    window: tuple[slice, slice, slice]
    linear: Matrix
    offset: Matrix
    spacing: tuple[float, float, float]

    def __post_init__(self) -> None:
        if self.row.shape != (self.values.size,) or self.linear.shape != (3, 3):
            raise ValueError(
                "`row` is `values` in one row and `linear` is 3 x 3: got shapes "
                f"{self.row.shape}, {self.values.shape} and {self.linear.shape}"
            )

    @property
    def default_step_mm(self) -> float:
        """Half the smallest voxel spacing: two samples per voxel along its shortest edge."""
        return 0.5 * min(self.spacing)


def prepare(volume: Volume, *, packed: bool = False) -> Prepared:
    """The padded copy of a volume, made on the first call and remembered with the volume.

    It is made anew after ``volume.lac`` was changed in place by torch (an optimiser's step does
    that); a change through a numpy view of the same memory is not noticed.

    Parameters
    ----------
    packed
        Keep voxels as 16-bit integers, in steps of 1/65535 of the largest attenuation: 1.3 to 1.6
        times faster and half the memory, for relative errors of about 4e-6 in an image and 2e-4 in
        its Jacobian (of the largest values; the Jacobian is exactly that of the packed volume).
        Volumes with negative attenuation stay float32.
    """
    return derived(volume, ("prepared", packed), lambda: _make(volume, packed))


def scaled_above(prepared: Prepared, threshold: float, gain: float) -> Prepared:
    """The same volume with what exceeds a threshold scaled: ``v + gain max(v - threshold, 0)``.

    Parameters
    ----------
    threshold
        1/mm. With that of water, the excess is the bone.
    gain
        At least -1. A packed volume stays packed: its 65536 values are looked up, which takes a
        tenth of the time of preparing the scaled volume anew.

    Raises
    ------
    ValueError
        If the gain is below -1, which would turn bone into less than water.
    """
    if gain < -1:
        raise ValueError(f"the gain of what lies above a threshold is at least -1: got {gain}")
    if prepared.values.dtype == np.uint16:
        levels = np.arange(65536, dtype=np.float64) * prepared.scale
        levels += gain * np.maximum(levels - threshold, 0.0)
        largest = float(levels.max())
        table = np.rint(levels * (65535 / largest)).astype(np.uint16)
        memory = np.zeros(prepared.values.size + 1, np.uint16)
        packed = prepared.values.view(np.uint16)
        brighter = memory[:-1].reshape(packed.shape)

        def look_up(some: slice) -> None:
            np.take(table, packed[some], out=brighter[some], mode="clip")

        _by_blocks(look_up, prepared.values)
        return _packed(memory, largest / 65535, prepared)
    scaled = prepared.values - np.float32(threshold)
    np.maximum(scaled, 0, out=scaled)
    scaled *= np.float32(gain)
    scaled += prepared.values
    return replace(prepared, values=scaled, row=scaled.reshape(-1))


def _packed(memory: npt.NDArray[np.uint16], scale: float, like: Prepared) -> Prepared:
    """`memory` holds the voxels in order, and one more for the neighbour of the last."""
    values = memory[:-1].reshape(like.values.shape)
    return replace(like, values=values, row=_pairs(memory), scale=scale)


def _pairs(memory: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint32]:
    return np.ndarray((memory.size - 1,), np.uint32, memory.data, strides=(2,))


def _make(volume: Volume, packed: bool) -> Prepared:
    lac = volume.lac.detach().cpu().numpy()
    index_from_world = np.linalg.inv(volume.world_from_index.detach().cpu().double().numpy())
    z, y, x = window = _window(lac)
    inside = lac[window]
    shape = (len(inside) + 2 * PAD, *(n + 2 * PAD for n in inside.shape[1:]))
    if math.prod(shape) >= 2**31:
        raise ValueError(
            f"the CPU kernels count voxels in 31 bits: got {lac.shape} (z, y, x); downsample or crop"
        )
    if max(shape) > MOST_ALONG_AN_AXIS:
        raise ValueError(
            f"at most {MOST_ALONG_AN_AXIS} voxels along an axis can be rendered: got {lac.shape} "
            "(z, y, x); downsample or crop"
        )
    # Of what the kernels take; NaN wins. A volume checks that itself, and may be changed in place.
    smallest, largest = (float(end.float()) for end in torch.aminmax(torch.from_numpy(inside)))
    if not math.isfinite(smallest) or not math.isfinite(largest):
        raise ValueError("attenuation must be finite: the volume holds NaN or infinity")
    offset = index_from_world[:3, 3] + PAD - np.array([x.start, y.start, z.start], np.float64)
    linear = np.ascontiguousarray(index_from_world[:3, :3])
    pack = packed and largest > 0 and smallest >= 0
    # Packed, the row needs one more voxel: the neighbour of the last.
    memory = np.zeros(math.prod(shape) + pack, np.uint16 if pack else np.float32)
    padded = memory[: memory.size - pack].reshape(shape)
    middle = padded[tuple(slice(PAD, -PAD) for _ in shape)]
    factor = np.float32(65535 / largest) if pack else None

    def fill(some: slice) -> None:
        if factor is None:
            middle[some] = inside[some]
        else:
            scaled = inside[some].astype(np.float32)
            middle[some] = np.rint(np.multiply(scaled, factor, out=scaled), out=scaled)

    _by_blocks(fill, inside)
    row, scale = (_pairs(memory), largest / 65535) if pack else (memory, 1.0)
    return Prepared(padded, row, scale, window, linear, offset, volume.spacing)


def _window(lac: npt.NDArray[np.floating]) -> tuple[slice, slice, slice]:
    """What holds any attenuation, along every axis; one slice if there is none."""
    rows, columns = (np.zeros((len(lac), n), bool) for n in lac.shape[1:])

    def look(some: slice) -> None:
        there = lac[some] != 0
        np.any(there, axis=2, out=rows[some])
        np.any(there, axis=1, out=columns[some])

    _by_blocks(look, lac)
    occupied = rows.any(1), rows.any(0), columns.any(0)
    ends = (np.flatnonzero(axis)[[0, -1]] if axis.any() else (0, 0) for axis in occupied)
    z, y, x = (slice(int(first), int(last) + 1) for first, last in ends)
    return z, y, x


def _by_blocks(work: Callable[[slice], None], values: npt.NDArray[Any]) -> None:
    """A few slices at a time, in our threads: a temporary as large as a CT costs more than its sums."""
    few = max(1, _BLOCK // values[0].size)

    def blocks(start: int, stop: int) -> None:
        for first in range(start, stop, few):
            work(slice(first, min(first + few, stop)))

    split(blocks, len(values), threads=thread_count(), smallest=few)
