"""A header value that cannot be is a problem that the user's value removes, never a refusal."""

import pytest
from xray_files import COLUMNS, ROWS, dicom, save, stored_intensity

from napari_xreg.images import IncompleteRadiograph, read_radiograph

EVERYTHING = {
    "source_to_detector": 1011.0,
    "source_to_isocenter": 655.0,
    "pixel_spacing": (0.9, 1.3),
    "principal_point": (11.0, 29.5),
    "mirrored": False,
    "field_diameter": 30.0,
    "primary_deg": 12.0,
    "secondary_deg": -7.0,
    "roll_deg": 5.0,
}


@pytest.fixture
def read(tmp_path):
    def reader(options=None, pixels=None, replace=None, **attributes):
        path = save(tmp_path / "x.dcm", dicom(pixels, **attributes))
        if replace is not None:  # what no checked writer writes, of the same length
            old, new = replace
            content = path.read_bytes()
            assert content.count(old) == 1
            assert len(old) == len(new)
            path.write_bytes(content.replace(old, new))
        return read_radiograph(path, **(options or {}))

    return reader


BAD = {
    "SDD 0": {"DistanceSourceToDetector": "0"},
    "SDD -1": {"DistanceSourceToDetector": "-1"},
    "SDD of two": {"DistanceSourceToDetector": ["1050", "1060"]},
    "SDD of a light year": {"DistanceSourceToDetector": "1e19"},
    "SOD 0": {"DistanceSourceToPatient": "0"},
    "SOD -1": {"DistanceSourceToPatient": "-1", "DistanceSourceToIsocenter": -1.0},
    "SOD beyond the detector": {"DistanceSourceToPatient": "1350"},
    "spacing 0": {"ImagerPixelSpacing": ["0", "0"]},
    "spacing -1": {"ImagerPixelSpacing": ["-1", "-1"]},
    "one spacing": {"ImagerPixelSpacing": "0.31"},
    "calibrated spacing 0": {"PixelSpacing": ["0", "0"]},
    "calibrated spacing -1": {"PixelSpacing": ["-1", "-1"]},
    "film spacing of one": {"NominalScannedPixelSpacing": "0.2"},
    "magnification 0": {"EstimatedRadiographicMagnificationFactor": "0"},
    "magnification of two": {"EstimatedRadiographicMagnificationFactor": ["1.4", "1.5"]},
    "three angles": {"PositionerPrimaryAngle": ["1", "2", "3"]},
    "two secondary angles": {"PositionerSecondaryAngle": ["1", "2"]},
    "tilt of two": {"DetectorPrimaryAngle": ["1", "2"]},
    "rotation 45": {"FieldOfViewRotation": "45"},
    "three origins": {"FieldOfViewOrigin": ["1", "2", "3"]},
    "element 0": {"DetectorElementSpacing": ["0", "0"], "FieldOfViewOrigin": ["20", "50"]},
    "one element": {"DetectorElementSpacing": "0.3"},
    "one isocenter number": {"PositionOfIsocenterProjection": 4.0},
    "isocenter NaN": {"PositionOfIsocenterProjection": [float("nan"), 3.0]},
    "dimensions 0": {"FieldOfViewShape": "ROUND", "FieldOfViewDimensions": [0]},
    "dimensions -1": {"FieldOfViewShape": "ROUND", "FieldOfViewDimensionsInFloat": [-1.0]},
    "padding of two": {"PixelPaddingValue": [1, 2]},
    "polygon of one corner": {
        "CollimatorShape": "POLYGONAL",
        "VerticesOfThePolygonalCollimator": ["1", "2"],
    },
    "circle of two radii": {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": ["16", "21"],
        "RadiusOfCircularShutter": ["3", "4"],
    },
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_user_says_comes_first(read, name):
    found = read(EVERYTHING, **BAD[name])
    assert found.carm.source_to_detector == 1011.0
    assert found.carm.source_to_isocenter == 655.0
    assert found.carm.detector.spacing == (0.9, 1.3)
    assert found.carm.detector.center == (11.0, 29.5)
    assert found.carm.detector.field_diameter == 30.0
    assert not found.carm.detector.mirrored
    assert (found.nominal.primary_deg, found.nominal.secondary_deg) == (12.0, -7.0)
    assert found.geometry.problems == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"1050.25", b"NaN    "),
        (b"690.125", b"inf    "),
        (b"0.31\\0.27", b"NaN\\0.27 "),
        (b"-30.625", b"-------"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
def test_text_that_is_no_number(read, old, new):
    found = read(
        EVERYTHING,
        replace=(old, new),
        DistanceSourceToDetector="1050.25",
        DistanceSourceToPatient="690.125",
        PositionerPrimaryAngle="-30.625",
    )
    assert found.carm.detector.spacing == (0.9, 1.3)
    assert found.carm.source_to_detector == 1011.0


@pytest.mark.parametrize(
    ("name", "value", "given"),
    [
        ("SDD 0", "source_to_detector", 1011.0),
        ("SDD -1", "source_to_detector", 1011.0),
        ("SDD of a light year", "source_to_detector", 1011.0),
        ("SOD -1", "source_to_isocenter", 655.0),
        ("SOD 0", "source_to_isocenter", 655.0),
        ("spacing 0", "pixel_spacing", (0.9, 1.3)),
        ("spacing -1", "pixel_spacing", (0.9, 1.3)),
        ("one spacing", "pixel_spacing", (0.9, 1.3)),
    ],
)
def test_a_needed_value_is_asked_for_and_given(read, name, value, given):
    with pytest.raises(IncompleteRadiograph, match=value) as asked:
        read(**BAD[name])
    assert asked.value.needed == (value,)
    assert getattr(asked.value.stored.geometry, value) is None
    assert "--" not in str(asked.value)
    assert read({value: given}, **BAD[name]).geometry.known()[value] == given


@pytest.mark.parametrize("given", [{"source_to_detector": 1400.0}, {"source_to_isocenter": 655.0}])
def test_distances_that_contradict_each_other_are_shown_and_either_can_be_mended(read, given):
    with pytest.raises(IncompleteRadiograph, match=r"1350.*1050.*\(0018,1111\)") as asked:
        read(**BAD["SOD beyond the detector"])
    shown = asked.value.stored.geometry
    assert (shown.source_to_detector, shown.source_to_isocenter) == (1050.0, 1350.0)
    assert asked.value.needed == ("source_to_detector", "source_to_isocenter")
    mended = read(given, **BAD["SOD beyond the detector"]).carm
    expected = {"source_to_detector": 1050.0, "source_to_isocenter": 1350.0, **given}
    assert mended.source_to_detector == expected["source_to_detector"]
    assert mended.source_to_isocenter == expected["source_to_isocenter"]


def test_the_other_distance_stands_in(read):
    found = read(DistanceSourceToPatient="1350", DistanceSourceToIsocenter=715.0)
    assert found.carm.source_to_isocenter == 715.0
    assert any("of 1350 mm is not used" in note for note in found.notes)
    found = read(DistanceSourceToPatient="-1", DistanceSourceToIsocenter=715.0)
    assert found.carm.source_to_isocenter == 715.0
    found = read(DistanceSourceToPatient="0", EstimatedRadiographicMagnificationFactor="1.5")
    assert found.carm.source_to_isocenter == pytest.approx(700.0)


def test_a_valid_spacing_beside_an_unknown_one(read):
    assert read(PixelSpacing=["0", "0"]).carm.detector.spacing == (0.31, 0.27)
    film = read(ImagerPixelSpacing=["-1", "-1"], NominalScannedPixelSpacing=["0.2", "0.4"])
    assert film.carm.detector.spacing == (0.2, 0.4)
    assert any("(0018,1164) must be positive" in note for note in film.notes)


def test_a_doubtful_angle_is_noted_and_leaves_no_nominal_pose(read):
    found = read(**BAD["three angles"])
    assert found.nominal is None
    assert any(note.startswith("primary_deg: DICOM Positioner Primary") for note in found.notes)
    moving = read(
        {"frame": 2},
        pixels=stored_intensity()[None].repeat(3, 0),
        PositionerMotion="DYNAMIC",
        PositionerSecondaryAngleIncrement=["0"] * 1 + ["1"],
        PositionerPrimaryAngleIncrement=["0", "5"],
    )
    assert (moving.nominal.primary_deg, moving.nominal.secondary_deg) == (35.0, 13.0)


@pytest.mark.parametrize(
    "attributes",
    [
        {"PositionOfIsocenterProjection": [0.0, 0.0]},
        {"PositionOfIsocenterProjection": [-1.0, -1.0]},
        {
            "PhysicalDetectorSize": [0.0, 0.0],
            "DetectorElementSpacing": ["0.31", "0.27"],
            "FieldOfViewOrigin": ["2", "3"],
        },
        {
            "DetectorActiveDimensions": ["0", "0"],
            "DetectorElementSpacing": ["0.31", "0.27"],
            "FieldOfViewOrigin": ["2", "3"],
        },
    ],
)
def test_zeros_do_not_move_the_principal_point(read, attributes):
    assert read(**attributes).carm.detector.center == ((ROWS - 1) / 2, (COLUMNS - 1) / 2)


def test_edges_of_zero_mask_nothing(read):
    edges = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
    found = read(CollimatorShape="RECTANGULAR", **{f"Collimator{edge}Edge": "0" for edge in edges})
    assert found.usable.float().mean() > 0.9
    assert any("leave no pixel" in note for note in found.notes)
