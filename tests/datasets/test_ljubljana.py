"""The Ljubljana angiograms: a twin of the file is explained by what is read of it."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from explained import similarity
from twins import POINTS, ljubljana_cameras, pixels, write_ljubljana

from napari_xreg.datasets import open_data_set
from napari_xreg.datasets.angiogram import subtracted
from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.images import (
    GeometryRecord,
    StoredImage,
    geometry_record,
    read_radiograph,
    with_geometry,
    without_saturated,
    write_dicom_radiograph,
    write_radiograph,
)
from napari_xreg.session import Exposure
from napari_xreg.session.files.session_json import exposure_from_json, exposure_to_json


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_ljubljana(tmp_path_factory.mktemp("set") / "ljubljana.h5")


def test_what_is_in_it_is_known_without_reading_it(file):
    found = open_data_set(file)
    assert found.title == "Ljubljana cerebral angiograms"
    assert [entry.name for entry in found.entries] == ["subject01", "subject02"]
    assert set(found.entries[0].views) == {"ap", "lat", "ap-max"}
    assert list(found.entries[0].exclusions) == ["ap-max"]
    assert "BY-NC-ND" in found.terms.licence


@pytest.mark.parametrize("name", ["ap", "lat", "ap-max"])
def test_the_truth_explains_picture_and_points(file, name):
    case = open_data_set(file).case("subject02")
    view = case.view(name)
    assert similarity(case, view) > 0.99
    points = torch.tensor([mark.position for mark in case.landmarks], dtype=torch.float64)
    projected = view.radiograph.carm.project(points, view.truths["vessels"]).numpy()
    seen = pixels(ljubljana_cameras()[name][1], list(POINTS.values()))[:, ::-1]
    assert np.abs(projected - seen).max() < 0.01


def test_what_is_no_vessel_is_the_commonest_value_not_the_brightest():
    pixels = torch.tensor([[50.0, 50.0, 80.0], [50.0, 10.0, -20.0]], dtype=torch.float64)
    said, _ = subtracted(StoredImage(pixels, "dsa", GeometryRecord()))
    # Of the largest value, 80: (50 - v) / 80.
    assert said.pixels.tolist() == [
        pytest.approx([0.0, 0.0, -0.375]), pytest.approx([0.0, 0.5, 0.875]),
    ]  # fmt: skip


def test_an_even_background_is_nothing_and_not_saturated(file):
    radiograph = open_data_set(file).case("subject02").view("lat").radiograph
    values = radiograph.line_integrals
    vessels = values[values > 0].sort().values
    assert len(vessels) < 0.1 * values.numel()  # all else is the same
    assert without_saturated(radiograph) is radiograph
    cut = replace(radiograph, line_integrals=values.clamp(max=float(vessels[8])))
    left = without_saturated(cut).usable
    assert int((~left).sum()) == len(vessels) - 8  # the other end is one
    inverted = radiograph.invert()
    assert without_saturated(inverted) is inverted


@pytest.mark.parametrize("name", ["kept.npz", "kept.tif", "kept.dcm"])
def test_that_it_was_subtracted_is_kept(file, tmp_path, name):
    radiograph = open_data_set(file).case("subject02").view("lat").radiograph
    path = tmp_path / name
    if name.endswith("dcm"):
        write_dicom_radiograph(path, radiograph)
    else:
        write_radiograph(path, radiograph)
    again = read_radiograph(path, find_collimator=False)
    assert again.subtracted
    assert without_saturated(again) is again
    assert with_geometry(again, geometry_record(again)).subtracted


def test_a_session_keeps_it(file, tmp_path):
    radiograph = open_data_set(file).case("subject02").view("lat").radiograph
    exposure = Exposure("lat", radiograph, Pose.identity(), Pose.identity())
    said = json.loads(json.dumps(exposure_to_json(exposure)))
    plain = replace(radiograph, subtracted=False)
    assert exposure_from_json(said, plain, None)[0].radiograph.subtracted


def test_the_background_is_exactly_zero():
    pixels = torch.tensor([[0.3, 0.3, 0.1], [0.3, 0.7, 0.3]])
    said, _ = subtracted(StoredImage(pixels, "dsa", GeometryRecord()))
    assert said.subtracted
    assert (said.pixels == 0.0).sum() == 4


def test_a_case_says_what_it_holds(file):
    case = open_data_set(file).case("subject01")
    assert case.numbers == "no unit: below 1000 nothing, then in proportion up to 3500"
    assert any("run against x" in note for note in case.notes)
    # Noise below 1000 is gone.
    assert float((case.volume.lac > 0).double().mean()) < 0.2
    # The picture is of the contrast agent alone: nothing of it is hidden by water.
    assert case.attenuation == "as read"
    assert case.labels is None
    assert "published evaluations leave it out" in case.view("ap-max").excluded
    assert "subtracted angiogram" in case.view("ap").notes[0]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f.__delitem__("subject01/proj-ap/extrinsic"), "proj-ap/extrinsic is absent"),
        (lambda f: f["subject01/proj-ap/intrinsic"].__setitem__((0, 1), 50.0), "K without skew"),
        (lambda f: f["subject01/proj-ap/col-spacing"].__setitem__((), 9.0), "contradict"),
    ],
)  # fmt: skip
def test_what_is_wrong_of_a_view_is_named(tmp_path, damage, said):
    path = write_ljubljana(tmp_path / "bad.h5", ("subject01",))
    with h5py.File(path, "a") as file:
        damage(file)
    case = open_data_set(path).case()
    with pytest.raises(ReadError, match=said) as error:
        case.view("ap")
    assert str(error.value).startswith("bad.h5: ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f["subject01/volume/pixels"].__setitem__((), 999), "no voxel reaches 1000"),
        (lambda f: f["subject01/volume/spacing"].__setitem__(1, 0.0), "position of the voxels"),
        (lambda f: f["subject01/points"].__setitem__((0, 0), np.nan), "points: expected finite"),
    ],
)  # fmt: skip
def test_what_is_wrong_of_a_case_is_named(tmp_path, damage, said):
    path = write_ljubljana(tmp_path / "bad.h5", ("subject01",))
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(ReadError, match=said):
        open_data_set(path).case()
