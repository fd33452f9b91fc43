"""Where a network looked, carried to the pixels of the radiograph."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.registration import Attention
from napari_xreg.training import FixedCamera

ARM = CArm(1000.0, 700.0, Detector((40, 56), (3.0, 2.5), (15.0, 31.0)))


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_bright_cell_lies_where_its_rays_meet_the_radiograph(mirrored):
    """A camera of 24 x 24 pixels of 5 mm at 1000 mm, its middle at 11.5, and cells of 6 pixels.

    The cell of row 1, column 2 has its middle at row 8.5, column 14.5 of the camera: -15 and 15 mm from the
    central ray. On the radiograph that is row 15 - 15 / 3 = 10 and column 31 + 15 / 2.5 = 37; 25 where one
    of the two is not mirrored.
    """
    cells = torch.zeros(4, 4)
    cells[1, 2] = 1.0
    camera = FixedCamera(1000.0, 24, 5.0, mirrored=mirrored).carm(ARM)
    found = Attention(cells, camera).over(ARM)
    assert found.shape == (40, 56)
    column = 37 if ARM.detector.mirrored == mirrored else 25
    assert found[10, column] == pytest.approx(1.0)
    assert found.argmax() == 10 * 56 + column
    # A cell is 30 mm: halfway to the next one half of it is left.
    assert found[15, column] == pytest.approx(0.5)
    # The camera ends 60 mm from the central ray: 20 rows, 24 columns.
    everywhere = Attention(torch.ones(4, 4), camera).over(ARM)
    assert everywhere[:36].all(dim=0)[8:55].all()
    assert not everywhere[36:].any()
    assert not everywhere[:, :7].any()


def test_of_a_part_of_the_radiograph_it_is_that_part():
    cells = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    looked = Attention(cells, FixedCamera(1000.0, 30, 5.0).carm(ARM))
    part = replace(ARM, detector=ARM.detector.crop(6, 11, 20, 33))
    torch.testing.assert_close(looked.over(part), looked.over(ARM)[6:26, 11:44])
