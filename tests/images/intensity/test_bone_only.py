"""Which CTs are bones alone, and what they attenuate above water."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.images import (
    Volume,
    above_water,
    is_bone_only,
    lac_from_hu,
    linear_attenuation,
    read_labels,
    read_volume,
    rendered_above_water,
)
from napari_xreg.images.intensity.bone_only import water_attenuation

WHOLE = (
    "pelvis_totalseg", "chest_lidc", "skull_phantom", "hip_sts020", "knee_sts013",
    "dicom_twin_sts019",
)  # fmt: skip
OBLIQUE = torch.tensor(
    [[0.6, -0.8, 0.0, 3.0], [0.8, 0.6, 0.0, -7.0], [0.0, 0.0, 2.5, 11.0], [0.0, 0.0, 0.0, 1.0]]
)


def volume_of(hu: torch.Tensor, energy_kev: float = 70.0) -> Volume:
    return Volume(lac_from_hu(hu, energy_kev=energy_kev), OBLIQUE, hu=hu)


def bone(background: float) -> torch.Tensor:
    """A shell of 1200 HU about marrow of -80, with background beyond; 5 x 9 x 11 voxels."""
    hu = torch.full((5, 9, 11), background)
    hu[:, 2:7, 2:9] = 1200.0
    hu[:, 4:5, 4:7] = -80.0
    return hu


@pytest.mark.parametrize("background", [-1000.0, -1024.0, -3024.0, 0.0])
def test_a_bone_is_told_whatever_its_background(background):
    assert is_bone_only(volume_of(bone(background)))


def test_soft_tissue_about_the_bone_makes_a_whole_ct():
    hu = torch.full((9, 15, 17), -1000.0)
    hu[1:8, 1:14, 1:16] = 40.0
    hu[2:7, 3:12, 3:14] = bone(40.0)
    # 160 voxels of bone in a body of 1365: 12 %.
    assert not is_bone_only(volume_of(hu))
    hu[hu == 40.0] = -1000.0
    assert is_bone_only(volume_of(hu))


def test_air_with_noise_is_no_background():
    generator = torch.Generator().manual_seed(3)
    hu = -950.0 + 30.0 * torch.randn((9, 15, 17), generator=generator)
    hu[2:7, 3:12, 3:14] = bone(-950.0)
    assert not is_bone_only(volume_of(hu))


def test_what_fills_its_grid_is_not_cut_out():
    hu = torch.full((4, 5, 6), 800.0)
    assert not is_bone_only(volume_of(hu))
    hu[0] = -1000.0  # a quarter
    assert is_bone_only(volume_of(hu))


def test_nothing_at_all_is_no_bone():
    assert not is_bone_only(volume_of(torch.full((3, 4, 5), -1000.0)))


def test_a_small_bone_in_a_large_grid_is_found():
    hu = torch.full((120, 130, 140), -1000.0)
    hu[61:66, 71:80, 33:44] = bone(-1000.0)
    assert is_bone_only(volume_of(hu))


@pytest.mark.parametrize("energy_kev", [50.0, 70.0, 110.0])
def test_above_water_is_bone_less_water(energy_kev):
    hu = bone(-1000.0)
    made = above_water(volume_of(hu, energy_kev))
    water, dense = (float(linear_attenuation(m, energy_kev)) for m in ("water", "bone"))
    ct_water, ct_dense = (float(linear_attenuation(m, 70.0)) for m in ("water", "bone"))
    # Pure cortical bone lies at 1559 HU at 70 keV; 1200 HU is so much of the way from water to it.
    share = 1.2 / (ct_dense / ct_water - 1.0)
    assert float(made.lac[0, 2, 2]) == pytest.approx(share * (dense - water), rel=1e-4)
    assert float(made.lac[0, 4, 5]) == 0.0  # marrow
    assert float(made.lac[0, 0, 0]) == 0.0  # air
    assert made.hu is hu


def test_water_is_known_from_two_values_above_it_or_one_below():
    hu = torch.tensor([[[-1000.0, 300.0, 900.0]]])
    at_50 = float(linear_attenuation("water", 50.0))
    assert water_attenuation(volume_of(hu, 50.0)) == pytest.approx(at_50, rel=1e-5)
    assert water_attenuation(volume_of(hu - 500.0, 50.0)) == pytest.approx(at_50, rel=1e-5)
    usual = float(linear_attenuation("water", 70.0))
    assert water_attenuation(replace(volume_of(hu, 50.0), hu=None)) == pytest.approx(usual)
    # One value tells nothing.
    assert water_attenuation(volume_of(torch.full((1, 1, 2), 300.0), 50.0)) == pytest.approx(usual)


def test_the_setting_overrules():
    whole, cut = volume_of(bone(40.0)), volume_of(bone(-1000.0))
    assert [rendered_above_water(whole, a) for a in ("auto", "above water", "as read")] == [
        False,
        True,
        False,
    ]
    assert [rendered_above_water(cut, a) for a in ("auto", "above water", "as read")] == [
        True,
        True,
        False,
    ]
    with pytest.raises(ValueError, match="attenuation is auto, above water, as read: got 'water'"):
        rendered_above_water(cut, "water")


@pytest.mark.parametrize("name", WHOLE)
def test_no_whole_ct_is_taken_for_bone_only(data_dir, name):
    assert not is_bone_only(read_volume(data_dir / name / "ct.nii.gz"))


@pytest.mark.parametrize("name", ["radius", "ulna", "mc3"])
def test_bones_cut_out_elsewhere_are_told(data_dir, name):
    volume = read_volume(data_dir / "wrist_bvr" / f"{name}.nii.gz")
    assert is_bone_only(volume)
    assert is_bone_only(volume.to(dtype=torch.float64))


@pytest.mark.slow
def test_bones_cut_out_by_labels_are_told_and_organs_are_not(data_dir):
    folder = data_dir / "pelvis_totalseg"
    volume = read_volume(folder / "ct.nii.gz")
    labels = read_labels(folder / "labels.nii.gz").onto(volume)
    bones = [25, *range(26, 34), *range(75, 79), *range(98, 104), *range(110, 116)]
    for label in bones:
        assert is_bone_only(volume.restrict(labels.mask([label]))), label
    assert is_bone_only(volume.restrict(labels.mask([25, 77, 78])))
    for label in (1, 5, 10, 18, 20, 52, 80, 88):
        assert not is_bone_only(volume.restrict(labels.mask([label]))), label


@pytest.mark.slow
def test_the_phantom_is_whole_and_its_bones_are_not():
    from napari_xreg.simulation import phantom

    made = phantom(spacing_mm=3.0)
    assert not is_bone_only(made.volume)
    assert is_bone_only(made.volume.restrict(made.labels.mask([77])))


def test_inspect_says_how_a_bone_only_ct_is_rendered(data_dir):
    from napari_xreg.workflows import inspect

    assert inspect(data_dir / "wrist_bvr" / "mc3.nii.gz")["rendered"] == (
        "bone-only CT: rendered above water"
    )
    assert "rendered" not in inspect(data_dir / "pelvis_totalseg" / "ct.nii.gz")
