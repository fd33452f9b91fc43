"""A trial of Autoscoper on the command line: what it stands for, and that it registers."""

import json

import pytest
from trial_maker import TRACKED, write_trial

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.trial import spelled_out


def _said(*words):
    return spelled_out(build_parser().parse_args(["register", *map(str, words)]))


def test_what_it_stands_for(tmp_path):
    arguments, files = _said(write_trial(tmp_path, frames=(7, 9)), "--frame", 9, "--volume", "uln")
    assert arguments.ct.endswith("uln.tif")
    assert arguments.ct_values == ["hu", "1", "-1024"]
    assert arguments.ct_spacing == (0.5, 0.7, 1.3)
    assert arguments.xray.endswith("x_cam1.0009.tif")
    assert [name[-15:] for name in arguments.radiograph] == ["x_cam2.0009.tif"]
    assert (arguments.read_as, arguments.bone, arguments.frame) == ("intensity", "dark", None)
    assert files.frame == 9


def test_what_is_said_beside_it_holds(tmp_path):
    arguments, _ = _said(
        write_trial(tmp_path), "--volume", "rad", "--bone", "bright", "--ct-values", "hu", "1", "-1000",
        "--crop", 0, 0, 30, 40,
    )  # fmt: skip
    assert arguments.bone == "bright"
    assert arguments.ct_values == ["hu", "1", "-1000"]
    assert arguments.crop == [[0, 0, 30, 40]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x.png", "--volume", "rad"), "names its radiographs"),
        (("--volume", "rad", "--geometry", "g.json"), "names its radiographs"),
        (("--volume", "rad", "--frame", "mean"), "--frame is one number"),
    ],
)
def test_what_does_not_go_together(tmp_path, words, said):
    with pytest.raises(ValueError, match=said):
        _said(write_trial(tmp_path), *words)


def test_a_radiograph_is_needed_beside_a_ct():
    with pytest.raises(ValueError, match="give XRAY"):
        _said("phantom")


def test_it_asks_which_bone_and_which_frame(call, tmp_path):
    trial = write_trial(tmp_path / "a", frames=(7, 9))
    done = call("register", trial)
    assert done.code == 2
    assert "give --frame N" in done.err
    done = call("register", trial, "--frame", "7")
    assert "give --volume NAME" in done.err


@pytest.mark.slow
def test_it_runs_to_results(call, tmp_path):
    """Of noise nothing is found; what is read, started from and written is what counts."""
    trial = write_trial(tmp_path / "a")
    poses = tmp_path / "rad.tra"
    poses.write_text(" ".join(f"{v:.12f}" for v in TRACKED.flatten()))
    done = call(
        "register", trial, "--volume", "rad", "--start", poses, "--film", "none", "--out", tmp_path / "r",
        "--lock", "primary", "secondary", "roll",
    )  # fmt: skip
    assert done.code in (0, 1), done.err
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    assert len(result["views"]) == 2
    assert result["start_origin"] == "4 x 4 pose of the radiograph"
    assert {entry["role"] for entry in result["inputs"]} >= {"ct", "radiograph", "trial"}
    assert any("Hounsfield units + 1024" in note for note in result["assumptions"])
