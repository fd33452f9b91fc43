"""Calibrations of XMALab against numbers worked out by hand, and those of the real wrist.

The camera of all hand-made files: source at (800, 10, 20) mm of the rig; its image's columns run along
the rig's y, its rows against the rig's z, and it looks against x. It sees (100, 45, -15) mm at camera
(35, 35, 700) mm: column 2000 * 35 / 700 + 310 = 410.
"""

import json

import numpy as np
import pytest
import torch
from camera_files import MAYACAM

from napari_xreg.files import ReadError
from napari_xreg.images import read_geometry
from napari_xreg.images.formats.calibrations import read_calibration
from napari_xreg.images.formats.mayacam import is_mayacam

SEEN = torch.tensor([100.0, 45.0, -15.0], dtype=torch.float64)
VERSION_1, VERSION_2 = MAYACAM[1], MAYACAM[2]


def _file(tmp_path, text, name="cam.txt", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def _seen(record, shape=(512, 640)):
    """Where the calibrated camera sees `SEEN`: the angles are about the rig's origin."""
    carm = record.carm(shape)
    return carm, carm.project(SEEN, carm.pose_from(record.nominal())).tolist()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_version_2_by_hand(tmp_path, ends):
    record = read_geometry(_file(tmp_path, VERSION_2.replace("\n", ends)), shape=(512, 640))
    carm, pixel = _seen(record)
    assert pixel == pytest.approx([1900 * 35 / 700 + 255, 410.0], abs=1e-9)
    assert not carm.detector.mirrored
    assert carm.detector.center == (255.0, 310.0)
    assert record.focal_length == (1900.0, 2000.0)
    # The origin of the calibration is the isocenter: 800 mm deep, 10 and 20 mm beside the ray.
    assert carm.source_to_isocenter == pytest.approx(800.0)
    assert record.nominal().isocenter == (0.0, 0.0, 0.0)
    assert record.complete().isocenter is None
    assert record.notes == ()


def test_version_1_by_hand(tmp_path):
    record = read_geometry(_file(tmp_path, VERSION_1, "cam.csv"), shape=(512, 640))
    carm, pixel = _seen(record)
    assert pixel == pytest.approx([2000 * 35 / 700 + 255, 410.0], abs=1e-9)
    assert not carm.detector.mirrored
    assert carm.detector.center == (255.0, 310.0)
    assert "centimetres" in record.notes[0]


def test_version_1_at_any_angle(tmp_path):
    """Maya's own formulas: x, y, z about the camera's axes, the last first; it looks along -z, y up."""
    a, b, c = np.radians([20.0, -35.0, 65.0])
    about_x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    about_z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    turn = np.array(about_z) @ np.array(about_y) @ np.array(about_x)
    position = np.array([-310.0, 540.0, 620.0])
    point = position + turn @ np.array([14.0, -9.0, -700.0])
    text = "-310,540,620\n20,-35,65\n0,0,0\n401.5,220.25,-1500\n1,0,0\n"
    record = read_geometry(_file(tmp_path, text))
    carm = record.carm((1024, 1024))  # 0 x 0 stands for it
    pixel = carm.project(torch.tensor(point), carm.pose_from(record.nominal())).tolist()
    column = 401.5 + 1500 * 14 / 700 - 1
    row_from_bottom = 220.25 + 1500 * -9 / 700 - 1
    assert pixel == pytest.approx([1023 - row_from_bottom, column], abs=1e-8)
    assert record.notes == ()  # 880 mm away: millimetres


def test_lengths_in_cm_are_told_by_the_distance_of_the_source(tmp_path):
    in_cm = VERSION_2.replace("-10\n20\n800\n", "-1\n2\n80\n")
    record = read_geometry(_file(tmp_path, in_cm))
    assert _seen(record)[1] == pytest.approx([350.0, 410.0], abs=1e-9)
    assert "centimetres" in record.notes[0]
    with pytest.raises(ReadError, match="neither in mm nor in cm"):
        read_geometry(_file(tmp_path, VERSION_2.replace("-10\n20\n800\n", "-.01\n.02\n.8\n")))


@pytest.mark.parametrize("shape", [(512, 640), (640, 512)])
def test_rows_and_columns_may_stand_in_either_order(tmp_path, shape):
    assert read_geometry(_file(tmp_path, VERSION_2), shape=shape).focal_length == (1900.0, 2000.0)


def test_an_image_of_another_size_is_refused(tmp_path):
    with pytest.raises(
        ReadError, match="512 pixels wide and 640 high, this one is 320 wide and 256 high"
    ):
        read_geometry(_file(tmp_path, VERSION_2), shape=(256, 320))


def test_a_mirrored_camera_is_one_with_a_flag(tmp_path):
    """A left-handed rotation puts the same point on the same pixel of a mirrored detector."""
    record = read_geometry(
        _file(tmp_path, VERSION_2.replace("0,1,0", "0,-1,0").replace("-10\n", "10\n"))
    )
    carm, pixel = _seen(record)
    assert carm.detector.mirrored
    assert pixel == pytest.approx([350.0, 310 - 100], abs=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("rotation", "rotations"), "line 9 should say 'rotation'"),
        (("0,0,-1\n", "0,0,-2\n"), "rotation"),
        (("2000,0,310", "2000,0"), "line 5 should hold 3 numbers"),
        (("2000,0,310", "0,0,310"), "focal"),
        (("2000,0,310", "2000,7,310"), "skew"),
        (("-10\n20\n800\n", "-10\n20\nnan\n"), "line 17 should hold 1 numbers"),
        (("-10\n20\n800\n", "-10\n"), "17 lines"),
        (("-10\n20\n800\n", "-10\n20\n800\nimage size\n640,512\n"), "of one camera: got 19"),
        (("640,512", "640.5,512"), "two whole numbers"),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(tmp_path, change, said):
    path = _file(tmp_path, VERSION_2.replace(*change))
    with pytest.raises(ReadError, match=said) as refused:
        read_geometry(path)
    assert str(refused.value).startswith("cam.txt: ")
    assert "\n" not in str(refused.value)


def test_a_broken_file_of_version_1_is_not_called_json(tmp_path):
    path = _file(tmp_path, VERSION_1.strip() + ",7\n")
    with pytest.raises(ReadError, match=r"^cam.txt: is neither a geometry in JSON nor a MayaCam"):
        read_geometry(path)


def test_what_is_a_calibration():
    assert is_mayacam(VERSION_1)
    assert is_mayacam(VERSION_2)
    assert not any(map(is_mayacam, ("", "a,b,c\n" * 5, "1,2,3\n" * 4)))


def test_the_real_wrist(data_dir):
    """K and poses as they were used for its reference (epipolar rms of 12 beads 0.15 and 0.22 px)."""
    folder = data_dir / "wrist_bvr"
    reference = json.loads((folder / "reference.json").read_text())["carm"]
    for camera in (1, 2):
        path = folder / "trial" / "Calibration" / f"xr_calib_wrist_cam0{camera}.txt"
        record, known = read_geometry(path, shape=(1760, 1760)), reference[f"cam{camera}"]
        assert read_calibration(path).layout == "MayaCam 2.0"
        carm = record.carm((1760, 1760))
        pose = carm.pose_from(record.nominal()).matrix()
        assert pose.numpy() == pytest.approx(np.array(known["rig_from_camera"]), abs=1e-6)
        assert carm.detector.center == pytest.approx(known["principal_point_row_column"])
        focal = [known["source_to_detector_mm"] / s for s in known["pixel_spacing_mm_row_column"]]
        assert record.focal_length == pytest.approx(focal)
        assert carm.detector.mirrored is known["mirrored"] is False
