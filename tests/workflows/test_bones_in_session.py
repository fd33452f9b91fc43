"""What of a session is captured to register its bones."""

import pytest
import torch
from moved_bar import patient, radiographs, world_from_index

from napari_xreg.geometry import CArmPose
from napari_xreg.images import LabelMap, Volume, lac_from_hu
from napari_xreg.session import Session, Source
from napari_xreg.workflows import bone_words, bones_of_structures, session_bones


@pytest.fixture
def session():
    made = Session()
    hu, ids = patient()
    ct = Source("/there/ct.nii.gz", sha256="c0")
    made.patient.set_volume(Volume(lac_from_hu(hu), world_from_index(), notes=("made",)), ct)
    made.patient.set_labels(
        LabelMap(ids, world_from_index(), {25: "sacrum", 76: "femur_right"}),
        Source("/there/labels.nii.gz", sha256="1a"),
    )
    for name, radiograph in radiographs().items():
        made.exposures.add(radiograph, name=name, source=Source(f"/there/{name}.npz", sha256=name))
    return made


def test_a_session_is_captured_the_active_radiograph_first(session):
    a, b = (session.exposures.named(name) for name in "ab")
    session.exposures.activate(b.id)
    asked = session_bones(session, {"femur_right": [76]})
    assert asked.ids == (b.id, a.id)
    assert asked.bones == {"femur_right": (76,)}
    assert [(entry["role"], entry["path"]) for entry in asked.inputs] == [
        ("ct", "/there/ct.nii.gz"), ("radiograph", "/there/b.npz"), ("radiograph", "/there/a.npz"),
        ("labels", "/there/labels.nii.gz"),
    ]  # fmt: skip
    assert asked.notes[0] == "made"
    assert asked.notes[-1] == "bones were cut out of the CT by labels.nii.gz"
    assert asked.in_files
    # A bone carries the rig along: where it has the first camera, it has the other as far beside it.
    first = radiographs()["b"].carm.pose_from(CArmPose(30.0, 5.0, -2.0, (1.0, 2.0, 3.0)))
    poses = asked.poses_at(first)
    beside = b.world_from_camera.inverse() @ a.world_from_camera
    assert torch.allclose(poses[b.id].matrix(), first.matrix().double(), atol=1e-6)
    assert torch.allclose(
        (poses[b.id].inverse() @ poses[a.id]).matrix(), beside.matrix(), atol=1e-4
    )
    session.exposures.replace_image(a.id, a.radiograph.crop(2, 3, 80, 90))
    assert not session_bones(session, {"femur_right": [76]}).in_files


def test_what_is_missing_is_said(session):
    with pytest.raises(ValueError, match="no bone is ticked"):
        session_bones(session, {})
    session.patient.set_labels(None)
    with pytest.raises(ValueError, match="load one first"):
        session_bones(session, {"femur_right": [76]})
    for exposure in session.exposures.all:
        session.exposures.set_used(exposure.id, False)
    with pytest.raises(ValueError, match="no radiograph is ticked"):
        session_bones(session, {"femur_right": [76]})


def test_a_bone_is_called_as_the_label_map_says():
    ids = torch.zeros(2, 3, 4, dtype=torch.int32)
    labels = LabelMap(ids, torch.eye(4), {3: "tibia", 4: "patient", 5: "tibia", 6: ""})
    assert bones_of_structures(labels, [(3,), (4,), (5,), (6,), (3, 5), (9, 4)]) == {
        "tibia": (3,), "4": (4,), "5": (5,), "6": (6,), "tibia,tibia": (3, 5), "9,patient": (9, 4),
    }  # fmt: skip
    # A structure may be called by another's number.
    labels = LabelMap(ids, torch.eye(4), {7: "5", 8: "label 5"})
    assert bones_of_structures(labels, [(7,), (8,), (5,)]) == {
        "5": (7,), "label 5": (8,), "label label 5": (5,),
    }  # fmt: skip
    assert bone_words("hip_left,sacrum") == "hip left + sacrum"
