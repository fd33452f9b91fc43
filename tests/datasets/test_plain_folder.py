"""A folder of one's own: what is in it is read as the program reads such files anywhere."""

import nibabel
import numpy as np
import pytest
import torch
from explained import similarity
from twins import (
    POINTS,
    VOXELS,
    affine,
    attenuation,
    hounsfield,
    labels,
    middle,
    motion,
    picture,
    turn,
)

from napari_xreg.datasets import is_data_set, open_data_set
from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Landmark, Radiograph, write_landmarks, write_radiograph
from napari_xreg.records import write_pose

DETECTOR = Detector((36, 46), (7.0, 6.1), (14.2, 25.5), mirrored=False)
CARM = CArm(1100.0, 750.0, DETECTOR)


def _nifti(path, values):
    image = nibabel.Nifti1Image(
        np.ascontiguousarray(values.transpose(2, 1, 0)), np.diag([-1.0, -1, 1, 1]) @ affine()
    )
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


@pytest.fixture
def folder(tmp_path):
    """Two subjects; of the second there is the CT alone."""
    made = tmp_path / "mine"
    for subject in ("sub-a", "sub-b"):
        (made / subject / "xrays").mkdir(parents=True)
        (made / subject / "truth").mkdir()
        _nifti(made / subject / "ct.nii.gz", hounsfield())
    first = made / "sub-a"
    _nifti(first / "labels.nii.gz", labels())
    write_landmarks(first / "landmarks.csv", [Landmark(n, position=p) for n, p in POINTS.items()])
    world_to_camera = (
        motion(np.eye(3), (0.0, 0, 800))
        @ motion(turn(0, 95), (0.0, 0, 0))
        @ motion(np.eye(3), -middle())
    )
    k = np.array([[1100 / 6.1, 0, 25.5], [0, 1100 / 7.0, 14.2], [0, 0, 1]])
    image = picture(k @ world_to_camera[:3], DETECTOR.shape, attenuation(hounsfield()), affine())
    radiograph = Radiograph(torch.from_numpy(image).float(), CARM)
    for name in ("one", "two"):
        write_radiograph(first / "xrays" / f"{name}.npz", radiograph)
    pose = Pose.from_matrix(torch.from_numpy(np.linalg.inv(world_to_camera)))
    write_pose(first / "truth" / "one.json", pose)
    (first / "excluded.txt").write_text("two: the patient moved\n")
    (made / "terms.txt").write_text("CC BY 4.0\nNobody et al. 2026\n")
    return made


def test_what_is_in_it(folder):
    found = open_data_set(folder)
    assert (found.title, found.layout) == ("mine", "folders sub-*")
    assert (found.terms.licence, found.terms.citation) == ("CC BY 4.0", "Nobody et al. 2026")
    assert [(e.name, e.views, dict(e.exclusions)) for e in found.entries] == [
        ("sub-a", ("one", "two"), {"two": "the patient moved"}), ("sub-b", (), {}),
    ]  # fmt: skip
    with pytest.raises(ReadError, match="sub-b: has no radiograph"):
        found.case("sub-b").view()
    (folder / "terms.txt").unlink()
    assert "not stated" in open_data_set(folder).terms.licence


@pytest.mark.slow
def test_the_truth_explains_the_picture(folder):
    case = open_data_set(folder).case("sub-a")
    view = case.view("one")
    assert case.volume.shape == VOXELS
    assert similarity(case, view) > 0.99
    assert case.structures == {"all labels": (2, 5)}
    assert {mark.name: mark.position for mark in case.landmarks} == POINTS
    assert case.view("two").truths == {}
    assert case.view("two").excluded == "the patient moved"
    assert {file.name for file in (*case.files, *view.files)} == {
        "ct.nii.gz", "labels.nii.gz", "landmarks.csv", "one.npz", "one.json",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "ct.nii.gz").unlink(), "sub-a: holds no CT"),
        (lambda f: (f / "ct").mkdir(), "expected one of ct, ct.nii.gz"),
        (lambda f: (f / "excluded.txt").write_text("three: why"), "got 'three: why'"),
        (lambda f: (f / "excluded.txt").write_text("two"), "a colon and the reason"),
        (lambda f: (f / "xrays" / "one.png").touch(), "one.npz and one.png have one name"),
        (lambda f: (f / "truth" / "one.json").write_text("{}"), "one.json"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(folder, damage, said):
    damage(folder / "sub-a")
    with pytest.raises(ReadError, match=said):
        open_data_set(folder).case("sub-a").view("one")


def test_a_folder_without_radiographs_is_none(tmp_path):
    (tmp_path / "sub-1").mkdir()
    assert not is_data_set(tmp_path)


def test_a_folder_that_may_not_be_looked_into_is_none(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr("pathlib.Path.is_file", denied)
    assert not is_data_set(tmp_path)
