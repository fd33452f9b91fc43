"""The whole simulator: a known answer, the same every time."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ellipsoids import AttenuatingEllipsoid, ellipsoid_line_integrals, ellipsoid_volume

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import LabelMap, Volume, hu_from_lac, lac_from_hu, linear_attenuation
from napari_xreg.simulation import (
    CLEAN,
    HARD,
    Ellipsoid,
    phantom,
    simulate_radiograph,
    sphere,
)
from napari_xreg.simulation.moved_bones import BoneMotion, random_bone_motions
from napari_xreg.simulation.projector import subpixel_rays
from napari_xreg.simulation.radiograph import patient_paths

CARM = CArm(1020.0, 690.0, Detector((44, 52), (6.1, 5.7), principal_point=(20.2, 27.4)))


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=4.0, seed=11)


@pytest.fixture(scope="module")
def pose(patient):
    center = tuple(patient.volume.center.tolist())
    return CARM.pose_from(CArmPose(14.0, -9.0, 4.0, (3.0, -5.0, 12.0), center))


def simulate(patient, pose, **settings):
    return simulate_radiograph(patient.volume, patient.labels, CARM, pose, **settings)


def test_a_clean_image_is_the_line_integral_of_attenuation():
    """No logarithm base, no unit, no scale may slip: against closed form."""
    bodies = (
        AttenuatingEllipsoid(Ellipsoid(np.array([9.0, -21.0, 33.0]), (90.0, 70.0, 80.0)), 0.0193),
        AttenuatingEllipsoid(sphere(np.array([25.0, -10.0, 45.0]), 28.0), 0.0160),
    )
    volume = ellipsoid_volume(
        bodies, spacing_mm=3.0, shape=(64, 60, 70), origin_mm=(-96.0, -111.0, -62.0)
    )
    volume = replace(volume, hu=hu_from_lac(volume.lac))
    pose = CARM.pose_from(CArmPose(-18.0, 11.0, isocenter=(9.0, -21.0, 33.0)))
    image = simulate_radiograph(volume, None, CARM, pose, severity="clean", seed=5)
    exact = ellipsoid_line_integrals(bodies, *CARM.rays(pose)).reshape(44, 52)
    assert exact.max() > 3.5
    inside = (exact > 0.5).numpy()
    primary = -np.log(image.exposure.primary)
    error = (primary - exact.numpy())[inside]
    assert abs(error.mean()) < 0.01
    assert np.sqrt((error**2).mean()) < 0.03
    # What the user gets is the same up to noise of 1 % and a constant from the guessed I0.
    user = image.radiograph.line_integrals.double().numpy()[inside]
    offset = user - exact.numpy()[inside]
    assert offset.std() < 0.06
    assert image.radiograph.simulated
    assert image.radiograph.carm is CARM
    # Air is in view, so the guess is good.
    assert image.radiograph.i0 == pytest.approx(image.exposure.i0, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("severity", ["clean", "typical", "hard", "real"])
def test_one_seed_is_one_image(patient, pose, severity):
    a, b, c = (simulate(patient, pose, severity=severity, seed=s) for s in (3, 3, 4))
    assert torch.equal(a.intensity, b.intensity)
    assert torch.equal(a.radiograph.line_integrals, b.radiograph.line_integrals)
    assert not torch.equal(a.intensity, c.intensity)


def test_the_global_generators_are_left_alone(patient, pose):
    np.random.seed(1)  # noqa: NPY002  (the global state is the subject)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    state = torch.get_rng_state()
    simulate(patient, pose, severity="hard", seed=9)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(state, torch.get_rng_state())


def test_the_user_sees_only_the_field(patient, pose):
    image = simulate(patient, pose, severity="typical", seed=2)
    assert image.radiograph.mask is not None
    assert not (image.radiograph.mask & ~image.field).any()
    assert 0.5 < image.radiograph.mask.float().mean() < 0.95
    raw = simulate(patient, pose, severity="typical", seed=2, mask_collimator=False)
    assert raw.radiograph.mask is None
    # Behind the blades the line integrals are high: nothing but scatter arrives.
    behind = raw.radiograph.line_integrals[~raw.field].median()
    assert behind > raw.radiograph.line_integrals[raw.field].median() + 0.5
    both = image.radiograph.mask
    assert torch.equal(raw.radiograph.line_integrals[both], image.radiograph.line_integrals[both])


def test_the_truth_is_the_pose_that_was_asked_for(patient, pose):
    image = simulate(patient, pose, severity="hard", seed=6)
    assert torch.equal(image.world_from_camera.matrix(), pose.matrix())
    assert image.named_bone == "patient"
    assert set(image.bone_motions) == {"femur_left", "femur_right"}


def test_the_truth_of_a_moved_bone_projects_its_landmark_where_it_is(patient, pose):
    image = simulate(patient, pose, severity="hard", seed=6, named_bone="femur_left")
    head = torch.tensor([patient.landmarks["FH-l"]], dtype=torch.float64) + torch.tensor(
        [[0.0, 0, -90]]
    )
    moved = image.bone_motions["femur_left"].world_from_rest.apply(head)
    here = CARM.project(moved, pose)
    assert torch.allclose(CARM.project(head, image.world_from_camera), here, atol=1e-6)
    assert not torch.allclose(CARM.project(head, pose), here, atol=0.2)


def ball_in_water(label=75):
    """A dense ball labelled as a femur, in a block of muscle."""
    hu = torch.full((40, 50, 60), 50.0)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] *= 2.0
    matrix[:3, 3] = torch.tensor([-60.0, -40.0, 100.0])
    z, y, x = torch.meshgrid(*(torch.arange(n) for n in hu.shape), indexing="ij")
    ball = (z - 21) ** 2 + (y - 19) ** 2 + (x - 33) ** 2 <= 25
    hu[ball] = 1500.0
    volume = Volume(lac_from_hu(hu), matrix, hu)
    center = torch.tensor([[-60.0 + 66.0, -40.0 + 38.0, 100.0 + 42.0]], dtype=torch.float64)
    return volume, LabelMap(ball.to(torch.int16) * label, matrix), center


def test_a_moved_bone_appears_where_its_motion_takes_it():
    volume, labels, center = ball_in_water()
    carm = CArm(1000.0, 700.0, Detector((61, 67), (3.0, 3.4)))
    pose = carm.pose_from(CArmPose(25.0, 10.0, isocenter=(5.0, 3.0, 140.0)))
    twist = torch.tensor([0.1, -0.05, 0.12, 6.0, -4.0, 9.0], dtype=torch.float64)
    motion = Pose.identity(dtype=torch.float64).left_perturb(
        twist, torch.tensor([40.0, 0.0, 100.0], dtype=torch.float64)
    )
    source, r = subpixel_rays(carm, pose, 2)
    images = {}
    for name, motions in (("rest", {}), ("moved", {"femur_left": BoneMotion(75, motion)})):
        bone = patient_paths(volume, labels, motions, source, r, step_mm=0.5).bone.mean(-1)
        muscle = volume.hu.clamp_max(50.0)
        plain = Volume(lac_from_hu(muscle), volume.world_from_index, muscle)
        bone = bone - patient_paths(plain, None, {}, source, r, step_mm=0.5).bone.mean(-1)
        rows, columns = np.indices(bone.shape)
        images[name] = np.array([(bone * rows).sum(), (bone * columns).sum()]) / bone.sum()
        images[name + " mass"] = bone.sum()
    moved = motion.apply(center)
    assert images["rest"] == pytest.approx(carm.project(center, pose)[0].numpy(), abs=0.03)
    assert images["moved"] == pytest.approx(carm.project(moved, pose)[0].numpy(), abs=0.03)
    # It did move, and nothing was lost on the way (magnification aside).
    assert np.abs(images["moved"] - images["rest"]).max() > 1.0
    assert images["moved mass"] == pytest.approx(images["rest mass"], rel=0.05)


def test_femora_turn_about_the_hip_joint(patient):
    motions = random_bone_motions(patient.labels, 8.0, 0.0, np.random.default_rng(2))
    for side, name in (("l", "femur_left"), ("r", "femur_right")):
        head = torch.tensor([patient.landmarks[f"FH-{side}"]], dtype=torch.float64)
        knee = head + torch.tensor([[0.0, 0.0, -120.0]])
        motion = motions[name].world_from_rest
        assert (motion.apply(head) - head).norm() < 3.5
        assert (motion.apply(knee) - knee).norm() > 5.0


def test_instruments_darken_the_raw_image(patient, pose):
    rodless = simulate(patient, pose, severity=replace(CLEAN, rods=0), seed=1)
    with_rod = simulate(patient, pose, severity=replace(CLEAN, rods=1), seed=1)
    chord = with_rod.instruments[0].chord_lengths(*subpixel_rays(CARM, pose, 2)).mean(-1)
    ratio = with_rod.exposure.primary / rodless.exposure.primary
    assert (ratio[chord > 3.0] < 0.8).all()
    assert np.allclose(ratio[chord == 0.0], 1.0)


def test_bone_and_soft_tissue_are_scaled_each_by_its_own_factor(patient, pose):
    other = replace(CLEAN, bone_scale=1.25, soft_scale=0.9)
    scaled, plain = (simulate(patient, pose, severity=s, seed=1) for s in (other, CLEAN))
    source, r = subpixel_rays(CARM, pose, 2)
    paths = patient_paths(patient.volume, None, {}, source, r, step_mm=0.5)
    water, bone = (float(linear_attenuation(m, 70.0)) for m in ("water", "bone"))
    exact = np.exp(-water * 0.9 * paths.soft - bone * 1.25 * paths.bone).mean(-1)
    assert np.allclose(scaled.exposure.primary, exact, rtol=1e-6)
    assert not np.allclose(plain.exposure.primary, exact, rtol=0.02)


def test_what_cannot_be_simulated_is_refused(patient, pose):
    without_hu = replace(patient.volume, hu=None)
    with pytest.raises(ValueError, match="needs the HU of the CT"):
        simulate_radiograph(without_hu, None, CARM, pose)
    with pytest.raises(ValueError, match="one of clean, typical, hard"):
        simulate(patient, pose, severity="awful")
    with pytest.raises(
        ValueError, match="the pose is known for patient: got named_bone='femur_left'"
    ):
        simulate(patient, pose, severity="clean", named_bone="femur_left")
    other = phantom(spacing_mm=6.0)
    with pytest.raises(ValueError, match="same grid"):
        simulate_radiograph(patient.volume, other.labels, CARM, pose)


def test_bones_move_only_where_there_are_labels(patient, pose):
    image = simulate_radiograph(patient.volume, None, CARM, pose, severity=HARD, seed=6)
    assert image.bone_motions == {}


def test_of_a_sequence_only_the_noise_is_new():
    """Beam, blades, metal and gain stay; the same noise seed gives the same picture."""
    patient = phantom(spacing_mm=8.0, seed=3)
    arm = CArm(1000.0, 700.0, Detector((24, 30), (12.0, 10.0)))
    pose = arm.world_from_camera(10.0, 5.0, isocenter=patient.volume.center.double())
    made = [
        simulate_radiograph(
            patient.volume, None, arm, pose, seed=4, noise_seed=noise, rays_per_side=1
        )
        for noise in (1, 2, 2, None)
    ]
    one, other, again, alone = made
    assert torch.equal(other.intensity, again.intensity)
    assert not torch.equal(one.intensity, other.intensity)
    assert not torch.equal(one.intensity, alone.intensity)
    assert repr(one.instruments) == repr(other.instruments)
    assert torch.equal(one.field, other.field)
    np.testing.assert_array_equal(one.exposure.primary, other.exposure.primary)
    assert one.exposure.i0 == other.exposure.i0
