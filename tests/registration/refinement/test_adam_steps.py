"""The optimiser: two steps by hand, and `torch.optim` in a process of its own."""

import subprocess
import sys

import pytest
import torch

from napari_xreg.registration import AdamSteps

PARITY = """
import sys
import torch
from napari_xreg.registration import AdamSteps

generator = torch.Generator().manual_seed(4)

def leaves():
    g = torch.Generator().manual_seed(1)
    return [torch.randn(s, generator=g).requires_grad_() for s in ((3, 5), (7,), (2, 1, 4), ())]

ours, theirs = leaves(), leaves()
mine = AdamSteps(ours, betas=(0.9, 0.98), weight_decay=0.03)
other = torch.optim.AdamW(
    [{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2:], "lr": 0.1}],
    betas=(0.9, 0.98), weight_decay=0.03,
)
for step in range(30):
    rates = 0.1 / (step + 1), 0.02 * (step + 1)
    for number, (a, b) in enumerate(zip(ours, theirs)):
        # The third has no gradient at first: its count stays behind.
        a.grad = None if number == 2 and step < 4 else torch.randn(a.shape, generator=generator)
        b.grad = None if a.grad is None else a.grad.clone()
    for group, rate in zip(other.param_groups, rates):
        group["lr"] = rate
    other.step()
    mine.step([rates[0], rates[0], rates[1], rates[1]])
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs)), step
    if step == 11:  # what torch.optim wrote is understood
        mine = AdamSteps(ours, betas=(0.9, 0.98), weight_decay=0.03)
        mine.restore(other.state_dict())
print("equal")
"""


def test_two_steps_by_hand():
    x = torch.tensor([2.0, -1.0], dtype=torch.float64, requires_grad=True)
    idle = torch.tensor([5.0], requires_grad=True)
    steps = AdamSteps([x, idle], betas=(0.8, 0.75), eps=0.0, weight_decay=0.5)
    x.grad = torch.tensor([3.0, -0.25], dtype=torch.float64)
    steps.step(0.1)
    # Decay takes 5 %; the first step is the rate against the sign, whatever the gradient.
    assert x.tolist() == pytest.approx([1.9 - 0.1, -0.95 + 0.1], rel=1e-12)
    x.grad = torch.tensor([1.0, 0.5], dtype=torch.float64)
    steps.step([0.2, 0.2])
    # Means over what they can have gathered: (0.8 0.6 + 0.2 1) / 0.36 = 1.888..., and
    # (0.75 2.25 + 0.25 1) / 0.4375 = 4.428...; of the other (-0.04 + 0.1) / 0.36 and
    # (0.75 0.015625 + 0.0625) / 0.4375.
    first = 0.9 * 1.8 - 0.2 * (0.68 / 0.36) / (1.9375 / 0.4375) ** 0.5
    second = 0.9 * -0.85 - 0.2 * (0.06 / 0.36) / (0.07421875 / 0.4375) ** 0.5
    assert x.tolist() == pytest.approx([first, second], rel=1e-12)
    assert idle.tolist() == [5.0]


@pytest.mark.slow
def test_bit_for_bit_torchs_own():
    done = subprocess.run(
        [sys.executable, "-c", PARITY], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.stdout.strip() == "equal", done.stderr


def test_a_state_goes_on_where_it_was():
    def leaf():
        return torch.tensor([1.0, 2.0], requires_grad=True)

    whole, half, rest = leaf(), leaf(), leaf()
    steps = [AdamSteps([p]) for p in (whole, half, rest)]
    for number in range(6):
        gradient = torch.tensor([0.3 * number, -1.0])
        whole.grad = gradient.clone()
        steps[0].step(0.1)
        if number < 3:
            half.grad = gradient.clone()
            steps[1].step(0.1)
            continue
        if number == 3:
            with torch.no_grad():
                rest.copy_(half)
            steps[2].restore(steps[1].state())
        rest.grad = gradient.clone()
        steps[2].step(0.1)
    assert torch.equal(whole, rest)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({}, "another form"),
        ({"state": []}, "another form"),
        ({"state": {0: {"step": 1.0, "exp_avg": torch.zeros(2)}}}, "another form"),
        ({"state": {0: {"step": 1, "exp_avg": 1.0, "exp_avg_sq": 2.0}}}, "another form"),
        (
            {"state": {0: {"step": 1, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}}},
            "other parameters",
        ),
        (
            {"state": {1: {"step": 1, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}}},
            "other parameters",
        ),
        (
            {"state": {0: {"step": 0, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}}},
            "no step leaves",
        ),
        (
            {
                "state": {
                    0: {
                        "step": 1,
                        "exp_avg": torch.full((2,), torch.nan),
                        "exp_avg_sq": torch.zeros(2),
                    }
                }
            },
            "no step leaves",
        ),
    ],
)
def test_a_state_of_something_else_is_refused(state, words):
    with pytest.raises(ValueError, match=words):
        AdamSteps([torch.zeros(2, requires_grad=True)]).restore(state)
