"""Geometry by a camera matrix and a 4 x 4 pose: what follows from what, and what replaces what."""

import json
import math

import pytest
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import (
    geometry_from_json,
    geometry_to_json,
    given_geometry,
    read_geometry,
    write_geometry,
)

SHAPE = (90, 110)
K = [[1500.0, 0.0, 61.5], [0.0, 1200.0, 40.25], [0.0, 0.0, 1.0]]
HEAD = {"schema": "napari-xreg/xray-geometry", "version": 1}
CARM = CArm(1000.0, 640.0, Detector(SHAPE, (0.8, 0.7), (40.0, 61.0)))
POSE = CARM.pose_from(CArmPose(23.0, -11.0, 4.0, (5.0, -7.0, 12.0), (30.0, -20.0, 410.0)))
ROWS = tuple(map(tuple, POSE.matrix().tolist()))


def _read(**entries):
    return geometry_from_json({**HEAD, **entries}, "x.json")


def _pose(record):
    return record.carm(SHAPE).pose_from(record.nominal()).matrix().flatten().tolist()


def test_spacing_follows_from_camera_matrix_and_distance():
    record = _read(camera_matrix=K, source_to_detector_mm=1200.0, source_to_isocenter_mm=800.0)
    carm = record.carm(SHAPE)
    assert carm.detector.spacing == pytest.approx((1.0, 0.8))
    assert carm.detector.center == (40.25, 61.5)
    assert carm.camera_matrix()[1, 1] == pytest.approx(1200.0)
    assert record.needed == ()


def test_distance_follows_from_camera_matrix_and_spacing():
    record = _read(camera_matrix=K, pixel_spacing_mm=[0.5, 0.4], source_to_isocenter_mm=400.0)
    assert record.carm(SHAPE).source_to_detector == pytest.approx(600.0)


def test_a_camera_matrix_alone_needs_a_length():
    assert _read(camera_matrix=K).needed == (
        "source_to_detector",
        "source_to_isocenter",
        "pixel_spacing",
    )


def test_another_distance_keeps_the_camera_matrix():
    record = _read(camera_matrix=K, source_to_detector_mm=1200.0, source_to_isocenter_mm=800.0)
    other = record.complete().override(given_geometry(source_to_detector=900.0))
    assert other.carm(SHAPE).detector.spacing == pytest.approx((0.75, 0.6))
    spaced = record.override(given_geometry(pixel_spacing=(2.0, 1.6)))
    assert spaced.carm(SHAPE).source_to_detector == pytest.approx(2400.0)
    both = record.override(given_geometry(source_to_detector=900.0, pixel_spacing=(0.3, 0.3)))
    assert both.focal_length is None
    assert both.carm(SHAPE).detector.spacing == (0.3, 0.3)


def test_a_camera_matrix_replaces_the_spacing_of_a_header():
    header = given_geometry(
        "DICOM", source_to_detector=1200.0, source_to_isocenter=700.0, pixel_spacing=(0.2, 0.2)
    )
    record = header.override(_read(camera_matrix=K))
    assert record.carm(SHAPE).detector.spacing == pytest.approx((1.0, 0.8))
    assert record.source_to_detector == 1200.0


def test_three_that_contradict_each_other_are_named():
    record = _read(
        camera_matrix=K, pixel_spacing_mm=[1.0, 0.8], source_to_detector_mm=1300.0,
        source_to_isocenter_mm=800.0,
    )  # fmt: skip
    with pytest.raises(ValueError, match="spacing of the rows make the source 1200 mm"):
        record.carm(SHAPE)


@pytest.mark.parametrize("frame", ["world_from_camera", "rig_from_camera"])
def test_a_pose_is_the_pose(frame):
    """Whatever is assumed or said of what the C-arm turns about."""
    record = _read(**{frame: ROWS}, source_to_detector_mm=1000.0, pixel_spacing_mm=[0.8, 0.7])
    expected = POSE.matrix().flatten().tolist()
    assert _pose(record) == pytest.approx(expected, abs=1e-9)
    nearer = record.override(given_geometry(source_to_isocenter=333.0))
    assert _pose(nearer) == pytest.approx(expected, abs=1e-9)
    assert nearer.carm(SHAPE).source_to_isocenter == 333.0


