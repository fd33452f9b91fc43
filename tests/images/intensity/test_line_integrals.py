"""Beer-Lambert with known and estimated I0, and what is masked on the way."""

import math

import pytest
import torch

from napari_xreg.images import estimate_i0, line_integrals_from_intensity


def attenuation(rows=90, columns=70, seed=1):
    """Line integrals of an off-centre ellipsoid, dimensionless, with air around it."""
    y = torch.linspace(-1.0, 1.3, rows, dtype=torch.float64)[:, None]
    x = torch.linspace(-0.8, 1.4, columns, dtype=torch.float64)
    return 3.7 * (1 - (x / 0.7) ** 2 - (y / 0.9) ** 2).clamp_min(0).sqrt()


class TestKnownI0:
    def test_natural_logarithm_by_hand(self):
        intensity = torch.tensor([[1000.0, 1000.0 / math.e, 1000.0 / math.e**2.5, 100.0]])
        found = line_integrals_from_intensity(intensity, i0=1000.0)
        torch.testing.assert_close(found.values, torch.tensor([[0.0, 1.0, 2.5, math.log(10)]]))
        assert not found.estimated
        assert found.notes == ()

    def test_inverse_of_exposure(self):
        p = attenuation()
        found = line_integrals_from_intensity(3210.0 * torch.exp(-p), i0=3210.0)
        torch.testing.assert_close(found.values, p)

    def test_brighter_than_i0_is_negative_not_masked(self):
        found = line_integrals_from_intensity(torch.tensor([[110.0, 50.0]]), i0=100.0)
        assert found.values[0, 0] == pytest.approx(-math.log(1.1))
        assert found.mask.all()

    @pytest.mark.parametrize("i0", [0.0, -5.0, math.inf, math.nan])
    def test_refuses_an_impossible_i0(self, i0):
        with pytest.raises(ValueError, match="i0"):
            line_integrals_from_intensity(torch.ones(3, 3), i0=i0)


class TestMasking:
    def test_zero_negative_saturated_and_nan_are_masked_and_counted(self):
        intensity = torch.full((5, 7), 400.0)
        intensity[0, 0] = 0.0
        intensity[1, 2] = -3.0
        intensity[2, 3:6] = 4095.0
        intensity[4, 4] = math.nan
        found = line_integrals_from_intensity(intensity, i0=1000.0, saturation=4095.0)
        expected = torch.ones(5, 7, dtype=torch.bool)
        expected[[0, 1, 2, 2, 2, 4], [0, 2, 3, 4, 5, 4]] = False
        assert torch.equal(found.mask, expected)
        assert torch.isfinite(found.values).all()
        text = " | ".join(found.notes)
        assert "1 of 35 pixels masked: not finite" in text
        assert "2 of 35 pixels masked: zero or negative" in text
        assert "3 of 35 pixels masked: saturated at 4095" in text

    def test_pixels_outside_the_given_mask_are_not_counted(self):
        intensity = torch.full((4, 4), 9.0)
        intensity[0] = 0.0
        mask = torch.ones(4, 4, dtype=torch.bool)
        mask[0] = False
        found = line_integrals_from_intensity(intensity, i0=10.0, mask=mask)
        assert torch.equal(found.mask, mask)
        assert found.notes == ()

    def test_nothing_left_is_an_error(self):
        with pytest.raises(ValueError, match="no pixel can be used"):
            line_integrals_from_intensity(torch.zeros(4, 4))


class TestEstimate:
    def test_noise_does_not_lift_it(self):
        generator = torch.Generator().manual_seed(3)
        clean = 5000.0 * torch.exp(-attenuation())
        noisy = torch.poisson(clean / 4, generator=generator) * 4
        # Noise of one pixel is 2.8 %; its 99.5th percentile alone would be 7 % too high.
        assert estimate_i0(noisy) == pytest.approx(5000.0, rel=0.03)

    def test_estimated_i0_only_shifts(self):
        p = attenuation()
        found = line_integrals_from_intensity(777.0 * torch.exp(-p))
        assert found.estimated
        assert found.i0 == pytest.approx(777.0, rel=1e-6)
        assert any("estimated as 777" in note and "offset" in note for note in found.notes)
        thick = line_integrals_from_intensity(777.0 * torch.exp(-p - 0.9))
        torch.testing.assert_close(thick.values, found.values)

    def test_only_inside_the_mask(self):
        intensity = torch.full((40, 40), 200.0)
        intensity[:, :12] = 900.0
        mask = torch.ones(40, 40, dtype=torch.bool)
        mask[:, :12] = False
        assert estimate_i0(intensity, mask=mask) == pytest.approx(200.0)

    def test_saturation_bounds_it_from_below(self):
        intensity = torch.full((20, 20), 300.0)
        intensity[:5] = 4095.0
        found = line_integrals_from_intensity(intensity, saturation=4095.0)
        assert found.i0 == pytest.approx(4095.0, rel=1e-3)
        assert any("at least" in note for note in found.notes)
