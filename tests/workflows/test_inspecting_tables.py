"""What `inspect` says of the tables that the program writes beside its results."""

import json

import pytest

from napari_xreg.cli import main
from napari_xreg.files import ReadError
from napari_xreg.workflows import inspect

# Two starts, two levels, one step taken back; the first loss of the second level is none.
TRAJECTORY = """# napari-xreg/trajectory version 1; world LPS mm; simulated no; 5 rows
iteration,start,level,accepted,seconds,loss,omega_x_rad
0,0,0,1,0.25,0.75,0
1,0,0,0,0.5,0.875,0.01
2,1,0,1,0.75,0.625,0.02
3,0,1,1,1.5,inf,0.01
4,0,1,0,1.25,0.5,0.03
"""

# What a track's row has beside frame, time, state, probability and loss: 24 cells, twice.
NAMES = (
    "frame,time_s,state,probability,loss,"
    + ",".join(
        f"{smooth}{name}"
        for smooth in ("", "smooth_")
        for name in (
            *(f"world_from_camera_{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3, 4)),
            *("primary_deg", "secondary_deg", "roll_deg", "x_mm", "y_mm", "depth_mm"),
            *(f"sd_omega_{axis}_rad" for axis in "xyz"), *(f"sd_v_{axis}_mm" for axis in "xyz"),
        )
    )
)  # fmt: skip
TRACK = (
    "# napari-xreg/track version 1; world LPS mm; C-arm terms and standard deviations about (1 -2 3); simulated yes; 3 rows\n"
    f"{NAMES}\n"
    f"7,0,given,,{',' * 48}\n"
    f"9,0.5,tracked,0.9,0.25{',' * 48}\n"
    f"11,1,tracked,0.8,0.5{',' * 48}\n"
)


def test_the_trajectory_of_a_refinement(tmp_path, capsys):
    (tmp_path / "trajectory.csv").write_text(TRAJECTORY)
    assert main(["inspect", str(tmp_path / "trajectory.csv"), "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)
    assert entry["kind"] == "trajectory of a refinement"
    assert (entry["iterations"], entry["accepted"], entry["starts"]) == (5, 3, 2)
    assert entry["seconds"] == 1.5
    assert entry["levels"] == [
        {"level": 0, "iterations": 3, "first_loss": 0.75, "lowest_loss": 0.625},
        {"level": 1, "iterations": 2, "first_loss": None, "lowest_loss": 0.5},
    ]


def test_the_motion_over_a_sequence(tmp_path):
    (tmp_path / "track.csv").write_text(TRACK)
    entry = inspect(tmp_path / "track.csv")
    assert entry["kind"] == "motion over a sequence"
    assert (entry["frames"], entry["first_and_last_frame"]) == (3, [7, 11])
    assert entry["states"] == {"given": 1, "tracked": 2}
    assert (entry["simulated"], entry["smoothed"]) == (True, False)


def test_another_table_is_named_by_its_schema(tmp_path):
    (tmp_path / "joint.csv").write_text(
        "# napari-xreg/joint version 1; simulated no; 0 rows\nframe\n"
    )
    entry = inspect(tmp_path / "joint.csv")
    assert (entry["kind"], entry["schema"]) == ("table", "napari-xreg/joint")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seconds", "minutes", "has no column seconds"),
        ("3,0,1,1,1.5", "3,0,nan,1,1.5", "does not say its start, level or time"),
        ("4,0,1,0,1.25,0.5,0.03\n", "", "cut off"),
    ],
)
def test_a_damaged_trajectory_is_refused(tmp_path, old, new, message):
    assert old in TRAJECTORY
    (tmp_path / "t.csv").write_text(TRAJECTORY.replace(old, new))
    with pytest.raises(ReadError, match=message):
        inspect(tmp_path / "t.csv")
