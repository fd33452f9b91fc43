"""C-arm parameters as twists, and holding some of them."""

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.geometry.carm import CARM_PARAMETERS, twists_of_carm_parameters
from napari_xreg.registration.refinement.second_order.locks import Locks

CARM = CArm(1020.0, 720.0, Detector((40, 50), (2.0, 2.1)))
TERMS = CArmPose(25.0, -17.0, 8.0, (12.0, -7.0, 31.0), (5.0, 60.0, -90.0))
ISOCENTER = torch.tensor(TERMS.isocenter, dtype=torch.float64)


def _moved(name: str, amount: float) -> CArmPose:
    values = {
        "primary": TERMS.primary_deg,
        "secondary": TERMS.secondary_deg,
        "roll": TERMS.roll_deg,
        "x": TERMS.offset_mm[0],
        "y": TERMS.offset_mm[1],
        "depth": TERMS.offset_mm[2],
    }
    values[name] += amount
    return CArmPose(
        values["primary"],
        values["secondary"],
        values["roll"],
        (values["x"], values["y"], values["depth"]),
        TERMS.isocenter,
    )


@pytest.mark.parametrize("name", CARM_PARAMETERS)
def test_columns_are_the_twists_of_the_parameters(name):
    pose = CARM.pose_from(TERMS)
    column = twists_of_carm_parameters(pose, TERMS)[:, CARM_PARAMETERS.index(name)]
    step = 0.01  # degrees or mm
    moved = CARM.pose_from(_moved(name, step))
    size = torch.deg2rad(torch.tensor(step)).double() if name in CARM_PARAMETERS[:3] else step
    predicted = pose.left_perturb(column * size, ISOCENTER)
    torch.testing.assert_close(predicted.matrix(), moved.matrix(), atol=2e-5, rtol=0)


def test_free_directions_leave_the_locked_parameters():
    locks = Locks(("secondary", "depth"), CARM, ISOCENTER)
    pose = CARM.pose_from(TERMS)
    (basis,) = locks.free((Pose.stack([pose]),))
    assert basis.shape == (6, 4)
    for column in basis.T:
        terms = CARM.carm_pose(pose.left_perturb(column * 1e-4, ISOCENTER), ISOCENTER)
        assert terms.secondary_deg == pytest.approx(TERMS.secondary_deg, abs=1e-5)
        assert terms.offset_mm[2] == pytest.approx(TERMS.offset_mm[2], abs=1e-5)


def test_settle_holds_exactly_and_keeps_the_rest():
    locks = Locks(("roll", "x"), CARM, ISOCENTER)
    old = CARM.pose_from(TERMS)
    other = CARM.pose_from(CArmPose(30.0, -10.0, 20.0, (99.0, 3.0, 11.0), TERMS.isocenter))
    # Of a batch each by itself: the second stays where it is.
    (held,) = locks.settle((Pose.stack([old, other]),), (Pose.stack([other, other]),))
    torch.testing.assert_close(held[1].matrix(), other.matrix())
    terms = CARM.carm_pose(held[0], ISOCENTER)
    assert terms.roll_deg == pytest.approx(8.0, abs=1e-9)
    assert terms.offset_mm[0] == pytest.approx(12.0, abs=1e-9)
    assert terms.primary_deg == pytest.approx(30.0, abs=1e-9)
    assert terms.offset_mm[2] == pytest.approx(11.0, abs=1e-9)


def test_bad_locks_are_refused():
    with pytest.raises(ValueError, match="pitch"):
        Locks(("pitch",), CARM, ISOCENTER)
    with pytest.raises(ValueError, match="all six"):
        Locks(CARM_PARAMETERS, CARM, ISOCENTER)
