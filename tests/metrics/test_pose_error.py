"""Pose errors against two points worked out by hand, and the laws that separate them."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.geometry import CArm, Detector, Pose, diffdrr_from_carm
from napari_xreg.metrics import (
    diffpose_legacy_mtre,
    double_geodesic,
    mean_depth_error,
    mean_in_plane_error,
    mean_projection_error,
    mean_reprojection_distance,
    mean_reprojection_error,
    mean_target_registration_error,
    pose_error_components,
    rayemb_legacy_mpd,
    rotation_error_deg,
    source_position_error,
    suh_legacy_translation_rmse,
    target_registration_error,
    xvr_legacy_mpe,
    xvr_legacy_mtre,
)

# f 1000 mm, rows 0.5 mm, columns 0.8 mm apart, principal point off centre.
CARM = CArm(1000.0, 640.0, Detector((120, 170), (0.5, 0.8), (60.25, 81.5)))
POINTS = torch.tensor([[30.0, 40.0, 0.0], [-60.0, 20.0, 150.0]], dtype=torch.float64)
EYE = torch.eye(3, dtype=torch.float64)
# A quarter turn about z: camera x is world y, camera y is world -x.
QUARTER = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def pose(rotation, x, y, z):
    return Pose(rotation, torch.tensor([x, y, z], dtype=torch.float64))


# Camera coordinates: true (30, 40, 600) and (-60, 20, 750);
TRUE = pose(EYE, 0.0, 0.0, -600.0)
# shifted (27, 44, 588) and (-63, 24, 738), that is by (-3, 4, -12);
SHIFTED = pose(EYE, 3.0, -4.0, -588.0)
# turned (40, -30, 600) and (20, 60, 750).
TURNED = pose(QUARTER, 0.0, 0.0, -600.0)


def approximately(value):
    return pytest.approx(value, abs=1e-4)


def test_target_registration_error():
    assert target_registration_error(SHIFTED, TRUE, POINTS).tolist() == approximately([13, 13])
    # (10, -70, 0) and (80, 40, 0): 70.7107 and 89.4427. Their rms would be 80.6226.
    assert target_registration_error(TURNED, TRUE, POINTS).tolist() == approximately(
        [70.7107, 89.4427]
    )
    assert float(mean_target_registration_error(TURNED, TRUE, POINTS)) == approximately(80.0767)


def test_target_registration_error_is_measured_in_the_camera_frame():
    # True: (40, 20, 600) and (20, 110, 750); predicted: (30, 33, 600) and (-60, 13, 750).
    # The same poses applied the wrong way round (T p) would give 26.25 and 125.18.
    true, predicted = pose(QUARTER, 50.0, 0.0, -600.0), pose(EYE, 0.0, 7.0, -600.0)
    assert target_registration_error(predicted, true, POINTS).tolist() == approximately(
        [16.40122, 125.73384]
    )


def test_in_plane_and_depth():
    assert float(mean_in_plane_error(SHIFTED, TRUE, POINTS)) == approximately(5)
    assert float(mean_depth_error(SHIFTED, TRUE, POINTS)) == approximately(12)
    assert float(mean_in_plane_error(TURNED, TRUE, POINTS)) == approximately(80.0767)
    assert float(mean_depth_error(TURNED, TRUE, POINTS)) == approximately(0)


def test_projection_error():
    # On the detector, (x, y) mm: (50, 66.6667) -> (45.9184, 74.8299): 9.1268;
    # (-80, 26.6667) -> (-85.3659, 32.5203): 7.9409.
    assert float(mean_projection_error(SHIFTED, TRUE, POINTS, CARM)) == approximately(8.53385)


def test_reprojection_error_of_xvr():
    # In the world: (-1.0816, 4.1633, 12) and (-2.3659, 1.8537, 12).
    assert float(mean_reprojection_error(SHIFTED, TRUE, POINTS, CARM)) == approximately(12.55916)


def test_reprojection_distance_of_van_de_kraats():
    # |(-2880, -1440, 240)| / |(27, 44, 588)| and |(-3240, -2970, -180)| / |(-63, 24, 738)|.
    assert float(mean_reprojection_distance(SHIFTED, TRUE, POINTS)) == approximately(5.703088)


def test_reprojection_distance_is_blind_along_the_ray():
    on_axis = torch.tensor([[0.0, 0.0, 17.0]], dtype=torch.float64)
    nearer = pose(EYE, 0.0, 0.0, -559.0)
    assert float(mean_reprojection_distance(nearer, TRUE, on_axis)) == approximately(0)
    assert float(mean_target_registration_error(nearer, TRUE, on_axis)) == approximately(41)


def test_rotation_and_translation_errors():
    assert float(rotation_error_deg(TURNED, TRUE)) == approximately(90)
    assert float(rotation_error_deg(SHIFTED, TRUE)) == 0
    assert float(source_position_error(SHIFTED, TRUE)) == approximately(13)
    assert float(source_position_error(TURNED, TRUE)) == 0


@pytest.mark.slow
@given(st.floats(1e-6, math.pi), st.integers(0, 2))
def test_rotation_error_is_exact_for_small_and_large_angles(angle, axis):
    twist = torch.zeros(6, dtype=torch.float64)
    twist[axis] = angle
    turned = Pose.exp(twist) @ TURNED
    # At 180 degrees the angle is a square root away from rounding: 1e-8 of 1 is 1e-4 rad there.
    tolerance = 1e-6 if angle > 3.1 else 1e-11
    assert math.radians(float(rotation_error_deg(turned, TURNED))) == pytest.approx(
        angle, rel=1e-7, abs=tolerance
    )


def test_double_geodesic():
    # 90 degrees on a radius of 500 mm (f / 2, not f) are 785.398 mm.
    assert float(double_geodesic(TURNED, TRUE, 1000.0)) == approximately(785.3982)
    assert float(double_geodesic(SHIFTED, TRUE, 1000.0)) == approximately(13)
    both = pose(QUARTER, 3.0, -4.0, -588.0)
    # World axes: sqrt(785.398^2 + 13^2).
    assert float(double_geodesic(both, TRUE, 1000.0)) == approximately(785.5057)
    # Own axes, from (10, 20, 30): (-24, 7, -618) against (-10, -20, -630), 1069 squared.
    origin = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
    assert float(double_geodesic(both, TRUE, 1000.0, origin=origin)) == approximately(786.0784)


def test_double_geodesic_has_a_gradient_where_the_poses_coincide():
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    double_geodesic(Pose.exp(twist) @ TURNED, TURNED, 1000.0).backward()
    assert torch.equal(twist.grad, torch.zeros(6, dtype=torch.float64))


def test_components_are_signed_in_camera_axes():
    pivot = torch.tensor([30.0, 40.0, 0.0], dtype=torch.float64)
    found = pose_error_components(SHIFTED, TRUE, pivot).tolist()
    assert found == approximately([0, 0, 0, -3, 4, -12])
    # A camera turned by +90 about z sees the patient turned by -90; (30, 40) goes to (40, -30).
    found = pose_error_components(TURNED, TRUE, pivot).tolist()
    assert found == approximately([0, 0, -90, 10, -70, 0])


def test_legacy_variants():
    assert float(rayemb_legacy_mpd(SHIFTED, TRUE, POINTS, CARM)) == approximately(9.12813)
    assert float(diffpose_legacy_mtre(SHIFTED, TRUE, POINTS, CARM)) == approximately(2.436477)
    # Pixels (row, column): (16.3265, -5.1020) and (11.7073, -6.7073), all times 0.8.
    assert float(xvr_legacy_mpe(SHIFTED, TRUE, POINTS, CARM)) == approximately(12.23906)
    assert float(suh_legacy_translation_rmse(SHIFTED, TRUE)) == approximately(13 / math.sqrt(3))


def test_xvr_legacy_mtre_counts_how_far_the_source_went():
    middle = torch.tensor([7.0, -20.0, 31.0], dtype=torch.float64)
    carm = CArm(1020.0, 800.0, Detector((120, 170), (0.5, 0.8)))

    def view(primary, secondary=0.0, at=middle):
        return carm.world_from_camera(primary, secondary, isocenter=at)

    # A chord of 2 degrees at 800 mm; the patient's middle itself appears where it was.
    moved = xvr_legacy_mtre(view(12.0), view(10.0), middle[None], carm, origin=middle)
    assert float(moved) == pytest.approx(2 * 800 * math.sin(math.radians(1.0)))
    assert float(mean_target_registration_error(view(12.0), view(10.0), middle[None])) < 1e-9
    # From behind the patient (0, 800) to the patient's right (-800, 0); of "AP" these are half a turn and a
    # quarter past it: a point 30 mm to the left (+x) goes from (-30, 0) to (0, -30). In all (-770, -830).
    point = middle[None] + torch.tensor([[30.0, 0.0, 0.0]])
    turned = xvr_legacy_mtre(view(90.0), view(0.0), point, carm, origin=middle)
    assert float(turned) == pytest.approx(math.hypot(770, 830))
    aside = view(10.0, at=middle + torch.tensor([3.0, 0.0, -4.0]))
    assert float(xvr_legacy_mtre(aside, view(10.0), point, carm, origin=middle)) == approximately(5)


def test_xvr_legacy_mtre_is_the_difference_of_diffdrrs_matrices():
    middle = torch.tensor([7.0, -20.0, 31.0], dtype=torch.float64)
    points = middle + POINTS
    found, true = (
        CARM.world_from_camera(p, s, isocenter=middle + torch.tensor([o, -2.0, 5.0]))
        for p, s, o in ((31.0, -12.0, 6.0), (26.0, -9.0, -1.0))
    )
    x, y, z = middle.tolist()
    ours, theirs = (
        diffdrr_from_carm(CARM, pose, volume_center=(x, y, z), orientation="AP").matrix
        for pose in (found, true)
    )
    ras = (points - middle) * torch.tensor([-1.0, -1.0, 1.0])
    difference = ras @ (ours - theirs)[:3, :3].mT + (ours - theirs)[:3, 3]
    by_hand = difference.norm(dim=-1).mean()
    assert float(xvr_legacy_mtre(found, true, points, CARM, origin=middle)) == approximately(
        float(by_hand)
    )


def test_diffpose_legacy_at_deepfluoro_geometry():
    # METHODS D: 1 mm in plane scores 0.070, 1 mm of depth 0.197 (patient at 750 of 1020 mm).
    carm = CArm(1020.0, 750.0, Detector((1536, 1536), (0.194, 0.194)))
    true, aside = pose(EYE, 0.0, 0.0, -750.0), pose(EYE, 1.0, 0.0, -750.0)
    nearer = pose(EYE, 0.0, 0.0, -749.0)
    points = torch.tensor([[90.0, 5.0, 3.0], [-80.0, 60.0, -4.0]], dtype=torch.float64)
    assert float(diffpose_legacy_mtre(aside, true, points, carm)) == pytest.approx(0.070, abs=2e-3)
    assert float(diffpose_legacy_mtre(nearer, true, points, carm)) == pytest.approx(0.197, abs=3e-3)
    assert float(mean_target_registration_error(aside, true, points)) == approximately(1)


def test_a_fiducial_behind_the_source_gives_nan_not_a_number():
    behind = torch.tensor([[1.0, 2.0, -900.0]], dtype=torch.float64)
    assert math.isnan(float(mean_projection_error(SHIFTED, TRUE, behind, CARM)))
    assert math.isnan(float(mean_reprojection_error(SHIFTED, TRUE, behind, CARM)))


twists = st.lists(st.floats(-1, 1), min_size=6, max_size=6)


@pytest.mark.slow
@given(twists, twists)
def test_moving_patient_and_camera_together_changes_nothing(step, move):
    scale = torch.tensor([0.3, 0.3, 0.3, 40.0, 40.0, 40.0], dtype=torch.float64)
    predicted = Pose.exp(torch.tensor(step, dtype=torch.float64) * scale) @ TRUE
    motion = Pose.exp(torch.tensor(move, dtype=torch.float64) * scale)
    for error in (
        mean_target_registration_error,
        mean_in_plane_error,
        mean_depth_error,
        mean_reprojection_distance,
        lambda a, b, p: mean_projection_error(a, b, p, CARM),
        lambda a, b, p: mean_reprojection_error(a, b, p, CARM),
        lambda a, b, p: rotation_error_deg(a, b),
        lambda a, b, p: source_position_error(a, b),
    ):
        here = float(error(predicted, TRUE, POINTS))
        there = float(error(motion @ predicted, motion @ TRUE, motion.apply(POINTS)))
        assert there == pytest.approx(here, rel=1e-9, abs=1e-6)


def test_batches_of_poses_give_one_error_each():
    batch = Pose.stack([SHIFTED, TURNED, TRUE])
    errors = mean_target_registration_error(batch, TRUE, POINTS)
    assert errors.tolist() == approximately([13, 80.0767, 0])
    assert mean_projection_error(batch, TRUE, POINTS, CARM).shape == (3,)
    assert mean_reprojection_distance(batch, TRUE, POINTS).shape == (3,)
    assert mean_reprojection_error(batch, TRUE, POINTS, CARM).shape == (3,)
    assert double_geodesic(batch, TRUE, 1000.0).shape == (3,)
    assert pose_error_components(batch, TRUE, POINTS[0]).shape == (3, 6)


@pytest.mark.slow
@pytest.mark.peers
def test_double_geodesic_agrees_with_nanodrr():
    peers = pytest.importorskip("nanodrr.metrics")
    both = pose(QUARTER, 3.0, -4.0, -588.0)
    origin = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
    centered = [Pose(p.rotation, p.translation - origin).matrix()[None] for p in (both, TRUE)]
    *_, theirs = peers.DoubleGeodesicSE3(1000.0)(*centered)
    ours = double_geodesic(both, TRUE, 1000.0, origin=origin)
    assert float(ours) == pytest.approx(float(theirs[0]), abs=1e-3)
