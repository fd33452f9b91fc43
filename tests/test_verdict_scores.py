"""Scores of a verdict by hand, and the layout of 2D3D-RegQuality by a twin of it."""

import csv
import math

import cv2
import numpy as np
import pytest

from benchmarks import reg_quality
from benchmarks.scores import area_under_precision, area_under_roc, reliability


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
