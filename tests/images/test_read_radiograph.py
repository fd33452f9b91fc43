"""Reading pixels: polarity, logarithms, tables, frames, masks; and rasters with a sidecar."""

import json

import cv2
import numpy as np
import pytest
import torch
from pydicom.uid import RLELossless
from xray_files import COLUMNS, ROWS, dicom, item, line_integrals, save, stored_intensity

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import (
    Radiograph,
    ReadError,
    SeveralFrames,
    read_geometry,
    read_radiograph,
    write_dicom_radiograph,
    write_geometry,
    write_radiograph,
)
from napari_xreg.images.known_geometry.sidecar import given_geometry
from napari_xreg.images.operations import Crop, Turn

TRUTH = torch.from_numpy(line_integrals()).float()
# Half a step of 12-bit readings that go down to 272.
QUANTISATION = 0.5 / (3000 * np.exp(-2.4)) + 1e-6
GEOMETRY = {
    "source_to_detector": 1050.0,
    "source_to_isocenter": 690.0,
    "pixel_spacing": (0.31, 0.27),
}


@pytest.fixture
def read(tmp_path):
    def reader(pixels=None, *, modality="XA", options=None, **attributes):
        path = save(tmp_path / "x.dcm", dicom(pixels, modality=modality, **attributes))
        return read_radiograph(path, **{"find_collimator": False, **(options or {})})

    return reader


def correlation(radiograph):
    """With the true line integrals, over the usable pixels."""
    usable = radiograph.usable
    return float(
        torch.corrcoef(torch.stack([radiograph.line_integrals[usable], TRUTH[usable]]))[0, 1]
    )


class TestPolarity:
    def test_linear_intensity_with_i0(self, read):
        found = read(options={"i0": 3000.0})
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=QUANTISATION, rtol=0)
        assert (found.read_as, found.i0, found.photometric) == ("intensity", 3000.0, "MONOCHROME2")

    def test_linear_intensity_without_i0(self, read):
        found = read()
        assert found.i0 == pytest.approx(3000.0, rel=1e-3)
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=2e-3, rtol=0)
        assert any("estimated" in note for note in found.notes)

    def test_sign_minus_one_is_inverted(self, read):
        """C.8.11.3.1.2: higher values are less intensity; 4095 is the end of 12 bits."""
        inverted = (4095 - stored_intensity()).astype(np.uint16)
        found = read(inverted, PixelIntensityRelationshipSign=-1, options={"i0": 3000.0})
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=QUANTISATION, rtol=0)
        assert any("4095 - value" in note for note in found.notes)

    def test_sign_zero_says_nothing(self, read):
        """There is +1 and -1; as without it, linear values are intensity: more of it is brighter."""
        found = read(PixelIntensityRelationshipSign=0, options={"i0": 3000.0})
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=QUANTISATION, rtol=0)
        assert any("Sign (0028,1041) is 0: not used" in note for note in found.notes)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_the_sign_outweighs_the_display(self, read, photometric):
        found = read(PixelIntensityRelationshipSign=1, PhotometricInterpretation=photometric)
        assert correlation(found) > 0.999
        assert found.photometric == photometric

    @pytest.mark.parametrize(
        ("modality", "photometric", "bone_high"),
        [
            ("CR", "MONOCHROME1", False),  # low shown white, and bone is white on a radiograph
            ("CR", "MONOCHROME2", True),
            ("DX", "MONOCHROME1", False),
            ("XA", "MONOCHROME2", False),  # bone is dark in fluoroscopy
            ("XA", "MONOCHROME1", True),
        ],
    )
    @pytest.mark.parametrize("read_as", ["intensity", "line_integral"])
    def test_without_a_sign_the_display_decides(
        self, read, modality, photometric, bone_high, read_as
    ):
        stored = stored_intensity()
        if bone_high:
            stored = (4095 - stored).astype(np.uint16)
        found = read(
            stored,
            modality=modality,
            PixelIntensityRelationship=None,
            PhotometricInterpretation=photometric,
            options={"read_as": read_as},
        )
        assert correlation(found) > 0.9

    def test_without_a_relationship_it_is_asked_for(self, read):
        with pytest.raises(ReadError, match=r"read_as .*\(0028,1040\) is absent$"):
            read(modality="CR", PixelIntensityRelationship=None)

    def test_bone_can_be_stated(self, read):
        assert correlation(read(options={"bone": "bright"})) < -0.9

    @pytest.mark.parametrize("sign", [1, -1])
    def test_log_values_are_line_integrals_up_to_a_factor(self, read, sign):
        values = np.rint(900 - 300 * line_integrals())
        stored = values if sign > 0 else 4095 - values
        found = read(
            stored.astype(np.uint16),
            modality="DX",
            PixelIntensityRelationship="LOG",
            PixelIntensityRelationshipSign=sign,
        )
        torch.testing.assert_close(found.line_integrals * 4095 / 300, TRUTH, atol=2e-3, rtol=0)
        assert any("unknown factor" in note for note in found.notes)

    def test_log_with_a_table_is_linear(self, read):
        """XA stores LOG with the modality LUT that leads back to intensity (C.8.7.1.1.2)."""
        codes = np.arange(256)
        table = np.rint(60000 * np.exp((codes - 255) / 60)).astype(np.uint16)
        stored = np.rint(255 + 60 * -line_integrals()).astype(np.uint8)
        lut = item(LUTDescriptor=[256, 0, 16], ModalityLUTType="US", LUTData=table.tobytes())
        found = read(
            stored,
            PixelIntensityRelationship="LOG",
            ModalityLUTSequence=[lut],
            options={"i0": 60000.0},
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=0.51 / 60, rtol=0)

    def test_table_that_starts_later_holds_its_ends(self, read):
        lut = item(LUTDescriptor=[3, 100, 16], ModalityLUTType="US")
        lut.add_new("LUTData", "US", [500, 1000, 2000])
        stored = np.array([[90, 100, 101], [102, 250, 101]], np.uint8)
        found = read(
            stored,
            PixelIntensityRelationship="DISP",
            ModalityLUTSequence=[lut],
            options={"i0": 2000.0},
        )
        expected = -np.log(np.array([[500, 500, 1000], [2000, 2000, 1000]]) / 2000)
        torch.testing.assert_close(found.line_integrals, torch.from_numpy(expected).float())

    def test_rescale_is_applied(self, read):
        """A signed file: I = 2 * stored + 100."""
        stored = np.rint((stored_intensity().astype(float) - 100) / 2).astype(np.int16)
        found = read(
            stored,
            PixelRepresentation=1,
            RescaleSlope="2",
            RescaleIntercept="100",
            options={"i0": 3000.0},
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=4 * QUANTISATION, rtol=0)

    def test_window_is_not_applied(self, read):
        plain = read()
        windowed = read(WindowCenter="700", WindowWidth="300", VOILUTFunction="SIGMOID")
        assert torch.equal(plain.line_integrals, windowed.line_integrals)

    def test_display_values_are_noted(self, read):
        assert any("DISP" in note for note in read(PixelIntensityRelationship="DISP").notes)
        shown = read(modality="DX", PresentationIntentType="FOR PRESENTATION")
        assert any("FOR PRESENTATION" in note for note in shown.notes)


