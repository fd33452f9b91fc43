"""Covariances: the kernel sum against brute force, landmarks against sampled poses."""

import numpy as np
import pytest
import torch
from backends import refined
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import (
    CARM_PARAMETERS,
    CArm,
    CArmPose,
    Detector,
    Pose,
    twists_of_carm_parameters,
)
from napari_xreg.images import Radiograph, Volume
from napari_xreg.progress import run
from napari_xreg.registration import (
    Level,
    RefineSettings,
    View,
    carm_covariance,
    landmark_uncertainty,
    refine,
    weakest_direction,
)
from napari_xreg.registration.refinement.batched.correlated import correlated_sums
from napari_xreg.registration.refinement.confidence import (
    CALIBRATION,
    CORRELATION_REACH,
    SCALE_SIGMA,
    as_deep_as_one_view,
    sandwich,
    scale_twist,
)
from napari_xreg.registration.refinement.host.correlated import correlated_sum
from napari_xreg.registration.refinement.second_order.channels import Channels, gradient
from napari_xreg.registration.refinement.second_order.locks import Locks

CARM = CArm(1020.0, 720.0, Detector((200, 240), (1.5, 1.3), (90.0, 130.0)))
TERMS = CArmPose(25.0, -17.0, 8.0, (12.0, -7.0, 31.0), (5.0, 60.0, -90.0))
PIVOT = torch.tensor(TERMS.isocenter, dtype=torch.float64)
POSE = CARM.pose_from(TERMS)


def test_correlated_sum_is_the_double_sum_with_a_triangular_kernel():
    rows, columns = 9, 16
    reach = round(CORRELATION_REACH * columns)
    assert reach == 2
    scores = np.random.default_rng(1).normal(size=(6, rows, columns))
    expected = np.zeros((6, 6))
    for dr in range(-reach + 1, reach):
        for dc in range(-reach + 1, reach):
            k = (1 - abs(dr) / reach) * (1 - abs(dc) / reach)
            a = scores[:, max(0, dr) : rows + min(0, dr), max(0, dc) : columns + min(0, dc)]
            b = scores[:, max(0, -dr) : rows + min(0, -dr), max(0, -dc) : columns + min(0, -dc)]
            expected += k * a.reshape(6, -1) @ b.reshape(6, -1).T
    np.testing.assert_allclose(correlated_sum(scores), expected, rtol=1e-10, atol=1e-10)
    batch = torch.from_numpy(np.stack([scores, -2 * scores]))
    found = correlated_sums(batch).numpy()
    np.testing.assert_allclose(found[0], expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found[1], 4 * expected, rtol=1e-10, atol=1e-10)


def _covariance() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    a = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    scale = torch.tensor([2e-3, 1e-3, 3e-3, 0.4, 0.2, 0.7], dtype=torch.float64)
    return (scale[:, None] * a) @ (scale[:, None] * a).T


@pytest.mark.slow
def test_landmark_covariances_match_sampled_poses():
    covariance = _covariance()
    points = PIVOT + torch.tensor([[40.0, -30.0, 55.0], [-20.0, 25.0, -70.0]], dtype=torch.float64)
    predicted = landmark_uncertainty(points, CARM, POSE, covariance, PIVOT)
    torch.testing.assert_close(predicted.pixels, CARM.project(points, POSE))
    generator = torch.Generator().manual_seed(8)
    draws = torch.randn(20000, 6, generator=generator, dtype=torch.float64)
    twists = draws @ torch.linalg.cholesky(covariance + 1e-18 * torch.eye(6)).mT
    for i, point in enumerate(points):
        poses = type(POSE)(
            POSE.rotation.expand(20000, 3, 3), POSE.translation.expand(20000, 3)
        ).left_perturb(twists, PIVOT)
        pixels = CARM.project(point[None], poses)[:, 0]
        camera = poses.inverse().apply(point[None])[:, 0]
        for sample, matrix in (
            (pixels, predicted.pixel_covariance[i]),
            (camera, predicted.camera_covariance[i]),
        ):
            seen = torch.cov(sample.T)
            # 20000 draws: a variance is known to about 1 %; the rest is second order
            scale = matrix.diagonal().sqrt()
            error = (seen - matrix) / torch.outer(scale, scale)
            assert float(error.abs().max()) < 0.05


