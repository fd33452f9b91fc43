"""One look decides what a file is, for `inspect` and for the Data widget."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_files import JOINTTRACK, MAYACAM, VTKCAM
from ct_writers import write_nifti

from napari_xreg.files import GEOMETRY, ReadError
from napari_xreg.geometry import Pose
from napari_xreg.records import write_pose
from napari_xreg.widgets.data.reading import ReadFile
from napari_xreg.workflows import file_kind, inspect

SIDECAR = json.dumps({"schema": GEOMETRY, "version": 1})


@pytest.fixture
def folder(tmp_path):
    """Files whose name, neighbour or contents tell."""
    page = np.arange(35, dtype=np.uint8).reshape(5, 7)
    for name in ("work.xreg.json", "result.json", "weights.PTH", "marks.mrk.json", "x.dcm", "x.h5"):
        (tmp_path / name).write_bytes(b"{}")
    for name in ("shot.png", "slices.tif", "frames.tif", "single.tif"):
        pages = [page] if name.startswith(("shot", "single")) else [page, page + 1]
        assert cv2.imwritemulti(str(tmp_path / name), pages)
    for name in ("shot.png", "frames.tif"):
        (tmp_path / f"{name}.json").write_text(SIDECAR)
    (tmp_path / "series").mkdir()
    (tmp_path / "ct.nii.gz").write_bytes(b"")
    (tmp_path / "marks.csv").write_text("name,x,y,z\nhip,1,2,3\n")
    (tmp_path / "trajectory.csv").write_text("# napari-xreg/trajectory version 1; 0 rows\nloss\n")
    (tmp_path / "notes.txt").write_text("nothing to read")
    for version, ending in ((1, "csv"), (2, "txt")):
        (tmp_path / f"camera.{ending}").write_text(MAYACAM[version])
    (tmp_path / "camera.yaml").write_text(VTKCAM)
    (tmp_path / "jt.txt").write_text(JOINTTRACK)
    (tmp_path / "pose.txt").write_text("1 0 0 5\n0 1 0 6\n0 0 1 7\n0 0 0 1\n")
    write_pose(tmp_path / "pose.tfm", Pose.identity())
    (tmp_path / "bones.txt").write_text("1 radius left\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("work.xreg.json", "session"), ("result.json", "result"), ("weights.PTH", "weights"),
        ("marks.mrk.json", "landmarks"), ("x.dcm", "radiograph"), ("x.h5", "ct"),
        ("shot.png", "radiograph"), ("shot.png.json", "radiograph"),
        ("slices.tif", "stack"), ("frames.tif", "radiograph"), ("single.tif", "radiograph"),
        ("series", "ct"), ("ct.nii.gz", "grid"), ("notes.txt", None),
        ("marks.csv", "landmarks"), ("trajectory.csv", "table"),
        ("camera.csv", "calibration"), ("camera.txt", "calibration"), ("camera.yaml", "calibration"),
        ("jt.txt", "calibration"), ("pose.txt", "pose"),
        ("pose.tfm", "pose"), ("bones.txt", "label names"),
    ],
)  # fmt: skip
def test_what_a_file_is(folder, name, kind):
    assert file_kind(folder / name) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12 iterations done\n", None),
        ("10 iterations done\n20 iterations done\n", None),
        ("1 radius\n12 iterations done: 0.5\nend\n", None),
        ("1 10.5 20.5 30.5\n2 11.5 21.5 31.5\n", None),
        ("1 10.5 20.5 30.5 hip\n2 11.5 21.5 31.5 knee\n", None),
        ("1 5th rib\n", "label names"),
        ("11 radius\n12 ulna\n", "label names"),
    ],
)
def test_a_log_or_a_list_of_points_names_no_labels(tmp_path, text, kind):
    (tmp_path / "some.txt").write_text(text)
    assert file_kind(tmp_path / "some.txt") == kind


def test_both_who_ask_are_told_the_same(folder):
    stack = ReadFile(str(folder / "slices.tif")).answer()
    assert list(stack.options) == ["a CT, slice by slice", "a radiograph of several frames"]
    entry = inspect(folder / "slices.tif")
    assert entry["kind"] == "stack of 2 images"
    assert (entry["voxels_xyz"], entry["value_range"]) == ([7, 5, 2], [0.0, 35.0])
    # A frame is of a radiograph.
    assert inspect(folder / "slices.tif", frame=2)["value_range"] == [1.0, 35.0]


def test_a_sidecar_is_inspected_as_its_picture(folder):
    beside, itself = (inspect(folder / name) for name in ("shot.png.json", "shot.png"))
    assert Path(beside.pop("file")).name == "shot.png.json"
    assert Path(itself.pop("file")).name == "shot.png"
    assert beside == itself
    assert (itself["rows"], itself["columns"]) == (5, 7)


def test_a_calibration_is_inspected(folder):
    entry = inspect(folder / "camera.txt")
    assert (entry["kind"], entry["lengths"]) == ("calibration of an X-ray camera", "mm")
    assert entry["version"] == "MayaCam 2.0"
    assert entry["focal_length_row_column_px"] == [1900.0, 2000.0]
    assert inspect(folder / "camera.csv")["version"] == "MayaCam 1.0"
    assert inspect(folder / "camera.yaml")["source_in_calibration_mm"] == [800.0, 10.0, 20.0]
    entry = inspect(folder / "jt.txt")
    assert (entry["version"], entry["source_to_detector"]) == ("JointTrack", 1000.0)


def test_poses_and_names_are_inspected(folder):
    assert inspect(folder / "pose.txt")["kind"] == "pose in an unknown frame"
    assert inspect(folder / "pose.tfm")["world_from_camera"] == np.eye(4).tolist()
    assert inspect(folder / "bones.txt")["labels"] == {"1": "radius left"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("camera.txt", "in its geometry"),
        ("pose.tfm", "Paste in the Pose tab"),
        ("bones.txt", "beside the label"),
    ],
)
def test_the_window_says_where_a_text_belongs(folder, name, words):
    with pytest.raises(ReadError, match=words):
        ReadFile(str(folder / name)).answer()


def test_a_label_map_is_known_by_what_is_in_it(tmp_path):
    ids = np.zeros((6, 7, 8), np.int16)
    ids[1:5, 1:4, 2:6], ids[1:5, 4:6, 2:6] = 1, 9
    (tmp_path / "bones.txt").write_text("1 radius left\n9 ulna\n")
    entry = inspect(write_nifti(tmp_path / "bones.nii.gz", ids))
    assert entry["kind"] == "label map"
    # Of 48 + 32 voxels, those that have a stored neighbour to the left of their label: 3 in 4 rows of x.
    assert entry["seen"] == (
        "taken for a label map: beside 0 it holds 2 whole numbers from 1 to 9, and 75 % of these voxels "
        "are as their neighbour"
    )
    assert entry["names"] == "bones.txt"
    assert entry["structures_voxels"] == {"1 radius left": 48, "9 ulna": 32}
    # An image of 8 bits is whole numbers from 0 too.
    grey = np.random.default_rng(3).integers(0, 250, (6, 7, 8)).astype(np.int16)
    assert (
        inspect(write_nifti(tmp_path / "grey.nii.gz", grey))["kind"] == "volume in an unknown unit"
    )
    # What is said is not guessed.
    assert inspect(tmp_path / "bones.nii.gz", values="hu")["kind"] == "CT"
    assert inspect(tmp_path / "bones.nii.gz", kind="ct")["kind"] == "volume in an unknown unit"
    (tmp_path / "own.json").write_text('{"radius": 1}')
    said = inspect(tmp_path / "bones.nii.gz", label_names=str(tmp_path / "own.json"))
    assert said["structures_voxels"] == {"1 radius": 48, "9": 32}
