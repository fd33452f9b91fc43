"""What the folders of several bones are called, and what stays in them."""

import pytest
import torch
from session_parts import make_radiograph, make_registration, make_volume, twist

from napari_xreg.files import written
from napari_xreg.geometry import CArmPose
from napari_xreg.progress import run
from napari_xreg.registration import BodiesRegistration, Body
from napari_xreg.workflows import (
    BodiesRequest,
    BonesExport,
    Exported,
    bone_folders,
    bones_folder,
    export_bones,
    folder_name,
)

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


def test_the_last_table_stays_where_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    def nothing(_):
        yield from ()
        return Exported({}, {"result.json": ""})

    monkeypatch.setattr(bones_folder, "export", nothing)
    radiograph = make_radiograph(CArmPose(5.0, 6.0))
    pose = radiograph.carm.pose_from(CArmPose(5.0, 6.0))
    moved = pose @ twist(0, 0, 0, 3.0, 0, 0)
    pivot = torch.zeros(3, dtype=torch.float64)
    bodies = tuple(
        Body(name, make_volume(), (at,), pivot) for name, at in (("patient", pose), ("ulna", moved))
    )
    found = BodiesRegistration(
        ("patient", "ulna"), tuple(make_registration([at]) for at in (pose, moved))
    )
    asked = BonesExport(tmp_path, BodiesRequest(bodies, (radiograph,)), found, ((), ()))
    assert run(export_bones(asked)).missing == {}
    before = (tmp_path / "between.csv").read_bytes()
    assert b"patient,ulna" in before

    def full(path, _):
        with written(path) as beside:
            beside.write_text("half")
            raise OSError(28, "No space left on device", str(beside))

    monkeypatch.setattr(bones_folder, "write_bones", full)
    assert "No space left" in run(export_bones(asked)).missing["between.csv"]
    assert (tmp_path / "between.csv").read_bytes() == before
