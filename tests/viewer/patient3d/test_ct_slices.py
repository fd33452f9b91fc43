"""Slices of CTs stored in any direction: what is where, and which point lies under a pixel."""

import numpy as np
import pytest
import torch

from napari_xreg.images import Volume
from napari_xreg.viewer.patient3d.ct_slices import PLANES, SliceGrid

SIZE = (7, 5, 9)  # z, y, x of a grid along the patient's axes
MARK = (31.0, -12.0, 640.0)  # x left, y back, z up


def along_the_patient():
    """Voxels 2 x 3 x 5 mm (x, y, z), a bright one at `MARK`."""
    hu = torch.zeros(SIZE)
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    index = torch.tensor([6, 1, 4])  # x, y, z
    mark = torch.tensor(MARK, dtype=torch.float64)
    matrix[:3, 3] = mark - matrix[:3, :3] @ index.double()
    hu[4, 1, 6] = 900.0
    return Volume(torch.zeros(SIZE) + 0.01, matrix, hu)


def stored_otherwise(volume):
    """The same patient, its array stored (y, z, x) with x and z turned round."""
    hu = volume.hu.permute(1, 0, 2).flip(1, 2).contiguous()  # now (y, -z, -x)
    nz, _, nx = volume.shape
    old = volume.world_from_index
    # New index (i, j, k) along (-x, -z, y) is old (x, y, z) = (nx - 1 - i, k, nz - 1 - j).
    step = torch.zeros(4, 4, dtype=torch.float64)
    step[0, 0], step[0, 3] = -1.0, nx - 1.0
    step[1, 2] = 1.0
    step[2, 1], step[2, 3] = -1.0, nz - 1.0
    step[3, 3] = 1.0
    return Volume(torch.zeros(hu.shape) + 0.01, old @ step, hu)


# Where the mark is, in a slice: (row, column, slice), and the sides of each plane.
WHERE = {"axial": (1, 6, 4), "coronal": (2, 6, 1), "sagittal": (2, 1, 6)}
SHAPES = {"axial": (5, 9, 7), "coronal": (7, 9, 5), "sagittal": (7, 5, 9)}
SPACINGS = {"axial": (3.0, 2.0, 5.0), "coronal": (5.0, 2.0, 3.0), "sagittal": (5.0, 3.0, 2.0)}


@pytest.mark.parametrize("stored", [lambda v: v, stored_otherwise])
@pytest.mark.parametrize("plane", PLANES)
def test_the_head_is_up_and_the_patients_left_is_on_the_right(stored, plane):
    grid = SliceGrid(stored(along_the_patient()), plane)
    assert grid.shape == SHAPES[plane]
    assert grid.spacing == pytest.approx(SPACINGS[plane])
    row, column, number = WHERE[plane]
    picture = grid.picture(number)
    assert picture.shape == SHAPES[plane][:2]
    assert np.argwhere(picture > 0).tolist() == [[row, column]]
    assert grid.point(row, column, number) == pytest.approx(MARK)
    assert grid.place(MARK) == pytest.approx((row, column, number))
    # One row down, one column right, one slice on: where the patient goes.
    x, y, z = MARK
    moved = np.array(grid.point(row + 1, column + 1, number + 1)) - (x, y, z)
    assert moved == pytest.approx((2.0, 3.0, 5.0 if plane == "axial" else -5.0))


@pytest.mark.parametrize("plane", PLANES)
def test_an_oblique_grid_is_followed_exactly(plane):
    volume = along_the_patient()
    angle = np.deg2rad(14.0)
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = np.cos(angle)
    turn[0, 2], turn[2, 0] = np.sin(angle), -np.sin(angle)
    tilted = Volume(volume.lac, turn @ volume.world_from_index, volume.hu)
    grid = SliceGrid(tilted, plane)
    row, column, number = WHERE[plane]
    world = (turn @ torch.tensor([*MARK, 1.0], dtype=torch.float64))[:3].tolist()
    assert grid.picture(number)[row, column] == 900.0
    assert grid.point(row, column, number) == pytest.approx(world)
    back = grid.place(grid.point(1.3, 2.6, 0.4))
    assert back == pytest.approx((1.3, 2.6, 0.4))


def test_attenuation_is_shown_where_hu_are_not_known():
    volume = along_the_patient()
    plain = Volume(volume.hu / 1e5, volume.world_from_index)
    assert SliceGrid(plain, "axial").picture(4)[1, 6] == pytest.approx(0.009)


def test_another_plane_is_refused():
    with pytest.raises(ValueError, match="planes are"):
        SliceGrid(along_the_patient(), "frontal")
