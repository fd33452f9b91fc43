"""Calibrations of Autoscoper's VTKCam and of JointTrack against numbers worked out by hand.

The camera of VTKCam is that of `test_mayacam` with another lens: source at (800, 10, 20) mm, columns along the
rig's y, rows against its z, looking against x. It sees (100, 45, -15) mm at camera (35, 35, 700) mm.
"""

import json

import pytest
import torch
from camera_files import JOINTTRACK, VTKCAM

from napari_xreg.files import ReadError
from napari_xreg.images import read_geometry
from napari_xreg.images.formats.calibrations import is_calibration, read_calibration

AS_JSON = (
    '{"@schema": "https://example.org/vtk-schema-1.0.json", "version": 1.0, "focal-point": [-5.0, 10.0, 20.0], '
    '"camera-position": [800.0, 10.0, 20.0], "view-up": [0.3, 0.0, 1.0], "view-angle": 90.0,\n'
    '"image-width": 640, "image-height": 512,}'
)


def _file(tmp_path, text, name):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "name"), [(VTKCAM, "cam.yaml"), (AS_JSON, "cam.json")])
def test_vtkcam_by_hand(tmp_path, text, name):
    assert is_calibration(text)
    record = read_geometry(_file(tmp_path, text, name), shape=(512, 640))
    carm = record.carm((512, 640))
    seen = torch.tensor([100.0, 45.0, -15.0], dtype=torch.float64)
    pixel = carm.project(seen, carm.pose_from(record.nominal())).tolist()
    # tan(45 degrees) is 1: half the height and half the width are the focal lengths, in pixels.
    assert pixel == pytest.approx([255.5 + 256 * 35 / 700, 319.5 + 320 * 35 / 700], abs=1e-9)
    assert record.focal_length == pytest.approx((256.0, 320.0))
    assert not carm.detector.mirrored
    assert carm.source_to_isocenter == pytest.approx(800.0)
    assert read_calibration(tmp_path / name).layout == "VTKCam 1.0"
    with pytest.raises(ReadError, match="640 pixels wide and 512 high, this one is 320 wide"):
        read_geometry(tmp_path / name, shape=(256, 320))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("version: 1.0", "version: 2.0"), "1.0 of VTKCam is known: got 2"),
        (("view-up: [0.3, 0.0, 1.0]", "view-up: [7, 0, 0]"), "view-up should not lie along"),
        (("[-5.0, 10.0, 20.0]", "[800, 10, 20]"), "view-up should not lie along"),
        (("view-angle: 90.0", "view-angle: 180"), "between 0 and 180 degrees: got 180"),
        (("image-width: 640\n", ""), "image-width is absent"),
        (("image-height: 512", "image-height: 0"), "should be pixels: got 640, 0"),
        (("[800.0, 10.0, 20.0]", "[800.0, 10.0]"), "camera-position should hold 3 numbers"),
        (("[800.0, 10.0, 20.0]", "[nan, 10.0, 2]"), "camera-position should hold 3 numbers"),
    ],
)
def test_a_broken_vtkcam_is_refused_in_one_sentence(tmp_path, change, said):
    with pytest.raises(ReadError, match=said) as refused:
        read_geometry(_file(tmp_path, VTKCAM.replace(*change), "cam.yaml"))
    assert str(refused.value).startswith("cam.yaml: is no calibration")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", [JOINTTRACK, "JTA_INTCALIB 1000, 12, -6, 0.5"])
def test_jointtrack_by_hand(tmp_path, text):
    path = _file(tmp_path, text, "calibration.txt")
    record = read_geometry(path, shape=(512, 640))
    assert (record.source_to_detector, record.pixel_spacing) == (1000.0, (0.5, 0.5))
    # 24 pixels to the right of the middle, 12 below it.
    assert record.principal_point == (267.5, 343.5)
    assert record.provenance["principal_point"] == "calibration.txt"
    # Where an image ends is not known: nor is where its middle lies.
    assert read_geometry(path).principal_point is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JOINTTRACK.replace("0.5", "0"), "four numbers"),
        (JOINTTRACK.replace("1000", "-1000"), "four numbers"),
        (JOINTTRACK.replace("12", "inf"), "four numbers"),
        (JOINTTRACK + "7\n", "four numbers"),
        ("JTA_INTCALIB_BIPLANE 1 2 3 4", "for two cameras"),
    ],
)
def test_a_broken_calibration_of_jointtrack_is_refused(tmp_path, text, said):
    with pytest.raises(ReadError, match=said) as refused:
        read_geometry(_file(tmp_path, text, "calibration.txt"))
    assert "\n" not in str(refused.value)


def test_a_geometry_in_json_is_none_of_them(tmp_path):
    said = {"schema": "napari-xreg/xray-geometry", "version": 1}
    text = json.dumps(said | {"source_to_detector_mm": 1020.0})
    assert not is_calibration(text)
    assert read_geometry(_file(tmp_path, text, "g.json")).source_to_detector == 1020.0
