"""The overlap of soft masks, by hand."""

import math

import pytest
import torch

from napari_xreg.metrics import soft_dice, soft_mask


def test_by_hand():
    # Masks 1 - 2^-k where the integral is k times the length times ln 2.
    one = 0.25 * math.log(2) * torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    other = 0.25 * math.log(2) * torch.tensor([[2.0, 2.0, 1.0]], dtype=torch.float64)
    assert soft_mask(one).tolist()[0] == pytest.approx([0.5, 0.75, 0.0])
    # a = 1/2, 3/4, 0 and b = 3/4, 3/4, 1/2: 2 (3/8 + 9/16) / (13/16 + 22/16) = 30/35.
    assert float(soft_dice(one, other)) == pytest.approx(30 / 35)
    assert float(soft_dice(one, one)) == pytest.approx(1.0)
    assert float(soft_dice(one, other, length=0.5)) > 30 / 35 - 0.1
    nothing = torch.zeros(1, 3, dtype=torch.float64)
    assert float(soft_dice(nothing, nothing)) == 0.0
    assert float(soft_dice(one, nothing)) == 0.0


def test_its_gradient_is_that_of_differences():
    generator = torch.Generator().manual_seed(4)
    fixed, moving = torch.rand(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(soft_dice, (fixed, moving.requires_grad_()))


def test_a_shift_is_pulled_back():
    """A bar beside where it ought to be: less of it is better where it should not be, more where it should."""
    fixed, moving = torch.zeros(2, 1, 9, dtype=torch.float64)
    fixed[0, 3:6], moving[0, 4:7] = 0.4, 0.4
    moving.requires_grad_()
    soft_dice(fixed, moving).backward()
    assert float(moving.grad[0, 3]) > 0 > float(moving.grad[0, 6])
    # That of a threshold is none, as xvr's.
    assert not (moving.detach() > 0.1).requires_grad


def test_a_length_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        soft_dice(torch.rand(4, 4), torch.rand(4, 4), length=0.0)
