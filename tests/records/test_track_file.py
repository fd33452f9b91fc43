"""The table of a track: fixed bytes, and what is refused. Poses for Autoscoper: fixed bytes too."""

import csv
import math

import pytest
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.records import TrackRow, read_tra, read_track, write_tra, write_track

CARM = CArm(1000.0, 700.0, Detector((30, 40), (0.9, 1.3), (12.0, 25.0)))
PIVOT = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
# From 700 mm behind, at angles 0 (DESIGN 3: x = -x, y = -z, z = -y), moved by 5 mm to the left.
FRONTAL = Pose(
    torch.tensor([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]], dtype=torch.float64),
    torch.tensor([6.0, 698.0, 3.0], dtype=torch.float64),
)
# Standard deviations 1/8 .. 6/8; a turn about x goes with a shift along z.
UNSURE = torch.diag((torch.arange(1.0, 7.0).double() / 8) ** 2)
UNSURE[5, 0] = UNSURE[0, 5] = 0.4375 * (1 / 8) * (6 / 8)
ROWS = [
    TrackRow(7, 0.25, "tracked", 0.875, 0.125, FRONTAL, UNSURE, FRONTAL),
    TrackRow(9, None, "open"),
]


def test_the_bytes_of_a_table(tmp_path):
    path = tmp_path / "track.csv"
    write_track(path, ROWS, CARM, PIVOT, simulated=True)
    head, names, first, second, *rest = path.read_text().splitlines()
    assert head == (
        "# napari-xreg/track version 2; world LPS mm; C-arm terms and standard deviations about (1 -2 3); "
        "simulated yes; 2 rows"
    )
    assert names.split(",")[:8] == [
        "frame", "time_s", "state", "probability", "loss",
        "world_from_camera_11", "world_from_camera_12", "world_from_camera_13",
    ]  # fmt: skip
    columns = dict(zip(names.split(","), first.split(","), strict=True))
    assert [columns[name] for name in ("frame", "time_s", "state", "probability", "loss")] == [
        "7", "0.25", "tracked", "0.875", "0.125",
    ]  # fmt: skip
    assert [float(columns[f"world_from_camera_{i}4"]) for i in (1, 2, 3)] == [6.0, 698.0, 3.0]
    assert float(columns["world_from_camera_32"]) == -1.0
    # 5 mm to the left of the pivot: against the camera's x.
    assert float(columns["x_mm"]) == pytest.approx(-5.0)
    assert float(columns["primary_deg"]) == pytest.approx(0.0, abs=1e-9)
    assert float(columns["sd_v_z_mm"]) == 0.75
    correlations = {name: float(columns[name]) for name in columns if name.startswith("corr_")}
    assert len(correlations) == 15
    assert correlations.pop("corr_omega_x_v_z") == 0.4375
    assert set(correlations.values()) == {0.0}
    assert float(columns["smooth_world_from_camera_24"]) == 698.0
    assert columns["smooth_sd_v_z_mm"] == ""
    assert second == "9,,open" + "," * (len(names.split(",")) - 3)
    assert rest == []


def test_it_is_read_back(tmp_path):
    path = tmp_path / "track.csv"
    write_track(path, ROWS, CARM, PIVOT, simulated=False)
    first, second = read_track(path).rows
    torch.testing.assert_close(first.world_from_camera.matrix(), FRONTAL.matrix())
    torch.testing.assert_close(first.covariance, UNSURE)
    torch.testing.assert_close(read_track(path).pivot, PIVOT)
    assert (first.time_s, first.smooth_covariance) == (0.25, None)
    assert (second.frame, second.state, second.world_from_camera, second.smooth) == (
        9,
        "open",
        None,
        None,
    )


def test_what_was_locked_has_no_correlation(tmp_path):
    path = tmp_path / "track.csv"
    covariance = torch.diag(torch.tensor([1e-6, 1e-6, 1e-6, 0.25, 0.0, 0.0], dtype=torch.float64))
    covariance[0, 3] = covariance[3, 0] = 2.5e-4
    write_track(
        path,
        [TrackRow(7, 0.25, "tracked", 0.9, 0.1, FRONTAL, covariance)],
        CARM,
        PIVOT,
        simulated=False,
    )
    torch.testing.assert_close(read_track(path).rows[0].covariance, covariance)


def test_a_table_of_before_has_no_covariances(tmp_path):
    """Version 1 had standard deviations alone."""
    path = tmp_path / "track.csv"
    write_track(path, ROWS, CARM, PIVOT, simulated=True)
    head, *lines = path.read_text().splitlines()
    rows = list(csv.reader(lines))
    kept = [place for place, name in enumerate(rows[0]) if "corr_" not in name]
    old = "\r\n".join(",".join(row[place] for place in kept) for row in rows)
    path.write_text(f"{head.replace('version 2', 'version 1')}\n{old}\r\n", newline="")
    table = read_track(path)
    torch.testing.assert_close(table.rows[0].world_from_camera.matrix(), FRONTAL.matrix())
    assert table.rows[0].covariance is None
    assert (table.simulated, table.rows[1].state) == (True, "open")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        # A correlation beyond 1; a negative standard deviation.
        (lambda text: text.replace(",0.4375,", ",1.4375,", 1), "a row is damaged"),
        (lambda text: text.replace(",0.625,", ",-0.625,", 1), "a row is damaged"),
        (lambda text: text[: text.rindex("9,")], "is cut off: 1 rows came"),
        (lambda text: text[:-1].rstrip("\r"), "is cut off"),
        (lambda text: text.replace("0.875", "likely"), "a row is damaged"),
        (lambda text: text.replace("version 2", "version 3"), "version"),
        (lambda text: text.replace("time_s", "when"), "its columns are not those of a track"),
        (lambda text: text.replace("9,,open", "9,,open,,,,"), "cells for"),
        (lambda text: "frame,x\n1,2\n", "the first line is not"),
        (lambda text: text.replace("698", "nan", 1), "a row is damaged"),
        # One empty cell of a pose, the first; of its deviations, the second.
        (lambda text: text.replace("0.125,-1,", "0.125,,", 1), "a row is damaged"),
        (lambda text: text.replace("0.125,0.25,", "0.125,,", 1), "a row is damaged"),
        (lambda text: text.replace("tracked", "x" * 200_000), "a row is damaged"),
        (lambda text: text.replace("version 2", "version " + "9" * 5000), "the first line is not"),
        (lambda text: text.replace("; 2 rows", "; " + "9" * 5000 + " rows"), "the first line"),
    ],
)
def test_what_is_refused(tmp_path, change, words):
    path = tmp_path / "track.csv"
    write_track(path, ROWS, CARM, PIVOT, simulated=False)
    path.write_text(change(path.read_text()))
    with pytest.raises(ReadError, match=words):
        read_track(path)


def test_the_bytes_for_autoscoper(tmp_path):
    """By rows, bones side by side; a frame without a pose is NaN, which is no key frame there."""
    quarter = Pose(
        torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64),
        torch.tensor([1.5, -2.0, 30.0], dtype=torch.float64),
    )
    path = tmp_path / "bones.tra"
    write_tra(path, [[quarter, None], [None, quarter]])
    numbers = "0,-1,0,1.5,1,0,0,-2,0,0,1,30,0,0,0,1"
    lacking = ",".join(["nan"] * 16)
    assert path.read_text() == f"{numbers},{lacking}\n{lacking},{numbers}\n"
    (first, missing), _ = read_tra(path, 2)
    torch.testing.assert_close(first.matrix(), quarter.matrix())
    assert missing is None
    assert math.isclose(float(first.translation[2]), 30.0)
