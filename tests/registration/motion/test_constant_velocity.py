"""What is expected next, worked out by hand."""

import math

import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import moved_on, step_between

PIVOT = torch.tensor([10.0, 0.0, 5.0], dtype=torch.float64)


def turned(degrees: float, x: float) -> Pose:
    """About an axis along z through the pivot, which has then moved along x."""
    angle = math.radians(degrees)
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Pose(turn, PIVOT - turn @ PIVOT + torch.tensor([x, 0.0, 0.0], dtype=torch.float64))


def test_a_pure_shift_goes_on():
    found = moved_on(turned(0, 1.0), turned(0, 3.0), 2.0, PIVOT)
    torch.testing.assert_close(found.translation, torch.tensor([7.0, 0.0, 0.0]).double())
    torch.testing.assert_close(found.rotation, torch.eye(3).double())


def test_a_turn_about_the_pivot_goes_on_about_the_pivot():
    """About another point the middle of the body would be thrown off."""
    found = moved_on(turned(10, 0.0), turned(25, 0.0), 2.0, PIVOT)
    torch.testing.assert_close(found.matrix(), turned(55, 0.0).matrix())


def test_half_way_back_and_the_shortest_turn():
    found = moved_on(turned(-170, 0.0), turned(170, 0.0), -0.5, PIVOT)
    torch.testing.assert_close(found.matrix(), turned(180, 0.0).matrix(), atol=1e-9, rtol=0)


def test_a_step_is_the_perturbation_that_makes_it():
    twist = torch.tensor([0.1, -0.2, 0.3, 4.0, -5.0, 6.0], dtype=torch.float64)
    one = turned(33, 2.0)
    torch.testing.assert_close(step_between(one, one.left_perturb(twist, PIVOT), PIVOT), twist)


def test_what_is_not_quite_a_rotation_does_not_become_less_so():
    """Sixty frames, each expected from the two before: an error of a single-precision pose stays what it was."""
    before, last = turned(0, 0.0), turned(3, 1.0)
    last = Pose(last.rotation * (1 + 1e-6), last.translation)
    for _ in range(60):
        before, last = last, moved_on(before, last, 1.0, PIVOT)
    eye = torch.eye(3, dtype=torch.float64)
    torch.testing.assert_close(last.rotation @ last.rotation.mT, eye, atol=1e-12, rtol=0)
    torch.testing.assert_close(last.rotation, turned(3 * 61, 0.0).rotation, atol=1e-4, rtol=0)
