"""Where a bone-only CT ends because somebody cut it: there the rendered bone has an edge, the real none."""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume

ALIKE = 0.8
"""An end whose cross-section has this share of that `INSIDE_MM` further in was cut: bones taper."""

INSIDE_MM, INSIDE_SLICES = 4.0, 3
"""At least; of thick slices three, or the side of a thin bone would look like a cut."""


def cut_end_points(volume: Volume) -> Float[Tensor, "n 3"]:
    """The voxels of all ends of the filled part that are cut flat along an axis of the grid.

    Parameters
    ----------
    volume
        Zero around the bone.

    Returns
    -------
    Tensor
        World, mm, float64; none where every end tapers.
    """
    lac = volume.lac.detach().cpu().numpy()
    filled = lac > 0
    found = []
    for axis, spacing in zip((2, 1, 0), volume.spacing, strict=True):
        others = tuple(a for a in range(3) if a != axis)
        areas = filled.sum(axis=others)
        occupied = np.flatnonzero(areas)
        if not occupied.size:
            break
        further = max(INSIDE_SLICES, round(INSIDE_MM / spacing))
        for end, inwards in ((int(occupied[0]), 1), (int(occupied[-1]), -1)):
            inside = end + inwards * further
            if occupied[0] <= inside <= occupied[-1] and areas[end] >= ALIKE * areas[inside] > 0:
                found.append(_slice_points(filled, axis, end))
    if not found:
        return torch.zeros((0, 3), dtype=torch.float64)
    index = torch.from_numpy(np.concatenate(found))
    matrix = volume.world_from_index.detach().cpu().double()
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def _slice_points(filled: npt.NDArray[np.bool_], axis: int, at: int) -> npt.NDArray[np.float64]:
    """Filled voxels (x, y, z) of one slice across an axis of the array (z, y, x)."""
    places = np.argwhere(np.take(filled, at, axis=axis))
    return np.insert(places, axis, at, axis=1)[:, ::-1].astype(np.float64)
