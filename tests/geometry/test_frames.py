"""The two reorderings of axes, by hand."""

import pytest
import torch

from napari_xreg.geometry.axis_conventions import lps_from_ras, reverse_axes


def test_ras_points_change_sign_in_x_and_y():
    assert lps_from_ras(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[-1.0, -2.0, 3.0]]


def test_a_ras_affine_becomes_one_to_lps():
    """Voxel (1, 0, 0) of an oblique affine lies at RAS (11, 22, 33), so at LPS (-11, -22, 33)."""
    affine = torch.tensor([[1.0, 4, 7, 10], [2, 5, 8, 20], [3, 6, 10, 30], [0, 0, 0, 1]])
    got = lps_from_ras(affine) @ torch.tensor([1.0, 0, 0, 1])
    assert got.tolist() == [-11.0, -22.0, 33.0, 1.0]
    torch.testing.assert_close(lps_from_ras(lps_from_ras(affine)), affine)


def test_reversed_axes_change_the_order_of_coordinates_only():
    affine = torch.tensor([[1.0, 4, 7, 10], [2, 5, 8, 20], [3, 6, 10, 30], [0, 0, 0, 1]])
    x, y, z, _ = (affine @ torch.tensor([2.0, 3.0, 5.0, 1.0])).tolist()
    assert (reverse_axes(affine) @ torch.tensor([5.0, 3.0, 2.0, 1.0])).tolist() == [z, y, x, 1.0]


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="4 x 4 matrix or points"):
        lps_from_ras(torch.zeros(2, 2))