def test_carm_terms_of_a_pure_depth_error():
    covariance = torch.zeros(6, 6, dtype=torch.float64)
    depth = POSE.rotation[:, 2]
    covariance[3:, 3:] = 1.7**2 * torch.outer(depth, depth)
    terms = carm_covariance(CARM, POSE, covariance, PIVOT)
    expected = torch.zeros(6, 6, dtype=torch.float64)
    expected[5, 5] = 1.7**2
    torch.testing.assert_close(terms, expected, atol=1e-9, rtol=0)
    assert weakest_direction(CARM, POSE, covariance, PIVOT) == (
        "depth (standard deviation 1.70 mm)"
    )


def test_carm_terms_of_a_pure_primary_error_are_degrees():
    covariance = torch.zeros(6, 6, dtype=torch.float64)
    covariance[2, 2] = np.deg2rad(0.3) ** 2  # about the patient's long axis
    terms = carm_covariance(CARM, POSE, covariance, PIVOT)
    assert float(terms[0, 0]) == pytest.approx(0.09)
    assert float(terms[1, 1]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
def test_with_white_noise_alone_the_sandwich_predicts_the_scatter():
    arm = carm()
    true = arm.world_from_camera(24.0, -13.0, isocenter=CENTER)
    clean = blob_radiograph(arm, true).line_integrals
    volume = blob_volume()
    # A start at the truth must not be where the search already stops.
    settings = RefineSettings(
        levels=(Level(104, None, 20),), tolerance_mm=1e-4, threads=1, keep_images=False
    )
    generator = torch.Generator().manual_seed(7)
    found, predicted = [], []
    for _ in range(40):
        noisy = clean + 0.05 * torch.randn(clean.shape, generator=generator)
        view = View(Radiograph(noisy, arm), true)
        result = run(refine(volume, view, settings=settings, isocenter=CENTER))
        assert result.covariance_at_scale is not None
        back = result.world_from_camera @ true.inverse()
        turned = back.rotation @ CENTER + back.translation - CENTER
        found.append(torch.cat([back.log()[:3], turned]))
        predicted.append(result.covariance_at_scale / CALIBRATION**2)
    scatter = torch.cov(torch.stack(found).T)
    mean = torch.stack(predicted).mean(0)
    # A ratio of variances from 40 draws is good to a factor of 1.5. The sandwich also counts the
    # correlated misfit of a 2 mm grid, which no draw varies: 0.42 for the roll with 100 draws.
    ratio = torch.diagonal(scatter) / torch.diagonal(mean)
    assert float(ratio.min()) > 0.3
    assert float(ratio.max()) < 2.0


def test_what_is_held_has_no_error_and_gives_none_to_the_rest():
    hessian, meat = np.array([[2.0, 1.0], [1.0, 1.0]]), np.diag([1.0, 4.0])
    # Along (1, 2) the curvature is 2 + 4 + 4 = 10 and the scatter 1 + 16 = 17.
    along = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    expected = 2.3**2 * 17 / 100 * torch.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=torch.float64)
    found = sandwich(hessian, meat, along)
    assert found is not None
    torch.testing.assert_close(found, expected)
    # Without a word on what is held, this matrix says nothing.
    flat = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert sandwich(flat, meat) is None
    assert sandwich(flat, meat, torch.tensor([[1.0], [0.0]], dtype=torch.float64)) is not None


