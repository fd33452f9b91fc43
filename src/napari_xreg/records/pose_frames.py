"""What a 4 x 4 matrix of a pose maps: one name for each convention that a file may have."""

from typing import Literal, get_args

import torch

from napari_xreg.geometry import Pose, lps_from_ras

PoseFrame = Literal[
    "world_from_camera",
    "camera_from_world",
    "opencv",
    "ras_from_camera",
    "camera_from_ras",
    "slicer",
]
"""What a 4 x 4 matrix maps. World is patient LPS mm, camera as in `CArm`; ``opencv`` is
``camera_from_world`` (of the unmirrored image), as cv2.solvePnP gives it; ``ras`` is the world of
NIfTI and 3D Slicer. ``slicer`` is the matrix *in the file* that 3D Slicer writes for a transform node
that shows ``ras_from_camera``: Slicer files hold the inverse of what the node shows, with the first two
axes of both sides turned from RAS to LPS."""

POSE_FRAMES: tuple[PoseFrame, ...] = get_args(PoseFrame)


def pose_of_matrix(matrix: torch.Tensor, frame: PoseFrame) -> Pose:
    """``world_from_camera`` of a 4 x 4 matrix in a named frame.

    Raises
    ------
    ValueError
        If the frame is unknown or the matrix is not a rigid motion.
    """
    if frame not in POSE_FRAMES:
        raise ValueError(f"the frame of a pose is one of {', '.join(POSE_FRAMES)}")
    pose = Pose.from_matrix(matrix.double())
    if frame == "world_from_camera":
        return pose
    if frame in ("camera_from_world", "opencv"):
        return pose.inverse()
    if frame == "slicer":
        # With F turning RAS to LPS, Slicer writes F inverse(ras_from_camera) F, and
        # ras_from_camera = F world_from_camera: F camera_from_world is what stands there.
        return Pose.from_matrix(lps_from_ras(pose.matrix())).inverse()
    ras_from_camera = pose if frame == "ras_from_camera" else pose.inverse()
    return Pose.from_matrix(lps_from_ras(ras_from_camera.matrix()))


def matrix_of_pose(world_from_camera: Pose, frame: PoseFrame) -> torch.Tensor:
    """The inverse of `pose_of_matrix`: a 4 x 4 matrix, float64, on the CPU.

    Raises
    ------
    ValueError
        If the frame is unknown.
    """
    if frame not in POSE_FRAMES:
        raise ValueError(f"the frame of a pose is one of {', '.join(POSE_FRAMES)}")
    pose = Pose.from_matrix(world_from_camera.matrix().detach().cpu().double())
    if frame == "world_from_camera":
        return pose.matrix()
    if frame in ("camera_from_world", "opencv"):
        return pose.inverse().matrix()
    if frame == "slicer":
        return lps_from_ras(pose.inverse().matrix())
    ras_from_camera = lps_from_ras(pose.matrix())
    if frame == "ras_from_camera":
        return ras_from_camera
    return Pose.from_matrix(ras_from_camera).inverse().matrix()
