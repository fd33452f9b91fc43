"""Motions of joints, by hand: each sign is what an anatomist calls it."""

import math

import pytest
import torch

from napari_xreg.geometry import Pose, matrix_from_rotation_vector
from napari_xreg.registration import JOINT_MOTIONS, bone_axes, helical_motion, joint_motion

# A right knee in LPS (x to the left, y to the back, z up), the patient upright; the left one is its mirror image.
KNEE = torch.tensor([-90.0, 12.0, 500.0], dtype=torch.float64)
LEFT, BACK, UP = torch.eye(3, dtype=torch.float64)
MIRROR = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


def bones(side):
    """Femur and tibia, straight: the axes of both are those of the body."""
    to_side = 1.0 if side == "right" else MIRROR
    medial, lateral = KNEE + 30 * LEFT, KNEE - 34 * LEFT
    femur = bone_axes(
        to_side * medial, to_side * lateral, to_side * (KNEE + 400 * UP - 2 * LEFT), proximal=True, side=side
    )  # fmt: skip
    tibia = bone_axes(
        to_side * (medial - 20 * UP), to_side * (lateral - 20 * UP), to_side * (KNEE - 380 * UP - 2 * LEFT),
        proximal=False, side=side,
    )  # fmt: skip
    return femur, tibia


def turned(pose, axis, degrees, about):
    """A bone turned about a point of the world."""
    rotation = matrix_from_rotation_vector(axis * math.radians(degrees))
    return Pose(rotation @ pose.rotation, rotation @ (pose.translation - about) + about)


def told(side, moved):
    femur, tibia = bones(side)
    values = joint_motion(femur.inverse() @ moved(tibia), side=side)
    return dict(zip(JOINT_MOTIONS, values.tolist(), strict=True))


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_straight_knee(side):
    said = told(side, lambda tibia: tibia)
    for name in JOINT_MOTIONS[:5]:
        assert said[name] == pytest.approx(0.0, abs=1e-9)
    assert said["distraction_mm"] == pytest.approx(20.0)


@pytest.mark.parametrize("side", ["right", "left"])
def test_flexion_takes_the_heel_back(side):
    # About the axis to the left, right-handed: up goes to the front, so what hangs down goes to the back.
    front = told(side, lambda tibia: turned(tibia, -LEFT, 10.0, tibia.translation))
    assert front["flexion_deg"] == pytest.approx(-10.0)
    back = told(side, lambda tibia: turned(tibia, LEFT, 70.0, tibia.translation))
    assert back["flexion_deg"] == pytest.approx(70.0)
    assert back["adduction_deg"] == pytest.approx(0.0, abs=1e-9)
    assert back["internal_rotation_deg"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("side", "inward"), [("right", LEFT), ("left", -LEFT)])
def test_adduction_takes_the_foot_to_the_middle_and_internal_rotation_the_toes(side, inward):
    femur, tibia = bones(side)
    far, toes = tibia.translation - 380 * UP, tibia.translation - 50 * BACK
    for axis, point, name in ((BACK, far, "adduction_deg"), (UP, toes, "internal_rotation_deg")):
        for degrees in (8.0, -8.0):
            moved = turned(tibia, axis, degrees, tibia.translation)
            there = turned(Pose(torch.eye(3).double(), point), axis, degrees, tibia.translation)
            goes_in = float((there.translation - point) @ inward) > 0
            said = dict(
                zip(
                    JOINT_MOTIONS,
                    joint_motion(femur.inverse() @ moved, side=side).tolist(),
                    strict=True,
                )
            )
            assert said[name] == pytest.approx(8.0 if goes_in else -8.0)
            assert said["flexion_deg"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("side", "outward"), [("right", -LEFT), ("left", LEFT)])
