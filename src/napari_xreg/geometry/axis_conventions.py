"""Axis conventions of other software, and the only file that flips an axis."""

import torch
from jaxtyping import Float
from torch import Tensor


def lps_from_ras(
    matrix_or_points: Float[Tensor, "*rows columns"],
) -> Float[Tensor, "*rows columns"]:
    """RAS world coordinates (NIfTI, Slicer) in LPS (DICOM, ITK, here); it is its own inverse.

    Parameters
    ----------
    matrix_or_points
        A 4 x 4 ``ras_from_index`` matrix, or points (..., 3) in RAS mm.

    Raises
    ------
    ValueError
        If the shape is neither.
    """
    value = matrix_or_points
    if tuple(value.shape[-2:]) == (4, 4):
        return value * value.new_tensor([-1.0, -1.0, 1.0, 1.0])[:, None]
    if value.shape[-1] == 3:
        return value * value.new_tensor([-1.0, -1.0, 1.0])
    raise ValueError(f"expected a 4 x 4 matrix or points (..., 3): got shape {tuple(value.shape)}")


def reverse_axes(matrix: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """An affine between (x, y, z) tuples as one between napari's (z, y, x) tuples, and back.

    ``matrix`` maps (x, y, z) to (x, y, z); the result maps (z, y, x) to (z, y, x). Only the order
    of the coordinates changes, no direction.
    """
    order = torch.tensor([2, 1, 0, 3])
    return matrix[order][:, order]
