"""Poses of JointTrack: which way its axes point, in which order it turns, fixed bytes, and what is refused."""

import pytest
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.records import read_jointtrack, viewer_from_camera, write_jointtrack

C = 0.75**0.5  # cos 30


def pose(rows, shift):
    return Pose(torch.tensor(rows, dtype=torch.float64), torch.tensor(shift, dtype=torch.float64))


# By hand: Rz(90) Rx(30), and Rx(30) Ry(90).
FIRST = pose([[0.0, -C, 0.5], [1.0, 0.0, 0.0], [0.0, 0.5, C]], [1.5, -2.0, -700.25])
SECOND = pose([[0.0, 0.0, 1.0], [0.5, C, 0.0], [-C, 0.5, 0.0]], [4.0, 8.0, -650.0])


@pytest.mark.parametrize("blank", [",", "\t", ", "])
@pytest.mark.parametrize("head", ["JT_EULER_312", "JTA_EULER_KINEMATICS"])
def test_it_turns_about_z_then_x_then_y(tmp_path, blank, head):
    rows = ["1.5,-2,-700.25,90,30,0", "NOT_OPTIMIZED", "4,8,-650,0,30,90"]
    path = tmp_path / "femur.jts"
    path.write_text("\r\n".join([head, "a title", *(r.replace(",", blank) for r in rows), ""]))
    found = read_jointtrack(path)
    assert found[1] is None
    for one, expected in ((found[0], FIRST), (found[2], SECOND)):
        torch.testing.assert_close(one.matrix(), expected.matrix(), rtol=0, atol=1e-12)


def test_the_bytes(tmp_path):
    for ending, head in ((".jts", "JT_EULER_312"), (".jtk", "JTA_EULER_KINEMATICS")):
        path = tmp_path / f"femur{ending}"
        write_jointtrack(path, [FIRST, None])
        first, title, row, none, rest = path.read_text().split("\n")
        assert (first, none, rest) == (head, "NOT_OPTIMIZED", "")
        assert title == "x_tran,y_tran,z_tran,z_rot,x_rot,y_rot"
        assert [float(v) for v in row.split(",")] == pytest.approx([1.5, -2.0, -700.25, 90, 30, 0])
        again = read_jointtrack(path)
        torch.testing.assert_close(again[0].matrix(), FIRST.matrix(), rtol=0, atol=1e-9)


def test_its_camera_has_y_up_and_looks_along_minus_z():
    # Ours: 5 mm to the right of the picture, 10 mm above its middle, 700 mm before the source.
    there = torch.tensor([5.0, -10.0, 700.0], dtype=torch.float64)
    assert viewer_from_camera().apply(there).tolist() == [5.0, 10.0, -700.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y,z\n1,2,3\n", "its first line should be JT_EULER_312 or JTA_EULER_KINEMATICS"),
        ("", "its first line should be"),
        ("JT_EULER_312\ntitle\n1,2,3,4,5\n", "line 3 should be x, y, z in mm"),
        ("JT_EULER_312\ntitle\n1,2,3,4,5,6\n1,2,nan,4,5,6\n", "line 4 should be"),
    ],
)
def test_what_it_is_not(tmp_path, text, words):
    path = tmp_path / "femur.jts"
    path.write_text(text)
    with pytest.raises(ReadError, match=words):
        read_jointtrack(path)


def test_another_ending(tmp_path):
    with pytest.raises(ValueError, match=r"written as \.jts or \.jtk"):
        write_jointtrack(tmp_path / "femur.txt", [FIRST])
