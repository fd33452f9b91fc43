"""What the values of a volume mean: Hounsfield units, or a chosen line; never a silent guess."""

import numpy as np
import pytest
import torch
from ct_writers import hounsfield, write_nifti

from napari_xreg.images import ReadError, UnknownValues, ValueScale, read_volume

# Linear attenuation at 70 keV, 1/mm: water 0.1929/cm; cortical bone 1.92 g/cm3 x 0.2570 cm2/g.
WATER, BONE = 0.01929, 0.04937
STORED = hounsfield().transpose(2, 1, 0)


def write(path, values):
    return write_nifti(path, np.asarray(values))


def ramp(low, high):
    """60 values, x by y by z, from one to the other."""
    return np.linspace(low, high, 60).reshape(3, 4, 5).astype(np.float32)


def test_a_line_from_nothing_to_bone_by_hand(tmp_path):
    path = write(tmp_path / "angio.nii", ramp(-200, 2800))
    ct = read_volume(path, values="linear 100 2100")
    values = torch.from_numpy(ramp(-200, 2800).transpose(2, 1, 0).copy())
    # Half way between the two: half the attenuation of bone.
    assert float(ValueScale(100, 2100).attenuation(torch.full((1, 1, 1), 1100.0), 70.0)[0]) == (
        pytest.approx(BONE / 2, rel=2e-3)
    )
    expected = (values - 100).clamp(min=0) * (BONE / 2000)
    torch.testing.assert_close(ct.lac, expected, rtol=2e-3, atol=1e-6)
    assert float(ct.lac.min()) == 0
    # The bone of a CT of 70 keV is at 1559 HU, nothing at -1000.
    assert float(ct.hu.min()) == -1000
    bone = int((values - 2100).abs().argmin())
    assert float(ct.hu.flatten()[bone]) == pytest.approx(1559, abs=40)
    assert ct.notes == ("values -200 to 2800 read as linear: 100 is air, 2100 is bone, as chosen",)


def test_values_that_fall_where_attenuation_rises_and_water_as_the_material(tmp_path):
    path = write(tmp_path / "inverted.nii", ramp(0, 4000))
    ct = read_volume(path, values="linear 4000 1000 water")
    assert float(ct.lac[0, 0, 0]) == pytest.approx(WATER * 4 / 3, rel=1e-3)
    assert float(ct.lac[-1, -1, -1]) == 0


def test_the_energy_of_the_beam_holds_for_a_line_too(tmp_path):
    path = write(tmp_path / "angio.nii", ramp(0, 1000))
    ct = read_volume(path, values=ValueScale(0.0, 1000.0, "water"), energy_kev=60.0)
    assert float(ct.lac[-1, -1, -1]) == pytest.approx(0.02059, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (ramp(0, 3000), "no voxel is air, and 0 would be water"),
        (ramp(0, 1), "an 8-bit or a normalised image"),
        (ramp(0, 255), "an 8-bit or a normalised image"),
        (ramp(12, 3000), "no voxel is air"),
        (ramp(-200_000, 3000), "the data are damaged, or of another unit"),
    ],
)
def test_what_does_not_look_like_a_ct_is_asked_for(tmp_path, values, words):
    path = write(tmp_path / "odd.nii.gz", values)
    with pytest.raises(UnknownValues, match=words) as asked:
        read_volume(path)
    assert isinstance(asked.value, ReadError)
    assert (asked.value.lowest, asked.value.highest) == (values.min(), values.max())
    assert asked.value.shape == (3, 4, 5)
    assert "linear AIR BONE" in str(asked.value)
    assert read_volume(path, values="linear 0 1").shape == (5, 4, 3)


def test_hounsfield_units_can_be_chosen_where_they_do_not_look_it(tmp_path):
    path = write(tmp_path / "clamped.nii", ramp(0, 1500))
    ct = read_volume(path, values="hu")
    assert float(ct.lac[0, 0, 0]) == pytest.approx(WATER, rel=1e-3)
    assert ct.notes == ("values 0 to 1500 read as Hounsfield units, as chosen",)


def test_a_crop_within_the_body_is_read_with_a_note(tmp_path):
    ct = read_volume(write(tmp_path / "crop.nii", ramp(-120, 1500)))
    assert len(ct.notes) == 1
    assert ct.notes[0].startswith("no voxel is air (the lowest value is -120, read as HU)")
    assert read_volume(write(tmp_path / "ct.nii", STORED)).notes == ()


def test_bones_on_air_need_no_choice(data_path):
    assert read_volume(data_path("wrist_bvr/mc3.nii.gz")).notes == ()


@pytest.mark.parametrize(
    "text", ["", "linear", "linear 1", "linear 3 3", "linear a 3", "linear 0 nan", "linear 0 1 fat"]
)
def test_a_scale_that_says_nothing_is_refused(tmp_path, text):
    path = write(tmp_path / "ct.nii", STORED)
    with pytest.raises(ReadError, match=r"ct\.nii: (the values of a volume|air and bone)"):
        read_volume(path, values=text)


def test_a_line_on_whose_far_side_everything_lies_is_refused(tmp_path):
    path = write(tmp_path / "ct.nii", STORED)
    with pytest.raises(ReadError, match="no voxel attenuates"):
        read_volume(path, values="linear 5000 6000")


@pytest.mark.parametrize("text", ["hu", "linear 0 2500", "linear -1.5 0.1 water"])
def test_a_scale_is_kept_as_text(text):
    assert str(ValueScale.parse(text)) == text
    third = ValueScale(1 / 3, 2e9)
    assert ValueScale.parse(str(third)) == third
