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


def tilted(volume, degrees):
    """The patient turned about its y axis; where a point of it is now."""
    angle = np.deg2rad(degrees)
    turn = torch.eye(4, dtype=torch.float64)
    turn[0, 0] = turn[2, 2] = np.cos(angle)
    turn[0, 2], turn[2, 0] = np.sin(angle), -np.sin(angle)
    mark = (turn @ torch.tensor([*MARK, 1.0], dtype=torch.float64))[:3].tolist()
    return Volume(volume.lac, turn @ volume.world_from_index, volume.hu), tuple(mark)


@pytest.mark.parametrize("plane", PLANES)
def test_an_oblique_ct_is_cut_along_the_patients_axes(plane):
    volume = along_the_patient()
    volume.hu[3:6, 0:3, 5:8] = 900.0  # 6 x 9 x 15 mm about the mark
    volume, mark = tilted(volume, 30.0)
    grid = SliceGrid(volume, plane)
    row, column, number = (round(place) for place in grid.place(mark))
    picture = grid.picture(number)
    assert picture[row, column] == 900.0
    # Every pixel is bright exactly where the block is, by its size and turn alone.
    turn = volume.world_from_index.numpy()[:3, :3] / (2.0, 3.0, 5.0)
    for r in range(picture.shape[0]):
        for c in range(picture.shape[1]):
            away = np.abs(turn.T @ (np.array(grid.point(r, c, number)) - mark))
            assert (picture[r, c] == 900.0) == bool((away <= [3.0, 4.5, 7.5]).all())
    assert grid.value(mark) == 900.0
    # From end to end of a row, and of a column, one patient axis alone changes.
    rows, columns, _ = grid.shape
    for end in (grid.point(0, columns - 1, 1), grid.point(rows - 1, 0, 1)):
        moved = np.array(end) - grid.point(0, 0, 1)
        assert np.count_nonzero(np.abs(moved) > 1e-9) == 1
    assert grid.place(grid.point(1.3, 2.6, 0.4)) == pytest.approx((1.3, 2.6, 0.4))
    # x and z: steps of 2 mm / cos 30 (5 mm / sin 30 would be longer), of 2 / sin 30 = 4 mm.
    steps = {"axial": (3.0, 2.3094, 4.0), "coronal": (4.0, 2.3094, 3.0)}
    assert grid.spacing == pytest.approx(steps.get(plane, (4.0, 3.0, 2.3094)), abs=1e-4)
    # In its corners the box around a tilted CT is air.
    corner = grid.picture(0)[0, 0] if plane != "coronal" else grid.picture(2)[0, 0]
    assert corner == -1000.0
    assert grid.value(grid.point(-2, 0, 0)) is None


def test_a_fine_ct_is_not_cut_finer_than_a_screen():
    wide = Volume(torch.zeros(2, 3, 3001) + 0.01, torch.diag(torch.tensor([0.1, 2.0, 2.0, 1.0])))
    assert SliceGrid(wide, "coronal").picture(1).shape == (2, 1025)


def test_attenuation_is_shown_where_hu_are_not_known():
    volume = along_the_patient()
    plain = Volume(volume.hu / 1e5, volume.world_from_index)
    assert SliceGrid(plain, "axial").picture(4)[1, 6] == pytest.approx(0.009)


def test_another_plane_is_refused():
    with pytest.raises(ValueError, match="planes are"):
        SliceGrid(along_the_patient(), "frontal")
