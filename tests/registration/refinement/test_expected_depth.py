"""What is known of the depth beforehand: a term of the loss, against differences worked out by hand."""

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.second_order.depth import (
    SAYS_LITTLE,
    DepthPull,
    ExpectedDepth,
)

PIVOT = torch.tensor([5.0, -3.0, 8.0], dtype=torch.float64)


def poses() -> Pose:
    """Two cameras; the second looks along world x from 400 mm before the pivot."""
    along_x = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).double()
    rotation = torch.stack([torch.eye(3, dtype=torch.float64), along_x])
    translation = torch.stack([PIVOT - torch.tensor([7.0, 9.0, 500.0]), PIVOT - 0.0])
    translation[1, 0] -= 400.0
    return Pose(rotation, translation)


def test_it_costs_a_share_of_the_loss_by_its_deviations():
    pull = DepthPull(ExpectedDepth(440.0, 20.0), PIVOT, torch.tensor([0.5, 0.2]).double())
    # 3 and 2 standard deviations off.
    wanted = SAYS_LITTLE * torch.tensor([0.5 * 4.5, 0.2 * 2.0]).double()
    assert torch.allclose(pull.loss((poses(),)), wanted, atol=1e-12)


def test_its_slopes_are_those_of_the_twist():
    pull = DepthPull(ExpectedDepth(440.0, 20.0), PIVOT, torch.ones(2, dtype=torch.float64))
    step, at = 1e-4, poses()
    for axis in range(6):
        twist = torch.zeros(2, 6, dtype=torch.float64)
        twist[:, axis] = step
        ahead, behind = (at.left_perturb(sign * twist, PIVOT) for sign in (1.0, -1.0))
        slope = (pull.loss((ahead,)) - pull.loss((behind,))) / (2 * step)
        assert torch.allclose(pull.gradient((at,))[:, axis], slope, atol=1e-9)
        bend = (pull.gradient((ahead,)) - pull.gradient((behind,))) / (2 * step)
        # Of Gauss and Newton: how the line of sight turns is left out.
        assert torch.allclose(pull.hessian((at,))[:, axis, 3:], bend[:, 3:] * (axis > 2), atol=1e-7)


def test_a_depth_is_known_within_something():
    with pytest.raises(ValueError, match=r"within something: got 0\.0 mm"):
        ExpectedDepth(700.0, 0.0)
