"""The patient in the room: a ball of bone, whose surface is known."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from napari_xreg.images import Volume, lac_from_hu
from napari_xreg.viewer.patient3d.room_patient import PatientRequest

CENTER = np.array([-12.0, 40.0, 105.0])  # x, y, z
RADIUS = 21.0


def _ball(mirrored=False):
    """Oblique grid of 2 x 2.5 x 3 mm; HU falls by 80 per mm through 250 at the radius."""
    turn = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
    linear = turn @ np.diag([2.0, 2.5, -3.0 if mirrored else 3.0])
    shape = np.array([40, 34, 28])  # x, y, z
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = CENTER + [1.0, -2.0, 1.5] - linear @ ((shape - 1) / 2)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    places = index @ linear.T + matrix[:3, 3]
    hu = 250.0 + 80.0 * (RADIUS - np.linalg.norm(places - CENTER, axis=-1))
    hu = torch.from_numpy(np.clip(hu, -1000, 1500).transpose(2, 1, 0).copy()).float()
    return Volume(lac_from_hu(hu), torch.from_numpy(matrix))


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_surface_is_the_ball_with_its_outside_out(mirrored):
    model = PatientRequest(_ball(mirrored), voxel_mm=1.0).answer()
    away = np.linalg.norm(model.vertices[:, ::-1] - CENTER, axis=1)
    assert away == pytest.approx(np.full(len(away), RADIUS), abs=0.35)
    # The volume that the triangles enclose, as seen in (x, y, z).
    a, b, c = (model.vertices[model.faces[:, i], ::-1] - CENTER for i in range(3))
    enclosed = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert abs(enclosed) == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.02)
    outwards = (model.vertices[:, ::-1] - CENTER) / away[:, None]
    along = (model.normals[:, ::-1] * outwards).sum(axis=1)
    assert along.min() > 0.9
    assert along.max() <= 1.0 + 1e-6


def test_a_line_meets_the_near_side():
    model = PatientRequest(_ball(), voxel_mm=1.0).answer()
    direction = np.array([0.3, -0.5, 0.8])
    direction /= np.linalg.norm(direction)
    aside = np.cross(direction, [0.0, 0.0, 1.0])
    aside *= 9.0 / np.linalg.norm(aside)
    # A point of the line far in front, at, and behind the ball: the same answer.
    for way in (-400.0, 0.0, 300.0):
        origin = CENTER + aside + way * direction
        found = model.first_bone(origin[::-1], 7.0 * direction[::-1])
        entry = CENTER + aside - math.sqrt(RADIUS**2 - 81.0) * direction
        assert found[::-1] == pytest.approx(entry, abs=0.3)


def test_a_line_beside_the_ball_meets_nothing():
    model = PatientRequest(_ball(), voxel_mm=1.0).answer()
    origin = CENTER + [0.0, 0.0, RADIUS + 4.0]
    assert model.first_bone(origin[::-1], np.array([0.0, 1.0, 0.0])) is None


def test_bone_that_reaches_the_end_of_the_ct_is_closed():
    hu = torch.full((6, 7, 8), 900.0)
    matrix = torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64))
    model = PatientRequest(Volume(lac_from_hu(hu), matrix), voxel_mm=2.0).answer()
    edges = np.sort(
        np.concatenate([model.faces[:, [0, 1]], model.faces[:, [1, 2]], model.faces[:, [2, 0]]]),
        axis=1,
    )
    _, counts = np.unique(edges, axis=0, return_counts=True)
    assert set(counts) == {2}
    assert np.ptp(model.vertices, axis=0) == pytest.approx([11.0, 13.0, 15.0], abs=1.5)


def test_nothing_dense_gives_no_surface():
    lac = lac_from_hu(torch.zeros(5, 6, 7))
    model = PatientRequest(Volume(lac, torch.eye(4, dtype=torch.float64))).answer()
    assert model.vertices.shape == (0, 3)
    assert model.faces.shape == (0, 3)
    assert model.first_bone(np.zeros(3), np.array([0.0, 1.0, 0.0])) is None


def test_the_bone_can_be_denser():
    loose, dense = (PatientRequest(_ball(), 1.0, hu).answer() for hu in (250.0, 650.0))
    sizes = [np.linalg.norm(m.vertices[:, ::-1] - CENTER, axis=1).mean() for m in (loose, dense)]
    assert sizes[0] - sizes[1] == pytest.approx(5.0, abs=0.3)  # 400 HU at 80 per mm
