"""Between which values a detector wrote; expected numbers worked out by hand."""

import cv2
import numpy as np
import pytest
import torch
from xray_files import dicom, item, save

from napari_xreg.images import read_radiograph
from napari_xreg.images.intensity.value_range import array_range, floating_range, integer_range

GEOMETRY = {
    "source_to_detector": 1050.0,
    "source_to_isocenter": 690.0,
    "pixel_spacing": (0.9, 1.3),
    "find_collimator": False,
}
# Readings of a detector of 12 bits, none at an end: direct exposure, soft tissue, bone.
INTENSITY = np.array([[4000, 2000, 1000], [500, 250, 3000]])
# -log(I / 4000)
TRUTH = torch.tensor([[0, 0.693147, 1.386294], [2.079442, 2.772589, 0.287682]])


@pytest.fixture
def cr(tmp_path):
    """Read a computed radiograph whose header says nothing of the values' meaning."""

    def read(stored, read_as, *, relationship=None, bits=12, i0=4000.0, **attributes):
        pixels = stored.astype(np.int16 if attributes.get("PixelRepresentation") else np.uint16)
        dataset = dicom(
            pixels,
            modality="CR",
            PixelIntensityRelationship=relationship,
            BitsStored=bits,
            HighBit=bits - 1,
            **attributes,
        )
        found = read_radiograph(
            save(tmp_path / "x.dcm", dataset), read_as=read_as, i0=i0, find_collimator=False
        )
        assert found.mask is None
        return found

    return read


class TestRescale:
    """CR, MONOCHROME2: bone is bright in the values after the rescale."""

    @pytest.mark.parametrize(
        ("slope", "intercept", "stored"),
        [
            # value = 4095 - stored rises with attenuation, so stored is the intensity
            ("-1", "4095", INTENSITY),
            ("-1", "0", INTENSITY),
            ("-1", "-70000", INTENSITY),
            # value = stored + intercept rises with attenuation
            ("1", "0", 4095 - INTENSITY),
            ("1", "-40000", 4095 - INTENSITY),
            ("1", "-1024", 4095 - INTENSITY),
        ],
    )
    def test_intensity(self, cr, slope, intercept, stored):
        found = cr(stored, "intensity", RescaleSlope=slope, RescaleIntercept=intercept)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("intercept", ["4095", "0", "-70000"])
    def test_line_integrals_of_a_negative_slope(self, cr, intercept):
        """The highest stored value is the lowest line integral: (4095 - stored) / 4095."""
        stored = np.array([[0, 819, 1638], [2457, 3276, 4095]])
        found = cr(
            stored, "line_integral", RescaleSlope="-1", RescaleIntercept=intercept
        ).line_integrals
        expected = torch.tensor([[1.0, 0.8, 0.6], [0.4, 0.2, 0.0]])
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("intercept", ["0", "-1024", "-40000"])
    def test_line_integrals_of_an_offset(self, cr, intercept):
        stored = np.array([[0, 819, 1638], [2457, 3276, 4095]])
        found = cr(stored, "line_integral", RescaleSlope="1", RescaleIntercept=intercept)
        expected = torch.tensor([[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]])
        torch.testing.assert_close(found.line_integrals, expected)

    @pytest.mark.parametrize("intercept", ["-4096", "-40000"])
    def test_intensity_where_bone_is_dark_is_counted_from_the_lower_end(self, cr, intercept):
        found = cr(
            INTENSITY,
            "intensity",
            PhotometricInterpretation="MONOCHROME1",
            RescaleSlope="1",
            RescaleIntercept=intercept,
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
        assert any(f"value + {-int(intercept)}" in note for note in found.notes)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_relationship_and_sign_speak_of_the_stored_values(self, cr, sign):
        """C.8.11.3.1.2; a slope of -1 exchanges bright and dark after it."""
        found = cr(
            INTENSITY if sign > 0 else 4095 - INTENSITY,
            None,
            relationship="LIN",
            PixelIntensityRelationshipSign=sign,
            RescaleSlope="-1",
            RescaleIntercept="4095",
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)

    def test_a_slope_of_zero_is_not_used(self, cr):
        found = cr(INTENSITY, None, relationship="LIN", RescaleSlope="0", RescaleIntercept="0")
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
        assert any("(0028,1053) is 0: not used" in note for note in found.notes)

    def test_a_damaged_table_is_a_question_about_the_values(self, tmp_path):
        lut = item(LUTDescriptor=[4096, 0, 16], ModalityLUTType="US", LUTData=bytes(6))
        dataset = dicom(
            INTENSITY.astype(np.uint16),
            PixelIntensityRelationship="LOG",
            ModalityLUTSequence=[lut],
        )
        path = save(tmp_path / "x.dcm", dataset)
        with pytest.raises(ValueError, match=r"read_as.*lookup table .*3 of 4096 entries"):
            read_radiograph(path)
        found = read_radiograph(path, read_as="intensity", i0=4000.0, find_collimator=False)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)


