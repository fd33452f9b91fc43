"""Fitting how grey values follow: known curves are found, through noise and a rod."""

import numpy as np
import pytest

from napari_xreg.registration.refinement.host.tone import fit_tone

RNG = np.random.default_rng(9)
ROWS, COLUMNS = 60, 70
ROW, COLUMN = np.meshgrid(np.linspace(-1, 1, ROWS), np.linspace(-1, 1, COLUMNS), indexing="ij")
DRR = (2.0 + np.sin(3 * ROW) * np.cos(4 * COLUMN) + 0.7 * np.cos(7 * ROW * COLUMN)).astype(
    np.float32
)
ALL = np.arange(ROWS * COLUMNS)


def _bent(x):
    return 1.5 * x**0.8


def test_a_bent_and_tilted_image_is_explained():
    tilt = 0.3 * COLUMN - 0.2 * ROW**2 + 0.1 * ROW * COLUMN
    target = (_bent(DRR) + tilt + RNG.normal(0, 0.01, DRR.shape)).astype(np.float32)
    tone = fit_tone(DRR, target, ALL)
    assert tone is not None
    value, slope = tone.apply(DRR)
    residual = value + tone.field - target
    assert residual.std() < 0.013
    middle = (DRR > 1.2) & (DRR < 2.8)
    expected = 1.2 * DRR[middle] ** -0.2
    np.testing.assert_allclose(slope[middle], expected, rtol=0.05)


def test_a_rod_does_not_bend_the_curve():
    target = _bent(DRR).astype(np.float32)
    target[20:26] += 3.0
    tone = fit_tone(DRR, target, ALL)
    assert tone is not None
    residual = (tone.apply(DRR)[0] + tone.field - target)[np.r_[0:20, 26:60]]
    assert abs(np.median(residual)) < 0.02
    assert np.abs(residual).mean() < 0.03


def test_slope_is_the_derivative_beyond_the_fitted_range_too():
    tone = fit_tone(DRR, _bent(DRR).astype(np.float32), ALL)
    assert tone is not None
    x = np.linspace(tone.middle - 2 * tone.width, tone.middle + 2 * tone.width, 400)
    value, slope = tone.apply(x[None].astype(np.float32))
    numeric = np.gradient(value[0].astype(np.float64), x)
    np.testing.assert_allclose(slope[0][2:-2], numeric[2:-2], atol=0.02)
    assert (slope > 0).all()


@pytest.mark.parametrize("target", [-DRR, np.full_like(DRR, 3.0)])
def test_what_does_not_rise_with_the_drr_is_left_alone(target):
    assert fit_tone(DRR, target + RNG.normal(0, 1e-3, DRR.shape).astype(np.float32), ALL) is None
