"""What a detector adds, each effect by itself."""

from dataclasses import replace

import numpy as np
import pytest

from napari_xreg.geometry import Detector
from napari_xreg.simulation import CLEAN, HARD, TYPICAL
from napari_xreg.simulation.acquisition import (
    beam_falloff,
    collimator_field,
    expose,
    respond,
    scatter_signal,
)

DETECTOR = Detector((150, 210), (1.3, 1.1))
QUIET = replace(CLEAN, noise=1e-4)


def rng(seed=7):
    return np.random.default_rng(seed)


def half_thick(thin=0.3, thick=0.03):
    """A step: 210 columns, thin on the left."""
    image = np.full(DETECTOR.shape, thin)
    image[:, 105:] = thick
    return image


def test_counts_are_poisson():
    exposure = expose(np.full(DETECTOR.shape, 0.2), DETECTOR, replace(CLEAN, noise=0.05), rng())
    counts = exposure.intensity / exposure.i0 * exposure.quanta
    # Noise of 5 % is 400 quanta per pixel behind the patient; mean and variance are both 400.
    assert counts.mean() == pytest.approx(400.0, rel=0.002)
    assert counts.var() == pytest.approx(400.0, rel=0.03)
    assert np.allclose(counts, np.round(counts), atol=1e-6)


def test_noise_belongs_to_quanta_not_to_line_integrals():
    exposure = expose(half_thick(), DETECTOR, replace(CLEAN, noise=0.05), rng())
    p = -np.log(exposure.intensity)
    thin, thick = p[:, :105].std(), p[:, 105:].std()
    # A tenth of the quanta: sqrt(10) times the noise of the logarithm.
    assert thick / thin == pytest.approx(np.sqrt(10.0), rel=0.04)


def test_read_out_noise_adds_its_variance():
    noisy = replace(CLEAN, noise=0.05, electronic_noise=15.0)
    exposure = expose(np.full(DETECTOR.shape, 0.2), DETECTOR, noisy, rng())
    counts = exposure.intensity / exposure.i0 * exposure.quanta
    assert counts.var() == pytest.approx(400.0 + 15.0**2, rel=0.03)


def test_blur_spreads_an_edge_by_its_millimetres():
    sharp, blurred = (
        expose(half_thick(), DETECTOR, replace(QUIET, blur_mm=b), rng()) for b in (0.0, 2.2)
    )
    row = np.diff((blurred.intensity / blurred.i0).mean(0))
    columns = np.arange(len(row)) + 0.5
    centre = (row * columns).sum() / row.sum()
    width = np.sqrt((row * (columns - centre) ** 2).sum() / row.sum())
    assert centre == pytest.approx(104.5, abs=0.05)
    assert width * 1.1 == pytest.approx(2.2, abs=0.15)
    assert (np.diff((sharp.intensity / sharp.i0).mean(0)) < -0.1).sum() == 1


def test_scatter_has_the_ratio_asked_for_and_nothing_comes_from_air():
    primary = half_thick(thin=1.0, thick=0.02)
    field = np.ones(DETECTOR.shape, dtype=bool)
    scatter = scatter_signal(
        primary, 0.8 * primary, field, DETECTOR, replace(CLEAN, scatter_to_primary=0.7)
    )
    behind = primary < 0.5
    assert scatter[behind].sum() / (0.8 * primary[behind].sum()) == pytest.approx(0.7)
    assert scatter[:, 209].mean() > 3 * scatter[:, 0].mean()
    # Broad: no pixel differs from its neighbour by more than a few percent.
    assert np.abs(np.diff(scatter, axis=1)).max() < 0.03 * scatter.max()
    air = np.ones(DETECTOR.shape)
    assert scatter_signal(air, 0.8 * air, field, DETECTOR, TYPICAL).max() == 0.0