class TestFrames:
    def test_one_of_several_must_be_chosen(self, read):
        frames = np.stack([stored_intensity(i0=i0) for i0 in (3000, 2500, 2000)])
        with pytest.raises(
            SeveralFrames, match=r"3 frames: choose one of the frames 1\.\.3"
        ) as caught:
            read(frames)
        assert caught.value.frames == 3
        second = read(frames, options={"frame": 2, "i0": 2500.0})
        torch.testing.assert_close(second.line_integrals, TRUTH, atol=1.2 * QUANTISATION, rtol=0)
        with pytest.raises(ReadError, match="no frame 4"):
            read(frames, options={"frame": 4})
        with pytest.raises(ReadError, match="no frame 0"):
            read(frames, options={"frame": 0})

    def test_mean_of_a_still_carm(self, read):
        frames = np.stack([stored_intensity(i0=i0) for i0 in (3000, 2000)])
        mean = read(frames, options={"frame": "mean", "i0": 2500.0})
        torch.testing.assert_close(mean.line_integrals, TRUTH, atol=1.2 * QUANTISATION, rtol=0)
        with pytest.raises(ReadError, match="moves from frame to frame"):
            read(frames, PositionerMotion="DYNAMIC", options={"frame": "mean"})

    def test_run_length_encoding_needs_no_extra(self, tmp_path):
        dataset = dicom()
        dataset.compress(RLELossless)
        plain = read_radiograph(save(tmp_path / "plain.dcm", dicom()))
        packed = read_radiograph(save(tmp_path / "packed.dcm", dataset))
        assert torch.equal(plain.line_integrals, packed.line_integrals)


