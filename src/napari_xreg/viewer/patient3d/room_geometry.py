"""The C-arm in the room as napari's arrays: lines, a plane that carries its radiograph, rays.

Everything lies in patient LPS millimetres in napari's order (z, y, x), and comes from `CArm.rays`,
the one that rendering uses.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from napari_xreg.geometry import CArm, Pose

CORNERS = ("top left", "top right", "bottom right", "bottom left")
"""Of the image as stored: the order of every array of corners here."""


@dataclass(frozen=True, eq=False)
class DetectorPlane:
    """Two triangles and how an image lies on them.

    Parameters
    ----------
    vertices
        Outer edges of the corner pixels, in the order of `CORNERS`.
    faces
        Their triangles.
    texcoords
        (u, v) of every vertex as napari takes them: u grows with the column, v against the row,
        both from edge to edge of the image.
    """

    vertices: Float[ndarray, "4 3"]
    faces: Int[ndarray, "2 3"]
    texcoords: Float[ndarray, "4 2"]


def zyx(points: Float[Tensor, "*n 3"]) -> Float[ndarray, "*n 3"]:
    """World points (x, y, z) in napari's order."""
    return points.detach().cpu().double().numpy()[..., ::-1].copy()


def detector_plane(carm: CArm, world_from_camera: Pose) -> DetectorPlane:
    """Where the detector stands."""
    return DetectorPlane(
        _corners(carm, world_from_camera),
        np.array([[0, 1, 2], [0, 2, 3]]),
        np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
    )


def frustum(carm: CArm, world_from_camera: Pose) -> Float[ndarray, "n 2 3"]:
    """Start and extent of lines: from the source to the corners, the detector's outline, and the
    central ray (to the principal point).
    """
    corners = _corners(carm, world_from_camera)
    central = back_projected(carm, world_from_camera, torch.tensor([carm.detector.center]))
    source = np.broadcast_to(central[0, 0], corners.shape)
    edges = np.stack([corners, np.roll(corners, -1, axis=0) - corners], 1)
    return np.concatenate([np.stack([source, corners - source], 1), edges, central])


def back_projected(
    carm: CArm, world_from_camera: Pose, pixels: Float[Tensor, "n 2"]
) -> Float[ndarray, "n 2 3"]:
    """Start (the source) and extent of the rays that meet the detector at (row, column)."""
    pose = world_from_camera.to(dtype=torch.float64)
    source, rays = carm.rays(pose, pixels.double())
    return np.stack([np.broadcast_to(zyx(source), tuple(rays.shape)), zyx(rays)], 1)


def _corners(carm: CArm, world_from_camera: Pose) -> Float[ndarray, "4 3"]:
    bottom, right = (n - 0.5 for n in carm.detector.shape)
    pixels = torch.tensor([[-0.5, -0.5], [-0.5, right], [bottom, right], [bottom, -0.5]])
    return back_projected(carm, world_from_camera, pixels).sum(axis=1)