class TestContainer:
    """12 bits in a file of more: intensity is 4095 - value where bone is bright, not 65535 - value."""

    @pytest.mark.parametrize("bits", [12, 16])
    def test_dicom(self, cr, bits):
        found = cr(4095 - INTENSITY, "intensity", bits=bits)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
        assert any("range is taken as 0 to 4095" in note for note in found.notes)

    def test_signed_dicom_without_negative_values(self, cr):
        found = cr(4095 - INTENSITY, "intensity", bits=16, PixelRepresentation=1)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)

    def test_signed_dicom_around_zero(self, cr):
        """-2048..2047: intensity is 2047 - value."""
        found = cr(2047 - INTENSITY, "intensity", bits=16, PixelRepresentation=1)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)

    def test_more_values_than_bits_stored_admits(self, cr):
        found = cr(4095 - INTENSITY, "intensity", bits=10)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
        assert any("(0028,0101) is 10, but there are values up to 3845" in n for n in found.notes)

    @pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
    @pytest.mark.parametrize("name", ["x.npy", "x.png", "x.tif"])
    def test_rasters(self, tmp_path, name, dtype):
        if name == "x.png" and dtype != "uint16":
            pytest.skip("PNG holds unsigned integers")
        values = (4095 - INTENSITY).astype(dtype)
        if name == "x.npy":
            np.save(tmp_path / name, values)
        else:
            cv2.imwrite(str(tmp_path / name), values)
        found = read_radiograph(
            tmp_path / name, read_as="intensity", bone="bright", i0=4000.0, **GEOMETRY
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
        assert any("range is taken as 0 to 4095" in note for note in found.notes)

    def test_floats_of_zero_to_one(self, tmp_path):
        np.save(tmp_path / "x.npy", 1 - INTENSITY / 4000 * 0.8)
        found = read_radiograph(
            tmp_path / "x.npy", read_as="intensity", bone="bright", i0=0.8, **GEOMETRY
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)

    def test_a_masked_pixel_is_not_the_range(self, tmp_path):
        """Padding of 65535 beside 12 bits."""
        stored = (4095 - INTENSITY).astype(np.uint16)
        stored[1, 2] = 65535
        dataset = dicom(
            stored,
            modality="CR",
            PixelIntensityRelationship=None,
            BitsStored=16,
            HighBit=15,
            PixelPaddingValue=65535,
        )
        found = read_radiograph(
            save(tmp_path / "x.dcm", dataset), read_as="intensity", i0=4000.0, find_collimator=False
        )
        assert found.usable.tolist() == [[True, True, True], [True, True, False]]
        torch.testing.assert_close(found.line_integrals[0], TRUTH[0], atol=1e-5, rtol=0)

    def test_readings_at_the_end_of_twelve_bits_are_clipped(self, tmp_path):
        values = INTENSITY.astype(np.uint16)
        values[0, 1] = 4095
        cv2.imwrite(str(tmp_path / "x.png"), values)
        found = read_radiograph(tmp_path / "x.png", read_as="intensity", i0=4000.0, **GEOMETRY)
        assert found.usable.tolist() == [[True, False, True], [True, True, True]]
        assert any("saturated at 4095" in note for note in found.notes)


@pytest.mark.parametrize(
    ("values", "bits", "signed", "stated", "low", "high"),
    [
        ([0, 255], 16, False, False, 0, 255),
        ([0, 256], 16, False, False, 0, 1023),
        ([3, 16383], 16, False, False, 0, 16383),
        ([3, 16384], 16, False, False, 0, 65535),
        ([0, 900], 12, False, True, 0, 4095),  # the header is believed
        ([0, 5000], 12, False, True, 0, 16383),  # as long as it can be
        ([-1, 900], 16, True, False, -2048, 2047),  # 10 bits end at 511
        ([5, 900], 16, True, False, 0, 1023),
        ([-32768, 5], 16, True, False, -32768, 32767),
        ([7, 9], 8, False, False, 0, 255),
    ],
)
def test_the_fewest_bits_that_hold_all(values, bits, signed, stated, low, high):
    found = integer_range(torch.tensor(values), bits=bits, signed=signed, stated=stated)
    assert (found.low, found.high) == (low, high)


def test_ranges_of_other_arrays():
    assert array_range(np.zeros((2, 2))) is None
    assert array_range(np.array([[True, False]])).high == 1
    assert floating_range(torch.tensor([0.0, 812.5])).high == 812.5
    assert floating_range(torch.tensor([0.0, 812.0])).high == 1023
