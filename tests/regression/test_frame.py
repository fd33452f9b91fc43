"""Poses by hand: in the frame of xvr, in that of DiffPose, and what is refused."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.regression import Place, PoseFrame, rotation_numbers

CARM = CArm(1020.0, 700.0, Detector((8, 8), (1.0, 1.0)))
CENTER = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)


def test_angles_of_pa_are_those_of_the_c_arm():
    frame = PoseFrame("euler_angles", "ZXY", 1000.0, "PA", True)
    angles = torch.deg2rad(torch.tensor([[25.0, -14.0, 6.0]], dtype=torch.float64))
    # The source stands at R (x, y, z): minus 0.7 m along y is 700 mm before a patient seen from the front.
    xyz = torch.tensor([[0.0, -0.7, 0.0]], dtype=torch.float64)
    found = frame.world_from_camera(angles, xyz, Place(CENTER))[0]
    wanted = CARM.world_from_camera(25.0, -14.0, 6.0, isocenter=CENTER)
    assert float(rotation_error_deg(found, wanted)) < 1e-6
    torch.testing.assert_close(found.translation, wanted.translation, atol=1e-9, rtol=0)


def test_the_mirror_follows_orientation_and_reversal():
    mirrored = {
        (orientation, reverse): PoseFrame(orientation=orientation, reverse_x_axis=reverse).mirrored
        for orientation in ("AP", "PA")
        for reverse in (False, True)
    }
    assert mirrored == {
        ("AP", False): True,
        ("AP", True): False,
        ("PA", False): False,
        ("PA", True): True,
    }


def test_a_place_is_the_size_of_its_grid_along_the_world():
    matrix = torch.diag(torch.tensor([0.0, 0.0, 0.0, 1.0]))
    matrix[0, 1], matrix[1, 0], matrix[2, 2] = -2.0, 3.0, 1.5  # x runs back, y to the right
    matrix[:3, 3] = torch.tensor([50.0, 0.0, -10.0])
    place = Place.of_volume(Volume(torch.zeros(4, 5, 6), matrix))
    assert place.extent_mm == (10.0, 18.0, 6.0)
    torch.testing.assert_close(place.center, torch.tensor([46.0, 7.5, -7.75]).double())


def test_diffpose_without_an_offset_looks_from_half_the_distance():
    # Rz(90) Rx(-90): their x, from detector to source, lies along +y: the back of the patient.
    frame = PoseFrame("se3_log_map", None, 1.0, None, False, "volume", "diffpose")
    nothing = torch.zeros(1, 3)
    place = Place(CENTER, (200.0, 100.0, 300.0))
    found = frame.world_from_camera(nothing, nothing, place)[0]
    torch.testing.assert_close(found.translation, CENTER + torch.tensor([0.0, 510.0, 0.0]).double())
    axis = found.rotation[:, 2]  # from the source to the detector
    torch.testing.assert_close(axis, torch.tensor([0.0, -1.0, 0.0]).double())
    assert float(torch.linalg.det(found.rotation)) == pytest.approx(1.0)


def test_an_offset_of_diffpose_turns_about_the_corner_of_the_grid():
    frame = PoseFrame("se3_log_map", None, 1.0, None, False, "volume", "diffpose")
    place = Place(CENTER, (200.0, 100.0, 300.0))
    turn = torch.tensor([[0.0, 0.0, math.pi / 2]])
    found = frame.world_from_camera(turn, torch.zeros(1, 3), place)[0]
    # About the corner (-90, -70, -120) the source (10, 490, 30) turns from (100, 560, 150) to (-560, 100, 150).
    torch.testing.assert_close(
        found.translation, torch.tensor([-650.0, 30.0, 30.0]).double(), atol=1e-4, rtol=0
    )
    shifted = frame.world_from_camera(torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]), place)[0]
    wanted = CENTER + torch.tensor([1.0, 512.0, 3.0]).double()
    torch.testing.assert_close(shifted.translation, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("said as one of axis_angle", {"parameterization": "gibbs"}),
        ("AP, PA or None: got 'LL'", {"orientation": "LL"}),
        ("length in mm: got -1.0", {"unit_mm": -1.0}),
        ("volume, bone or world mm: got 'skin'", {"center": "skin"}),
        ("volume, bone or world mm", {"center": (1.0, 2.0, math.nan)}),
        ("as xvr or diffpose do: got 'posenet'", {"meant": "posenet"}),
    ],
)
def test_what_is_no_frame_is_refused(words, changes):
    with pytest.raises(ValueError, match=words):
        PoseFrame(**changes)


def test_counts_of_numbers():
    names = (
        "axis_angle",
        "euler_angles",
        "se3_log_map",
        "quaternion",
        "rotation_6d",
        "rotation_9d",
    )
    assert [rotation_numbers(name) for name in names] == [3, 3, 3, 4, 6, 9]
    assert rotation_numbers("rotation_10d") == rotation_numbers("quaternion_adjugate") == 10
