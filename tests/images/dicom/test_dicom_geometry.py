"""What the geometry of a DICOM X-ray header means; expected values worked out by hand."""

import pytest
import torch
from xray_files import COLUMNS, ROWS, dicom, item, save, stored_intensity

from napari_xreg.images import IncompleteRadiograph, ReadError, read_radiograph

# Patient axes are LPS, mm.
LEFT, ANTERIOR, UP = (40.0, 0.0, 0.0), (0.0, -40.0, 0.0), (0.0, 0.0, 40.0)


@pytest.fixture
def read(tmp_path):
    """Read a hand-made angiogram with the given attributes."""

    def reader(*, modality="XA", pixels=None, options=None, **attributes):
        path = save(tmp_path / "x.dcm", dicom(pixels, modality=modality, **attributes))
        return read_radiograph(path, **(options or {}))

    return reader


def shift(radiograph, marker):
    """How far a marker moves the projection, (row, column) pixels, from the isocenter's."""
    pose = radiograph.carm.pose_from(radiograph.nominal)
    points = torch.tensor([(0.0, 0.0, 0.0), marker], dtype=torch.float64)
    center, moved = radiograph.carm.project(points, pose)
    return (moved - center).tolist()


class TestDistances:
    def test_standard_attributes(self, read):
        carm = read().carm
        assert (carm.source_to_detector, carm.source_to_isocenter) == (1050.0, 690.0)
        assert carm.detector.spacing == (0.31, 0.27)
        assert carm.detector.shape == (ROWS, COLUMNS)

    def test_provenance_names_the_tag(self, read):
        provenance = read(options={"source_to_detector": 1100.0}).geometry.provenance
        assert provenance["source_to_detector"] == "given"
        assert provenance["source_to_isocenter"] == "DICOM Distance Source to Patient (0018,1111)"
        assert provenance["pixel_spacing"] == "DICOM Imager Pixel Spacing (0018,1164)"
        assert provenance["primary_deg"] == "DICOM Positioner Primary Angle (0018,1510)"

    def test_magnification_factor_gives_the_isocenter(self, read):
        found = read(DistanceSourceToPatient=None, EstimatedRadiographicMagnificationFactor="1.4")
        assert found.carm.source_to_isocenter == pytest.approx(750.0)
        assert any("750" in note for note in found.notes)

    def test_in_rf_the_object_distance_is_noted(self, read):
        assert any("object" in note for note in read(modality="RF").notes)
        assert not any("object" in note for note in read().notes)

    def test_missing_values_are_all_named_with_units(self, read):
        with pytest.raises(IncompleteRadiograph) as error:
            read(
                DistanceSourceToDetector=None,
                DistanceSourceToPatient=None,
                ImagerPixelSpacing=None,
            )
        message = str(error.value)
        for phrase in (
            "source_to_detector (mm): DICOM (0018,1110) is absent",
            "source_to_isocenter (mm): DICOM (0018,1111)",
            "pixel_spacing (mm at the detector: row, column): DICOM (0018,1164) is absent",
        ):
            assert phrase in message
        # A dialogue that asks for the rest starts from what is known.
        assert error.value.needed == ("source_to_detector", "source_to_isocenter", "pixel_spacing")
        known = error.value.stored.geometry
        assert known.primary_deg is not None
        assert len(known.missing()) == 3

    def test_what_is_given_is_no_longer_missing(self, read):
        found = read(
            DistanceSourceToDetector=None,
            ImagerPixelSpacing=None,
            options={"source_to_detector": 1011.0, "pixel_spacing": (0.21, 0.23)},
        )
        assert found.carm.source_to_detector == 1011.0
        assert found.carm.detector.spacing == (0.21, 0.23)


