"""A volume made ready for the Triton kernels once, on its device, and kept as long as it lives."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from napari_xreg.images import Volume
from napari_xreg.rendering.derived import derived
from napari_xreg.rendering.prepared import PAD

Storage = Literal["float32", "uint16", "float16"]
STORAGES = ("float32", "uint16", "float16")

CELL = 8  # voxels along a side of an occupancy cell
_MOST_VOXELS = 2**31  # kernels count them in 31 bits


@dataclass(frozen=True, eq=False)
class DeviceVolume:
    """Attenuation cropped to where it is not zero, padded with zeros, in one row.

    Attributes
    ----------
    values
        Stored (z, y, x), then once more as (z, x, y) if `turned`: float32, or int32 of two 16-bit
        voxels each, a voxel and its neighbour along the last axis.
    storage
        Which of them.
    scale
        1/mm per unit of `values`.
    shape
        (z, y, x) with the padding.
    window
        The part (z, y, x) of the volume that is kept.
    grid
        World to index as the kernels read it, float64: 3 x 3 matrix, offset, index of the middle.
    cells
        Occupancy of blocks of 8 x 8 x 8 voxels and their neighbours, uint8, (z, y, x).
    empty
        Share of cells that are empty.
    voxels_per_mm
        At most, along any index axis.
    """

    values: Tensor
    storage: Storage
    turned: bool
    scale: float
    shape: tuple[int, int, int]
    window: tuple[slice, slice, slice]
    grid: Float[Tensor, "15"]
    cells: Tensor
    empty: float
    voxels_per_mm: float

    @property
    def bytes(self) -> int:
        """Memory taken on the device."""
        return self.values.nbytes + self.cells.nbytes + self.grid.nbytes


def on_device(volume: Volume, *, storage: Storage = "float32", turned: bool = True) -> DeviceVolume:
    """The padded copy of a volume on its own device, made once; anew after a change in place.

    Parameters
    ----------
    storage
        ``float32``; ``uint16``, in steps of 1/65535 of the largest attenuation; or ``float16``, in
        steps of 1/2048 of each value. The 16-bit kinds halve the number of loads, not the memory:
        every voxel is kept with its neighbour. Coordinates and sums are float32 always. A volume
        with negative attenuation stays float32 where ``uint16`` is asked.
    turned
        Keep a second copy with y contiguous, for rays that run along x. Half the memory without.
    """
    if storage not in STORAGES:
        raise ValueError(f"storage is one of {', '.join(STORAGES)}: got {storage!r}")
    key = ("cuda", storage, turned)
    return derived(volume, key, lambda: _make(volume, storage, turned))


def _make(volume: Volume, storage: Storage, turned: bool) -> DeviceVolume:
    lac = volume.lac.detach()
    window = _window(lac)
    z, y, x = window
    padded = functional.pad(lac[z, y, x].to(torch.float32), (PAD,) * 6)
    copies = 2 if turned else 1
    if copies * padded.numel() >= _MOST_VOXELS:
        raise ValueError(
            f"the CUDA kernels count voxels in 31 bits: got {tuple(lac.shape)} (z, y, x) "
            f"in {copies} copies; downsample or crop"
        )
    low, high = (float(v) for v in torch.aminmax(padded))
    if storage == "uint16" and (low < 0 or high <= 0):
        storage = "float32"
    scale = high / 65535 if storage == "uint16" else 1.0
    parts = [padded.reshape(-1)]
    if turned:
        parts.append(padded.transpose(1, 2).reshape(-1))
    row = torch.cat(parts) if turned else parts[0]
    # One more for the neighbour of the last.
    values = functional.pad(row, (0, 1)) if storage == "float32" else _pairs(row, storage, scale)
    nz, ny, nx = padded.shape
    grid = _grid(volume, (nz, ny, nx), (z.start, y.start, x.start))
    cells = _cells(padded)
    return DeviceVolume(
        values=values,
        storage=storage,
        turned=turned,
        scale=scale,
        shape=(nz, ny, nx),
        window=window,
        grid=grid.to(lac.device),
        cells=cells,
        empty=1.0 - float(cells.float().mean()),
        voxels_per_mm=float(grid[:9].reshape(3, 3).norm(dim=1).max()),
    )


def whole_grid(volume: Volume) -> Float[Tensor, "15"]:
    """`DeviceVolume.grid` of all voxels, empty ones too, with their padding."""
    z, y, x = (n + 2 * PAD for n in volume.shape)
    return _grid(volume, (z, y, x), (0, 0, 0)).to(volume.lac.device)


def _grid(volume: Volume, shape: tuple[int, int, int], start: tuple[int, int, int]) -> Tensor:
    inverse = torch.linalg.inv(volume.world_from_index.detach().cpu().double())
    first = torch.tensor(start[::-1], dtype=torch.float64)
    middle = (torch.tensor(shape[::-1], dtype=torch.float64) - 1) / 2
    return torch.cat([inverse[:3, :3].reshape(-1), inverse[:3, 3] + PAD - first, middle])


def _pairs(row: Tensor, storage: Storage, scale: float) -> Tensor:
    """Two 16-bit voxels in every int32: one, and the next of the row above it."""
    if storage == "uint16":
        bits = torch.round(row / scale).to(torch.int32)
    else:
        bits = row.to(torch.float16).view(torch.int16).to(torch.int32) & 0xFFFF
    above = functional.pad(bits[1:], (0, 1))
    # int32 has no unsigned shift; a high bit set makes the number negative, and that is meant.
    return bits | (above << 16)


def _cells(padded: Tensor) -> Tensor:
    """Blocks that hold attenuation, or have a neighbour that does."""
    held = (padded != 0).to(torch.float32)[None, None]
    blocks = functional.max_pool3d(held, CELL, CELL, ceil_mode=True)
    return functional.max_pool3d(blocks, 3, 1, 1)[0, 0].to(torch.uint8).contiguous()


def _window(lac: Tensor) -> tuple[slice, slice, slice]:
    """The part that holds any attenuation; one voxel if there is none."""
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        held = torch.nonzero((lac != 0).sum(others)).reshape(-1).tolist()
        slices.append(slice(held[0], held[-1] + 1) if held else slice(0, 1))
    z, y, x = slices
    return z, y, x
