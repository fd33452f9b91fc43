"""``napari-xreg joint``: two tables of `track` to the motion of a joint."""

import csv
import math

import pytest
import torch

from napari_xreg.cli import main
from napari_xreg.geometry import CArm, CArmPose, Detector, Pose, matrix_from_rotation_vector
from napari_xreg.records import TrackRow, write_track

ARM = CArm(1020.0, 745.0, Detector((72, 90), (3.7, 3.1), (31.0, 47.5)))
CAMERA = ARM.pose_from(CArmPose(20.0, -7.0, 3.0, (5.0, 1.0, 2.0), (-90.0, 12.0, 500.0)))
KNEE = torch.tensor([-90.0, 12.0, 500.0], dtype=torch.float64)
POINTS = """# napari-xreg
name,x,y,z
fm,-60,12,500
fl,-124,12,500
hip,-92,12,900
tm,-60,12,480
tl,-124,12,480
ankle,-92,12,120
"""


def moved(degrees):
    """World of the CT as it was, from the tibia that has bent so far about the knee."""
    rotation = matrix_from_rotation_vector(torch.tensor([math.radians(degrees), 0, 0]).double())
    return Pose(rotation, KNEE - rotation @ KNEE)


@pytest.fixture
def tracks(tmp_path, monkeypatch):
    """The femur drifts before the camera; the tibia bends 5 degrees a frame against it."""
    monkeypatch.chdir(tmp_path)
    femur, tibia = [], []
    for number in range(4):
        drift = Pose.exp(torch.tensor([0.02, 0.03, -0.01, 4.0, 2.0, 1.0]).double() * number)
        seen = drift @ CAMERA  # world of the femur from camera
        state = "tracked" if number != 2 else "open"
        femur.append(TrackRow(number + 7, number / 15, "tracked", 0.99, 0.1, seen, smooth=seen))
        bent = moved(5.0 * number).inverse() @ seen
        tibia.append(
            TrackRow(number + 7, number / 15, state, 0.99, 0.1, bent if state == "tracked" else None, smooth=bent)
        )  # fmt: skip
    tibia.append(TrackRow(99, 2.0, "tracked", 0.9, 0.1, CAMERA))
    for name, rows in (("femur", femur), ("tibia", tibia)):
        (tmp_path / name).mkdir()
        write_track(tmp_path / name / "track.csv", rows, ARM, KNEE, simulated=True)
    later = [TrackRow(8, 0.5, "tracked", 0.99, 0.1, CAMERA)]
    (tmp_path / "later").mkdir()
    write_track(tmp_path / "later" / "track.csv", later, ARM, KNEE, simulated=False)
    (tmp_path / "points.csv").write_text(POINTS)
    return tmp_path


AXES = "--landmarks points.csv --landmark-frame LPS --proximal-axes fm fl hip --distal-axes tm tl ankle --side right"


def table(file):
    lines = file.read_text().splitlines()
    assert lines[0] == "# napari-xreg/joint version 2; simulated yes; 4 rows"
    return list(csv.DictReader(lines[1:]))


def test_a_knee_that_bends(tracks, capsys):
    assert main(["joint", "femur", "tibia/track.csv", *AXES.split()]) == 0
    rows = table(tracks / "joint.csv")
    assert [row["frame"] for row in rows] == ["7", "8", "9", "10"]
    assert [row["state"] for row in rows] == ["tracked", "tracked", "open", "tracked"]
    flexion = [row["flexion_deg"] for row in rows]
    assert flexion[2] == ""
    assert [float(flexion[n]) for n in (0, 1, 3)] == pytest.approx([0.0, 5.0, 15.0], abs=1e-4)
    # The smooth motion goes through what was not found.
    assert [float(row["smooth_flexion_deg"]) for row in rows] == pytest.approx(
        [0, 5, 10, 15], abs=1e-4
    )
    assert float(rows[3]["helical_deg"]) == pytest.approx(15.0, abs=1e-4)
    assert float(rows[0]["distraction_mm"]) == pytest.approx(20.0, abs=1e-4)
    said = capsys.readouterr().out
    assert "3 of 4 frames have both bones; 3 are trusted or given" in said
    assert "flexion: 0.0 to 15.0 deg" in said or "flexion: -0.0 to 15.0 deg" in said


def test_without_landmarks_the_helical_motion_since_a_frame(tracks):
    assert main(["joint", "femur", "tibia", "--reference", "8", "--out", "h.csv"]) == 0
    rows = table(tracks / "h.csv")
    assert {row["flexion_deg"] for row in rows} == {""}
    assert [float(rows[n]["helical_deg"]) for n in (0, 1, 3)] == pytest.approx(
        [5.0, 0.0, 10.0], abs=1e-4
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("femur tibia --proximal-axes fm fl hip --side right", "the axes of both bones"),
        (f"femur tibia {AXES.replace('--side right', '')}", "--side right or --side left"),
        (f"femur tibia {AXES.replace('hip', 'hop')}", "points.csv has no point 'hop'"),
        (f"femur tibia {AXES.replace('--landmarks points.csv', '')}", "give --landmarks FILE"),
        (f"femur tibia {AXES.replace('fm fl hip', 'fm fm fm')}", "lie on a line"),
        ("femur tibia --reference 9", "frame 9 has no pose of both bones"),
        ("femur nowhere", "nowhere"),
        ("femur tibia --out tibia/track.csv", "is one of the files that are read"),
        ("femur later", "at 0.0666667 s in one table and at 0.5 s in the other"),
    ],
)
def test_one_sentence(tracks, capsys, line, said):
    tibia = (tracks / "tibia" / "track.csv").read_bytes()
    assert main(["joint", *line.split()]) == 2
    assert said in capsys.readouterr().err
    assert (tracks / "tibia" / "track.csv").read_bytes() == tibia
    assert not (tracks / "joint.csv").exists()


def test_what_is_not_trusted_is_in_no_range_and_smooth_motions_begin_at_a_smooth_pose(
    tracks, capsys
):
    """The tibia's frame of reference was registered 2 degrees off its smooth motion, another is doubtful."""
    turn = Pose(
        matrix_from_rotation_vector(torch.tensor([0.0, 0.0, 0.035]).double()),
        torch.zeros(3).double(),
    )
    femur, tibia = ([], [])
    for number in range(3):
        seen = CAMERA
        bent = moved(5.0 * number).inverse() @ seen
        femur.append(TrackRow(number, None, "tracked", 0.99, 0.1, seen, smooth=seen))
        off = turn @ bent if number == 0 else moved(80.0).inverse() @ seen if number == 2 else bent
        state = "doubtful" if number == 2 else "tracked"
        tibia.append(TrackRow(number, None, state, 0.99, 0.1, off, smooth=bent))
    for name, rows in (("femur", femur), ("tibia", tibia)):
        write_track(tracks / name / "track.csv", rows, ARM, KNEE, simulated=False)
    assert main(["joint", "femur", "tibia"]) == 0
    rows = list(csv.DictReader((tracks / "joint.csv").read_text().splitlines()[1:]))
    assert [float(row["smooth_helical_deg"]) for row in rows] == pytest.approx(
        [0.0, 5.0, 10.0], abs=1e-4
    )
    assert float(rows[2]["helical_deg"]) > 70.0
    said = capsys.readouterr().out
    assert "3 of 3 frames have both bones; 2 are trusted or given" in said
    assert "helical: 0.0 to 5" in said
    assert "SIMULATED" not in said
