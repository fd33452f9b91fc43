"""A pelvis with a known answer: the offline sample, and a population to train and test on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from napari_xreg.images import TOTALSEGMENTATOR_NAMES, LabelMap, Volume, lac_from_hu
from napari_xreg.simulation.patient import PelvisShape
from napari_xreg.simulation.pelvis import pelvis_solids
from napari_xreg.simulation.solids import Solid
from napari_xreg.simulation.voxelise import voxelise


@dataclass(frozen=True, eq=False)
class Phantom:
    """A CT whose anatomy is known in closed form.

    Parameters
    ----------
    volume
        Attenuation and HU.
    labels
        TotalSegmentator ids on the same grid.
    landmarks
        The 14 points of DeepFluoro by name, world (LPS) mm.
    solids
        What the volume was made from, in order of painting.
    """

    volume: Volume
    labels: LabelMap
    landmarks: Mapping[str, tuple[float, float, float]]
    solids: tuple[Solid, ...]


def phantom(
    *,
    spacing_mm: float = 1.5,
    seed: int | None = None,
    shape: PelvisShape | None = None,
    origin_mm: tuple[float, float, float] = (11.0, -23.0, 640.0),
) -> Phantom:
    """Make a pelvis with L4, L5, sacrum, hips and proximal femora in soft tissue.

    Parameters
    ----------
    spacing_mm
        Of the cubic voxels. 1.5 takes about 2 seconds.
    seed
        A patient of the population. None: the mean one.
    shape
        A patient described in full; instead of `seed`.
    origin_mm
        World position (LPS) of the middle between the femoral heads.

    Raises
    ------
    ValueError
        If the spacing is not positive or too coarse to hold a bone, or both `seed` and `shape`
        are given.
    """
    if not 0.2 <= spacing_mm <= 10.0:
        raise ValueError(f"spacing_mm must lie between 0.2 and 10 mm: got {spacing_mm}")
    if seed is not None and shape is not None:
        raise ValueError("give either seed or shape: a shape is a patient in full")
    patient = shape or (PelvisShape() if seed is None else PelvisShape.random(seed))
    origin = np.asarray(origin_mm, dtype=np.float64)
    solids, landmarks = pelvis_solids(patient, origin)
    half = np.array([205.0 * patient.girth, 135.0 * patient.girth])
    low = origin + [-half[0], 8.0 - half[1], -150.0]
    high = origin + [half[0], 8.0 + half[1], 178.0]
    x, y, z = (int(n) for n in np.ceil((high - low) / spacing_mm))
    hu, ids = voxelise(solids, low, spacing_mm, (z, y, x))
    world_from_index = torch.eye(4, dtype=torch.float64)
    world_from_index[:3, :3] *= spacing_mm
    world_from_index[:3, 3] = torch.from_numpy(low)
    hu_tensor = torch.from_numpy(hu)
    names = {int(i): TOTALSEGMENTATOR_NAMES[int(i)] for i in np.unique(ids) if i}
    return Phantom(
        Volume(lac_from_hu(hu_tensor), world_from_index, hu_tensor),
        LabelMap(torch.from_numpy(ids), world_from_index, names),
        {name: (float(p[0]), float(p[1]), float(p[2])) for name, p in landmarks.items()},
        tuple(solids),
    )
