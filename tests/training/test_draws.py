"""Networks that draw from a generator of their own: weights, masks, and nobody else's numbers."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_xreg.training import drawn_from


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def weights(seed):
    with drawn_from(seeded(seed)):
        network = nn.Sequential(nn.Linear(3, 4), nn.Conv2d(2, 3, 3), nn.GroupNorm(1, 3))
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_first_weights_follow_the_seed_and_leave_torchs_numbers_alone():
    before = torch.get_rng_state()
    first, again, other = weights(3), weights(3), weights(4)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.items():
        assert torch.equal(value, again[name])
    assert not torch.equal(first["0.weight"], other["0.weight"])
    # As torch begins: evenly within 1 / sqrt(3), and as far as that.
    assert 0.4 < float(first["0.weight"].abs().max()) < 3**-0.5
    assert first["2.weight"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("dropout", "shape", "alike"),
    [
        (nn.Dropout(0.25), (400, 50), None),
        (nn.Dropout2d(0.25), (200, 60, 3, 2), (2, 3)),
        (nn.Dropout3d(0.25), (200, 60, 3, 2, 2), (2, 3, 4)),
    ],
)
def test_masks_have_their_chance_and_drop_whole_maps(dropout, shape, alike):
    before = torch.get_rng_state()
    with drawn_from(seeded(1)):
        masked = dropout(torch.ones(shape))
        second = dropout(torch.ones(shape))
    with drawn_from(seeded(1)):
        again = dropout(torch.ones(shape))
    assert torch.equal(torch.get_rng_state(), before)
    # A quarter is dropped, the rest made up for; 12,000 masks or more: 0.004 is one deviation.
    assert sorted(masked.unique().tolist()) == pytest.approx([0.0, 4 / 3])
    assert float((masked == 0).float().mean()) == pytest.approx(0.25, abs=0.015)
    assert torch.equal(masked, again)
    assert not torch.equal(masked, second)
    if alike is not None:
        assert torch.equal(masked.amin(alike), masked.amax(alike))
        assert len(masked.amax(alike)[0].unique()) == 2


def test_masks_send_their_gradient_and_are_off_in_evaluation():
    x = torch.ones(30, requires_grad=True)
    with drawn_from(seeded(2)):
        y = functional.dropout(x, 0.5)
        still = nn.Dropout(0.5).eval()(x)
        all_of_it = functional.dropout(x, 1.0)
    assert torch.equal(still, x)
    assert float(all_of_it.detach().abs().max()) == 0
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())
    assert set(x.grad.tolist()) == {0.0, 2.0}


def test_another_thread_draws_from_torchs_generator_meanwhile():
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    found = []
    with drawn_from(seeded(1)):
        other = threading.Thread(target=lambda: found.append(torch.empty(3).uniform_()))
        other.start()
        other.join()
    assert torch.equal(found[0], expected)
