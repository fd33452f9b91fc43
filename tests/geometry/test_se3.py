"""The left Jacobian against what it means, and against a case that is worked out by hand."""

import math

import pytest
import torch

from napari_xreg.geometry import Pose, left_jacobian

TWIST = torch.tensor([0.21, -0.14, 0.35, 12.0, -31.0, 7.5], dtype=torch.float64)


@pytest.mark.parametrize("axis", range(6))
def test_a_change_of_the_twist_is_a_motion_that_follows(axis):
    change = torch.zeros(6, dtype=torch.float64)
    change[axis] = 1e-6
    moved = Pose.exp(TWIST + change) @ Pose.exp(TWIST).inverse()
    torch.testing.assert_close(
        moved.log() / 1e-6, left_jacobian(TWIST)[:, axis], rtol=1e-4, atol=1e-4
    )


def test_of_a_quarter_turn_about_z():
    """The left Jacobian of SO(3): sin a / a, (1 - cos a) / a in the plane, 1 along the axis."""
    turn = torch.tensor([0.0, 0.0, 0.5, 0.0, 0.0, 0.0], dtype=torch.float64)
    found = left_jacobian(torch.stack([turn, torch.zeros_like(turn)]))
    s, c = math.sin(0.5) / 0.5, (1 - math.cos(0.5)) / 0.5
    block = torch.tensor([[s, -c, 0.0], [c, s, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(found[0, :3, :3], block)
    torch.testing.assert_close(found[0, 3:, 3:], block)
    torch.testing.assert_close(found[0, :3, 3:], torch.zeros(3, 3, dtype=torch.float64))
    torch.testing.assert_close(found[1], torch.eye(6, dtype=torch.float64))
