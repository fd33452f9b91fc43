"""How sure a joint's motion is, from how sure each bone is."""

import math

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.records import TrackRow, TrackTable
from napari_xreg.registration import JOINT_MOTIONS
from napari_xreg.workflows import JointBone, JointRequest, joint_rows

CAMERA = Pose(
    torch.tensor([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]], dtype=torch.float64),
    torch.tensor([6.0, 698.0, 3.0], dtype=torch.float64),
)
REST = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
NOTHING = torch.zeros(6, 6, dtype=torch.float64)


def unsure(**sigmas):
    names = ("wx", "wy", "wz", "vx", "vy", "vz")
    return torch.diag(torch.tensor([sigmas.get(n, 0.0) for n in names], dtype=torch.float64) ** 2)


def bone(covariance, pivot=(0.0, 0.0, 0.0), smooth=None, axes=REST):
    row = TrackRow(3, 0.1, "tracked", 0.99, 0.1, CAMERA, covariance, CAMERA, smooth)
    return JointBone(TrackTable((row,), True, torch.tensor(pivot, dtype=torch.float64)), axes)


def deviations(proximal, distal, smooth=False):
    (row,) = joint_rows(JointRequest(proximal, distal))
    found = row.smooth_deviation if smooth else row.deviation
    return found if found is None else dict(zip(JOINT_MOTIONS, found.tolist(), strict=True))


def test_a_turn_of_the_distal_bone_is_flexion():
    found = deviations(bone(NOTHING), bone(unsure(wx=0.01)))
    assert found.pop("flexion_deg") == pytest.approx(math.degrees(0.01), rel=1e-6)
    assert max(found.values()) < 1e-6


def test_about_a_pivot_far_from_the_joint_it_shifts_it_too():
    """100 mm down the bone: 0.01 rad are 1 mm to the front and back."""
    found = deviations(bone(NOTHING), bone(unsure(wx=0.01, vx=0.5), (0.0, 0.0, -100.0)))
    assert found["flexion_deg"] == pytest.approx(math.degrees(0.01), rel=1e-6)
    assert found["anterior_mm"] == pytest.approx(1.0, rel=1e-6)
    assert found["lateral_mm"] == pytest.approx(0.5, rel=1e-6)
    assert found["distraction_mm"] < 1e-4


def test_the_errors_of_both_bones_add_up():
    found = deviations(bone(unsure(wz=0.003, vz=0.3)), bone(unsure(wz=0.004, vz=0.4)))
    assert found["internal_rotation_deg"] == pytest.approx(math.degrees(0.005), rel=1e-6)
    assert found["distraction_mm"] == pytest.approx(0.5, rel=1e-6)


def test_of_the_smooth_motion_too_and_of_nothing_unknown():
    sure, known = bone(None, smooth=NOTHING), bone(unsure(vy=9.0), smooth=unsure(vy=0.25))
    assert deviations(sure, known) is None
    assert deviations(sure, known, smooth=True)["anterior_mm"] == pytest.approx(0.25, rel=1e-6)
    assert deviations(bone(NOTHING, axes=None), bone(NOTHING, axes=None)) is None
