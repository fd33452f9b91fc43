"""The patient in the room: the CT coarsely, the surface of its bone, and where a line meets it."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from skimage.measure import marching_cubes

from napari_xreg.geometry import reverse_axes
from napari_xreg.images import Volume, lac_from_hu
from napari_xreg.rendering import at_voxel_size
from napari_xreg.session import Rendering

BONE_HU = 250.0
VOXEL_MM = 4.0


@dataclass(frozen=True, eq=False)
class PatientModel:
    """What the room shows of a CT.

    Parameters
    ----------
    request
        What was asked.
    volume
        The CT at the coarse voxels.
    level
        Attenuation that counts as bone, 1/mm.
    vertices, faces
        Surface of the bone, mm, (z, y, x); empty where nothing is that dense.
    normals
        Outwards, of length 1, one for each vertex.
    """

    request: "PatientRequest"
    volume: Volume
    level: float
    vertices: Float[ndarray, "n 3"]
    faces: Int[ndarray, "m 3"]
    normals: Float[ndarray, "n 3"]

    def first_bone(
        self, origin: Float[ndarray, "3"], direction: Float[ndarray, "3"]
    ) -> Float[ndarray, "3"] | None:
        """Where a line first meets bone, coming from far behind `origin`; None where it does not.

        Parameters
        ----------
        origin
            A point of the line, mm, (z, y, x).
        direction
            Which way it looks, (z, y, x).
        """
        direction = direction / np.linalg.norm(direction)
        matrix = reverse_axes(self.volume.world_from_index).double().cpu().numpy()
        shape = np.array(self.volume.shape)
        middle = matrix[:3, :3] @ ((shape - 1) / 2) + matrix[:3, 3]
        half = 0.5 * np.linalg.norm(matrix[:3, :3] @ np.diag(shape), axis=0).sum()
        nearest = float((middle - origin) @ direction)
        step = 0.25 * min(self.volume.spacing)
        along = np.arange(nearest - half, nearest + half, step)
        inverse = np.linalg.inv(matrix)
        index = inverse[:3, :3] @ (origin[:, None] + direction[:, None] * along)
        index += inverse[:3, 3:]
        values = scipy.ndimage.map_coordinates(
            self.volume.lac.detach().cpu().numpy(), index, order=1, mode="constant", cval=0.0
        )
        dense = np.flatnonzero(values >= self.level)
        if not dense.size:
            return None
        i = int(dense[0])
        at = along[i]
        if i:
            at -= step * (values[i] - self.level) / max(values[i] - values[i - 1], 1e-12)
        found: ndarray = origin + direction * at
        return found


@dataclass(frozen=True, eq=False)
class PatientRequest:
    """A CT to be shown in the room; `answer` may run in any thread.

    Parameters
    ----------
    volume
        What is rendered (`Patient.rendering`).
    voxel_mm
        It is averaged to voxels of about this size.
    bone_hu
        What is denser is bone.
    """

    volume: Volume | Rendering
    voxel_mm: float = VOXEL_MM
    bone_hu: float = BONE_HU

    def answer(self) -> PatientModel:
        """Average, and find the surface by marching cubes (Lewiner 2003, scikit-image)."""
        ct = self.volume.restricted() if isinstance(self.volume, Rendering) else self.volume
        coarse = at_voxel_size(ct, self.voxel_mm)
        level = float(lac_from_hu(torch.tensor([self.bone_hu]))[0])
        # Air around it closes the surface where the CT ends.
        lac = np.pad(coarse.lac.detach().cpu().float().numpy(), 1)
        if not lac.min() < level < lac.max():
            none = np.zeros((0, 3))
            return PatientModel(self, coarse, level, none, np.zeros((0, 3), np.int64), none)
        index, faces, gradients, _ = marching_cubes(lac, level)
        matrix = reverse_axes(coarse.world_from_index).double().cpu().numpy()
        vertices = (index - 1.0) @ matrix[:3, :3].T + matrix[:3, 3]
        # A normal goes with the inverse transpose, whatever the grid's handedness.
        normals = gradients @ np.linalg.inv(matrix[:3, :3])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return PatientModel(self, coarse, level, vertices, faces.astype(np.int64), normals)