class TestPixelSpacing:
    def test_calibrated_spacing_does_not_replace_the_detector_s(self, read):
        found = read(PixelSpacing=["0.2", "0.17"], PixelSpacingCalibrationType="GEOMETRY")
        assert found.carm.detector.spacing == (0.31, 0.27)
        assert any("inside the patient" in note for note in found.notes)

    def test_equal_spacing_needs_no_note(self, read):
        found = read(PixelSpacing=["0.31", "0.27"])
        assert not any("Pixel Spacing" in note for note in found.notes)

    @pytest.mark.parametrize("kind", ["GEOMETRY", "FIDUCIAL"])
    def test_calibrated_spacing_times_magnification(self, read, kind):
        found = read(
            ImagerPixelSpacing=None,
            PixelSpacing=["0.2", "0.3"],
            PixelSpacingCalibrationType=kind,
            EstimatedRadiographicMagnificationFactor="1.5",
        )
        assert found.carm.detector.spacing == pytest.approx((0.3, 0.45))

    @pytest.mark.parametrize("kind", [None, "FIDUCIAL"])
    def test_ambiguous_spacing_is_asked_for(self, read, kind):
        attributes = {} if kind is None else {"PixelSpacingCalibrationType": kind}
        with pytest.raises(ReadError, match=r"pixel_spacing .*0\.2 x 0\.3 mm .*inside the patient"):
            read(ImagerPixelSpacing=None, PixelSpacing=["0.2", "0.3"], **attributes)

    def test_field_of_view_that_does_not_match_is_noted(self, read):
        """30 rows of 0.31 mm are 9.3 mm high; 44 columns of 0.27 mm are 11.88 mm wide."""
        right = read(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=[9, 12])
        wrong = read(FieldOfViewShape="RECTANGLE", FieldOfViewDimensions=[12, 9])
        assert not any("does not match" in note for note in right.notes)
        assert any("check the spacing" in note for note in wrong.notes)


class TestAngles:
    """PS3.3 C.8.7.5.1.2: + primary is LAO, + secondary is cranial, on the patient."""

    @pytest.mark.parametrize(
        ("primary", "secondary", "marker", "row", "column"),
        [
            (0, 0, LEFT, 0, 1),  # the reader faces the patient
            (0, 0, UP, -1, 0),
            (90, 0, ANTERIOR, 0, -1),  # LAO 90: the sternum is on the left
            (-90, 0, ANTERIOR, 0, 1),
            (0, 45, ANTERIOR, 1, 0),  # cranial: what lies in front sinks
            (0, -45, ANTERIOR, -1, 0),
        ],
    )
    def test_where_a_marker_goes(self, read, primary, secondary, marker, row, column):
        found = shift(
            read(PositionerPrimaryAngle=str(primary), PositionerSecondaryAngle=str(secondary)),
            marker,
        )
        for value, expected in zip(found, (row, column), strict=True):
            assert (value > 20) - (value < -20) == expected

    def test_magnification_and_spacing_order(self, read):
        """40 mm at the isocenter is 40 * 1050 / 690 mm at the detector: 225.4 columns, 196.4 rows."""
        frontal = read(PositionerPrimaryAngle="0", PositionerSecondaryAngle="0")
        assert shift(frontal, LEFT) == pytest.approx([0, 40 * 1050 / 690 / 0.27])
        assert shift(frontal, UP) == pytest.approx([-40 * 1050 / 690 / 0.31, 0])

    def test_nominal_pose_has_no_isocenter_and_says_so(self, read):
        found = read()
        assert (found.nominal.primary_deg, found.nominal.secondary_deg) == (30.0, 12.0)
        assert found.nominal.isocenter == (0.0, 0.0, 0.0)
        assert any("isocenter lies in the CT" in note for note in found.notes)
        placed = read(options={"isocenter": (5.0, -6.0, 7.0)})
        assert placed.nominal.isocenter == (5.0, -6.0, 7.0)

    def test_without_angles_there_is_no_nominal_pose(self, read):
        assert read(PositionerPrimaryAngle=None).nominal is None
        assert read(PositionerPrimaryAngle="", PositionerSecondaryAngle="").nominal is None

    def test_angles_of_another_positioner_are_not_used(self, read):
        found = read(modality="DX", PixelIntensityRelationshipSign=1, PositionerType="COLUMN")
        assert found.nominal is None
        assert any("COLUMN" in note for note in found.notes)

    @pytest.mark.parametrize(
        ("view", "primary"), [("PA", 0.0), ("AP", 180.0), ("LL", 90.0), ("RL", -90.0)]
    )
    def test_view_position_stands_in(self, read, view, primary):
        found = read(
            modality="DX",
            PositionerPrimaryAngle=None,
            PositionerSecondaryAngle=None,
            ViewPosition=view,
        )
        assert found.nominal.primary_deg == primary
        assert found.geometry.provenance["primary_deg"].endswith(view)

    def test_prone_is_noted(self, read):
        found = read(PatientPosition="HFP", PositionerType="CARM")
        assert found.nominal.primary_deg == 30.0
        assert any("HFP" in note for note in found.notes)
        supine = read(PatientPosition="HFS", PositionerType="CARM")
        assert not any("HFS" in note for note in supine.notes)

    @pytest.mark.parametrize(
        ("increments", "frame", "expected"),
        [(["2.5"], 1, 30.0), (["2.5"], 3, 35.0), (["0", "-4", "7"], 2, 26.0)],
    )
    def test_rotating_carm(self, read, increments, frame, expected):
        """C.8.7.5.1.3: one value is an increment, a list holds offsets from the first frame."""
        frames = stored_intensity()[None].repeat(3, 0)
        found = read(
            pixels=frames,
            PositionerMotion="DYNAMIC",
            PositionerPrimaryAngleIncrement=increments,
            options={"frame": frame},
        )
        assert found.nominal.primary_deg == expected


