"""What makes a rendering look acquired: on what it depends, and that it stays finite."""

import math
from dataclasses import replace

import pytest
import torch

from napari_xreg.training import CLEAN, Appearance

NOTHING = replace(
    CLEAN, bone=(1.0, 1.0), soft=(1.0, 1.0), noise=(0.0, 0.0), blur_pixels=(0.0, 0.0),
    gamma=(1.0, 1.0),
)  # fmt: skip


def kinds() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    bone = 2.0 * torch.rand(3, 24, 30, generator=generator)
    soft = 3.0 * torch.rand(3, 24, 30, generator=generator)
    return torch.stack([bone, soft], 1)


def draw(appearance: Appearance, seed: int = 0):
    return appearance.draw(kinds(), torch.Generator().manual_seed(seed))


def test_with_everything_off_it_is_the_sum():
    image, mask = draw(NOTHING)
    torch.testing.assert_close(image, kinds().sum(1), rtol=1e-4, atol=1e-4)
    assert mask.all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"bone": (1.5, 1.5)}, lambda b, s: 1.5 * b + s),
        ({"soft": (0.9, 0.9)}, lambda b, s: b + 0.9 * s),
        ({"hardening": (0.02, 0.02)}, lambda b, s: (b + s) - 0.02 * (b + s) ** 2),
        ({"gamma": (0.8, 0.8)}, lambda b, s: 5 * ((b + s) / 5) ** 0.8),
        ({"offset": (0.3, 0.3)}, lambda b, s: b + s + 0.3),
    ],
)  # fmt: skip
def test_each_change_by_its_formula(change, expected):
    image, _ = draw(replace(NOTHING, **change))
    both = kinds()
    torch.testing.assert_close(image, expected(both[:, 0], both[:, 1]), rtol=1e-4, atol=1e-4)


def test_scatter_lowers_contrast_and_never_adds_attenuation():
    clean, _ = draw(NOTHING)
    scattered, _ = draw(replace(NOTHING, scatter=(1.0, 1.0)))
    assert (scattered < clean + 1e-5).all()
    assert scattered.std() < 0.9 * clean.std()


def test_blades_are_masked_or_shown_and_rods_are_bright():
    blades = replace(NOTHING, collimated=1.0, opening=(0.5, 0.6), masked=1.0)
    image, mask = draw(blades)
    share = mask.float().mean((1, 2))
    assert ((share > 0.2) & (share < 0.42)).all()
    shown, everything = draw(replace(blades, masked=0.0))
    assert everything.all()
    assert shown[~mask].min() > 6.0
    torch.testing.assert_close(shown[mask], image[mask])
    rods, _ = draw(replace(NOTHING, rod=1.0))
    assert (rods - draw(NOTHING)[0]).amax((1, 2)).min() > 0.5


def test_the_whole_of_it_is_finite_and_follows_its_generator():
    image, mask = draw(Appearance(), seed=5)
    again, _ = draw(Appearance(), seed=5)
    other, _ = draw(Appearance(), seed=6)
    assert torch.isfinite(image).all()
    assert torch.equal(image, again)
    assert not torch.allclose(image, other, atol=0.1)
    assert mask.float().mean() > 0.3


def test_noise_is_that_of_counted_photons():
    """Its deviation grows as the root of intensity: relative to it, e times more behind p = 2."""
    noisy = replace(NOTHING, noise=(0.02, 0.02))
    halves = torch.zeros(1, 2, 60, 80)
    halves[:, 0, :, 41:] = 2.0  # the median is of the bright side
    image, _ = noisy.draw(halves, torch.Generator().manual_seed(4))
    bright, dark = float(image[0, :, :40].std()), float(image[0, :, 42:].std())
    assert dark / bright == pytest.approx(math.e, rel=0.08)