@pytest.mark.parametrize("path", ["host", "batched"])
def test_a_locked_depth_has_no_standard_deviation_and_gives_none_to_the_rest(path):
    arm = carm()
    true = arm.world_from_camera(24.0, -13.0, isocenter=CENTER)
    view, volume = View(blob_radiograph(arm, true), true), blob_volume(4.0)
    deviations = []
    for locked in ((), ("depth", "primary")):
        settings = RefineSettings(
            starts=1, levels=(Level(52, None, 6),), locked=locked, threads=1, keep_images=False
        )
        result = refined(path, volume, [view], settings, CENTER)
        assert result.covariance is not None
        assert result.scale is not None
        at_scale = result.covariance_at_scale
        assert at_scale is not None
        terms = carm_covariance(arm, result.world_from_camera, at_scale, CENTER)
        deviations.append(torch.diagonal(terms))
    both, held = deviations
    assert float(held[0]) == pytest.approx(0.0, abs=1e-12)
    assert float(held[5]) == pytest.approx(0.0, abs=1e-12)
    assert (held[[1, 2, 3, 4]] > 0).all()
    # What the two had of the others' errors is no longer in them.
    ratio = held[[1, 2, 3, 4]] / both[[1, 2, 3, 4]]
    assert float((ratio - 1).abs().max()) > 0.1, ratio


def test_of_one_view_a_larger_ct_is_a_farther_one():
    hessian = _covariance().inverse()[None]
    source = torch.tensor([[310.0, -420.0, 95.0]], dtype=torch.float64)
    expected = torch.cat([torch.zeros(3).double(), 0.01 * (source[0] - PIVOT)])
    torch.testing.assert_close(scale_twist(hessian, source, PIVOT), expected)


def test_what_is_locked_does_not_move_for_a_larger_ct():
    hessian = _covariance().inverse()[None]
    source = POSE.translation[None]
    (free,) = Locks(("depth", "roll"), CARM, PIVOT).free((Pose.stack([POSE]),))
    found = scale_twist(hessian, source, PIVOT, free)
    terms = twists_of_carm_parameters(POSE, TERMS)
    moved = dict(zip(CARM_PARAMETERS, torch.linalg.solve(terms, found).tolist(), strict=True))
    assert moved["depth"] == pytest.approx(0.0, abs=1e-9)
    assert moved["roll"] == pytest.approx(0.0, abs=1e-9)
    # Of what may move it is the best: no slope is left there.
    back = torch.cat([torch.zeros(3).double(), SCALE_SIGMA * (source[0] - PIVOT)])
    slope = free.mT @ hessian[0] @ (found - back)
    torch.testing.assert_close(slope, torch.zeros(4).double(), atol=1e-6, rtol=0)
    assert float(found.norm()) > 0.1


def test_of_one_view_a_larger_ct_changes_no_ellipse_and_shifts_landmarks_along_their_rays():
    covariance, source = _covariance(), POSE.translation[None]
    scale = scale_twist(covariance.inverse()[None], source, PIVOT)
    points = PIVOT + torch.tensor([[60.0, 0, 40], [-70, 20, -60], [0, 0, 80]]).double()
    plain = landmark_uncertainty(points, CARM, POSE, covariance, PIVOT)
    whole = covariance + scale.outer(scale)
    found = landmark_uncertainty(points, CARM, POSE, whole, PIVOT, scale)
    torch.testing.assert_close(found.pixel_covariance, plain.pixel_covariance)
    camera = POSE.inverse().apply(points)
    along = SCALE_SIGMA * camera  # one per cent farther from the source
    torch.testing.assert_close(
        found.camera_covariance, plain.camera_covariance + along[:, :, None] * along[:, None]
    )


def test_what_one_view_alone_tells_is_no_surer_in_depth_than_that_view():
    plain, source = _covariance(), POSE.translation
    of_both = torch.tensor([0.01, 0.0, -0.02, 0.3, -0.2, 0.1], dtype=torch.float64)
    own = scale_twist(plain.inverse()[None], source[None], PIVOT)
    found = as_deep_as_one_view(plain + of_both.outer(of_both), of_both, source, PIVOT)
    # As if it had been refined by that view: its own twist in place of that of both.
    torch.testing.assert_close(found[0], plain + own.outer(own))
    torch.testing.assert_close(found[1], own)
    # A second time nothing is left to do.
    assert as_deep_as_one_view(*found, source, PIVOT) is None