class TestPrincipalPoint:
    def test_middle_of_the_image_by_default(self, read):
        found = read()
        assert found.carm.detector.center == ((ROWS - 1) / 2, (COLUMNS - 1) / 2)
        assert "assumed" in found.geometry.provenance["principal_point"]

    def test_isocenter_projection_with_binning_and_origin(self, read):
        """Elements of 0.155 x 0.135 mm, binned 2 x 2, the field 10 rows and 6 columns in.

        Element (10.5, 6.5) is the corner shared by the first 2 x 2, the centre of pixel (0, 0).
        """
        found = read(
            PositionOfIsocenterProjection=[10.5, 6.5],
            DetectorElementSpacing=["0.155", "0.135"],
            FieldOfViewOrigin=["10", "6"],
            FieldOfViewRotation="0",
            FieldOfViewHorizontalFlip="NO",
        )
        assert found.carm.detector.center == pytest.approx((0.0, 0.0))
        moved = read(
            PositionOfIsocenterProjection=[40.5, 26.5],
            DetectorElementSpacing=["0.155", "0.135"],
            FieldOfViewOrigin=["10", "6"],
        )
        assert moved.carm.detector.center == pytest.approx((15.0, 10.0))

    @pytest.mark.parametrize(
        ("rotation", "flip", "expected"),
        [
            ("0", "NO", (4.0, 9.0)),
            ("0", "YES", (4.0, COLUMNS - 1 - 9.0)),
            ("180", "NO", (ROWS - 1 - 4.0, COLUMNS - 1 - 9.0)),
            # A field of 44 rows and 30 columns, turned: (r, c) -> (c, 44 - 1 - r), then flipped.
            ("90", "NO", (9.0, COLUMNS - 1 - 4.0)),
            ("90", "YES", (9.0, 4.0)),
            ("270", "NO", (ROWS - 1 - 9.0, 4.0)),
        ],
    )
    def test_rotation_then_flip(self, read, rotation, flip, expected):
        """The isocenter meets row 4, column 9 of the detector's own raster."""
        turned = rotation in ("90", "270")
        found = read(
            PositionOfIsocenterProjection=[4.0, 9.0],
            DetectorElementSpacing=["0.27", "0.31"] if turned else ["0.31", "0.27"],
            FieldOfViewOrigin=["0", "0"],
            FieldOfViewRotation=rotation,
            FieldOfViewHorizontalFlip=flip,
        )
        assert found.carm.detector.center == pytest.approx(expected)

    def test_field_as_a_part_of_the_detector(self, read):
        """100 x 120 elements: their middle is (49.5, 59.5); the field begins at (20, 50)."""
        found = read(
            DetectorElementSpacing=["0.31", "0.27"],
            PhysicalDetectorSize=[31.0, 32.4],
            FieldOfViewOrigin=["20", "50"],
        )
        assert found.carm.detector.center == pytest.approx((29.5, 9.5), abs=1e-4)

    def test_active_area_with_its_origin(self, read):
        """The active area spans elements 8..67 and 4..63: its middle is (37.5, 33.5)."""
        found = read(
            modality="DX",
            PixelIntensityRelationshipSign=1,
            DetectorElementSpacing=["0.31", "0.27"],
            DetectorActiveDimensions=["18.6", "16.2"],
            DetectorActiveOrigin=["8", "4"],
            FieldOfViewOrigin=["10", "5"],
        )
        assert found.carm.detector.center == pytest.approx((27.5, 28.5))

    def test_origin_without_detector_size_is_noted(self, read):
        found = read(FieldOfViewOrigin=["20", "50"])
        assert found.carm.detector.center == ((ROWS - 1) / 2, (COLUMNS - 1) / 2)
        assert any("size of the detector" in note for note in found.notes)

    def test_given_wins(self, read):
        found = read(
            PositionOfIsocenterProjection=[4.0, 9.0], options={"principal_point": (3.5, 8.25)}
        )
        assert found.carm.detector.center == (3.5, 8.25)

    def test_round_field(self, read):
        found = read(FieldOfViewShape="ROUND", FieldOfViewDimensions=[8])
        assert found.carm.detector.field_diameter == 8.0
        assert not found.usable[0, 0]
        assert found.usable[ROWS // 2, COLUMNS // 2]

    def test_detector_tilt_is_noted(self, read):
        assert any("off its normal" in note for note in read(DetectorPrimaryAngle="4").notes)


class TestOrientation:
    """The stored image on the screen: patient's left on the right and head up is the norm."""

    @pytest.mark.parametrize(
        ("labels", "mirrored", "roll"),
        [
            (["L", "F"], True, 0.0),
            (["R", "F"], False, 0.0),
            (["R", "H"], True, 180.0),
            (["H", "L"], True, 90.0),
            (["F", "R"], True, -90.0),
        ],
    )
    def test_patient_orientation_decides(self, read, labels, mirrored, roll):
        found = read(
            PositionerPrimaryAngle="0", PositionerSecondaryAngle="0", PatientOrientation=labels
        )
        assert found.carm.detector.mirrored is mirrored
        assert found.nominal.roll_deg == pytest.approx(roll)
        # The labels say where the marker has to go; the projection must agree.
        for label, axis in zip(labels, (1, 0), strict=True):
            marker = {"L": LEFT, "R": LEFT, "H": UP, "F": UP}[label]
            sign = 1 if label in "LH" else -1
            assert shift(found, marker)[axis] * sign > 20

    def test_oblique_labels(self, read):
        found = read(PositionerPrimaryAngle="40", PatientOrientation=["LP", "FA"])
        assert found.carm.detector.mirrored
        assert found.nominal.roll_deg == 0.0

    def test_labels_that_do_not_fit_are_noted(self, read):
        found = read(PositionerPrimaryAngle="90", PatientOrientation=["L", "F"])
        assert found.carm.detector.mirrored
        assert any("does not fit" in note for note in found.notes)
        odd = read(PatientOrientation=["X", "F"])
        assert any("does not fit" in note for note in odd.notes)

    @pytest.mark.parametrize("flip", ["NO", "YES"])
    @pytest.mark.parametrize("rotation", [0, 90, 180, 270])
    def test_field_rotation_and_flip_equal_turning_the_image(self, tmp_path, rotation, flip):
        """The same detector raster, stored plainly or turned, must see the patient the same way."""
        plain = stored_intensity()
        path = save(
            tmp_path / "plain.dcm",
            dicom(
                plain,
                PositionOfIsocenterProjection=[4.0, 9.0],
                DetectorElementSpacing=["0.31", "0.27"],
                FieldOfViewRotation="0",
                FieldOfViewHorizontalFlip="NO",
            ),
        )
        expected = read_radiograph(path).rotate90(rotation // 90)
        stored = torch.rot90(torch.from_numpy(plain.astype("int32")), -rotation // 90)
        if flip == "YES":
            expected, stored = expected.flip_columns(), stored.flip(1)
        turned = rotation in (90, 270)
        path = save(
            tmp_path / "turned.dcm",
            dicom(
                stored.numpy().astype("uint16"),
                ImagerPixelSpacing=["0.27", "0.31"] if turned else ["0.31", "0.27"],
                PositionOfIsocenterProjection=[4.0, 9.0],
                DetectorElementSpacing=["0.31", "0.27"],
                FieldOfViewRotation=str(rotation),
                FieldOfViewHorizontalFlip=flip,
            ),
        )
        found = read_radiograph(path)
        torch.testing.assert_close(found.line_integrals, expected.line_integrals)
        assert found.carm.detector.mirrored == expected.carm.detector.mirrored
        for marker in (LEFT, ANTERIOR, UP):
            assert shift(found, marker) == pytest.approx(shift(expected, marker), abs=1e-6)
        assert found.carm.detector.center == pytest.approx(expected.carm.detector.center)

    def test_assumptions_are_said(self, read):
        found = read()
        assert found.carm.detector.mirrored
        assert any("upright" in note for note in found.notes)
        assert read(options={"mirrored": False}).carm.detector.mirrored is False

    def test_rotation_by_other_angles_is_not_used(self, read):
        found = read(FieldOfViewRotation="45")
        assert found.nominal.roll_deg == 0
        assert any("must be 0, 90, 180 or 270: got 45" in note for note in found.notes)


class TestEnhanced:
    def test_functional_groups_of_the_frame(self, tmp_path):
        """Enhanced XA keeps its geometry per frame or shared (C.8.19.6)."""
        frames = stored_intensity()[None].repeat(2, 0)
        dataset = dicom(
            frames,
            DistanceSourceToDetector=None,
            DistanceSourceToPatient=None,
            ImagerPixelSpacing=None,
            PositionerPrimaryAngle=None,
            PositionerSecondaryAngle=None,
        )
        shared = item(
            XRayGeometrySequence=[
                item(DistanceSourceToIsocenter=685.0, DistanceSourceToDetector="1045")
            ],
            FramePixelDataPropertiesSequence=[item(ImagerPixelSpacing=["0.3", "0.26"])],
        )
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = [
            item(
                PositionerPositionSequence=[
                    item(PositionerPrimaryAngle=str(angle), PositionerSecondaryAngle="5")
                ]
            )
            for angle in (-20, 35)
        ]
        path = save(tmp_path / "enhanced.dcm", dataset)
        first, second = (read_radiograph(path, frame=frame) for frame in (1, 2))
        assert first.carm.source_to_detector == 1045.0
        assert first.carm.source_to_isocenter == 685.0
        assert first.carm.detector.spacing == (0.3, 0.26)
        assert (first.nominal.primary_deg, second.nominal.primary_deg) == (-20.0, 35.0)
