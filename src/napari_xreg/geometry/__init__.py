"""Where things are: poses, the C-arm, its detector, and the only place where an axis is flipped."""

from napari_xreg.geometry.carm import CArm, CArmPose
from napari_xreg.geometry.detector import Detector
from napari_xreg.geometry.pose import Pose

__all__ = ["CArm", "CArmPose", "Detector", "Pose"]
