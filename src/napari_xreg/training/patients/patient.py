"""A patient as a network learns from it: bone and soft tissue apart, and points to ask about."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Landmark, Volume, hu_from_lac
from napari_xreg.rendering import at_voxel_size, render_drr

BONE_HU = (150.0, 300.0)
"""From all soft to all bone, so that the division leaves no edge of its own in a rendering."""


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT made ready for training.

    Parameters
    ----------
    name
        For messages.
    bone, soft
        Attenuation of either kind on one coarse grid; they add up to the CT.
    points
        Candidates for 3D points, world (LPS) mm.
    isocenter
        Where the C-arm turns, world mm.
    landmarks
        Named points with their positions, if any are known.
    """

    name: str
    bone: Volume
    soft: Volume
    points: Float[Tensor, "n 3"]
    isocenter: Float[Tensor, "3"]
    landmarks: tuple[Landmark, ...] = ()

    def render(self, carm: CArm, poses: Pose) -> Float[Tensor, "views 2 rows columns"]:
        """Line integrals of bone and of soft tissue, in this order."""
        kinds = [
            render_drr(volume, carm, poses, method="joseph") for volume in (self.bone, self.soft)
        ]
        return torch.stack(kinds, 1)


def patient_from_volume(
    volume: Volume,
    *,
    labels: LabelMap | None = None,
    label_ids: Iterable[int] | None = None,
    landmarks: Iterable[Landmark] = (),
    bone_above_hu: float = 250.0,
    isocenter: Float[Tensor, "3"] | None = None,
    voxel_mm: float = 4.0,
    soft_points: float = 0.15,
    most_points: int = 60_000,
    seed: int = 0,
    name: str = "CT",
) -> Patient:
    """Make a patient of a CT.

    Parameters
    ----------
    volume
        With HU, or with attenuation of which HU are computed.
    labels, label_ids
        Points lie in these structures (all of them if no ids are given); see `bone_mask`.
    bone_above_hu
        Points in bone are denser.
    landmarks
        Of the patient; those without a position are left out.
    isocenter
        World mm. None: the middle of the points in bone.
    voxel_mm
        Of the grid the images are rendered from.
    soft_points
        Share of points anywhere in the body, so that a click beside a bone has an answer too.
    most_points
        Kept at random if there are more.
    seed
        Of that choice.

    Raises
    ------
    ValueError
        If the CT holds no bone, or the labels lie on another grid.
    """
    hu = volume.hu if volume.hu is not None else hu_from_lac(volume.lac)
    hu = hu.to(torch.float32)
    share = ((hu - BONE_HU[0]) / (BONE_HU[1] - BONE_HU[0])).clamp(0, 1)
    lac = volume.lac.to(torch.float32)
    bone = at_voxel_size(Volume(lac * share, volume.world_from_index), voxel_mm)
    soft = at_voxel_size(Volume(lac * (1 - share), volume.world_from_index), voxel_mm)
    generator = torch.Generator().manual_seed(seed)
    inside = bone_mask(volume, labels, label_ids, bone_above_hu)
    in_bone = points_in(volume, inside, most_points, generator)
    if not len(in_bone):
        raise no_bone(name, bone_above_hu)
    count = round(len(in_bone) * soft_points)
    elsewhere = points_in(volume, (hu > -300) & ~inside, count, generator)
    center = in_bone.mean(0) if isocenter is None else isocenter.double()
    placed = tuple(mark for mark in landmarks if mark.position is not None)
    return Patient(name, bone, soft, torch.cat([in_bone, elsewhere]), center, placed)


def no_bone(name: str, above_hu: float) -> ValueError:
    """The error of a CT in which there is nothing to sample points from."""
    return ValueError(
        f"{name} holds no voxel above {above_hu} HU to sample points from: choose a lower threshold, "
        "or give labels"
    )


def bone_mask(
    volume: Volume,
    labels: LabelMap | None,
    label_ids: Iterable[int] | None,
    bone_above_hu: float,
) -> Bool[Tensor, "z y x"]:
    """Voxels above a threshold, in HU; where there are labels, of the labelled structures.

    The marrow inside a labelled bone casts no edge: an encoder that was asked for it learned half
    as fast. Structures of which nothing is above the threshold are taken whole.
    """
    hu = volume.hu if volume.hu is not None else hu_from_lac(volume.lac)
    dense = hu > bone_above_hu
    if labels is None:
        return dense
    labels = labels.onto(volume)
    inside = labels.mask(labels.present() if label_ids is None else label_ids)
    both = inside & dense
    return both if bool(both.any()) else inside


def points_in(
    volume: Volume, mask: Bool[Tensor, "z y x"], most: int, generator: torch.Generator
) -> Float[Tensor, "n 3"]:
    """Centres of voxels of the mask, world mm, in random order; at most `most` of them."""
    flat = torch.from_numpy(np.flatnonzero(mask.cpu().numpy()))
    chosen = flat[torch.randperm(len(flat), generator=generator)[:most]]
    _, ny, nx = volume.shape
    index = torch.stack([chosen % nx, chosen // nx % ny, chosen // (nx * ny)], -1).double()
    matrix = volume.world_from_index.double().cpu()
    return index @ matrix[:3, :3].T + matrix[:3, 3]