def test_shifts_have_the_names_of_the_body(side, outward):
    shift = 3.0 * outward - 4.0 * BACK - 5.0 * UP
    said = told(side, lambda tibia: Pose(tibia.rotation, tibia.translation + shift))
    assert said["lateral_mm"] == pytest.approx(3.0)
    assert said["anterior_mm"] == pytest.approx(4.0)
    assert said["distraction_mm"] == pytest.approx(25.0)


def test_grood_and_suntay_with_all_three_angles_by_their_own_definitions():
    """Flexion between floating axis and the femur's front, rotation between it and the tibia's, adduction
    between the fixed axes; a bent, turned and shifted right knee."""
    femur, tibia = bones("right")
    moved = turned(turned(turned(tibia, UP, 12.0, KNEE), BACK, -7.0, KNEE), LEFT, 60.0, KNEE)
    said = joint_motion(femur.inverse() @ moved, side="right")
    across, along = femur.rotation[:, 0], moved.rotation[:, 2]
    floating = torch.linalg.cross(along, across)
    floating = floating / floating.norm()
    flexion = torch.rad2deg(torch.arcsin(-floating @ femur.rotation[:, 2]))
    assert abs(flexion) < 90
    assert said[0] == pytest.approx(float(flexion), abs=1e-6)
    adduction = 90.0 - torch.rad2deg(torch.arccos(across @ along))
    assert said[1] == pytest.approx(float(adduction), abs=1e-6)
    rotation = torch.rad2deg(torch.arcsin(floating @ moved.rotation[:, 0]))
    assert said[2] == pytest.approx(float(rotation), abs=1e-6)
    shift = moved.translation - femur.translation
    assert said[3:].tolist() == pytest.approx(
        [float(shift @ across), float(shift @ floating), -float(shift @ along)], abs=1e-6
    )


def test_a_wrist_bends_forward():
    femur, tibia = bones("right")
    moved = femur.inverse() @ turned(tibia, -LEFT, 10.0, tibia.translation)
    assert joint_motion(moved, side="right", bends="forward")[0] == pytest.approx(10.0)


def test_axes_are_those_of_an_oblique_bone():
    """The long axis exactly, the line across only its part perpendicular to it."""
    medial, lateral, far = (
        torch.tensor(p).double() for p in ([0.0, 0, 0], [-60.0, 0, 10], [-30.0, 30, 405])
    )
    axes = bone_axes(medial, lateral, far, proximal=True, side="right")
    assert axes.translation.tolist() == [-30.0, 0.0, 5.0]
    long = torch.tensor([0.0, 30.0, 400.0]).double()
    assert torch.allclose(axes.rotation[:, 2], long / long.norm())
    assert float(axes.rotation[:, 0] @ (lateral - medial)) > 59
    assert float(axes.rotation[:, 1] @ BACK) < -0.99
    assert torch.linalg.det(axes.rotation).item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="lie on a line"):
        bone_axes(
            medial,
            lateral,
            (medial + lateral) / 2 + 3 * (lateral - medial),
            proximal=True,
            side="right",
        )


def test_a_point_that_is_no_number_has_no_axes():
    medial, lateral, far = (
        torch.tensor(p) for p in ([0.0, 0, math.nan], [-60.0, 0, 10], [-30.0, 30, 405])
    )
    with pytest.raises(ValueError, match="three points"):
        bone_axes(medial, lateral, far, proximal=True, side="right")


def test_the_helical_axis_of_a_screw():
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    about = torch.tensor([10.0, 20.0, -5.0], dtype=torch.float64)
    rotation = matrix_from_rotation_vector(axis * math.radians(35.0))
    motion = Pose(rotation, about - rotation @ about + 4.0 * axis)
    angle, shift, found = helical_motion(motion)
    assert (float(angle), float(shift)) == (pytest.approx(35.0), pytest.approx(4.0))
    assert torch.allclose(found, axis)
    angle, shift, found = helical_motion(Pose(torch.eye(3).double(), 3.0 * axis))
    assert (float(angle), float(shift)) == (0.0, pytest.approx(3.0))
    assert torch.allclose(found, axis)
