"""What can be found wrong at once is said before the minutes that the work takes."""

import numpy as np
import pytest

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.commands import register as register_command
from napari_xreg.cli.inputs import placed_landmarks
from napari_xreg.widgets.data.answers import Choice, Marks
from napari_xreg.widgets.data.reading import ReadFile


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--landmarks", "absent.csv"), "absent.csv: cannot be opened"),
        (("--landmarks", "plain.csv"), "LPS (x to the patient's left"),
        (("--landmarks", "pixels.csv"), "no landmark with a 3D position"),
        (("--truth", "absent.json"), "absent.json: cannot be opened"),
        (("--out", "plain.csv"), "is a file"),
        (("--out", "plain.csv/deeper"), "is a file"),
        (("--radiograph", "absent.dcm"), "absent.dcm"),
        (("--mask", "m.npy", "--mask", "m.npy"), "2 masks were given for 1 radiograph:"),
    ],
)
def test_register_says_so_before_it_refines(call, case, tmp_path, monkeypatch, arguments, says):
    (tmp_path / "plain.csv").write_text("name,x,y,z\nA,1,2,3\n")
    (tmp_path / "pixels.csv").write_text("name,row,column\nA,1,2\n")
    np.save(tmp_path / "m.npy", np.ones((72, 80), dtype=np.uint8))
    monkeypatch.setattr(register_command, "refine_shown", None)
    before = {file.name for file in tmp_path.iterdir()}
    failed = call("register", case.ct, case.xray, "--film", "none", *arguments)
    assert failed.code == 2
    assert says in failed.err
    assert "unexpected" not in failed.err
    assert {file.name for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ("register", "phantom", "x.npz"),
        ("render", "phantom", "--out", "x.png"),
        ("bones", "phantom", "x.npz", "--move", "hip_left"),
    ],
)
def test_names_of_labels_that_are_not_there_are_refused(call, tmp_path, words):
    (tmp_path / "n.txt").write_text("1 radius\n")
    np.savez(tmp_path / "x.npz")
    failed = call(*words, "--label-names", "n.txt")
    assert failed.code == 2
    assert "--label-names says what the labels of --labels are called: give --labels" in failed.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("render", "the middle of the CT (default)"),
        ("simulate", "the middle of the CT (default)"),
        ("register", "the middle of the CT, or of --structures (default)"),
        ("track", "the middle of the CT, or of --structures (default)"),
        (
            "bones",
            "of the structures that --move names; of a trial, of each bone's volume (default)",
        ),
    ],
)
def test_where_the_isocenter_lies_is_said_as_the_command_has_it(capsys, command, words):
    with pytest.raises(SystemExit):
        build_parser().parse_args([command, "--help"])
    assert words in " ".join(capsys.readouterr().out.split())


def test_the_axes_of_a_plain_table_are_an_option(tmp_path):
    (tmp_path / "plain.csv").write_text("name,x,y,z\nA,1,2,3\n")
    line = ["register", "phantom", "x.npz", "--landmarks", str(tmp_path / "plain.csv")]
    (ras,) = placed_landmarks(build_parser().parse_args([*line, "--landmark-frame", "RAS"]))
    assert ras.position == (-1.0, -2.0, 3.0)
    with pytest.raises(ValueError, match=r"\(--landmark-frame\)$"):
        placed_landmarks(build_parser().parse_args(line))


def test_the_window_asks_for_the_axes(tmp_path):
    (tmp_path / "plain.csv").write_text("name,x,y,z\nA,1,2,3\n")
    asked = ReadFile(str(tmp_path / "plain.csv")).answer()
    assert isinstance(asked, Choice)
    lps, ras = (request.answer() for request in asked.options.values())
    assert isinstance(lps, Marks)
    assert (lps.landmarks[0].position, ras.landmarks[0].position) == ((1, 2, 3), (-1, -2, 3))
