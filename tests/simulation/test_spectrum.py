"""The beam: monoenergetic limit, hardening, K lines."""

import numpy as np
import pytest

from napari_xreg.simulation.spectrum import Spectrum

DEPTHS = np.linspace(0.0, 300.0, 31)


def test_one_energy_gives_the_line_integral():
    # Water at 70 keV: 0.193 cm2/g (between NIST's 0.2059 at 60 and 0.1837 at 80), so 0.0193 / mm.
    beam = Spectrum.monoenergetic(70.0)
    p = -np.log(beam.transmission({"water": np.array([100.0])}))
    assert p == pytest.approx([1.93], rel=0.01)
    # At a row of NIST's table: 80 keV, bone 0.2229 cm2/g x 1.92 g/cm3 = 0.4280 / cm.
    beam = Spectrum.monoenergetic(80.0)
    p = -np.log(beam.transmission({"bone": np.array([25.0]), "water": np.array([40.0])}))
    assert p == pytest.approx([2.5 * 0.2229 * 1.92 + 4.0 * 0.1837], rel=1e-6)


@pytest.mark.parametrize("material", ["water", "bone", "titanium", "iron"])
@pytest.mark.parametrize("kvp", [70.0, 100.0])
def test_a_beam_hardens(material, kvp):
    p = -np.log(Spectrum.tungsten(kvp).transmission({material: DEPTHS / 10.0}))
    slope = np.diff(p)
    assert p[0] == pytest.approx(0.0, abs=1e-12)
    assert (slope > 0).all()
    assert (np.diff(slope) < 0).all()


def test_bone_hardens_more_than_water():
    beam = Spectrum.tungsten(80.0)
    bend = {}
    for material, depth in (("water", 200.0), ("bone", 30.0)):
        p = -np.log(beam.transmission({material: np.array([depth / 2, depth])}))
        bend[material] = p[1] / (2 * p[0])
    assert bend["bone"] < bend["water"] < 1.0


def mean_kev(beam):
    """Of the signal."""
    return float(beam.energies_kev @ beam.weights)


def test_the_mean_energy_is_that_of_a_filtered_tube():
    # Fluoroscopy beams at 80 kVp with 0.1 mm Cu have mean energies of 47 to 52 keV.
    assert 45.0 < mean_kev(Spectrum.tungsten(80.0)) < 55.0
    assert mean_kev(Spectrum.tungsten(110.0)) > mean_kev(Spectrum.tungsten(80.0)) + 3
    more = Spectrum.tungsten(80.0, copper_mm=0.5)
    assert mean_kev(more) > mean_kev(Spectrum.tungsten(80.0)) + 3


def test_weights_are_shares_and_no_photon_exceeds_the_voltage():
    for kvp in (62.0, 81.3, 120.0):
        beam = Spectrum.tungsten(kvp)
        assert beam.weights.sum() == pytest.approx(1.0)
        assert (beam.weights >= 0).all()
        assert beam.energies_kev.max() < kvp


def test_k_lines_appear_above_the_k_edge_of_tungsten():
    def bump(kvp):
        beam = Spectrum.tungsten(kvp)
        at = int(np.abs(beam.energies_kev - 59.3).argmin())
        return beam.weights[at] / (beam.weights[at - 3] + beam.weights[at + 3]) * 2

    assert bump(69.0) < 1.1
    assert bump(100.0) > 1.5


def test_an_impossible_voltage_is_refused():
    with pytest.raises(ValueError, match="between 40 and 150 kV: got 25"):
        Spectrum.tungsten(25.0)


def test_the_detector_integrates_energy():
    """Kramers' photons (kVp - E) / E times the energy E of each fall as kVp - E, by hand."""
    spectrum = Spectrum.tungsten(60.0, aluminium_mm=0.0, copper_mm=0.0)  # below the K lines
    at = {float(e): float(w) for e, w in zip(spectrum.energies_kev, spectrum.weights, strict=True)}
    assert at[20.0] / at[40.0] == pytest.approx((60 - 20) / (60 - 40))