class TestMasks:
    def test_rectangular_collimator_counts_from_one(self, read):
        found = read(
            CollimatorShape="RECTANGULAR",
            CollimatorLeftVerticalEdge="3",
            CollimatorRightVerticalEdge="10",
            CollimatorUpperHorizontalEdge="5",
            CollimatorLowerHorizontalEdge="29",
        )
        expected = torch.zeros(ROWS, COLUMNS, dtype=torch.bool)
        expected[4:29, 2:10] = True
        assert torch.equal(found.usable, expected)

    def test_circle_and_polygon_overlap(self, read):
        """A radius is counted along a row; rows are 0.31 and columns 0.27 mm apart."""
        found = read(
            ShutterShape=["CIRCULAR", "POLYGONAL"],
            CenterOfCircularShutter=["16", "21"],
            RadiusOfCircularShutter="10",
            VerticesOfThePolygonalShutter=["1", "1", "1", "21", "27", "21", "27", "1"],
        )
        row, column = torch.meshgrid(
            torch.arange(1, ROWS + 1), torch.arange(1, COLUMNS + 1), indexing="ij"
        )
        circle = ((row.double() - 16) * 0.31) ** 2 + (
            (column.double() - 21) * 0.27
        ) ** 2 <= 2.7**2 + 1e-9
        expected = circle & (column <= 21) & (row <= 27)
        assert torch.equal(found.usable, expected)

    def test_padding_zero_and_saturation(self, read):
        stored = stored_intensity()
        stored[0, :5] = 7
        stored[1, :3] = 0
        stored[2, :2] = 4095
        found = read(stored, PixelPaddingValue=7)
        assert (~found.usable).sum() == 10
        assert not found.usable[2, 1]
        assert any("padding" in note for note in found.notes)
        assert any("2 of 1320 pixels masked: saturated at 4095" in note for note in found.notes)

    def test_blades_are_found_and_said(self, tmp_path):
        stored = stored_intensity(180, 240)
        dark = np.full_like(stored, 40)
        dark[20:150, 30:200] = stored[20:150, 30:200]
        path = save(tmp_path / "x.dcm", dicom(dark))
        found = read_radiograph(path)
        assert not found.usable[:18].any()
        assert not found.usable[:, 204:].any()
        assert found.usable[24:146, 34:196].all()
        assert any("collimator found" in note for note in found.notes)
        assert read_radiograph(path, find_collimator=False).mask is None


class TestOperations:
    def test_crop_then_turn(self, read):
        whole = read()
        part = read(options={"crop": (3, 5, 20, 30), "rotate180": True})
        expected = whole.crop(3, 5, 20, 30).rotate180()
        assert torch.equal(part.line_integrals, expected.line_integrals)
        assert part.carm == expected.carm
        assert part.operations == (Crop(3, 5, 20, 30, of=(ROWS, COLUMNS)), Turn(2))

    def test_bad_crop_is_a_sentence(self, read):
        with pytest.raises(ReadError, match=r"x\.dcm: the crop .* does not lie inside"):
            read(options={"crop": (3, 5, 200, 30)})


def radiograph(*, mirrored=True, masked=True, nominal=True):
    image = torch.from_numpy(line_integrals(41, 57)).float()
    mask = torch.ones(41, 57, dtype=torch.bool)
    mask[:6, 50:] = False
    detector = Detector((41, 57), (0.41, 0.37), (15.125, 33.5), mirrored=mirrored)
    pose = CArmPose(28.5, -11.25, 6.5, (1.5, -2.25, 30.0), (12.0, -45.5, 101.75))
    return Radiograph(
        image,
        CArm(1023.7, 641.2, detector),
        mask=mask if masked else None,
        nominal=pose if nominal else None,
        simulated=True,
    )


