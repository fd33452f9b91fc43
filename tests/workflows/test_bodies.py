"""What moves: bones of a label map and the rest of their CT."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume, lac_from_hu
from napari_xreg.registration import View
from napari_xreg.workflows import Patient, bodies_of_ct, middle_of


def patient():
    hu = torch.full((12, 14, 16), 40.0)
    ids = torch.zeros(hu.shape, dtype=torch.int32)
    for label, box in (
        (7, (slice(2, 5), slice(3, 5), slice(9, 14))),
        (8, (slice(7, 9), slice(8, 12), slice(2, 4))),
    ):
        hu[box], ids[box] = 800.0, label
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([100.0, -50.0, 7.0])
    return Patient(
        Volume(lac_from_hu(hu), matrix, hu=hu),
        "made",
        labels=LabelMap(ids, matrix, {7: "talus", 8: "tibia"}),
    )


def test_a_bone_turns_about_its_middle():
    lac = torch.zeros(4, 5, 6)
    lac[1, 2, 3] = lac[1, 2, 5] = lac[3, 2, 3] = lac[3, 2, 5] = 0.05
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([100.0, -50.0, 7.0])
    # Columns 3 and 5, row 2, slices 1 and 3.
    assert middle_of(Volume(lac, matrix)).tolist() == [100.0 + 2 * 4, -50.0 + 3 * 2, 7.0 + 5 * 2]


def test_every_bone_starts_as_it_lies_in_the_ct():
    made = patient()
    pose = Pose.exp(torch.tensor([0.1, 0.2, 0.3, 4.0, 5.0, 6.0], dtype=torch.float64))
    view = View(
        Radiograph(torch.rand(9, 11), CArm(900.0, 600.0, Detector((9, 11), (3.0, 2.0)))), pose
    )
    rest, *bones = bodies_of_ct(made, {"ankle": ["talus", "8"]}, [view])
    assert [body.name for body in (rest, *bones)] == ["patient", "ankle"]
    assert all(
        torch.equal(body.world_from_camera[0].matrix(), pose.matrix()) for body in (rest, *bones)
    )
    assert rest.pivot.tolist() == made.volume.center.tolist()
    assert bones[0].dense_above == 0.0 < rest.dense_above
    with pytest.raises(ValueError, match="another name"):
        bodies_of_ct(made, {"patient": ["7"]}, [view])
