"""Scores of a verdict by hand, and the layout of 2D3D-RegQuality by a twin of it."""

import csv
import math

import cv2
import numpy as np
import pytest
import torch

from benchmarks import reg_quality, verdict
from benchmarks.scores import area_under_precision, area_under_roc, reliability
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import View


def test_areas_by_hand():
    p, right = [0.9, 0.8, 0.3, 0.1], [True, False, True, False]
    assert area_under_roc(p, right) == pytest.approx(3 / 4)  # of four pairs 0.3 loses to 0.8
    assert area_under_precision(p, right) == pytest.approx((1 + 2 / 3) / 2)
    # Two that are as likely are taken together, in whichever order they stand.
    for order in ([True, False], [False, True]):
        assert area_under_roc([0.5, 0.5], order) == pytest.approx(0.5)
        assert area_under_precision([0.5, 0.5], order) == pytest.approx(0.5)
    assert math.isnan(area_under_roc([0.5], [True]))
    assert math.isnan(area_under_precision([0.5], [False]))


def test_reliability_counts_each_result_once():
    lines = reliability([0.0, 0.1, 0.95, 1.0], [False, True, True, False]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [int(row[1]) for row in cells] == [1, 1, 0, 0, 0, 2]
    assert cells[-1][2:] == ["0.97", "50.0 %"]  # of 0.95 and 1
    assert cells[0][3] == "0.0 %"


def picture(seed: int) -> np.ndarray:
    """Smooth noise, 90 x 150, 8 bits."""
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((90, 150)), (0, 0), 2.0)
    return np.uint8(np.clip(128 + 40 * noise / noise.std(), 1, 254))


@pytest.fixture
def twin(tmp_path):
    """One specimen, projection 7; DRR 0 is the radiograph's own, inverted; DRR 12 is another."""
    place = tmp_path / "18-0725" / "007"
    (place / "DRR").mkdir(parents=True)
    cv2.imwrite(str(place / "xray.png"), picture(1))
    cv2.imwrite(str(place / "DRR" / "drr_remap_000.png"), 255 - picture(1))
    cv2.imwrite(str(place / "DRR" / "drr_remap_012.png"), picture(2))
    rows = [("18-0725", 7, 0, 0.4, 1), ("18-0725", "7.0", 12, 31.0, 0), ("18-0725", 7, 13, 40.0, 0)]
    with (tmp_path / reg_quality.LABELS).open("w", newline="") as stream:
        head = ("spec_id", "proj_idx", "sample_id", "mTRE", "binary")
        csv.writer(stream).writerows([head, *rows])
    return tmp_path


def test_pairs_are_found_where_the_set_puts_them(twin):
    pairs = reg_quality.pairs_of(twin)
    assert [(pair.drr.name, pair.good) for pair in pairs] == [
        ("drr_remap_000.png", True),
        ("drr_remap_012.png", False),
    ]  # the third has no picture
    assert reg_quality.looks_opposite(pairs)
    good, bad = (reg_quality.probability_of(pair, opposite=True) for pair in pairs)
    assert good > 0.95
    assert bad < 0.05
    assert reg_quality.probability_of(pairs[0], opposite=False) < 0.05


def test_another_folder_and_another_table_are_named(twin):
    with pytest.raises(SystemExit, match="holds no Image_Poses"):
        reg_quality.pairs_of(twin / "18-0725")
    (twin / reg_quality.LABELS).write_text("spec_id,proj_idx,label\n")
    with pytest.raises(SystemExit, match="no column sample_id, binary"):
        reg_quality.pairs_of(twin)


def test_the_table_is_written(twin, tmp_path, capsys):
    import argparse

    parser = argparse.ArgumentParser()
    reg_quality.add_arguments(parser)
    reg_quality.main(parser.parse_args([str(twin)]), tmp_path / "out")
    said = capsys.readouterr().out
    assert "| 18-0725  | 2     | 1    | 1.0000 | 1.0000 | 1            | 100.0 %       |" in said
    assert "polarity of the pictures opposite" in said
    assert (tmp_path / "out" / "reg_quality.md").read_text() == said.lstrip("\n")


def record(**changes) -> dict:
    return {"volume": "rib", "kind": "start", "views": 1, "mtre_mm": 8.0, "seen_mm": 0.4} | changes


def test_from_one_view_right_is_what_is_seen():
    assert verdict.right(record())
    assert not verdict.right(record(views=2))
    assert not verdict.right(record(mtre_mm=None, seen_mm=None))
    # Distances wrong by a tenth: a bone may lie right although nothing fits. Who is alike left and right.
    assert verdict.hidden(record(kind="geometry off by a tenth", views=2))
    assert verdict.hidden(record(volume="phantom_sacrum", kind="mirrored"))
    assert verdict.hidden(record(volume="skull_phantom", kind="mirrored"))
    assert not verdict.hidden(record(kind="mirrored"))
    assert verdict.parent("rib") == verdict.parent("chest_lidc") == "chest_lidc"


def test_a_distance_as_seen_is_measured_at_the_patient():
    arm = CArm(1000.0, 700.0, Detector((90, 110), (1.5, 1.1), (40.0, 60.0)))
    pose = Pose(torch.eye(3).double(), torch.zeros(3).double())
    points = torch.tensor([[10.0, -20.0, 700.0], [-30.0, 5.0, 650.0]], dtype=torch.float64)
    image = Radiograph(torch.zeros(90, 110), arm)

    def seen(*shift: float) -> float:
        moved = Pose(pose.rotation, torch.tensor(shift, dtype=torch.float64))
        return verdict.seen_mm(View(image, moved), View(image, pose), points)

    assert seen(1.2, 0.0, 0.0) == pytest.approx(1.2)
    assert seen(0.0, 0.9, 0.0) == pytest.approx(0.9)
    # 10 mm nearer: a point 22.4 mm from the axis at 700 mm moves by 22.4 * 10 / 690 there.
    apart = [math.hypot(10, 20) * 10 / 690, math.hypot(30, 5) * 10 / 640]
    assert seen(0.0, 0.0, 10.0) == pytest.approx(sum(apart) / 2)
