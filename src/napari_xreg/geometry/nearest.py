"""The rotation nearest to a matrix, of any dimension."""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST = 1e-5
"""Sums of singular values below it, in units of the entries, leave the answer open: damped."""


def nearest_rotation(matrix: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """The rotation R with the least sum of squares of ``matrix - R``.

    Differentiable once, also at a rotation, where the derivative of the singular value
    decomposition itself does not exist. Where the nearest rotation is not unique, one of them is
    returned and the gradient is damped.

    References
    ----------
    .. [1] Levinson et al., "An analysis of SVD for deep rotation estimation", NeurIPS 2020.
    """
    left, values, right = torch.linalg.svd(matrix.detach())
    sign = torch.ones_like(values)
    sign[..., -1] = torch.where(torch.linalg.det(left @ right) < 0, -1.0, 1.0)
    left, values = left * sign[..., None, :], values * sign
    # In the axes of both sides the matrix is diagonal, and so its skew part is nought; what it
    # would become turns the answer by that over the sums of two singular values each.
    inside = left.mT @ matrix @ right.mT
    sums = values[..., :, None] + values[..., None, :]
    turn = (inside - inside.mT) * sums / (sums.square() + _LEAST**2)
    return left @ (right + (turn - turn.detach()) @ right)
