"""Bones cut out of a CT, so that each can move by itself and the rest stays whole."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import scipy
import torch

from napari_xreg.images import LabelMap, Volume, water_attenuation

Array = npt.NDArray[np.float32]

SOFT = (0.85, 1.15)
"""Attenuation over that of water: fat and muscle."""

AROUND_MM = 8.0
"""Standard deviation of the Gaussian over which soft tissue is averaged: what lies next to a bone."""

MARGIN_MM = 3 * AROUND_MM


def cut_bodies(
    volume: Volume, labels: LabelMap, groups: Sequence[Iterable[int]]
) -> tuple[Volume, ...]:
    """The CT without some bones, and each of them by itself; in the CT's pose they add up to it.

    Where a bone was there is soft tissue, as dense as what lies beside it; a bone is what it is denser than
    that. So a bone that moves leaves no hole of air and brings no soft tissue twice.

    Parameters
    ----------
    volume
        The CT.
    labels
        On its grid.
    groups
        Label ids of each bone.

    Returns
    -------
    tuple of Volume
        What is left, on the grid of the CT; then every bone, cropped. None has HU: they are no tissue.

    Raises
    ------
    ValueError
        If the grids differ, an id is in two groups, or none of a group's ids occurs.
    """
    labels.check_grid(volume)
    wanted = [frozenset(group) for group in groups]
    several = [i for i in frozenset().union(*wanted) if sum(i in group for group in wanted) > 1]
    if several:
        raise ValueError(f"label {min(several)} is in two bones: a voxel moves with one of them")
    rest = volume.lac.detach().cpu().float().numpy().copy()
    water, ids = water_attenuation(volume), labels.ids.detach().cpu().numpy()
    margins = [max(2, round(MARGIN_MM / spacing)) for spacing in reversed(volume.spacing)]
    bones = []
    for group in wanted:
        inside = labels.mask(group).cpu().numpy()
        box = _box(inside, margins)
        before, own = rest[box], inside[box]
        fill = _soft_tissue_beside(before, ids[box], volume.spacing, water)
        # Half of a voxel of the surface is bone, which a label map leaves out as often as not.
        surface = scipy.ndimage.binary_dilation(own) & (ids[box] == 0) & (before > fill)
        bone = own | surface
        bones.append(_part(volume, np.where(bone, before - fill, np.float32(0.0)), box))
        rest[box] = np.where(bone, fill, before)
    return replace(volume, lac=torch.from_numpy(rest), hu=None), *bones


def _box(inside: npt.NDArray[np.bool_], margins: Sequence[int]) -> tuple[slice, slice, slice]:
    (found,) = scipy.ndimage.find_objects(inside.astype(np.uint8))
    z, y, x = (
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, margin, n in zip(found, margins, inside.shape, strict=True)
    )
    return z, y, x


def _soft_tissue_beside(
    lac: Array, ids: npt.NDArray[np.integer], spacing: Sequence[float], water: float
) -> Array:
    """Attenuation of fat and muscle averaged over what is near; water where there is none."""
    soft = (ids == 0) & (lac > SOFT[0] * water) & (lac < SOFT[1] * water)
    sigma = [AROUND_MM / s for s in reversed(spacing)]
    weight = scipy.ndimage.gaussian_filter(soft.astype(np.float32), sigma)
    total = scipy.ndimage.gaussian_filter(np.where(soft, lac, np.float32(0.0)), sigma)
    some = weight > 1e-3
    return np.where(some, total / np.where(some, weight, 1.0), np.float32(water)).astype(np.float32)


def _part(volume: Volume, lac: Array, box: tuple[slice, slice, slice]) -> Volume:
    matrix = volume.world_from_index.detach().cpu().double()
    first = torch.tensor([box[2].start, box[1].start, box[0].start], dtype=torch.float64)
    placed = matrix.clone()
    placed[:3, 3] = matrix[:3, :3] @ first + matrix[:3, 3]
    return Volume(torch.from_numpy(lac), placed)