def test_where_a_pose_of_the_patient_turns_is_on_the_central_ray():
    record = _read(
        world_from_camera=ROWS, source_to_detector_mm=1000.0, pixel_spacing_mm=[0.8, 0.7]
    )
    nominal, carm = record.nominal(), record.carm(SHAPE)
    assert nominal.offset_mm == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    seen = carm.project(torch.tensor(nominal.isocenter, dtype=torch.float64), POSE).tolist()
    assert seen == pytest.approx(carm.detector.center, abs=1e-9)
    given = record.override(
        given_geometry(isocenter=(30.0, -20.0, 410.0), source_to_isocenter=640.0)
    )
    assert given.nominal().offset_mm == pytest.approx((5.0, -7.0, 12.0), abs=1e-9)
    assert _pose(given) == pytest.approx(POSE.matrix().flatten().tolist(), abs=1e-9)


def test_one_angle_by_hand_keeps_the_others_of_the_pose():
    record = _read(
        world_from_camera=ROWS, source_to_detector_mm=1000.0, pixel_spacing_mm=[0.8, 0.7],
        source_to_isocenter_mm=640.0, isocenter_mm=[30.0, -20.0, 410.0],
    )  # fmt: skip
    turned = record.complete().override(given_geometry(primary_deg=-40.0))
    assert turned.world_from_camera is None
    nominal = turned.nominal()
    assert nominal.primary_deg == -40.0
    assert (nominal.secondary_deg, nominal.roll_deg) == pytest.approx((-11.0, 4.0))
    assert nominal.offset_mm == pytest.approx((5.0, -7.0, 12.0))


def test_one_angle_by_hand_keeps_the_distances_that_came_with_a_calibration():
    record = _read(
        camera_matrix=K, rotation=[[0, -1, 0], [1, 0, 0], [0, 0, 1]], translation_mm=[1, 2, 703],
    ).complete()  # fmt: skip
    turned = record.override(given_geometry(roll_deg=12.0))
    assert turned.rig_from_camera is None
    before, after = record.carm(SHAPE), turned.carm(SHAPE)
    assert after == before
    assert turned.nominal().offset_mm == pytest.approx(record.nominal().offset_mm)
    assert turned.nominal().roll_deg == 12.0


def test_a_pose_replaces_angles():
    header = given_geometry(
        "DICOM", primary_deg=1.0, secondary_deg=2.0, source_to_detector=1000.0,
        pixel_spacing=(0.8, 0.7), source_to_isocenter=640.0,
    )  # fmt: skip
    record = header.override(_read(world_from_camera=ROWS))
    assert _pose(record) == pytest.approx(POSE.matrix().flatten().tolist(), abs=1e-9)


def test_a_calibration_in_json_is_a_camera_of_opencv():
    """x_camera = R x + t with R a quarter turn about z: (10, 20, 30) is at (-20 + 1, 10 + 2, 733)."""
    record = _read(
        camera_matrix=K, rotation=[[0, -1, 0], [1, 0, 0], [0, 0, 1]], translation_mm=[1, 2, 703],
    )  # fmt: skip
    carm = record.carm(SHAPE)
    pixel = carm.project(
        torch.tensor([10.0, 20.0, 30.0]).double(), carm.pose_from(record.nominal())
    )
    assert pixel.tolist() == pytest.approx([1200 * 12 / 733 + 40.25, 1500 * -19 / 733 + 61.5])
    assert not carm.detector.mirrored
    # Any choice of the detector's distance is that same camera.
    assert carm.source_to_detector == math.ceil(1.3 * 703 / 10) * 10
    assert "assumed" in record.complete().provenance["source_to_detector"]


def test_a_file_gives_back_what_was_stated(tmp_path):
    record = _read(camera_matrix=K, rig_from_camera=ROWS, source_to_detector_mm=1250.0).complete()
    path = tmp_path / "g.json"
    write_geometry(path, record)
    stored = json.loads(path.read_text())
    assert set(stored) - set(HEAD) == {
        "focal_length_px", "principal_point_px", "rig_from_camera", "source_to_detector_mm",
    }  # fmt: skip
    assert read_geometry(path).complete().known() == record.known()
    assert json.loads(json.dumps(geometry_to_json(read_geometry(path)))) == stored


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"camera_matrix": K, "focal_length_px": [1.0, 2.0]}, "focal_length is said twice"),
        ({"camera_matrix": K, "rotation": K}, "belong together"),
        ({"camera_matrix": [[1, 2], [3, 4]]}, "camera_matrix should be 3 rows of 3 numbers"),
        ({"camera_matrix": [[0, 0, 0]] * 3}, "focal lengths, which are not 0"),
        (
            {"world_from_camera": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
            "rotation",
        ),
        ({"world_from_camera": ROWS, "rig_from_camera": ROWS}, "one pose is enough"),
        ({"world_from_camera": [[1e300] * 4] * 4}, "finite numbers up to"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(entries, said):
    with pytest.raises(ReadError, match=said):
        _read(**entries)
