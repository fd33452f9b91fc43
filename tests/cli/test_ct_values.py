"""A volume whose unit nobody knows: said by inspect, refused until chosen, chosen by an option."""

import json

import nibabel
import numpy as np
import pytest

from napari_xreg.cli.arguments.options import add_ct_values
from napari_xreg.session import file_source, read_ct

VIEW = ("--sdd", 900, "--source-to-isocenter", 600, "--pixels", 6, 7, "--pixel-spacing", 3, 4)


@pytest.fixture
def angiography(tmp_path):
    """9 x 8 x 7 voxels of 2 x 3 x 4 mm: a block of 1800 on a background of 0."""
    values = np.zeros((9, 8, 7), np.int16)
    values[2:7, 2:6, 1:6] = 1800
    image = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "angio.nii.gz")
    return tmp_path / "angio.nii.gz"


def test_inspect_says_what_is_known_and_that_no_voxel_is_air(call, angiography):
    data = json.loads(call("inspect", angiography.name, "--json").out)
    assert data["kind"] == "volume in an unknown unit"
    assert data["voxels_xyz"] == [9, 8, 7]
    assert data["value_range"] == [0, 1800]
    assert "no voxel is air" in data["warning"]
    assert "--ct-values linear AIR BONE" in data["warning"]


def test_inspect_with_a_choice_says_which(call, angiography):
    said = ("--ct-values", "linear", 0, 1800)
    data = json.loads(call("inspect", angiography.name, *said, "--json").out)
    assert data["kind"] == "CT"
    assert data["notes"] == ["values 0 to 1800 read as linear: 0 is air, 1800 is bone, as chosen"]


def test_a_render_asks_for_the_choice_and_follows_it(call, angiography, tmp_path):
    refused = call("render", angiography.name, "--out", "d.npy", *VIEW)
    assert refused.code == 2
    assert "angio.nii.gz" in refused.err
    assert "--ct-values hu" in refused.err
    assert not (tmp_path / "d.npy").exists()
    done = call("render", angiography.name, "--out", "d.npy", *VIEW,
                "--ct-values", "linear", 0, 1800, "--attenuation", "as-read")  # fmt: skip
    assert done.code == 0, done.err
    assert "note: values 0 to 1800 read as linear" in done.out
    # From the front a ray runs along y through 4 voxels of 3 mm of bone: 12 mm x 0.04937/mm.
    assert float(np.load(tmp_path / "d.npy").max()) == pytest.approx(12 * 0.04937, rel=0.05)


def test_a_session_keeps_the_choice(angiography):
    source = file_source(angiography, values="linear 0 1800")
    assert source.options == {"values": "linear 0 1800"}
    assert float(read_ct(source).lac.max()) == pytest.approx(0.04937, rel=2e-3)


def test_a_negative_value_of_air_is_an_argument():
    import argparse

    parser = argparse.ArgumentParser()
    add_ct_values(parser)
    assert parser.parse_args(["--ct-values", "linear", "-1024", "3e3"]).ct_values == [
        "linear", "-1024", "3e3",
    ]  # fmt: skip
