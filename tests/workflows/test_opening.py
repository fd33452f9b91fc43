"""A patient and radiographs from files, as a script opens them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from session_parts import make_labels, make_radiograph, make_volume, twist

from napari_xreg.geometry import CArmPose
from napari_xreg.images import LabelMap, Radiograph
from napari_xreg.progress import run
from napari_xreg.registration import View
from napari_xreg.workflows import (
    InitialiseRequest,
    Patient,
    PoseUnknown,
    further_views,
    header_pose,
    initialise,
    open_patient,
    structure_ids,
    with_mask_file,
)


@pytest.fixture(scope="module")
def patient():
    return open_patient("phantom:7")


@pytest.mark.slow
def test_the_phantom_brings_labels_and_landmarks_and_is_registered_whole(patient):
    assert patient.described() == {"role": "ct", "path": "phantom:7", "built_in": True}
    assert len(patient.landmarks) == 14
    assert patient.labels is not None
    assert patient.structures == {}
    assert patient.rendering.volume() is patient.volume
    assert patient.rendering is patient.rendering


def test_structures_by_name_and_id():
    labels = make_labels(make_volume())
    assert structure_ids(["hip_left,25"], labels) == [77, 25]
    assert structure_ids(["25", "77"], labels) == [25, 77]
    for words, says in ((["skull"], "'skull' does not occur"), ([","], "names none")):
        with pytest.raises(ValueError, match=says):
            structure_ids(words, labels)


def test_names_with_blanks_are_typed_as_they_are_shown():
    ids = torch.arange(8).reshape(1, 2, 4).int()
    names = {1: "Radius", 2: "Radius, left", 3: "Radius left", 4: "rib_5", 5: "rib-5"}
    labels = LabelMap(ids, torch.eye(4).double(), names)
    assert structure_ids(["Radius left"], labels) == [3]
    assert structure_ids(["radius_left"], labels) == [3]
    # As a command line takes it apart; the longest name that fits.
    assert structure_ids(["Radius", "left", "radius"], labels) == [3, 1]
    assert structure_ids(["Radius, left"], labels) == [2]
    assert structure_ids(["radius,rib_5,label 7"], labels) == [1, 4, 7]
    # Two names alike are told apart only as they are written.
    assert structure_ids(["rib-5"], labels) == [5]
    with pytest.raises(ValueError, match=r"'rib 5' may be label 4 \(rib_5\) or 5 \(rib-5\)"):
        structure_ids(["rib 5"], labels)
    with pytest.raises(
        ValueError,
        match=r"structure 'rib' does not occur in the labels \(do you mean rib_5 or rib-5\?\), which hold 1 Radius",
    ):
        structure_ids(["rib 6"], labels)


def test_a_name_that_is_unknown_proposes_those_that_look_like_it():
    names = {1: "femur_left", 2: "femur_right", 3: "hip_left", 4: "vertebrae_L4", 12: "12a"}
    labels = LabelMap(torch.tensor([[[1, 2, 3, 4, 12]]]), torch.eye(4).double(), names)
    with pytest.raises(
        ValueError, match=r"'vertebra_L4' .* \(do you mean vertebrae_L4\?\), which hold 1"
    ):
        structure_ids(["vertebra_L4"], labels)
    with pytest.raises(ValueError, match=r"do you mean femur_right or femur_left\?"):
        structure_ids(["femur_rite"], labels)
    # A number is no name that was mistyped.
    for nothing in ("spleen", "13"):
        with pytest.raises(
            ValueError, match=f"'{nothing}' does not occur in the labels, which hold"
        ):
            structure_ids([nothing], labels)


def test_a_number_is_an_id_whatever_labels_are_called():
    """Who types 2 means label 2: by the name alone, "2" of label 1, another bone would be registered."""
    labels = LabelMap(
        torch.arange(4).reshape(1, 2, 2).int(), torch.eye(4).double(), {1: "2", 2: "1", 3: "12"}
    )
    assert structure_ids(["2", "1"], labels) == [2, 1]
    with pytest.raises(ValueError, match="structure '12' does not occur in the labels"):
        structure_ids(["12"], labels)


def test_of_two_labels_of_one_name_none_is_meant():
    names = {1: "ulna", 2: "radius", 3: "ulna", 4: "Ulna"}
    labels = LabelMap(torch.arange(6).reshape(1, 2, 3).int(), torch.eye(4).double(), names)
    for wanted in (["ulna"], ["radius,ulna"], ["radius ulna"]):
        with pytest.raises(
            ValueError, match=r"'ulna' may be label 1 \(ulna\) or 3 \(ulna\): give its id"
        ):
            structure_ids(wanted, labels)
    assert structure_ids(["Ulna"], labels) == [4]
    with pytest.raises(ValueError, match=r"'ULNA' may be label 1 .* or 3 .* or 4"):
        structure_ids(["ULNA"], labels)


def test_what_a_mask_means(tmp_path):
    values = np.zeros((12, 17), np.int32)
    values[3:9, 4:15] = 7
    np.save(tmp_path / "m.npy", values)
    radiograph = make_radiograph()
    masked = with_mask_file(radiograph, tmp_path / "m.npy")
    assert torch.equal(masked.usable, torch.from_numpy(values != 0))
    np.save(tmp_path / "m.npy", values.T)
    with pytest.raises(ValueError, match="17 x 12 pixels, the radiograph 12 x 17"):
        with_mask_file(radiograph, tmp_path / "m.npy")


def test_the_isocenter_of_a_header_is_assumed_and_that_is_said():
    radiograph = make_radiograph(CArmPose(4.0, -7.0, 2.0, (1.0, 2.0, 3.0)))
    middle = torch.tensor([5.0, -6.0, 7.0], dtype=torch.float64)
    found = header_pose(radiograph, middle)
    assert found.isocenter.tolist() == [5.0, -6.0, 7.0]
    assert "the middle of the CT is assumed" in found.notes[0]
    wanted = radiograph.carm.pose_from(CArmPose(4.0, -7.0, 2.0, (1.0, 2.0, 3.0), (5.0, -6.0, 7.0)))
    assert torch.equal(found.pose.matrix(), wanted.matrix())
    (note,) = header_pose(radiograph, middle, middle_of="the structures to register").notes
    assert "the middle of the structures to register is assumed" in note
    assert header_pose(radiograph, middle, overrule=True).notes == ()
    bare = Radiograph(radiograph.line_integrals, radiograph.carm, source="bare.png")
    with pytest.raises(PoseUnknown, match=r"bare\.png does not say where the C-arm stood"):
        header_pose(bare, middle)


def test_the_middle_is_that_of_the_chosen_structures(monkeypatch):
    volume = make_volume()
    # 77: voxels x 1 to 4, y 2 and 3, z 1 and 2, at 11 + 2 x, -23 + 3 y, 64 + 5 z; 25 beside it.
    labels = make_labels(volume)
    one = Patient(volume, "ct", labels=labels, structures={77: "hip_left"})
    assert one.middle.tolist() == [16.0, -15.5, 71.5]
    assert one.registered == "the structures to register"
    both = replace(one, structures={77: "hip_left", 25: "sacrum"})
    assert both.middle.tolist() == [17.0, -12.5, 76.5]
    whole = replace(one, structures={})
    assert torch.equal(whole.middle, volume.center.double())
    assert whole.registered == "the CT"
    # Of a large map every second voxel, say: x 2 and 4, y 2, z 2 of 77.
    monkeypatch.setattr("napari_xreg.images.labels._LOOKED_AT", 210 / 8)
    monkeypatch.setattr("napari_xreg.images.labels._ENOUGH", 2)
    assert make_labels(volume).middle([77]).tolist() == [17.0, -17.0, 74.0]
    # Of one that is a single odd voxel those are too few: then each is looked at.
    labels = make_labels(volume)
    labels.ids[3, 1, 1] = 5
    assert labels.middle([5]).tolist() == [13.0, -20.0, 79.0]
    with pytest.raises(ValueError, match=r"none of the labels \[6\] occurs"):
        labels.middle([6])


def test_a_start_by_the_header_is_about_the_chosen_structures():
    volume = make_volume()
    radiograph = make_radiograph(CArmPose(4.0, -7.0, 2.0))
    request = InitialiseRequest("dicom", volume, radiograph, make_labels(volume))
    whole = run(initialise(request))
    assert whole.isocenter.tolist() == volume.center.tolist()
    chosen = run(initialise(replace(request, structures=(77,))))
    assert chosen.isocenter.tolist() == [16.0, -15.5, 71.5]
    assert "the middle of the structures to register is assumed" in chosen.notes[0]


def test_a_further_view_keeps_its_place_in_the_rig():
    middle = torch.tensor([5.0, -6.0, 7.0], dtype=torch.float64)
    one = make_radiograph(CArmPose(4.0, -7.0, 2.0))
    other = make_radiograph(CArmPose(83.0, 5.0, -3.0), 14, 19)
    stood, beside = (header_pose(r, middle).pose for r in (one, other))
    moved = twist(0.1, -0.2, 0.05, 3.0, -4.0, 5.0)
    (view,) = further_views(View(one, moved @ stood), [other], middle)
    assert view.radiograph is other
    # The whole rig was moved by the same motion of the world.
    assert torch.allclose(
        view.world_from_camera.matrix(), (moved @ beside).matrix(), atol=1e-9, rtol=0
    )
