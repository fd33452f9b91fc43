"""Volumes in HDF5, as DeepFluoro keeps them."""

import numpy as np
import pytest

from napari_xreg.images import ReadError, SeveralSeries, read_labels, read_volume

h5py = pytest.importorskip("h5py", reason="installed before h5py became a dependency")
# Turned about z by 90 degrees; anisotropic.
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def put(group, pixels):
    group["pixels"] = pixels
    group["spacing"] = np.array([[0.5], [2.0], [3.0]])
    group["origin"] = np.array([[10.0], [-20.0], [30.0]])
    group["dir-mat"] = TURN


@pytest.fixture
def file(tmp_path):
    """One specimen as in the full-resolution file: a CT, its labels, and something else."""
    hu = np.full((2, 3, 4), -1000, np.int16)
    hu[1, 0, 3] = 700
    ids = np.zeros((2, 3, 4), np.uint8)
    ids[1, 0, 3] = 2
    with h5py.File(tmp_path / "cases.h5", "w") as made:
        put(made.create_group("17-1882/vol"), hu)
        put(made.create_group("17-1882/vol-seg/image"), ids)
        made["17-1882/vol-seg/labels-def/2"] = "right hemipelvis"
        made["17-1882/projections/000/image/pixels"] = np.zeros((4, 4))
    return tmp_path / "cases.h5"


def test_a_volume_of_several_lies_where_the_file_says(file):
    volume = read_volume(file, series_uid="17-1882/vol")
    assert volume.shape == (2, 3, 4)
    assert float(volume.hu[1, 0, 3]) == 700
    # Index (3, 0, 1): 1.5 mm, 0, 3 mm along the axes; turned: (0, 1.5, 3) from the origin.
    place = volume.world_from_index[:3] @ volume.world_from_index.new_tensor([3.0, 0, 1, 1])
    assert place.tolist() == pytest.approx([10.0, -18.5, 33.0])
    labels = read_labels(file, series_uid="/17-1882/vol-seg/image")
    assert labels.names == {2: "right hemipelvis"}
    assert labels.present() == [2]


def test_several_volumes_are_a_choice(file):
    with pytest.raises(SeveralSeries, match="holds 2 volumes") as several:
        read_volume(file)
    assert several.value.series == {
        "17-1882/vol": "17-1882/vol: 4 x 3 x 2 voxels",
        "17-1882/vol-seg/image": "17-1882/vol-seg/image: 4 x 3 x 2 voxels",
    }
    with pytest.raises(ReadError, match=r"no volume '18-0725/vol': choose one of 17-1882/vol,"):
        read_volume(file, series_uid="18-0725/vol")


def test_what_is_no_such_file_is_named(file, tmp_path):
    with h5py.File(file, "a") as made:
        made["17-1882/vol/spacing"][:] = 0.0
    with pytest.raises(ReadError, match=r"cases\.h5: the position of the voxels cannot be used"):
        read_volume(file, series_uid="17-1882/vol")
    with h5py.File(tmp_path / "other.h5", "w") as made:
        made["pixels"] = np.zeros((2, 2, 2))
    with pytest.raises(ReadError, match=r"other\.h5: this HDF5 file holds no volume"):
        read_volume(tmp_path / "other.h5")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(60))
    with pytest.raises(ReadError, match=r"broken\.h5: this HDF5 file cannot be read"):
        read_volume(tmp_path / "broken.h5")
