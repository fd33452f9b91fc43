"""Solids on a grid: exact coverage along x, averaged over sub-lines in y and z."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_xreg.simulation.solids import Array, Solid

# Voxels in the box of a solid beyond which one line per row of voxels has to do: the body's own
# outline is smooth, and its partial volumes lie in air.
LARGE_BOX = 1_500_000


def voxelise(
    solids: Sequence[Solid],
    origin: Array,
    spacing_mm: float,
    shape: tuple[int, int, int],
    *,
    background_hu: float = -1000.0,
    lines_per_side: int = 2,
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """CT numbers and labels of solids, later ones replacing earlier ones.

    Parameters
    ----------
    solids
        In order of painting.
    origin
        World position of the centre of voxel (0, 0, 0), mm; grid axes are world axes.
    spacing_mm
        Of the grid.
    shape
        Voxels (z, y, x).
    background_hu
        Where there is no solid.
    lines_per_side
        Lines per row of voxels are the square of this; coverage along a line is exact.

    Returns
    -------
    hu, labels
        A voxel covered in part holds the mixture, and the label of what covers at least half.
    """
    hu = np.full(shape, background_hu, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.int16)
    for solid in solids:
        for slab, share in slabs(solid, origin, spacing_mm, shape, lines_per_side):
            values = hu[slab]
            values += share * (np.float32(solid.hu) - values)
            labels[slab][share >= 0.5] = solid.label
    return hu, labels


def slabs(
    solid: Solid, origin: Array, spacing: float, shape: tuple[int, int, int], lines_per_side: int
) -> Iterator[tuple[tuple[slice, slice, slice], NDArray[np.float32]]]:
    """The boxes of voxels that a solid touches and its share of them, a slab at a time.

    The coverage of a large solid as a whole would not fit into the cache.
    """
    box = _box(solid, origin, spacing, shape)
    if box is None:
        return
    depth, height, width = (s.stop - s.start for s in box)
    sub = lines_per_side if depth * height * width <= LARGE_BOX else 1
    thickness = max(1, 2_000_000 // (height * width * sub * sub))
    for z in range(box[0].start, box[0].stop, thickness):
        slab = (slice(z, min(z + thickness, box[0].stop)), box[1], box[2])
        yield slab, _coverage(solid, slab, origin, spacing, sub)


def _coverage(
    solid: Solid, box: tuple[slice, slice, slice], origin: Array, spacing: float, sub: int
) -> NDArray[np.float32]:
    """Share of each voxel of the box that the solid covers."""
    offsets = (np.arange(sub) + 0.5) / sub - 0.5
    z = (np.arange(box[0].start, box[0].stop)[:, None] + offsets) * spacing + origin[2]
    y = (np.arange(box[1].start, box[1].stop)[:, None] + offsets) * spacing + origin[1]
    lines = np.zeros((z.shape[0], y.shape[0], sub, sub, 3))
    lines[..., 1] = y[None, :, None, :]
    lines[..., 2] = z[:, None, :, None]
    # In units of voxels from the left edge of the box, so that t is the position on the grid.
    lines[..., 0] = origin[0] + (box[2].start - 0.5) * spacing
    hull, holes = solid.intervals(lines, np.array([spacing, 0.0, 0.0]))
    count = box[2].stop - box[2].start
    share = _covered(*hull, count)
    for hole in holes:
        share -= _covered(*hole, count)
    return share


def _covered(first: Array, last: Array, count: int) -> NDArray[np.float32]:
    """Share of each of `count` unit cells between `first` and `last`, averaged over sub-lines."""
    a = np.clip(first, 0, count).astype(np.float32)[..., None]
    b = np.clip(last, 0, count).astype(np.float32)[..., None]
    cells = np.arange(count, dtype=np.float32)
    total = np.zeros((*first.shape[:2], count), dtype=np.float32)
    for i in range(first.shape[2]):
        for j in range(first.shape[3]):
            # b < a for a miss: the smaller of the two clips leaves nothing.
            part = np.minimum(b[:, :, i, j], cells + 1) - np.maximum(a[:, :, i, j], cells)
            total += np.maximum(part, 0.0, out=part)
    total /= first.shape[2] * first.shape[3]
    return total


def _box(
    solid: Solid, origin: Array, spacing: float, shape: tuple[int, int, int]
) -> tuple[slice, slice, slice] | None:
    """Voxels that the solid may touch, (z, y, x)."""
    size = np.array(shape[::-1])
    low, high = solid.bounds()
    first = np.clip(np.floor((low - origin) / spacing + 0.5), 0, size).astype(int)
    last = np.clip(np.ceil((high - origin) / spacing + 0.5), 0, size).astype(int)
    if np.any(last <= first):
        return None
    x, y, z = (slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    return z, y, x
