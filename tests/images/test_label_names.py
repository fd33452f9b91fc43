"""What labels are called: nobody's label 1 is a spleen because it is label 1."""

import numpy as np
import pytest

from napari_xreg.files import ReadError
from napari_xreg.images import read_labels, said_names
from tests.images.ct_writers import write_nifti

# aseg: none of it is below the neck.
FREESURFER = (
    2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 24, 26, 28, 30, 31, 41, 42, 43, 44, 46, 47,
    49, 50, 51, 52, 53, 54, 58, 60, 62, 63, 77, 80, 85,
)  # fmt: skip


def written(path, *present):
    ids = np.zeros((3, 4, 60), np.uint8)
    ids.flat[: len(present)] = present
    path.parent.mkdir(exist_ok=True)
    return write_nifti(path, ids)


@pytest.mark.parametrize(
    ("present", "named"),
    [
        ((1,), False),
        ((75,), False),  # one label may be anything
        ((1, 2, 3), False),
        (tuple(range(1, 30)), False),  # the bones of a hand, counted
        ((10, 20, 30), False),
        ((50, 100), False),
        ((16, 17, 18, 20, 24), False),  # vertebrae as VerSe numbers them
        ((75, 200), False),
        ((1, 29), False),  # two of anything: a spleen and L3 stand in no map alone
        ((5, 50), False),
        ((25, 75), False),  # one thigh
        (FREESURFER, False),
        (tuple(i for i in FREESURFER if i < 60), False),
        ((*range(19, 31), 75, 76), True),  # an abdomen
        ((*range(26, 32), *range(33, 40), 75), True),  # T12 was not found
        ((*range(26, 32), *range(34, 41), 75), False),
        ((25, 75, 76), True),
        ((75, 76), True),
        ((26, 27, 28, 29, 30, 31, 77, 78, 116, 118), True),  # one more in ten is let pass
        (tuple(range(1, 118)), True),
    ],
)
def test_totalsegmentators_names_only_where_the_ids_are_its_own(tmp_path, present, named):
    labels = read_labels(written(tmp_path / "arm" / "map.nii.gz", *present))
    assert labels.present() == list(present)
    assert bool(labels.names) == named
    assert ("numbered alike" in labels.names_from) == named
    if named:
        assert labels.called(75 if 75 in present else 77) in ("femur_left", "hip_left")
    else:
        assert labels.called(present[0]) == f"label {present[0]}"


@pytest.mark.parametrize("place", ["totalseg/map.nii.gz", "s/TotalSegmentator_ml.nii"])
def test_totalsegmentators_names_where_file_or_folder_says_so(tmp_path, place):
    labels = read_labels(written(tmp_path / place, 1, 2))
    assert labels.names == {1: "spleen", 2: "kidney_right"}
    assert "as the file is called" in labels.names_from


def test_a_file_beside_the_map_names_what_occurs(tmp_path):
    path = written(tmp_path / "totalseg" / "map.nii.gz", 1, 75, 76)
    # Neither of another map, nor something else of that name.
    (path.parent / "other.txt").write_text("1 ulna")
    (path.parent / "map.txt").write_text("segmented on Monday")
    (path.parent / "map.tsv").write_text("index\tname\n3\tcarpal\n")
    assert read_labels(path).names[1] == "spleen"
    (path.parent / "map.json").write_text('{"radius": 1, "carpal": 3}')
    labels = read_labels(path)
    assert (labels.names, labels.names_from) == ({1: "radius"}, "map.json")
    assert labels.called(75) == "label 75"


def test_names_that_the_user_says(tmp_path):
    path = written(tmp_path / "map.nii.gz", 1, 2)
    (tmp_path / "map.txt").write_text("1 ulna")
    (tmp_path / "mine.txt").write_text("1 radius\n7 lunate\n")
    assert read_labels(path, names=said_names(tmp_path / "mine.txt")).names == {1: "radius"}
    assert read_labels(path, names=said_names("TotalSegmentator")).names[2] == "kidney_right"
    with pytest.raises(ReadError, match="absent"):
        said_names(tmp_path / "absent.txt")
