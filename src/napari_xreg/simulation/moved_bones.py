"""Bones that have moved since the CT: where they turn, and how they are cut out of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
import torch
from numpy.typing import NDArray

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap

# TotalSegmentator ids of the bones that move at a joint, and of the bones they move against.
MOVABLE: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "humerus_left": (69, (71,)),
    "humerus_right": (70, (72,)),
    "scapula_left": (71, (73, 69)),
    "scapula_right": (72, (74, 70)),
    "clavicula_left": (73, (71, 116)),
    "clavicula_right": (74, (72, 116)),
    "femur_left": (75, (77,)),
    "femur_right": (76, (78,)),
}

# What takes the place of a bone that moved away: muscle, HU 50.
FILL = 1.05


@dataclass(frozen=True, eq=False)
class BoneMotion:
    """A bone's rigid motion: world_from_rest maps where it lies in the CT to where it is now."""

    label: int
    world_from_rest: Pose


@dataclass(frozen=True, eq=False)
class BonePart:
    """A bone cut out of the CT: its own small grid, padded with `outside`."""

    relative: NDArray[np.float32]
    index_from_grid: NDArray[np.float64]
    motion: Pose
    outside: float = FILL


def random_bone_motions(
    labels: LabelMap, sigma_deg: float, sigma_mm: float, rng: np.random.Generator
) -> dict[str, BoneMotion]:
    """A random rotation about its joint, and a shift, for each bone that can move.

    The joint is the middle of the bone's voxels next to the bones it moves against; where these
    are not in the CT, the middle of the bone. Normal per axis; world axes.
    """
    present = set(labels.present())
    motions = {}
    for name, (label, neighbours) in MOVABLE.items():
        omega = np.deg2rad(rng.normal(0.0, sigma_deg, 3))
        shift = rng.normal(0.0, sigma_mm, 3)
        if label not in present:
            continue
        pivot = _joint(labels, label, [n for n in neighbours if n in present])
        twist = torch.from_numpy(np.concatenate([omega, shift]))
        rest = Pose.identity(dtype=torch.float64)
        motions[name] = BoneMotion(label, rest.left_perturb(twist, pivot))
    return motions


def cut_out_bones(
    relative: NDArray[np.float32], labels: LabelMap, motions: Mapping[str, BoneMotion]
) -> tuple[NDArray[np.float32], list[BonePart]]:
    """The CT with muscle where bones were, and each bone in muscle by itself."""
    rest = relative.copy()
    ids = labels.ids.numpy()
    parts = []
    for motion in motions.values():
        box = _bounding_box(ids == motion.label, margin=2)
        inside = ids[box] == motion.label
        # Partial-volume voxels around the bone go with it, unless they belong to another bone.
        grown = (
            scipy.ndimage.binary_dilation(inside)
            & ((ids[box] == 0) | inside)
            & (relative[box] > FILL)
        )
        piece = np.where(grown | inside, relative[box], FILL).astype(np.float32)
        parts.append(BonePart(piece, _shift(box), motion.world_from_rest))
        window = rest[box]
        window[grown | inside] = FILL
    return rest, parts


def _joint(labels: LabelMap, label: int, neighbours: list[int]) -> torch.Tensor:
    ids = labels.ids.numpy()
    box = _bounding_box(ids == label, margin=3)
    bone = ids[box] == label
    others = np.isin(ids[box], neighbours)
    if others.any():
        matrix = labels.world_from_index.double().numpy()
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)[::-1]
        distance = scipy.ndimage.distance_transform_edt(~others, sampling=spacing)
        near = bone & (distance < distance[bone].min() + 8.0)
        bone = near if near.any() else bone
    z, y, x = (np.mean(c) + s.start for c, s in zip(np.nonzero(bone), box, strict=True))
    place = torch.tensor([x, y, z, 1.0], dtype=torch.float64)
    return (labels.world_from_index.double() @ place)[:3]


def _bounding_box(mask: NDArray[np.bool_], *, margin: int) -> tuple[slice, slice, slice]:
    found = scipy.ndimage.find_objects(mask.astype(np.uint8))[0]
    z, y, x = (
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(found, mask.shape, strict=True)
    )
    return z, y, x


def _shift(box: tuple[slice, slice, slice]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = [-box[2].start, -box[1].start, -box[0].start]
    return matrix
