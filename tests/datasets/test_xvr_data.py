"""xvr-data: twins of its sets are explained by what is read, whichever generation their poses are of."""

import datetime

import numpy as np
import pytest
import torch
from explained import similarity
from twins import POINTS, XVR_CAMERA, pixels, write_xvr, xvr_cameras

from napari_xreg.datasets import is_data_set, open_data_set
from napari_xreg.files import ReadError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = write_xvr(tmp_path_factory.mktemp("xvr"), older=("subject02",))
    (made / "subject02" / "xrays" / "003.pt").unlink()
    return made


def _furthest(case, view):
    """Of projected fiducials from where the twin's own camera has them, pixels (row, column)."""
    points = torch.tensor([mark.position for mark in case.landmarks], dtype=torch.float64)
    projected = view.radiograph.carm.project(points, view.truths[case.target]).numpy()
    seen = pixels(xvr_cameras()[view.name][1], list(POINTS.values()))[:, ::-1]
    return np.abs(projected - seen).max()


def test_what_is_in_it_is_known_without_reading_it(folder):
    found = open_data_set(folder)
    assert found.title == "xvr-data: deepfluoro"
    assert [(entry.name, entry.views) for entry in found.entries] == [
        ("subject01", ("000", "003")), ("subject02", ("000",)),
    ]  # fmt: skip
    assert list(found.entries[0].exclusions) == ["003"]
    assert found.notes == ("subject02: no pose file (.pt) lies beside 003: left out",)
    assert "BY-NC" in found.terms.licence
    assert "ND" not in found.terms.licence
    # The same from above, and of one subject alone.
    assert next(e.name for e in open_data_set(folder.parent).entries) == "deepfluoro/subject01"
    assert [e.name for e in open_data_set(folder / "subject01").entries] == ["subject01"]


@pytest.mark.parametrize(
    ("subject", "name"), [("subject01", "000"), ("subject01", "003"), ("subject02", "000")]
)
def test_the_truth_explains_picture_and_points(folder, subject, name):
    case = open_data_set(folder).case(subject)
    view = case.view(name)
    assert similarity(case, view) > 0.99
    assert _furthest(case, view) < 0.01
    assert [str(done) for done in view.radiograph.operations] == [
        "crop rows 3+40, columns 2+54 of 46x58"
    ]


def test_the_generation_of_a_pose_is_said(folder):
    found = open_data_set(folder)
    assert "newer generation" in found.case("subject01").view("000").notes[0]
    assert "older generation" in found.case("subject02").view("000").notes[0]


def test_a_pose_that_looks_past_everything_is_no_truth(folder, tmp_path):
    made = write_xvr(tmp_path, subjects=("subject03",))
    file = made / "subject03" / "xrays" / "000.pt"
    away = torch.eye(4)[None].clone()
    away[0, 0, 3] = 9000.0
    torch.save({"pose": away, "intrinsics": XVR_CAMERA}, file)
    view = open_data_set(made).case().view("000")
    assert view.truths == {}
    assert "looks past the fiducials" in view.notes[0]


def test_a_case_says_what_it_holds(folder):
    case = open_data_set(folder).case("subject01")
    assert case.structures == {"pelvis": (2,), "left femur": (5,)}
    assert case.labels.names[2] == "right hemipelvis"
    places = np.array([mark.position for mark in case.landmarks])
    assert places == pytest.approx(np.array(list(POINTS.values())), abs=1e-4)
    assert case.numbers == "Hounsfield units"


def test_vessels_are_in_no_unit_and_subtracted(tmp_path):
    made = write_xvr(tmp_path, "ljubljana", ("subject04",))
    found = open_data_set(made)
    assert "BY-NC-ND" in found.terms.licence
    # Doubts about views of the other set are none of these.
    assert not found.entries[0].exclusions
    case = found.case()
    assert case.numbers.startswith("no unit: 0 was taken for nothing, 4000")
    view = case.view("003")
    assert "subtracted angiogram" in view.notes[1]
    assert similarity(case, view) > 0.99
    assert _furthest(case, view) < 0.01


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"pose": torch.eye(4)}, "expected `pose` and `intrinsics`"),
        ({"pose": torch.eye(3), "intrinsics": XVR_CAMERA}, r"pose: expected 16 finite numbers, got \(3, 3\)"),
        ({"pose": torch.eye(4), "intrinsics": XVR_CAMERA | {"sdd": "x"}}, "sdd must be a finite number"),
        ({"pose": torch.eye(4), "intrinsics": XVR_CAMERA | {"height": 41}}, "is of 41 x 54 pixels"),
        ({"pose": 2 * torch.eye(4), "intrinsics": XVR_CAMERA}, "the pose cannot be used"),
        ({"pose": datetime.datetime(2025, 1, 1)}, "would run code"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(folder, tmp_path, content, said):
    made = write_xvr(tmp_path, subjects=("subject03",))
    torch.save(content, made / "subject03" / "xrays" / "000.pt")
    case = open_data_set(made).case()
    with pytest.raises(ReadError, match=said) as error:
        case.view("000")
    assert "000.pt" in str(error.value)


def test_another_folder_is_no_set(tmp_path):
    (tmp_path / "subject01").mkdir()
    assert not is_data_set(tmp_path)
