"""OpenCV and DeepFluoro cameras: the same pixels by their own formulas."""

import math

import cv2
import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.geometry.pinhole import (
    carm_from_camera_matrices,
    carm_from_deepfluoro,
    deepfluoro_from_carm,
    opencv_from_carm,
    opencv_points_from_pixels,
    pixels_from_opencv_points,
    pose_from_opencv,
)

ISOCENTER = (11.0, -37.0, 452.0)
POINTS = torch.tensor(
    [
        [31.0, -50.0, 440.0],
        [-12.0, -10.0, 471.0],
        [20.0, -41.0, 449.0],
        [45.0, -80.0, 400.0],
        [-33.0, 5.0, 430.0],
        [7.0, -66.0, 490.0],
    ],
    dtype=torch.float64,
)


def carm(mirrored: bool = True) -> CArm:
    return CArm(1000.0, 600.0, Detector((120, 200), (0.5, 0.4), (51.25, 83.5), mirrored=mirrored))


def oblique(arm: CArm) -> Pose:
    return arm.world_from_camera(
        25.0, -18.0, 40.0, isocenter=ISOCENTER, offset_mm=(9.0, -4.0, 30.0)
    )


@pytest.mark.parametrize("mirrored", [True, False])
def test_opencv_projects_to_the_same_pixels(mirrored):
    arm = carm(mirrored)
    pose = oblique(arm)
    camera = opencv_from_carm(arm, pose)
    assert camera.k[0, 0] == 1000 / 0.4
    assert camera.k[1, 1] == 1000 / 0.5
    uv, _ = cv2.projectPoints(
        POINTS.numpy(), camera.rvec.numpy(), camera.tvec.numpy(), camera.k.numpy(), None
    )
    uv = torch.from_numpy(uv[:, 0])
    pixels = arm.project(POINTS, pose)
    torch.testing.assert_close(
        pixels_from_opencv_points(arm.detector, uv), pixels, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        opencv_points_from_pixels(arm.detector, pixels), uv, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("mirrored", [True, False])
def test_opencv_finds_the_pose_of_picked_pixels(mirrored):
    arm = carm(mirrored)
    pose = oblique(arm)
    camera = opencv_from_carm(arm, pose)
    uv = opencv_points_from_pixels(arm.detector, arm.project(POINTS, pose)).numpy()
    found, rvec, tvec = cv2.solvePnP(
        POINTS.numpy(), uv, camera.k.numpy(), None, flags=cv2.SOLVEPNP_SQPNP
    )
    assert found
    again = pose_from_opencv(torch.from_numpy(rvec[:, 0]), torch.from_numpy(tvec[:, 0]))
    torch.testing.assert_close(again.matrix(), pose.matrix(), atol=1e-4, rtol=0)


def test_unmirroring_turns_about_the_principal_point_not_the_middle():
    """F5: 2 * 83.5 - 10 = 157; about the middle it would be 189."""
    uv = opencv_points_from_pixels(carm().detector, torch.tensor([[30.0, 10.0]]))
    assert uv.tolist() == [[157.0, 30.0]]


# What each pinhole convention sees of a point 20 mm to the patient's left (LPS +x) and 30 mm up,
# from a source 600 mm in front (y = -600), looking to +y: written down by hand.
def looking_back(x_axis, y_axis, z_axis) -> torch.Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.tensor([x_axis, y_axis, z_axis], dtype=torch.float64)
    matrix[:3, 3] = matrix[:3, :3] @ torch.tensor([0.0, 600.0, 0.0], dtype=torch.float64)
    return matrix


RIGHT, LEFT, UP, DOWN = (-1, 0, 0), (1, 0, 0), (0, 0, 1), (0, 0, -1)
BACK, FRONT = (0, 1, 0), (0, -1, 0)


@pytest.mark.parametrize("x_axis", [RIGHT, LEFT])
@pytest.mark.parametrize("y_axis", [UP, DOWN])
@pytest.mark.parametrize("z_axis", [BACK, FRONT])
@pytest.mark.parametrize("fx", [2000.0, -2000.0])
@pytest.mark.parametrize("fy", [1600.0, -1600.0])
def test_any_signs_of_a_pinhole_camera_give_the_same_pixels(x_axis, y_axis, z_axis, fx, fy):
    k = torch.tensor([[fx, 0, 83.5], [0, fy, 51.25], [0, 0, 1]], dtype=torch.float64)
    extrinsic = looking_back(x_axis, y_axis, z_axis)
    arm, pose = carm_from_camera_matrices(
        k,
        extrinsic,
        shape=(120, 200),
        source_to_isocenter=600.0,
        source_to_detector=1000.0,
        z_to_source=z_axis == FRONT,
    )
    assert torch.linalg.det(pose.rotation) > 0
    assert arm.detector.spacing == pytest.approx((0.625, 0.5))
    torch.testing.assert_close(pose.translation, pose.translation.new_tensor([0.0, -600.0, 0.0]))
    torch.testing.assert_close(pose.rotation[:, 2], pose.translation.new_tensor([0.0, 1.0, 0.0]))
    point = torch.tensor([[20.0, 15.0, 30.0]], dtype=torch.float64)
    # u z = fx x + cx z by the definition of K, whatever the sign of z.
    z = 615.0 if z_axis == BACK else -615.0
    u = 83.5 + fx * (20.0 if x_axis == LEFT else -20.0) / z
    v = 51.25 + fy * (30.0 if y_axis == UP else -30.0) / z
    assert arm.project(point, pose)[0].tolist() == pytest.approx([v, u])


def test_deepfluoro_camera_by_hand():
    """K of the dataset; camera at the source, x right in the image, y down, z back to the source.

    A point at camera (30, -40, -900) mm lies 900 mm before the source and 1020.0/900 enlarged:
    u = c + (-5257.732) * 30 / (-900) = 767.5 + 175.26.
    """
    k = torch.tensor([[-5257.732, 0, 767.5], [0, -5257.732, 760.0], [0, 0, 1]], dtype=torch.float64)
    extrinsic = Pose.exp(torch.tensor([0.3, -0.2, 0.5, 40.0, -60.0, -700.0], dtype=torch.float64))
    cam_to_volume = Pose.exp(torch.tensor([-0.6, 0.1, 0.4, 20.0, 90.0, 30.0], dtype=torch.float64))
    arm, pose = carm_from_deepfluoro(
        k,
        extrinsic.matrix(),
        cam_to_volume.matrix(),
        shape=(1536, 1530),
        spacing=(0.194, 0.194),
        source_to_isocenter=700.0,
    )
    assert arm.detector.mirrored
    assert arm.source_to_detector == pytest.approx(5257.732 * 0.194)
    camera_point = torch.tensor([[30.0, -40.0, -900.0]], dtype=torch.float64)
    device_point = extrinsic.inverse().apply(camera_point)
    volume_point = cam_to_volume.apply(device_point)
    expected = [760.0 - 5257.732 * -40 / -900, 767.5 - 5257.732 * 30 / -900]
    assert arm.project(volume_point, pose)[0].tolist() == pytest.approx(expected)


def test_deepfluoro_round_trip():
    arm = carm()
    pose = oblique(arm)
    k, camera_from_world = deepfluoro_from_carm(arm, pose)
    assert k[0, 0] < 0
    assert k[1, 1] < 0
    assert float(torch.linalg.det(camera_from_world)) == pytest.approx(1)
    homogeneous = k @ (camera_from_world @ torch.nn.functional.pad(POINTS, (0, 1), value=1.0).T)[:3]
    expected = arm.project(POINTS, pose)
    torch.testing.assert_close((homogeneous[:2] / homogeneous[2]).flip(0).T, expected)
    again, same = carm_from_deepfluoro(
        k,
        camera_from_world,
        torch.eye(4).double(),
        shape=(120, 200),
        spacing=(0.5, 0.4),
        source_to_isocenter=600.0,
    )
    assert again == arm
    torch.testing.assert_close(same.matrix(), pose.matrix())
    with pytest.raises(ValueError, match="flip the columns"):
        deepfluoro_from_carm(carm(mirrored=False), pose)


def test_contradictions_are_named():
    k = torch.tensor([[2000.0, 0, 83.5], [0, 1600.0, 51.25], [0, 0, 1]], dtype=torch.float64)
    identity = torch.eye(4, dtype=torch.float64)
    rest = {"shape": (120, 200), "source_to_isocenter": 500.0}
    with pytest.raises(ValueError, match="give source_to_detector or spacing"):
        carm_from_camera_matrices(k, identity, **rest)
    with pytest.raises(ValueError, match="contradict"):
        carm_from_camera_matrices(k, identity, spacing=(0.5, 0.625), **rest)  # row, column swapped
    with pytest.raises(ValueError, match="contradict"):
        carm_from_camera_matrices(
            k, identity, spacing=(0.625, 0.5), source_to_detector=900.0, **rest
        )
    skewed = k.clone()
    skewed[0, 1] = 3.0
    with pytest.raises(ValueError, match="skew"):
        carm_from_camera_matrices(skewed, identity, source_to_detector=1000.0, **rest)
    mixed = torch.stack([identity, torch.diag(identity.new_tensor([-1.0, 1, 1, 1]))])
    with pytest.raises(ValueError, match="mirror"):
        carm_from_camera_matrices(k, mixed, source_to_detector=1000.0, **rest)


def test_a_batch_of_poses_shares_one_camera():
    arm = carm()
    primary = torch.tensor([0.0, 40.0], dtype=torch.float64)
    poses = arm.world_from_camera(primary, 10.0, isocenter=ISOCENTER)
    camera = opencv_from_carm(arm, poses)
    assert camera.rvec.shape == (2, 3)
    again = pose_from_opencv(camera.rvec, camera.tvec)
    torch.testing.assert_close(again.matrix(), poses.matrix())
    angle = np.linalg.norm(camera.rvec[0].numpy())
    assert 0 < angle <= math.pi
