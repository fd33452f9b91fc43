"""One simulation for the command line and the window."""

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.simulation import phantom
from napari_xreg.workflows import SampleSettings, SimulateRequest, simulate

CARM = CArm(1020.0, 750.0, Detector((24, 32), (12.0, 11.0)))


@pytest.mark.slow
def test_the_truth_is_kept_and_the_start_is_off():
    made = phantom(spacing_mm=10.0)
    center = made.volume.center.double()
    pose = CARM.pose_from(CArmPose(7.0, -4.0, 2.0, isocenter=tuple(center.tolist())))
    request = SimulateRequest(
        made.volume, made.labels, center, SampleSettings(start_error=0.0), CARM, pose
    )
    right = simulate(request)
    assert right.radiograph.simulated
    assert torch.equal(right.truth.matrix(), pose.matrix())
    assert abs(right.radiograph.nominal.primary_deg - 7.0) < 1e-9
    off = simulate(
        SimulateRequest(made.volume, made.labels, center, carm=CARM, world_from_camera=pose)
    )
    assert torch.equal(off.radiograph.line_integrals, right.radiograph.line_integrals)
    assert 0.1 < abs(off.radiograph.nominal.primary_deg - 7.0) < 12.0
