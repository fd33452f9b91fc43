"""DeepFluoro in full resolution: a twin of the file is explained by what is read of it."""

import h5py
import numpy as np
import pytest
import torch
from explained import furthest_landmark, similarity
from twins import POINTS, write_deepfluoro

from napari_xreg.datasets import SeveralCases, SeveralCaseViews, is_data_set, open_data_set
from napari_xreg.files import ReadError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_deepfluoro(tmp_path_factory.mktemp("set") / "full.h5")


def test_what_is_in_it_is_known_without_reading_it(file):
    found = open_data_set(file)
    assert (found.title, found.layout) == ("DeepFluoro", "full resolution, HDF5")
    assert [entry.name for entry in found.entries] == ["17-1882", "18-1109"]
    assert found.entries[0].views == ("000", "003")
    assert "in doubt" in found.entries[0].exclusions["003"]
    assert not found.entries[1].exclusions
    assert "BY-NC" in found.terms.licence
    assert "Grupp" in found.terms.citation


@pytest.mark.parametrize("name", ["000", "003"])
def test_the_truth_explains_picture_and_points(file, name):
    case = open_data_set(file).case("17-1882")
    view = case.view(name)
    assert similarity(case, view) > 0.99
    assert furthest_landmark(case, view) < 0.01


def test_a_case_says_what_it_holds(file):
    case = open_data_set(file).case("17-1882")
    assert case.numbers == "Hounsfield units"
    assert case.structures == {"pelvis": (2,), "left femur": (5,)}
    assert case.labels.names[2] == "Right Hemipelvis"
    assert {mark.name: mark.position for mark in case.landmarks} == POINTS
    view = case.view("003")
    assert "in doubt" in view.excluded
    assert case.view("000").excluded == ""
    # The right femur is not in the field.
    assert set(view.truths) == {"pelvis", "left femur"}
    assert view.notes == ("right femur: too little of it is in the field for a pose",)


def test_what_was_done_to_a_radiograph_is_in_its_history(file):
    case = open_data_set(file).case("18-1109")
    # 50 of 1536 pixels at each edge are 1 of 44 and 2 of 52.
    crop = "crop rows 1+42, columns 2+48 of 44x52"
    upright, turned = case.view("000").radiograph, case.view("003").radiograph
    assert [str(done) for done in upright.operations] == [crop]
    assert [str(done) for done in turned.operations] == [crop, "rotate 180 degrees clockwise"]
    assert upright.nominal is None
    assert upright.i0 == 65487.0
    assert "does not say" in upright.geometry.provenance["source_to_isocenter"]
    # z runs to the source: seen from behind the patient's image is mirrored.
    assert upright.carm.detector.mirrored
    assert upright.carm.source_to_detector == pytest.approx(1020)
    assert upright.carm.source_to_isocenter == pytest.approx(1020 / 1.3)


def test_femur_and_pelvis_moved_apart(file):
    view = open_data_set(file).case("17-1882").view("000")
    apart = view.truths["left femur"] @ view.truths["pelvis"].inverse()
    assert float(torch.linalg.vector_norm(apart.log()[:3]).rad2deg()) == pytest.approx(
        3.0, abs=1e-6
    )


def test_a_choice_is_asked_for(file):
    found = open_data_set(file)
    with pytest.raises(SeveralCases, match=r"full.h5: holds 2 cases, 17-1882, 18-1109: choose one"):
        found.case()
    with pytest.raises(ReadError, match=r"its cases are 17-1882, 18-1109: got '17'"):
        found.case("17")
    with pytest.raises(SeveralCaseViews, match="17-1882: has 2 radiographs, 000, 003: choose one"):
        found.case("17-1882").view()
    with pytest.raises(ReadError, match=r"its radiographs are 000, 003: got '7'"):
        found.case("17-1882").view("7")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: f.__delitem__("18-1109/projections/000/gt-poses/cam-to-pelvis-vol"), "gt-poses/cam-to-pelvis-vol is absent"),
        (lambda f: f["proj-params/num-rows"].__setitem__((), 45), "says 45 x 52 pixels"),
        (lambda f: f["proj-params/intrinsic"].__setitem__((0, 0), 0.0), "the camera cannot be used"),
        (lambda f: f["18-1109/projections/000/gt-landmarks/FH-r"].__setitem__((0, 0), float("nan")), "expected finite numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, damage, said):
    path = write_deepfluoro(tmp_path / "bad.h5", ("18-1109",))
    with h5py.File(path, "a") as file:
        damage(file)
    case = open_data_set(path).case("18-1109")
    with pytest.raises(ReadError, match=said) as error:
        case.view("000")
    assert str(error.value).startswith("bad.h5: ")


def test_of_the_preprocessed_file_the_other_one_is_named(tmp_path):
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["land-names/num-lands"] = 1
        for name, shape in (("projs", (2, 5, 7)), ("segs", (2, 5, 7)), ("lands", (2, 2, 1))):
            file[f"01/{name}"] = np.ones(shape)
    assert is_data_set(tmp_path / "small.h5")
    with pytest.raises(ReadError, match=r"^small\.h5: .* open the file of full resolution"):
        open_data_set(tmp_path / "small.h5")


def test_another_file_is_no_set(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["proj-params/intrinsic"] = [1.0]
    assert not is_data_set(tmp_path / "other.h5")
    with pytest.raises(ReadError, match=r"other.h5: is in no layout of a data set"):
        open_data_set(tmp_path / "other.h5")
    with pytest.raises(ReadError, match="no such file"):
        open_data_set(tmp_path / "absent.h5")
