"""What the folders of several bones are called."""

import pytest

from napari_xreg.workflows import bone_folders, folder_name

RIBS = [f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)]


def test_a_bone_of_many_structures_has_a_folder(tmp_path):
    """A file system takes names of 255 bytes."""
    every, all_but_one = ",".join(RIBS), ",".join(RIBS[:-1])
    folders = bone_folders(tmp_path / "o", ["patient", every, all_but_one])
    for folder in folders:
        folder.mkdir(parents=True)  # also where two differ at their ends only
    assert folders[0].name == "patient"
    assert folders[1].name.startswith("rib_left_1-rib_left_2-rib_left_3-")
    assert {len(folder.name) for folder in folders[1:]} == {69}


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("result 1", "result-1"),
        ("L/R kidney 1", "L-R-kidney-1"),
        ("/etc", "-etc"),
        ("../up", "-up"),
        ("x" * 60, "x" * 60),
    ],
)
def test_a_name_is_one_folder(name, called):
    assert folder_name(name) == called
