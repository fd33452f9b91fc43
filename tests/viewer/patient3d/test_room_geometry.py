"""The C-arm in the room: corners and texture worked out by hand."""

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.viewer.patient3d.room_geometry import back_projected, detector_plane, frustum, zyx

ISOCENTER = (10.0, 20.0, 30.0)


def _carm(mirrored=True):
    return CArm(1000.0, 700.0, Detector((4, 6), (2.0, 3.0), (1.0, 2.0), mirrored))


def _frontal(carm):
    # p = s = roll = 0: camera x, y, z are patient -x, -z, -y; the source is 700 mm behind the back.
    return carm.world_from_camera(0.0, 0.0, isocenter=ISOCENTER)


@pytest.mark.parametrize(("mirrored", "left", "right"), [(True, 2.5, 20.5), (False, 17.5, -0.5)])
def test_corners_are_the_outer_edges_of_the_corner_pixels(mirrored, left, right):
    # Column -0.5 is 2.5 pixels of 3 mm beside the principal point, row -0.5 is 1.5 of 2 mm above
    # it; column 5.5 is 3.5 pixels, row 3.5 is 2.5 pixels away. The plane is 300 mm in front.
    carm = _carm(mirrored)
    plane = detector_plane(carm, _frontal(carm))
    xyz = [(left, 33.0), (right, 33.0), (right, 25.0), (left, 25.0)]
    assert plane.vertices == pytest.approx(np.array([(z, -280.0, x) for x, z in xyz]))


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("pixel", [(0.0, 0.0), (3.0, 1.0), (1.25, 4.5)])
def test_a_pixel_of_the_texture_lies_where_its_ray_ends(mirrored, pixel):
    carm = _carm(mirrored)
    pose = carm.world_from_camera(
        35.0, -20.0, 12.0, isocenter=ISOCENTER, offset_mm=(5.0, -7.0, 11.0)
    )
    plane = detector_plane(carm, pose)
    row, column = pixel
    # napari's v is 1 at the top edge of the image; the middle of the first pixel is half a pixel in.
    wanted = np.array([(column + 0.5) / 6, 1 - (row + 0.5) / 4])
    source, rays = carm.rays(pose, torch.tensor([pixel], dtype=torch.float64))
    place = zyx(source + rays[0])
    origin, across, down = plane.vertices[[0, 1, 3]]
    shares = np.linalg.lstsq(np.stack([across - origin, down - origin], 1), place - origin)[0]
    u = plane.texcoords[0] + shares @ (plane.texcoords[[1, 3]] - plane.texcoords[0])
    assert u == pytest.approx(wanted)


def test_texture_of_the_first_pixel_by_hand():
    # Pixel (0, 0), mirrored: 2 pixels of 3 mm towards the patient's right, 1 of 2 mm up.
    carm = _carm()
    ray = back_projected(carm, _frontal(carm), torch.zeros(1, 2))
    assert ray[0, 0] == pytest.approx([30.0, 720.0, 10.0])
    assert ray[0].sum(axis=0) == pytest.approx([32.0, -280.0, 4.0])


def test_both_triangles_cover_the_plane():
    plane = detector_plane(_carm(), _frontal(_carm()))
    a, b, c = (plane.vertices[plane.faces[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    assert areas == pytest.approx([18.0 * 8.0 / 2] * 2)
    normals = np.cross(b - a, c - a)
    assert normals[0] @ normals[1] > 0


def test_lines_lead_from_the_source_around_the_detector_and_through_the_isocenter():
    carm = _carm()
    pose = _frontal(carm)
    lines = frustum(carm, pose)
    corners = detector_plane(carm, pose).vertices
    assert lines.shape == (9, 2, 3)
    assert lines[:4, 0] == pytest.approx(np.tile([30.0, 720.0, 10.0], (4, 1)))
    assert lines[:4].sum(axis=1) == pytest.approx(corners)
    assert lines[4:8, 0] == pytest.approx(corners)
    assert lines[4:8].sum(axis=1) == pytest.approx(np.roll(corners, -1, axis=0))
    start, extent = lines[8]
    assert extent == pytest.approx([0.0, -1000.0, 0.0])
    assert start + 0.7 * extent == pytest.approx([30.0, 20.0, 10.0])


def test_a_ray_of_a_projected_point_passes_through_it():
    carm = _carm()
    pose = carm.world_from_camera(-50.0, 15.0, 3.0, isocenter=ISOCENTER, offset_mm=(1.0, 2.0, 3.0))
    point = torch.tensor([[21.0, 4.0, 55.0]], dtype=torch.float64)
    start, extent = back_projected(carm, pose, carm.project(point, pose))[0]
    away = zyx(point)[0] - start
    unit = extent / np.linalg.norm(extent)
    assert np.linalg.norm(away - unit * (away @ unit)) < 1e-6
    assert away @ unit > 0
