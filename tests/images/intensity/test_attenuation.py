"""HU to attenuation and back, against numbers from the NIST tables worked out by hand."""

import pytest
import torch
from hypothesis import given, strategies as st
from torch.testing import assert_close

from napari_xreg.images import (
    DENSITY,
    hu_from_lac,
    lac_from_hu,
    linear_attenuation,
    mass_attenuation,
)


@pytest.mark.parametrize(
    ("material", "energy_kev", "per_cm2_g"),
    [
        # NIST reference database 126, tables 3 (elements) and 4 (compounds).
        ("water", 60.0, 0.2059),
        ("water", 80.0, 0.1837),
        ("bone", 60.0, 0.3148),
        ("bone", 80.0, 0.2229),
        ("soft_tissue", 40.0, 0.2688),
        ("titanium", 50.0, 1.213),
        ("iron", 100.0, 0.3717),
        # Between the rows: XCOM at 70 keV.
        ("water", 70.0, 0.1929),
        ("bone", 70.0, 0.2571),
    ],
)
def test_mass_attenuation(material, energy_kev, per_cm2_g):
    assert float(mass_attenuation(material, energy_kev)) == pytest.approx(per_cm2_g, rel=1e-3)


def test_many_energies_at_once():
    energies = torch.tensor([[40.0, 60.0], [80.0, 150.0]], dtype=torch.float64)
    expected = torch.tensor([[0.2683, 0.2059], [0.1837, 0.1505]], dtype=torch.float64)
    assert_close(mass_attenuation("water", energies), expected, rtol=1e-9, atol=0)
    # 1/mm, not 1/cm.
    assert_close(linear_attenuation("bone", energies)[0, 1].item(), 0.3148 * 1.92 / 10)
    assert DENSITY["iron"] == 7.874


@pytest.mark.parametrize("energy_kev", [9.9, 200.1, float("nan"), 0.07])
def test_energies_outside_the_table(energy_kev):
    with pytest.raises(ValueError, match="between 10 and 200 keV"):
        mass_attenuation("water", energy_kev)


def test_unknown_material():
    # The runtime check of annotations refuses it first while tests run; users get our sentence.
    with pytest.raises(Exception, match="gold"):
        mass_attenuation("gold", 70.0)


def test_water_and_bone_at_60_kev():
    hu = torch.tensor([-2048, -1000, -400, 0], dtype=torch.int16)
    expected = torch.tensor([0.0, 0.0, 0.6 * 0.02059, 0.02059])
    assert_close(lac_from_hu(hu, energy_kev=60.0), expected, rtol=1e-5, atol=1e-9)
    # A CT at 60 keV effective would show cortical bone at 1000 (0.3148 * 1.92 / 0.2059 - 1) HU.
    bone = torch.tensor([1935.49], dtype=torch.float64)
    found = lac_from_hu(bone, energy_kev=60.0, ct_energy_kev=60.0)
    assert float(found[0]) == pytest.approx(0.06044, rel=1e-4)
    # Half way there, half the difference.
    half = lac_from_hu(bone / 2, energy_kev=60.0, ct_energy_kev=60.0)
    assert float(half[0]) == pytest.approx((0.06044 + 0.02059) / 2, rel=1e-4)


def test_a_ct_at_80_kev_seen_at_60_kev():
    # Bone HU at 80 keV: 1000 (0.2229 * 1.92 / 0.1837 - 1) = 1329.71.
    bone = torch.tensor([1329.71, 0.0, -500.0], dtype=torch.float64)
    found = lac_from_hu(bone, energy_kev=60.0, ct_energy_kev=80.0)
    expected = torch.tensor([0.3148 * 0.192, 0.02059, 0.010295], dtype=torch.float64)
    assert_close(found, expected, rtol=1e-5, atol=0)


def test_an_implant_leaves_the_bone_as_it_is():
    bone = torch.tensor([300.0, 800.0, 1200.0])
    with_metal = torch.cat([bone, torch.tensor([30000.0])])
    assert_close(lac_from_hu(with_metal)[:3], lac_from_hu(bone), rtol=0, atol=0)
    assert float(lac_from_hu(with_metal)[3]) > 0.4


@pytest.mark.slow
@given(hu=st.floats(-1000, 4000), energy_kev=st.floats(20, 150), ct_energy_kev=st.floats(50, 100))
def test_inverse(hu, energy_kev, ct_energy_kev):
    value = torch.tensor([hu], dtype=torch.float64)
    lac = lac_from_hu(value, energy_kev=energy_kev, ct_energy_kev=ct_energy_kev)
    back = hu_from_lac(lac, energy_kev=energy_kev, ct_energy_kev=ct_energy_kev)
    assert_close(back, value, rtol=1e-9, atol=1e-8)


@pytest.mark.slow
@given(st.lists(st.floats(-1500, 4000), min_size=2, max_size=9), st.floats(20, 150))
def test_denser_attenuates_more(hu, energy_kev):
    ordered = torch.tensor(sorted(hu), dtype=torch.float64)
    assert (lac_from_hu(ordered, energy_kev=energy_kev).diff() >= 0).all()


def test_types_and_gradient():
    assert lac_from_hu(torch.tensor([5], dtype=torch.int32)).dtype == torch.float32
    assert lac_from_hu(torch.tensor([5.0], dtype=torch.float64)).dtype == torch.float64
    hu = torch.tensor([-400.0, 600.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lac_from_hu, (hu,))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_not_finite(bad):
    with pytest.raises(ValueError, match="-1000 for air"):
        lac_from_hu(torch.tensor([0.0, bad]))
    with pytest.raises(ValueError, match="finite"):
        hu_from_lac(torch.tensor([0.02, bad]))
    with pytest.raises(ValueError, match="not negative"):
        hu_from_lac(torch.tensor([-0.01]))
