"""Where things land on the detector: pins worked out by hand, then laws."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.geometry.carm import CARM_PARAMETERS, twists_of_carm_parameters

ISOCENTER = (11.0, -37.0, 452.0)
DETECTOR = Detector((120, 200), (0.5, 0.4), principal_point=(51.25, 83.5))


def carm(mirrored: bool = True) -> CArm:
    detector = Detector((120, 200), (0.5, 0.4), principal_point=(51.25, 83.5), mirrored=mirrored)
    return CArm(1000.0, 600.0, detector)


def pixel_of(marker, primary, secondary, roll=0.0, *, mirrored=True, offset=(0.0, 0.0, 0.0)):
    """Pixel of a marker given relative to the isocenter."""
    arm = carm(mirrored)
    pose = arm.world_from_camera(primary, secondary, roll, isocenter=ISOCENTER, offset_mm=offset)
    point = torch.tensor([marker], dtype=torch.float64) + torch.tensor(ISOCENTER)
    return arm.project(point, pose)[0].tolist()


# 20 mm beside the isocenter is magnified by 1000 / 600 to 33.333 mm: 83.333 columns of 0.4 mm,
# 66.667 rows of 0.5 mm. At 45 degrees cranial the anterior marker is 20 / sqrt(2) = 14.142 mm below
# the central ray and as much deeper: 14.142 * 1000 / 614.142 / 0.5 = 46.0549 rows.
PINS = [
    # primary, secondary, roll, marker, row, column (reader faces the patient)
    (0, 0, 0, (20.0, 0.0, 0.0), 51.25, 83.5 + 83.3333),  # patient's left is on the right
    (0, 0, 0, (0.0, 0.0, 20.0), 51.25 - 66.6667, 83.5),  # superior is up
    (0, 0, 0, (0.0, -20.0, 0.0), 51.25, 83.5),  # anterior is along the ray
    (90, 0, 0, (0.0, -20.0, 0.0), 51.25, 83.5 - 83.3333),  # LAO 90: sternum on the left
    (-90, 0, 0, (0.0, -20.0, 0.0), 51.25, 83.5 + 83.3333),  # RAO 90: on the right
    (0, 45, 0, (0.0, -20.0, 0.0), 51.25 + 46.0549, 83.5),  # cranial: anterior sinks
    (0, -45, 0, (0.0, -20.0, 0.0), 51.25 - 46.0549, 83.5),  # caudal: anterior rises
    (0, 0, 90, (20.0, 0.0, 0.0), 51.25 + 66.6667, 83.5),  # roll 90: what was right is down
    (0, 0, 90, (0.0, 0.0, 20.0), 51.25, 83.5 + 83.3333),  # and what was up is right
]


@pytest.mark.parametrize(("primary", "secondary", "roll", "marker", "row", "column"), PINS)
def test_where_a_marker_lands(primary, secondary, roll, marker, row, column):
    got = pixel_of(marker, primary, secondary, roll)
    assert got == pytest.approx([row, column], abs=1e-3)
    # The other reader stands at the source: columns run the other way about the principal point.
    other = pixel_of(marker, primary, secondary, roll, mirrored=False)
    assert other == pytest.approx([row, 2 * 83.5 - column], abs=1e-3)


@pytest.mark.parametrize(
    ("offset", "marker", "row", "column"),
    [
        # The C-arm moves 3 mm along its x, to the patient's right: 3 * 1000 / 600 / 0.4 = 12.5.
        ((3.0, 0.0, 0.0), (0.0, 0.0, 0.0), 51.25, 83.5 + 12.5),
        # 3 mm along its y, down: what it sees moves up by 3 * 1000 / 600 / 0.5 = 10 rows.
        ((0.0, 3.0, 0.0), (0.0, 0.0, 0.0), 51.25 - 10, 83.5),
        # 100 mm away from the source's side: 500 mm to the source, 20 * 1000 / 500 / 0.4 = 100.
        ((0.0, 0.0, 100.0), (20.0, 0.0, 0.0), 51.25, 83.5 + 100),
    ],
)
def test_offsets_move_the_camera_along_its_axes(offset, marker, row, column):
    assert pixel_of(marker, 0, 0, offset=offset) == pytest.approx([row, column])


def test_both_angles_at_once():
    """DESIGN 3: (sin 30 cos 20, -cos 30 cos 20, sin 20)."""
    pose = carm().world_from_camera(30.0, 20.0, isocenter=ISOCENTER)
    expected = torch.tensor([0.470, -0.814, 0.342], dtype=torch.float64)
    torch.testing.assert_close(pose.rotation[:, 2], expected, atol=5e-4, rtol=0)
    # The source lies 600 mm before the isocenter: 11 - 600 * 0.46985 = -270.908.
    assert pose.translation.tolist() == pytest.approx([-270.908, 451.278, 246.788], abs=1e-3)


def test_roll_is_right_handed_about_the_beam_and_applied_first():
    """Roll 90 brings the camera's x to where y was (down), its y to where -x was."""
    pose = carm().world_from_camera(30.0, 20.0, 90.0, isocenter=ISOCENTER)
    plain = carm().world_from_camera(30.0, 20.0, isocenter=ISOCENTER)
    torch.testing.assert_close(pose.rotation[:, 0], plain.rotation[:, 1])
    torch.testing.assert_close(pose.rotation[:, 1], -plain.rotation[:, 0])
    torch.testing.assert_close(pose.rotation[:, 2], plain.rotation[:, 2])