class TestWritten:
    @pytest.mark.parametrize("nominal", [True, False])
    @pytest.mark.parametrize("mirrored", [True, False])
    @pytest.mark.parametrize("modality", ["XA", "DX"])
    def test_dicom_round_trip(self, tmp_path, modality, mirrored, nominal):
        written = radiograph(mirrored=mirrored, nominal=nominal)
        path = write_dicom_radiograph(tmp_path / "x.dcm", written, modality=modality)
        found = read_radiograph(path, find_collimator=False)
        # Half a step of 1 at readings of 50000 exp(-2.4).
        error = (found.line_integrals - written.line_integrals)[written.mask].abs().max()
        assert error < 0.5 / (50000 * np.exp(-2.4)) + 1e-6
        assert torch.equal(found.usable, written.usable)
        assert found.carm.source_to_detector == written.carm.source_to_detector
        assert found.carm.source_to_isocenter == pytest.approx(641.2, abs=1e-9)
        assert found.carm.detector.spacing == (0.41, 0.37)
        assert found.carm.detector.mirrored is mirrored
        # The position of the isocenter is single precision in DICOM.
        assert found.carm.detector.center == pytest.approx((15.125, 33.5), abs=1e-5)
        assert found.nominal == written.nominal
        assert found.simulated
        assert found.i0 == 50000.0
        assert not any("estimated" in note for note in found.notes)

    def test_field_diameter_survives(self, tmp_path):
        detector = Detector((41, 57), (0.41, 0.37), field_diameter=15.5)
        written = Radiograph(
            torch.from_numpy(line_integrals(41, 57)).float(), CArm(1000.0, 600.0, detector)
        )
        found = read_radiograph(write_dicom_radiograph(tmp_path / "x.dcm", written))
        assert found.carm.detector.field_diameter == 15.5
        assert not found.simulated

    @pytest.mark.parametrize("i0", [0.5, 70000.0])
    def test_i0_must_fit_16_bits(self, tmp_path, i0):
        with pytest.raises(ValueError, match=r"1\.\.65535"):
            write_dicom_radiograph(tmp_path / "x.dcm", radiograph(), i0=i0)

    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("suffix", [".npz", ".png", ".tif"])
    def test_raster_round_trip(self, tmp_path, suffix, masked):
        written = radiograph(masked=masked)
        paths = write_radiograph(tmp_path / f"x{suffix}", written)
        assert all(path.exists() for path in paths)
        found = read_radiograph(paths[0])
        step = 0 if suffix == ".npz" else 2.4 / 65534
        error = (found.line_integrals - written.line_integrals)[written.usable].abs().max()
        assert error <= 0.51 * step + (0 if suffix == ".npz" else 1e-6)
        assert torch.equal(found.usable, written.usable)
        assert found.carm == written.carm
        assert found.nominal == written.nominal
        assert found.simulated
        assert found.read_as == "line_integral"

    def test_other_endings_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"\.npz, \.png or \.tif"):
            write_radiograph(tmp_path / "x.jpg", radiograph())


class TestRaster:
    @pytest.mark.parametrize("suffix", [".png", ".tif"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_intensity_with_geometry_by_hand(self, tmp_path, suffix, dtype):
        i0 = 230 if dtype is np.uint8 else 60000
        cv2.imwrite(
            str(tmp_path / f"x{suffix}"), np.rint(i0 * np.exp(-TRUTH.numpy())).astype(dtype)
        )
        found = read_radiograph(tmp_path / f"x{suffix}", read_as="intensity", i0=i0, **GEOMETRY)
        torch.testing.assert_close(
            found.line_integrals, TRUTH, atol=0.51 / (i0 * np.exp(-2.4)), rtol=0
        )
        assert found.carm.detector.spacing == (0.31, 0.27)
        assert any("mirrored was not given" in note for note in found.notes)
        assert found.geometry.provenance["pixel_spacing"] == "given"

    def test_bright_bone_is_scaled_to_the_full_range(self, tmp_path):
        stored = np.rint(100 * line_integrals()).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "x.png"), stored)
        found = read_radiograph(tmp_path / "x.png", read_as="line_integral", **GEOMETRY)
        torch.testing.assert_close(found.line_integrals * 255 / 100, TRUTH, atol=0.0051, rtol=0)
        assert any("unknown factor" in note for note in found.notes)

    def test_equal_colour_channels_are_grey(self, tmp_path):
        grey = stored_intensity(i0=250).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "x.png"), np.repeat(grey[..., None], 3, 2))
        cv2.imwrite(str(tmp_path / "y.png"), grey)
        one, two = (
            read_radiograph(tmp_path / name, read_as="intensity", **GEOMETRY)
            for name in ("x.png", "y.png")
        )
        assert torch.equal(one.line_integrals, two.line_integrals)

    def test_float_npy_line_integrals_are_kept(self, tmp_path):
        np.save(tmp_path / "x.npy", line_integrals())
        found = read_radiograph(tmp_path / "x.npy", read_as="line_integral", **GEOMETRY)
        assert torch.equal(found.line_integrals, TRUTH)

    def test_pages_are_frames(self, tmp_path):
        pages = [stored_intensity(i0=i0) for i0 in (3000, 2000)]
        cv2.imwritemulti(str(tmp_path / "x.tif"), pages)
        with pytest.raises(ReadError, match=r"frames 1\.\.2"):
            read_radiograph(tmp_path / "x.tif", read_as="intensity", **GEOMETRY)
        found = read_radiograph(
            tmp_path / "x.tif", read_as="intensity", frame=2, i0=2000.0, **GEOMETRY
        )
        torch.testing.assert_close(found.line_integrals, TRUTH, atol=1.5 * QUANTISATION, rtol=0)

    def test_meaning_and_geometry_are_asked_for(self, tmp_path):
        np.save(tmp_path / "x.npy", line_integrals())
        with pytest.raises(ReadError) as error:
            read_radiograph(tmp_path / "x.npy", source_to_detector=1000.0)
        message = str(error.value)
        assert "source_to_detector" not in message
        for phrase in ("source_to_isocenter (mm)", "pixel_spacing (mm", "read_as ('intensity'"):
            assert phrase in message