@pytest.mark.slow
def test_the_last_view_may_have_nothing_to_compare():
    arm = carm()
    first, second = (arm.world_from_camera(p, -13.0, isocenter=CENTER) for p in (24.0, -61.0))
    settings = RefineSettings(
        levels=(Level(104, None, 2, channels=Channels(gradient(1.0))),),
        threads=1, keep_images=False,
    )  # fmt: skip
    dots = torch.zeros(arm.detector.shape, dtype=torch.bool)
    dots[5::12, 5::12] = True  # no pixel whose neighbours count too: no gradient
    lone = View(blob_radiograph(arm, second).with_mask(dots, "dots"), second)
    view, volume = View(blob_radiograph(arm, first), first), blob_volume()
    one, two = (
        run(refine(volume, views, settings=settings, isocenter=CENTER))
        for views in ([view], [view, lone])
    )
    torch.testing.assert_close(two.scale, one.scale)


@pytest.mark.slow
def test_a_ct_that_is_too_large_moves_the_pose_as_predicted():
    arm = carm()
    first, second = (arm.world_from_camera(p, -13.0, isocenter=CENTER) for p in (24.0, -61.0))
    views = [View(blob_radiograph(arm, pose), pose) for pose in (first, second)]
    settings = RefineSettings(
        levels=(Level(104, None, 20),), tolerance_mm=1e-4, threads=1, keep_images=False
    )
    volume = blob_volume()
    larger = torch.eye(4, dtype=torch.float64)
    larger[:3] *= 1.0 + SCALE_SIGMA
    larger[:3, 3] = -SCALE_SIGMA * CENTER
    scaled = Volume(volume.lac, larger @ volume.world_from_index.double())
    for seen in (views[:1], views):
        plain, moved = (
            run(refine(ct, seen, settings=settings, isocenter=CENTER)) for ct in (volume, scaled)
        )
        back = moved.world_from_camera @ plain.world_from_camera.inverse()
        shift = back.rotation @ CENTER + back.translation - CENTER
        found = torch.cat([back.log()[:3], shift])
        assert plain.scale is not None
        assert plain.covariance is not None
        # To first order; what balls a hundredth larger are not, of two views, is in the rest.
        at_arm = torch.tensor([50.0] * 3 + [1.0] * 3, dtype=torch.float64)
        apart = (found - plain.scale) * at_arm
        assert float(apart.norm() / (plain.scale * at_arm).norm()) < 0.1
        along = torch.linalg.solve(plain.covariance, plain.scale)
        assert float(along @ plain.scale) < 1.0  # it is within the covariance
        # So do landmarks marked on that CT: against the patient's, in space and in the image.
        arms = torch.tensor([[60.0, 0, 40], [-70, 20, -60], [0, 0, 80]]).double()
        truth, pose = (each.world_from_camera.to(dtype=torch.float64) for each in (plain, moved))
        points, marked = CENTER + arms, CENTER + (1.0 + SCALE_SIGMA) * arms
        without, within = (
            landmark_uncertainty(points, arm, truth, each, CENTER, said)
            for each, said in ((plain.covariance_at_scale, None), (plain.covariance, plain.scale))
        )
        in_space = pose.inverse().apply(marked) - truth.inverse().apply(points)
        added = within.camera_covariance - without.camera_covariance
        squared = in_space[:, :, None] * in_space[:, None]
        assert float((added - squared).norm() / squared.norm()) < 0.1
        in_image = arm.project(marked, pose) - arm.project(points, truth)
        added = (within.pixel_covariance - without.pixel_covariance).diagonal(dim1=1, dim2=2)
        torch.testing.assert_close(added.sum(-1), in_image.square().sum(-1), atol=0.1, rtol=0.3)
        if len(seen) == 1:
            assert float(in_image.norm(dim=1).max()) < 0.1
            assert float(added.abs().max()) < 1e-6
        else:
            assert float(in_image.norm(dim=1).max()) > 0.1