def test_python_angles_keep_double_precision():
    """0.1 degree as float32 is off by 1.5e-9: 12.7 would come back as 12.6999998."""
    arm = carm()
    pose = arm.world_from_camera(12.7, -0.1, 3.3, isocenter=ISOCENTER)
    assert arm.carm_pose(pose, ISOCENTER).primary_deg == pytest.approx(12.7, abs=1e-12)


def test_angles_broadcast():
    arm = carm()
    primary = torch.tensor([0.0, 30.0, -40.0], dtype=torch.float64)
    offset = torch.randn(2, 1, 3, dtype=torch.float64)
    pose = arm.world_from_camera(primary, 20.0, isocenter=ISOCENTER, offset_mm=offset)
    assert pose.batch_shape == (2, 3)
    single = arm.world_from_camera(30.0, 20.0, isocenter=ISOCENTER, offset_mm=offset[1, 0])
    torch.testing.assert_close(pose[1, 1].matrix(), single.matrix())


angles = st.floats(-179.0, 179.0)


@given(angles, st.floats(-89.0, 89.0), angles, st.tuples(*[st.floats(-80, 80)] * 3))
def test_angles_round_trip(primary, secondary, roll, offset):
    arm = carm()
    terms = CArmPose(primary, secondary, roll, offset, ISOCENTER)
    again = arm.carm_pose(arm.pose_from(terms), ISOCENTER)
    got = [again.primary_deg, again.secondary_deg, again.roll_deg, *again.offset_mm]
    # Near the poles primary and roll lose digits to each other: 1 / cos 89 = 57.
    assert got == pytest.approx([primary, secondary, roll, *offset], abs=1e-9)
    assert again.isocenter == ISOCENTER


@pytest.mark.parametrize("secondary", [90.0, -90.0, 120.0, 135.5, -160.0, 180.0])
def test_beyond_the_pole_the_equivalent_angles_give_the_same_pose(secondary):
    arm = carm()
    pose = arm.world_from_camera(25.0, secondary, -15.0, isocenter=ISOCENTER, offset_mm=(4, -5, 6))
    terms = arm.carm_pose(pose, ISOCENTER)
    assert abs(terms.secondary_deg) <= 90
    torch.testing.assert_close(arm.pose_from(terms).matrix(), pose.matrix(), atol=1e-9, rtol=0)
    if abs(secondary) == 120.0:
        # Over the head: 120 cranial is 60 cranial from behind, upside down.
        assert terms.secondary_deg == pytest.approx(60)
        assert terms.primary_deg == pytest.approx(25 - 180)
        assert terms.roll_deg == pytest.approx(-15 + 180)


def test_at_the_pole_the_primary_angle_is_zero():
    terms = carm().carm_pose(carm().world_from_camera(25.0, 90.0, isocenter=ISOCENTER), ISOCENTER)
    assert terms.primary_deg == 0.0
    assert terms.secondary_deg == pytest.approx(90)


def test_angles_of_a_batch_are_refused():
    poses = carm().world_from_camera(torch.zeros(2), 0.0, isocenter=ISOCENTER)
    with pytest.raises(ValueError, match="one pose"):
        carm().carm_pose(poses, ISOCENTER)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("along", [0.3, 0.62, 1.0])
def test_a_ray_projects_to_its_pixel(mirrored, along):
    arm = carm(mirrored)
    primary = torch.tensor([25.0, -70.0], dtype=torch.float64)
    pose = arm.world_from_camera(
        primary, 18.0, 7.0, isocenter=ISOCENTER, offset_mm=(9.0, -4.0, 30.0)
    )
    pixels = torch.tensor([[0.0, 0.0], [17.0, 151.0], [-3.5, 260.25]], dtype=torch.float64)
    source, rays = arm.rays(pose, pixels)
    torch.testing.assert_close(source, pose.translation)
    again = arm.project(source[:, None] + along * rays, pose)
    torch.testing.assert_close(again, pixels.expand(2, 3, 2), atol=1e-9, rtol=0)


