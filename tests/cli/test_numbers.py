"""Numbers on the command line in every notation, and the flags that a reader's error calls for."""

import json
import math

import numpy as np
import pytest

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.images import read_radiograph, write_dicom_radiograph

REGISTER = ["register", "ct.nii", "x.dcm"]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--offset", "-1e-05", "0", "-.5"], "offset", [-1e-5, 0, -0.5]),
        (["--offset", "-1E+2", "-3.", "-2.5e1"], "offset", [-100, -3, -25]),
        (["--primary", "-1e-7"], "primary", -1e-7),
        (["--roll", "-.25"], "roll", -0.25),
        (["--principal-point", "-1e1", "-1.5e-3"], "principal_point", [[-10, -0.0015]]),
        (["--isocenter", "-1e-05", "-2.", "3"], "isocenter", ["-1e-05", "-2.", "3"]),
    ],
)
def test_small_and_negative(words, name, value):
    assert getattr(build_parser().parse_args([*REGISTER, *words]), name) == value


@pytest.mark.parametrize(
    ("command", "words", "name", "value"),
    [
        ("heatmap", ["--point", "-1e-05", "2", "-3e0"], "point", [[-1e-5, 2, -3]]),
        ("train", ["--primary", "-4.5e1", "-1e-3"], "primary", [-45, -0.001]),
        ("train", ["--above-hu", "-1e2"], "above_hu", -100),
    ],
)
def test_of_other_commands(command, words, name, value):
    before = {"heatmap": ["heatmap", "ct", "x"], "train": ["train", "rayemb", "ct", "--out", "w"]}
    assert getattr(build_parser().parse_args([*before[command], *words]), name) == value


@pytest.mark.parametrize("word", ["-inf", "-nan", "-Infinity", "inf", "nan", "-1e999"])
def test_what_is_not_finite_is_refused_in_our_words(capsys, word):
    with pytest.raises(SystemExit) as end:
        build_parser().parse_args([*REGISTER, "--primary", word])
    assert end.value.code == 2
    assert f"expected a finite number: got {word}" in capsys.readouterr().err


def test_options_are_still_options(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args([*REGISTER, "--offset", "1", "2", "-e5"])
    assert "--offset: expected 3 arguments" in capsys.readouterr().err


def test_an_isocenter_is_finite(call, case):
    done = call("register", case.ct, case.xray, "--isocenter", "nan", "0", "0", "--quiet")
    assert done.code == 2
    assert "three numbers" in done.err


@pytest.mark.parametrize(
    ("attributes", "flags"),
    [
        ({"DistanceSourceToDetector": "0"}, "--sdd"),
        ({"DistanceSourceToPatient": "-1", "DistanceSourceToIsocenter": None}, "--source-to-isocenter"),
        ({"ImagerPixelSpacing": ["0", "0"], "PixelIntensityRelationship": ""}, "--pixel-spacing, --read-as"),
        ({"DistanceSourceToPatient": "9000", "DistanceSourceToIsocenter": None}, "--sdd, --source-to-isocenter"),
    ],
)  # fmt: skip
def test_flags_for_what_is_missing(call, case, tmp_path, attributes, flags):
    import pydicom

    write_dicom_radiograph(tmp_path / "y.dcm", read_radiograph(case.xray))
    dataset = pydicom.dcmread(tmp_path / "y.dcm")
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(tmp_path / "y.dcm")
    done = call("register", case.ct, "y.dcm", "--quiet")
    assert done.code == 2
    assert f": give {flags}, or --geometry FILE" in done.err


def test_flag_for_a_frame(call, case, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((4, 20, 30)))
    done = call("register", case.ct, "x.npy", "--quiet")
    assert done.code == 2
    assert done.err.strip().endswith("frames 1..4, or their mean: give --frame")


def test_inspect_shows_a_contradiction_and_the_range(call, case, tmp_path):
    import pydicom

    write_dicom_radiograph(tmp_path / "y.dcm", read_radiograph(case.xray))
    dataset = pydicom.dcmread(tmp_path / "y.dcm")
    dataset.DistanceSourceToPatient, dataset.DistanceSourceToIsocenter = "9000", None
    dataset.save_as(tmp_path / "y.dcm")
    done = call("inspect", "y.dcm", "--json", "--quiet")
    found = json.loads(done.out)
    assert "isocenter must lie between" in found["contradiction"]
    assert found["detector_range"]["value"][0] == 0
    assert "bits" in found["detector_range"]["from"]
    assert math.isclose(found["geometry"]["source_to_isocenter"]["value"], 9000)
