"""Perturbed starts: units, axes and evenness."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.registration import Spread, perturbed, spread_starts
from napari_xreg.registration.starts import going_on

CARM = CArm(1020.0, 720.0, Detector((40, 50), (2.0, 2.1)))
ISOCENTER = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
POSE = CARM.world_from_camera(35.0, -12.0, 7.0, isocenter=ISOCENTER)


def _normal(k: int) -> torch.Tensor:
    normals = torch.zeros(1, 6, dtype=torch.float64)
    normals[0, k] = 2.0
    return normals


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotation_is_about_a_camera_axis_through_the_isocenter(axis):
    moved = perturbed(POSE, ISOCENTER, _normal(axis), Spread(3.0, 10.0, 15.0))[0]
    before = POSE.inverse().apply(ISOCENTER[None])
    torch.testing.assert_close(moved.inverse().apply(ISOCENTER[None]), before)
    turn = POSE.rotation.mT @ moved.rotation
    angle = torch.rad2deg(torch.arccos((turn.trace() - 1) / 2))
    assert float(angle) == pytest.approx(6.0)
    assert float(turn[axis, axis]) == pytest.approx(1.0)


def test_shifts_are_along_camera_axes():
    spread = Spread(3.0, 10.0, 15.0)
    for k, expected in ((3, (20.0, 0, 0)), (4, (0, 20.0, 0)), (5, (0, 0, 30.0))):
        moved = perturbed(POSE, ISOCENTER, _normal(k), spread)[0]
        offset = POSE.rotation.mT @ (moved.translation - POSE.translation)
        torch.testing.assert_close(offset, torch.tensor(expected, dtype=torch.float64))


def test_starts_begin_with_the_given_one_and_spread_as_asked():
    starts = spread_starts(POSE, ISOCENTER, 129, Spread(3.0, 10.0, 15.0), seed=5)
    assert len(starts) == 129
    assert starts[0] is POSE
    depths = torch.stack([POSE.rotation.mT @ (s.translation - POSE.translation) for s in starts])
    # each start is also rotated about an isocenter 720 mm away, which shifts its source sideways;
    # the depth of the isocenter is free of that
    iso = torch.stack([s.inverse().apply(ISOCENTER[None])[0] for s in starts[1:]])
    assert float(iso[:, 2].std()) == pytest.approx(15.0, rel=0.1)
    assert float(iso[:, 0].std()) == pytest.approx(10.0, rel=0.1)
    assert depths.shape == (129, 3)
    again = spread_starts(POSE, ISOCENTER, 129, Spread(3.0, 10.0, 15.0), seed=5)
    torch.testing.assert_close(again[7].matrix(), starts[7].matrix())


def test_a_negative_spread_is_refused():
    with pytest.raises(ValueError, match="negative"):
        Spread(-1.0)


def test_the_given_start_goes_on_while_several_do():
    losses = {3: 0.2, 0: 0.9, 5: 0.1, 1: 0.4}
    assert going_on(losses, 2) == [5, 3, 0]
    assert going_on(losses, 1) == [5]
    assert going_on({**losses, 0: 0.15}, 2) == [5, 0]
    assert going_on({3: 0.2, 5: 0.1}, 2) == [5, 3]