def test_sampled_with_fewer_pixels_a_point_lies_at_the_same_place():
    """120 x 200 at most 50: a quarter, 30 x 50 pixels of 2.0 x 1.6 mm."""
    small = carm().at_most(50)
    assert small.detector.shape == (30, 50)
    assert small.detector.spacing == pytest.approx((2.0, 1.6))
    # The principal point lies (51.25 + 0.5) / 4 - 0.5 rows down.
    assert small.detector.center == pytest.approx((12.4375, 20.5))
    assert small.at_most(50) is small
    assert carm().at_most(3).detector.shape == (2, 3)
    assert carm().at_most(3, least=8).detector.shape == (8, 8)
    with pytest.raises(ValueError, match="at least one pixel"):
        carm().at_most(0)


def test_rays_reach_the_detector_row_by_row():
    arm = CArm(1000.0, 600.0, Detector((3, 4), (0.5, 0.4), principal_point=(1.5, 0.5)))
    pose = arm.world_from_camera(0.0, 0.0, isocenter=(0.0, 0.0, 0.0))
    _, rays = arm.rays(pose)
    assert rays.shape == (12, 3)
    # The second pixel is row 0, column 1: half a column right of the principal point (patient's
    # left, +0.2 mm) and 1.5 rows above (superior, +0.75 mm), 1000 mm towards anterior.
    assert rays[1].tolist() == pytest.approx([0.2, -1000.0, 0.75])


def test_points_behind_the_source_are_nan():
    arm = carm()
    pose = arm.world_from_camera(0.0, 0.0, isocenter=ISOCENTER)
    behind = pose.translation + torch.tensor([0.0, 5.0, 0.0])  # the beam runs towards -y
    assert arm.project(behind[None], pose).isnan().all()


def test_gradients_of_projection_are_finite_also_with_points_behind():
    arm = carm()
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    pose = arm.world_from_camera(10.0, 5.0, isocenter=ISOCENTER)
    moved = pose.left_perturb(twist, torch.tensor(ISOCENTER, dtype=torch.float64))
    points = torch.tensor([[5.0, -30.0, 460.0], [-300.0, 900.0, 300.0]], dtype=torch.float64)
    pixels = arm.project(points, moved)
    assert pixels.isnan().all(-1).tolist() == [False, True]
    pixels[0].sum().backward()
    assert torch.isfinite(twist.grad).all()


@pytest.mark.parametrize("index", range(6), ids=CARM_PARAMETERS)
def test_twists_of_carm_parameters_against_finite_differences(index):
    arm = carm()
    values = [25.0, -18.0, 40.0, 9.0, -4.0, 30.0]

    def pose(delta: float) -> Pose:
        p, s, r, x, y, z = (v + delta * (i == index) for i, v in enumerate(values))
        return arm.pose_from(CArmPose(p, s, r, (x, y, z), ISOCENTER))

    step = 1e-4
    unit = math.radians(step) if index < 3 else step
    pivot = torch.tensor(ISOCENTER, dtype=torch.float64)
    terms = CArmPose(*values[:3], tuple(values[3:]), ISOCENTER)
    twist = twists_of_carm_parameters(pose(0.0), terms)[:, index] * unit
    moved = pose(-step / 2).left_perturb(twist, pivot)
    torch.testing.assert_close(moved.matrix(), pose(step / 2).matrix(), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("sdd", "sod", "says"),
    [(-1000.0, 600.0, "source_to_detector"), (1000.0, 1200.0, "between"), (1000.0, 0.0, "between")],
)
def test_impossible_arms_are_refused(sdd, sod, says):
    with pytest.raises(ValueError, match=says):
        CArm(sdd, sod, DETECTOR)


def test_an_infinite_angle_is_refused():
    with pytest.raises(ValueError, match="finite"):
        CArmPose(primary_deg=float("nan"))


def test_one_point_is_projected_to_one_pixel_and_under_a_batch_to_one_for_every_pose():
    arm = carm()
    poses = arm.world_from_camera(
        torch.tensor([0.0, 90.0], dtype=torch.float64), 0.0, isocenter=ISOCENTER
    )
    # 20 mm in front of the isocenter: on the central ray from the front, on the left from LAO 90.
    sternum = torch.tensor([11.0, -57.0, 452.0], dtype=torch.float64)
    assert arm.project(sternum, poses[1]).tolist() == pytest.approx([51.25, 83.5 - 250 / 3])
    both = arm.project(sternum, poses)
    assert both.shape == (2, 2)
    assert both[0].tolist() == pytest.approx([51.25, 83.5])
    assert both[1].tolist() == pytest.approx([51.25, 83.5 - 250 / 3])
    behind = arm.project(poses[0].translation, poses[0])
    assert behind.shape == (2,)
    assert bool(behind.isnan().all())
