"""How bones lie to each other, as a table: numbers worked out by hand."""

import csv
import math

import pytest
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.records import bones_in, write_bones
from napari_xreg.registration import BodiesRegistration, Registration, Status


def body(shift, status=Status.CONVERGED):
    """A camera that stands beside the bone by so much, mm; turns are about the world's origin."""
    pose = Pose(torch.eye(3, dtype=torch.float64), torch.tensor(shift, dtype=torch.float64))
    return Registration(
        pose, status, {"loss": 0.1}, (), torch.zeros(3, dtype=torch.float64), views=(pose,)
    )


def rows_of(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[0], list(csv.DictReader(lines[1:]))


def test_a_turn_of_the_other_bone_shifts_it_by_its_arm(tmp_path):
    # The other bone lies 10 mm along x; it alone is unsure, by 2 degrees about z.
    covariance = torch.zeros(12, 12, dtype=torch.float64)
    covariance[8, 8] = math.radians(2.0) ** 2
    found = BodiesRegistration(
        ("femur", "tibia"), (body((10.0, 0.0, 0.0)), body((0.0, 0.0, 0.0))), covariance
    )
    write_bones(tmp_path / "b.csv", found)
    head, (row,) = rows_of(tmp_path / "b.csv")
    assert head == "# napari-xreg/bones version 1; simulated no; one_from_other, LPS mm"
    assert (row["one"], row["other"], row["trusted"]) == ("femur", "tibia", "yes")
    assert [float(row[f"m{i}3"]) for i in range(3)] == [10.0, 0.0, 0.0]
    assert [float(row[f"m{i}{i}"]) for i in range(3)] == [1.0, 1.0, 1.0]
    wanted = {"rz_sd_deg": 2.0, "y_sd_mm": 10.0 * math.radians(2.0)}
    for name in ("rx_sd_deg", "ry_sd_deg", "rz_sd_deg", "x_sd_mm", "y_sd_mm", "z_sd_mm"):
        assert float(row[name]) == pytest.approx(wanted.get(name, 0.0), abs=1e-6), name


def test_a_damaged_table_says_so(tmp_path):
    (tmp_path / "b.csv").write_text("# bones\none,other\nfemur," + "x" * 200_000 + "\n")
    with pytest.raises(ReadError, match=r"b\.csv: a row is damaged"):
        bones_in(tmp_path / "b.csv")


def test_what_both_have_alike_is_not_between_them(tmp_path):
    covariance = torch.zeros(12, 12, dtype=torch.float64)
    for one in (3, 9):
        for other in (3, 9):
            covariance[one, other] = 25.0
    found = BodiesRegistration(
        ("a", "b"), (body((0.0, 0.0, 0.0)), body((0.0, 0.0, 0.0))), covariance
    )
    write_bones(tmp_path / "b.csv", found)
    _, (row,) = rows_of(tmp_path / "b.csv")
    assert float(row["x_sd_mm"]) == pytest.approx(0.0, abs=1e-9)


def test_three_bones_are_three_pairs_and_an_untrusted_one_is_said(tmp_path):
    bodies = (
        body((0.0, 0.0, 0.0)),
        body((0.0, 4.0, 0.0)),
        body((0.0, 0.0, 5.0), Status.NOT_TRUSTED),
    )
    write_bones(tmp_path / "b.csv", BodiesRegistration(("a", "b", "c"), bodies))
    _, rows = rows_of(tmp_path / "b.csv")
    assert [(r["one"], r["other"], r["trusted"]) for r in rows] == [
        ("a", "b", "yes"),
        ("a", "c", "no"),
        ("b", "c", "no"),
    ]
    assert rows[0]["rx_sd_deg"] == rows[0]["z_sd_mm"] == ""
    assert [float(rows[2][f"m{i}3"]) for i in range(3)] == [0.0, 4.0, -5.0]
