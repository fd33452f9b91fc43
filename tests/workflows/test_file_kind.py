"""One look decides what a file is, for `inspect` and for the Data widget."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_xreg.files import GEOMETRY
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
    ],
)  # fmt: skip
def test_what_a_file_is(folder, name, kind):
    assert file_kind(folder / name) == kind


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