class TestSidecar:
    def test_written_by_hand(self, tmp_path):
        np.save(tmp_path / "x.npy", 3000.0 * np.exp(-line_integrals()))
        sidecar = {
            "schema": "napari-xreg/xray-geometry",
            "version": 1,
            "source_to_detector_mm": 1020,
            "source_to_isocenter_mm": 640,
            "pixel_spacing_mm": [0.5, 0.6],
            "principal_point_px": [11, 17],
            "mirrored": False,
            "primary_deg": 12,
            "secondary_deg": -3,
            "isocenter_mm": [1, 2, 3],
            "image": {"read_as": "intensity", "i0": 3000},
        }
        (tmp_path / "x.npy.json").write_text(json.dumps(sidecar))
        found = read_radiograph(tmp_path / "x.npy")
        torch.testing.assert_close(found.line_integrals, TRUTH)
        assert found.carm == CArm(
            1020.0, 640.0, Detector((ROWS, COLUMNS), (0.5, 0.6), (11.0, 17.0), mirrored=False)
        )
        assert found.nominal == CArmPose(12.0, -3.0, isocenter=(1.0, 2.0, 3.0))
        assert found.geometry.provenance["mirrored"] == "x.npy.json"

    def test_keywords_beat_file_beats_sidecar(self, tmp_path):
        (image,) = write_radiograph(tmp_path / "x.npz", radiograph())
        write_geometry(
            tmp_path / "room.json", given_geometry(source_to_detector=1111.0, primary_deg=77.0)
        )
        found = read_radiograph(image, geometry=tmp_path / "room.json", primary_deg=55.0)
        assert found.carm.source_to_detector == 1111.0
        assert found.carm.source_to_isocenter == 641.2
        assert found.nominal.primary_deg == 55.0
        provenance = found.geometry.provenance
        assert provenance["source_to_detector"] == "room.json"
        assert provenance["primary_deg"] == "given"

    def test_geometry_reads_back(self, tmp_path):
        record = read_radiograph(write_dicom_radiograph(tmp_path / "x.dcm", radiograph())).geometry
        write_geometry(tmp_path / "g.json", record)
        assert read_geometry(tmp_path / "g.json").known() == record.known()

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"schema": "other"}, 'expected a JSON object whose "schema" is'),
            ({"version": 2}, "update napari-xreg"),
            ({"source_to_detektor_mm": 5}, "unknown name 'source_to_detektor_mm'"),
            ({"pixel_spacing_mm": [0.3]}, "pixel_spacing should be 2 numbers"),
            ({"pixel_spacing_mm": "0.3 0.4"}, "pixel_spacing should be 2 numbers"),
            ({"source_to_detector_mm": None, "mirrored": 1}, "mirrored should be true or false"),
            ({"isocenter_mm": [1, 2, float("nan")]}, "NaN is not a number"),
            ({"isocenter_mm": [1, 2, 10**400]}, "is too large"),
            ({"pixel_spacing_mm": ["0.3", "0.4"]}, "pixel_spacing should be 2 numbers"),
            ({"pixel_spacing_mm": {"row": 0.3, "column": 0.4}}, "should be 2 numbers"),
            ({"pixel_spacing_mm": [0.3, 0]}, "pixel_spacing must be positive, in mm: got 0.3 x 0"),
            ({"source_to_detector_mm": True}, "source_to_detector should be a number"),
            ({"source_to_detector_mm": [1020]}, "source_to_detector should be a number"),
            ({"source_to_detector_mm": -1}, "source_to_detector must be positive, in mm: got -1"),
            ({"field_diameter_mm": 0}, "field_diameter must be positive, in mm: got 0"),
            ({"source_to_isocenter_mm": 1e300}, "source_to_isocenter must lie between"),
            ({"version": True}, "has version True"),
        ],
    )
    def test_malformed_sidecars(self, tmp_path, change, complaint):
        data = {"schema": "napari-xreg/xray-geometry", "version": 1, **change}
        (tmp_path / "g.json").write_text(json.dumps(data))
        with pytest.raises(ReadError, match=complaint):
            read_geometry(tmp_path / "g.json")
