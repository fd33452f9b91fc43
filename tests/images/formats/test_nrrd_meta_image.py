"""NRRD and MetaImage: their world is LPS here whatever the file names, shear included."""

import gzip

import numpy as np
import pytest
import torch
from ct_writers import hounsfield, write_mha, write_nrrd
from torch.testing import assert_close

from napari_xreg.images import ReadError, read_labels, read_volume

HU = hounsfield()
LPS = {
    "space": "left-posterior-superior",
    "space directions": "(0.5,0,0) (0,0.6,0.1) (0,0.2,0.7)",
    "space origin": "(1,-22,333)",
}
META = {
    "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
    "Offset": "1 -22 333",
    "ElementSpacing": "0.5 0.6 0.7",
}


def world(volume, x, y, z):
    return (volume.world_from_index @ torch.tensor([x, y, z, 1.0], dtype=torch.float64))[
        :3
    ].tolist()


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        # Index (2, 3, 4): (1 + 1, -22 + 1.8 + 0.8, 333 + 0.3 + 2.8) in the axes of the file.
        ("left-posterior-superior", (2.0, -19.4, 336.1)),
        ("LPS", (2.0, -19.4, 336.1)),
        ("right-anterior-superior", (-2.0, 19.4, 336.1)),
        ("RAS", (-2.0, 19.4, 336.1)),
        ("left-anterior-superior", (2.0, 19.4, 336.1)),
    ],
)
def test_nrrd_spaces_by_hand(tmp_path, space, expected):
    ct = read_volume(write_nrrd(tmp_path / "ct.nrrd", HU, {**LPS, "space": space}))
    assert ct.shape == (5, 4, 3)
    assert ct.hu.tolist() == HU.tolist()
    assert world(ct, 2, 3, 4) == pytest.approx(expected)


def test_nrrd_compressed_and_detached(tmp_path):
    (tmp_path / "voxels.raw.gz").write_bytes(gzip.compress(HU.tobytes()))
    fields = {**LPS, "encoding": "gzip", "data file": "voxels.raw.gz"}
    path = write_nrrd(tmp_path / "ct.nhdr", HU, fields)
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n")
    assert read_volume(path).hu.tolist() == HU.tolist()


def test_nrrd_units(tmp_path):
    fields = {**LPS, "space units": '"mm" "mm" "mm"'}
    assert read_volume(write_nrrd(tmp_path / "ct.nrrd", HU, fields)).shape == (5, 4, 3)
    fields["space units"] = '"m" "m" "m"'
    with pytest.raises(ReadError, match="must be mm"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", HU, fields))


def test_meta_image_by_hand(tmp_path):
    ct = read_volume(write_mha(tmp_path / "ct.mha", HU, META))
    assert ct.hu.tolist() == HU.tolist()
    # Index x runs along (0, 1, 0), y along (-1, 0, 0): (2, 3, 4) lies at
    # (1 - 1.8, -22 + 1, 333 + 2.8).
    assert world(ct, 2, 3, 4) == pytest.approx([-0.8, -21.0, 335.8])
    assert ct.spacing == pytest.approx((0.5, 0.6, 0.7))


def test_float_volumes_and_slicer_segments(tmp_path):
    ct = read_volume(write_nrrd(tmp_path / "ct.nrrd", HU.astype("<f4") + 0.25, LPS))
    assert_close(ct.hu, torch.from_numpy(HU).float() + 0.25)
    ids = np.zeros((5, 4, 3), np.uint8)
    ids[4, 3, 2] = 2
    fields = {**LPS, "Segment0_LabelValue": "=2", "Segment0_Name": "=femur, left"}
    labels = read_labels(write_nrrd(tmp_path / "s.seg.nrrd", ids, fields))
    assert labels.ids[4, 3, 2] == 2
    assert labels.names == {2: "femur, left"}


@pytest.mark.parametrize("field", ["space", "space directions", "space origin"])
def test_nrrd_without_a_place(tmp_path, field):
    with pytest.raises(ReadError, match=f"field '{field}'"):
        read_volume(write_nrrd(tmp_path / "ct.nrrd", HU, {**LPS, field: ""}))


@pytest.mark.parametrize("field", list(META))
def test_meta_image_without_a_place(tmp_path, field):
    fields = {key: value for key, value in META.items() if key != field}
    with pytest.raises(ReadError, match=rf"\({field}\) is missing"):
        read_volume(write_mha(tmp_path / "ct.mha", HU, fields))
