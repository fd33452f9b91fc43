"""Poses to train on: their range, their truncation, the grid's order."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.training import PoseRange

CARM = CArm(1020.0, 750.0, Detector((64, 48), (2.0, 2.5)))
ISOCENTER = torch.tensor([11.0, -23.0, 640.0], dtype=torch.float64)


@pytest.mark.slow
def test_samples_keep_to_the_range_and_fill_it():
    wanted = PoseRange((-45.0, 30.0), (-22.5, 10.0), (-7.0, 9.0), offset_mm=50.0, cut=1.5)
    poses = wanted.sample(CARM, ISOCENTER, 600, torch.Generator().manual_seed(1))
    stood = [CARM.carm_pose(poses[i], ISOCENTER) for i in range(600)]
    for name, (low, high) in {
        "primary_deg": (-45.0, 30.0), "secondary_deg": (-22.5, 10.0), "roll_deg": (-7.0, 9.0),
    }.items():  # fmt: skip
        values = torch.tensor([getattr(p, name) for p in stood])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    offsets = torch.tensor([p.offset_mm for p in stood])
    assert offsets.abs().max() <= 75.0 + 1e-6
    assert offsets.abs().max() > 70.0
    # Variance of a normal cut at 1.5 sigma: 1 - 2 * 1.5 phi(1.5) / (2 Phi(1.5) - 1) = 0.5516.
    torch.testing.assert_close(offsets.var(0) / 2500.0, torch.full((3,), 0.5516), rtol=0.15, atol=0)


def test_the_same_generator_gives_the_same_poses():
    first, again = (
        PoseRange().sample(CARM, ISOCENTER, 3, torch.Generator().manual_seed(7)) for _ in range(2)
    )
    assert torch.equal(first.matrix(), again.matrix())


def test_a_grid_runs_over_secondary_angles_first():
    poses = PoseRange((-40.0, 40.0), (-20.0, 20.0)).grid(CARM, ISOCENTER, 3, 2)
    stood = [CARM.carm_pose(poses[i], ISOCENTER) for i in range(6)]
    angles = [(round(p.primary_deg, 6), round(p.secondary_deg, 6)) for p in stood]
    assert angles == [(-40, -20), (-40, 20), (0, -20), (0, 20), (40, -20), (40, 20)]
    assert all(abs(v) < 1e-9 for p in stood for v in (p.roll_deg, *p.offset_mm))


def test_a_range_that_runs_backwards_is_refused():
    with pytest.raises(
        ValueError, match="smallest roll angle must not be above the largest: got 5 to -5"
    ):
        PoseRange(roll_deg=(5.0, -5.0))
    with pytest.raises(ValueError, match="cut must be positive"):
        PoseRange(cut=0.0)
