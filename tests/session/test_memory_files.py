"""What a session keeps of a CT in memory: damage and bombs in it are sentences."""

import json

import numpy as np
import pytest

from napari_xreg.images import ReadError
from napari_xreg.session.files.memory_files import read_grid_labels, read_grid_volume

ABOUT = {"schema": "napari-xreg/grid", "version": 1, "kind": "ct", "names": {}}


def grid(path, about=ABOUT, **arrays):
    """An archive as the writer makes it, with what the test damages."""
    arrays = {
        "lac": np.full((3, 4, 5), 0.02, np.float32),
        "world_from_index": np.diag([0.9, 1.3, 2.0, 1.0]),
        "about": np.array(json.dumps(about)) if isinstance(about, dict) else about,
        **arrays,
    }
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def test_a_whole_file_is_read(tmp_path):
    volume = read_grid_volume(grid(tmp_path / "ct.npz"))
    assert volume.shape == (3, 4, 5)
    assert volume.spacing == (0.9, 1.3, 2.0)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({"lac": None}, "the array lac is missing"),
        ({"lac": np.zeros((3, 4, 5), complex)}, "the array lac is damaged .complex128, 3 axes"),
        ({"lac": np.zeros((3, 4, 5), int)}, "the array lac is damaged .int64"),
        ({"lac": np.zeros((4, 5), np.float32)}, "the array lac is damaged .float32, 2 axes"),
        ({"lac": np.full((3, 4, 5), np.nan, np.float32)}, "finite"),
        ({"hu": np.array([["a"]])}, "the array hu is damaged"),
        ({"hu": np.zeros((3, 4, 6), np.int16)}, "ct.npz"),
        ({"world_from_index": np.eye(3)}, "ct.npz"),
        ({"world_from_index": np.full((4, 4), np.nan)}, "finite"),
        ({"world_from_index": np.diag([1.0, 1.0, 0.0, 1.0])}, "singular"),
        ({"about": None}, "does not say what it holds"),
        ({"about": np.array("[" * 5000)}, "nests too deeply"),
        ({"about": np.array("[]")}, "schema"),
        ({"about": np.array(json.dumps({**ABOUT, "schema": []}))}, "schema"),
        ({"about": np.array(json.dumps({**ABOUT, "version": 2}))}, "update napari-xreg"),
        ({"about": np.array(json.dumps({**ABOUT, "kind": {}}))}, "kind should be 'ct' or 'labels'"),
        (
            {"about": np.array(json.dumps({**ABOUT, "names": [1]}))},
            r"names should be an object: got \[1\]",
        ),
    ],
)
def test_damage_is_named(tmp_path, damage, words):
    with pytest.raises(ReadError, match=words):
        read_grid_volume(grid(tmp_path / "ct.npz", **damage))


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (np.zeros((3, 4, 5), np.float32), {}),
        (np.zeros((3, 4, 5), np.int16), {"one": "hip"}),
    ],
)
def test_labels_that_are_no_ids_are_named(tmp_path, ids, names):
    about = {**ABOUT, "kind": "labels", "names": names}
    with pytest.raises(ReadError, match=r"labels\.npz"):
        read_grid_labels(grid(tmp_path / "labels.npz", about, ids=ids))


def test_more_than_fits_into_memory_is_not_read(tmp_path, monkeypatch):
    # 3 x 4 x 5 voxels of 4 bytes, an affine of 128 and some text: 1 kB at most.
    path = grid(tmp_path / "ct.npz")
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "367e-9")
    with pytest.raises(ReadError, match="NAPARI_XREG_MEMORY_GB"):
        read_grid_volume(path)