def test_behind_blades_there_is_scatter_alone():
    exposure = expose(
        np.full(DETECTOR.shape, 0.05), DETECTOR, replace(TYPICAL, open_field=(0.6, 0.7)), rng()
    )
    outside = ~exposure.field
    assert outside.mean() > 0.4
    assert exposure.primary[outside].max() < 0.01 * exposure.primary[exposure.field].min()
    assert exposure.scatter[outside].max() > 0.1 * exposure.scatter[exposure.field].mean()


def test_blades_open_as_far_as_asked_and_turn():
    severity = replace(TYPICAL, open_field=(0.7, 0.7), blade_deg=0.0)
    field = collimator_field(DETECTOR, severity, rng())
    assert field.any(1).mean() == pytest.approx(0.7, abs=0.01)
    assert field.any(0).mean() == pytest.approx(0.7, abs=0.01)
    turned = collimator_field(DETECTOR, replace(severity, blade_deg=20.0), rng(3))
    left = [np.nonzero(row)[0][0] for row in turned[60:90]]
    assert np.ptp(left) >= 3
    assert collimator_field(DETECTOR, CLEAN, rng()).all()


def test_the_field_falls_off_by_what_is_asked():
    heel = beam_falloff(DETECTOR, replace(CLEAN, heel=0.4), rng())
    # A ramp: no curvature anywhere, and 0.4 along its direction over one width.
    assert np.abs(np.diff(heel, 2, axis=1)).max() < 1e-12
    u = (heel[:, -1] - heel[:, 0]).mean() * 210 / 209
    v = (heel[-1] - heel[0]).mean() * 150 / 149
    assert np.hypot(u, v) == pytest.approx(0.4)
    bowl = beam_falloff(DETECTOR, replace(CLEAN, vignetting=0.25), rng())
    assert bowl[0, 0] == pytest.approx(0.25, rel=0.02)
    assert bowl[75, 105] < 1e-4


def test_a_bent_response_bends_line_integrals_and_keeps_its_fixed_points():
    p = np.array([0.0, 1.0, 5.0, 8.0])
    bent = -np.log(respond(np.exp(-p), 0.9))
    # 5 (p / 5)^0.9: 1.175 at 1, 5 at 5, 7.633 at 8.
    assert bent == pytest.approx([0.0, 1.1746, 5.0, 7.6327], abs=1e-3)
    assert respond(np.array([0.3]), 1.0) == pytest.approx([0.3])
    # Noise lifts some pixels over the open beam.
    assert -np.log(respond(np.array([1.1]), 0.9)) < 0


def test_the_gain_is_unknown_and_differs_between_images():
    gains = [expose(half_thick(), DETECTOR, CLEAN, rng(s)).i0 for s in range(6)]
    assert len(set(gains)) == 6
    assert max(gains) / min(gains) > 1.5


def test_every_severity_survives_an_opaque_and_an_empty_view():
    for severity in (CLEAN, TYPICAL, HARD):
        for transmission in (np.full(DETECTOR.shape, 1e-12), np.ones(DETECTOR.shape)):
            exposure = expose(transmission, DETECTOR, severity, rng())
            assert np.isfinite(np.log(exposure.intensity)).all()


def test_scatter_spreads_as_far_in_mm_along_rows_as_along_columns():
    detector = Detector((121, 121), (0.9, 1.3))
    severity = replace(TYPICAL, scatter_to_primary=1.0, scatter_sigma_mm=9.0, scatter_uniform=0.0)
    transmission = np.ones(detector.shape)
    transmission[60, 60] = 0.1
    field = np.ones(detector.shape, dtype=bool)
    scatter = scatter_signal(transmission, transmission, field, detector, severity)
    away = np.arange(121) - 60
    down = np.sqrt((scatter.sum(1) * away**2).sum() / scatter.sum()) * 0.9
    across = np.sqrt((scatter.sum(0) * away**2).sum() / scatter.sum()) * 1.3
    # A Gaussian cut off at three of its widths has 0.986 of its deviation.
    assert (down, across) == pytest.approx((9.0 * 0.986, 9.0 * 0.986), rel=0.03)
