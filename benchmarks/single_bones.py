"""Single bones, cut from the CTs of the benchmarks as a user cuts them with a label map."""

from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_xreg.images import LabelMap, Volume

BONES = MappingProxyType(
    {
        "femur": ("pelvis_totalseg", 76),
        "hip_bone": ("pelvis_totalseg", 77),
        "vertebra": ("chest_lidc", 32),
        "humerus": ("chest_lidc", 70),
        "scapula": ("chest_lidc", 71),
        "rib": ("chest_lidc", 97),
        "hip_joint": ("hip_sts020", None),
        "knee_joint": ("knee_sts013", None),
        "phantom_femur": ("phantom", 75),
        "phantom_sacrum": ("phantom", 25),
    }
)
"""CT and TotalSegmentator id; None: the largest piece denser than `BONE_HU`."""

BONE_HU = 250.0
POINTS, SEED = 20, 1


def cut(volume: Volume, labels: LabelMap | None, label: int | None) -> Volume:
    """A bone with nothing around it: -1000 HU."""
    assert volume.hu is not None
    if label is None:
        pieces, _ = ndimage.label((volume.hu > BONE_HU).numpy())
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        inside = torch.from_numpy(pieces == sizes.argmax())
    else:
        assert labels is not None
        inside = labels.ids == label
    hu, lac = volume.hu.float(), volume.lac
    return Volume(
        torch.where(inside, lac, 0.0),
        volume.world_from_index,
        hu=torch.where(inside, hu, -1000.0),
    )


def points_of(volume: Volume) -> tuple[Tensor, Tensor]:
    """20 points of what is dense [20, 3], and its middle [3], world mm."""
    assert volume.hu is not None
    z, y, x = np.nonzero((volume.hu > BONE_HU).numpy())
    index = np.stack([x, y, z, np.ones_like(x)], -1).astype(np.float64)
    world = (index @ volume.world_from_index.double().numpy().T)[:, :3]
    chosen = farthest_points(world, POINTS, SEED)
    return torch.from_numpy(chosen), torch.from_numpy(world.mean(0))


def farthest_points(points: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """A seeded first point, then always the one farthest from all chosen."""
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return points[chosen]
