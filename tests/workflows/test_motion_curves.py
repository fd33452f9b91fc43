"""A motion as curves, by hand: turns and shifts since the first frame with a pose."""

import math

import numpy as np
import torch

from napari_xreg.geometry import Pose
from napari_xreg.session import FrameState, TrackedFrame
from napari_xreg.workflows import curves_of

PIVOT = torch.tensor([10.0, 20.0, 30.0])
HERE = Pose.identity()


def frame(number, pose, covariance=None):
    return TrackedFrame(number, None, FrameState.TRACKED, HERE, pose, covariance)


def test_turns_and_shifts_since_the_first_pose_with_gaps():
    # The camera turned by 3 degrees about z at the pivot, and went 4 mm along x: the body did the opposite.
    twist = torch.tensor([0.0, 0.0, math.radians(3.0), 0.0, 0.0, 0.0], dtype=torch.float64)
    turned = Pose.identity().left_perturb(twist, PIVOT.double())
    shifted = Pose(torch.eye(3).double(), torch.tensor([4.0, 0.0, 0.0]).double())
    known = torch.diag(torch.tensor([1e-4, 4e-4, 9e-4, 0.25, 1.0, 4.0]).double())
    found = curves_of(
        (
            frame(1, None),
            frame(2, HERE),
            frame(3, turned, known),
            frame(5, None),
            frame(6, shifted),
        ),
        PIVOT,
    )
    assert np.isnan(found.values[[0, 3]]).all()
    np.testing.assert_allclose(found.values[1], 0.0, atol=1e-12)
    np.testing.assert_allclose(found.values[2], [0, 0, -3, 0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(found.values[4], [0, 0, 0, -4, 0, 0], atol=1e-9)
    degrees = np.degrees([0.01, 0.02, 0.03])
    np.testing.assert_allclose(found.deviations[2], [*degrees, 0.5, 1.0, 2.0], rtol=1e-6)
    assert not found.deviations[[0, 1, 3, 4]].any()


def test_no_frame_has_a_pose():
    assert np.isnan(curves_of((frame(1, None),), PIVOT).values).all()
