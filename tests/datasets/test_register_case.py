"""A case of a data set on the command line: described, chosen, registered, measured at its truth."""

import json

import nibabel
import numpy as np
import pytest
from twins import write_deepfluoro

from napari_xreg.cli import main


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_deepfluoro(tmp_path_factory.mktemp("set") / "full.h5")


def _call(*words):
    return main([str(word) for word in words])


def test_what_a_set_is(file, capsys):
    assert _call("inspect", file, "--json") == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["kind"], entry["data_set"]) == ("data set", "DeepFluoro")
    assert "BY-NC" in entry["licence"]
    assert entry["cases"][0] == {
        "name": "17-1882", "radiographs": 2, "first_and_last": ["000", "003"],
    }  # fmt: skip
    assert entry["left_out_by_published_evaluations"][0].startswith("17-1882, 003: its published")
    # Of the same file one volume by its name.
    assert _call("inspect", file, "--series", "17-1882/vol", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "CT"


@pytest.mark.slow
def test_a_case_is_registered_and_measured(file, tmp_path, capsys):
    from napari_xreg.datasets import open_data_set
    from napari_xreg.records import write_pose

    view = open_data_set(file).case("17-1882").view("003")
    start = tmp_path / "start.json"
    write_pose(start, view.truths["pelvis"])
    code = _call(
        "register", file, "--case", "17-1882", "--view", "003", "--start", start, "--structures", "2,5",
        "--multi-start", "1", "--film", "none", "--out", tmp_path / "r",
    )  # fmt: skip
    said = capsys.readouterr()
    assert code in (0, 1), said.err
    assert "licence: CC BY-NC 4.0" in said.out
    assert "leave this radiograph out" in said.out
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert result["data_set"]["case"] == "17-1882"
    assert result["data_set"]["view"] == "003"
    assert [entry["role"] for entry in result["inputs"]] == ["ct", "start"]
    # Of both bones together nobody has a pose.
    assert "truth" not in result
    code = _call(
        "register", file, "--case", "17-1882", "--view", "000", "--primary", 0, "--secondary", 0,
        "--lock", "primary", "secondary", "roll", "--multi-start", "1", "--film", "none",
        "--out", tmp_path / "q", "--quiet",
    )  # fmt: skip
    result = json.loads((tmp_path / "q" / "result.json").read_text())
    assert result["truth"]["fiducials"] == 3
    assert result["structures"] == {"2": "Right Hemipelvis"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --case NAME"),
        (("--case", "17-1882"), "give --view NAME"),
        (("--case", "17-1882", "--view", "000", "--sdd", "900"), "leave --sdd out"),
        (("x.dcm", "--case", "17-1882"), "leave XRAY out"),
        (("--case", "17-1882", "--view", "000"), "does not say where the C-arm stood"),
    ],
)
def test_what_is_missing_or_too_much_is_said(file, tmp_path, capsys, words, said):
    assert _call("register", file, *words, "--out", tmp_path / "r") == 2
    assert said in capsys.readouterr().err


def test_a_case_that_does_not_say_enough_sends_nobody_to_an_option_it_refuses(tmp_path, capsys):
    """A CT without a value below zero: of a single file --ct-values would say what they are."""
    (tmp_path / "sub-1" / "xrays").mkdir(parents=True)
    (tmp_path / "sub-1" / "xrays" / "one.npy").write_bytes(b"x")
    image = nibabel.Nifti1Image(np.arange(210, dtype=np.int16).reshape(5, 6, 7), np.eye(4))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "sub-1" / "ct.nii.gz")
    assert _call("register", tmp_path, "--case", "sub-1", "--out", tmp_path / "r") == 2
    said = capsys.readouterr().err
    assert "ct.nii.gz" in said
    assert "must say all of this themselves" in said
    assert "give --" not in said


def test_a_case_of_what_is_no_set(tmp_path, capsys):
    (tmp_path / "ct.nii.gz").write_bytes(b"x")
    assert _call("register", tmp_path / "ct.nii.gz", "--case", "1", "--out", tmp_path / "r") == 2
    assert "in no layout of a data set" in capsys.readouterr().err
