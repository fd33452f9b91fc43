"""Poses from correspondences: exact recovery, refusals with a reason, outliers, laws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from pnp_cases import PIVOT, carm, errors, points, pose
from scipy.optimize import least_squares

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.registration import (
    Correspondences,
    PnPSettings,
    PnPStatus,
    Status,
    solve_pnp,
)
from napari_xreg.registration.pnp.settings import search_of

ALL = PnPSettings(selection="none")


def problem(seed, n, mirrored=True, **shape):
    view = carm(mirrored)
    world, true = points(seed, n, **shape), pose(seed, view)
    return view, Correspondences(world, view.project(world, true)), true


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("n", [4, 5, 6, 14, 200])
def test_exact_pixels_give_the_exact_pose(n, mirrored):
    for seed in range(5):
        view, seen, true = problem(seed, n, mirrored)
        found = solve_pnp(seen, view)
        assert found, found.reason
        assert found.world_from_camera is not None
        degrees, mm = errors(found.world_from_camera, true, seen.points)
        assert degrees < 1e-6
        assert mm < 1e-5
        assert found.used.all()
        assert found.outliers == ()
        assert found.rms_px < 1e-6


def test_a_pose_by_hand():
    # Source at (7, -3, 40), camera axes = world axes:
    # row = 11 + 1000 (y + 3) / (0.5 (z - 40)), column = 20 - 1000 (x - 7) / (2 (z - 40)).
    view = CArm(1000.0, 600.0, Detector((90, 70), (0.5, 2.0), (11.0, 20.0), mirrored=True))
    world = torch.tensor(
        [[8.0, -1.0, 540.0], [2.0, 1.0, 440.0], [9.0, -6.0, 640.0], [17.0, 4.0, 840.0]],
        dtype=torch.float64,
    )
    pixels = [[19.0, 19.0], [31.0, 26.25], [1.0, 55 / 3], [28.5, 13.75]]
    pixels = torch.tensor(pixels, dtype=torch.float64)
    found = solve_pnp(Correspondences(world, pixels), view)
    assert found.world_from_camera is not None
    assert torch.allclose(found.world_from_camera.rotation, torch.eye(3).double(), atol=1e-7)
    expected = torch.tensor([7.0, -3.0, 40.0]).double()
    assert torch.allclose(found.world_from_camera.translation, expected, atol=1e-4)


@pytest.mark.parametrize("mirrored", [True, False])
def test_points_in_a_plane(mirrored):
    """Seen from an angle at short distance the second solution is plainly worse."""
    detector = Detector((700, 640), (0.41, 0.53), (371.3, 290.6), mirrored=mirrored)
    view = CArm(1021.0, 255.0, detector)
    for seed in range(6):
        world = PIVOT + 0.4 * (points(seed, 12, planar=True) - PIVOT)
        true = view.world_from_camera(
            35.0 - 3 * seed, 25.0, 13.0 * seed, isocenter=PIVOT, offset_mm=(3.0, -4.0, 11.0)
        )
        found = solve_pnp(Correspondences(world, view.project(world, true)), view)
        assert found, found.reason
        assert found.world_from_camera is not None
        assert errors(found.world_from_camera, true, world)[1] < 1e-4


def test_both_poses_of_an_ambiguous_plane_are_reported():
    view = carm()
    world = points(2, 9, planar=True)
    world = PIVOT + 0.12 * (world - PIVOT)  # 2 cm: hardly any perspective
    true = view.world_from_camera(21.0, 17.0, 33.0, isocenter=PIVOT, offset_mm=(3.0, -4.0, 11.0))
    random = np.random.default_rng(1)
    pixels = view.project(world, true) + torch.from_numpy(random.normal(0, 0.7, (9, 2)))
    found = solve_pnp(Correspondences(world, pixels), view)
    assert not found
    assert found.status is PnPStatus.AMBIGUOUS
    assert found.world_from_camera is not None
    assert len(found.alternatives) == 1
    both = [found.world_from_camera, found.alternatives[0]]
    degrees = [errors(each, true, world)[0] for each in both]
    assert min(degrees) < 5
    assert max(degrees) > 10
    # A start decides: the pose does not jump while a landmark is dragged.
    for one in both:
        near = solve_pnp(Correspondences(world, pixels), view, start=one).world_from_camera
        assert near is not None
        assert errors(near, one, world)[0] < 1e-3
    assert found.registration().status is Status.AMBIGUOUS


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few(n):
    view, seen, _ = problem(1, n)
    found = solve_pnp(seen, view)
    assert not found
    assert found.status is PnPStatus.TOO_FEW
    assert "at least 4" in found.reason
    assert found.world_from_camera is None
    with pytest.raises(ValueError, match="at least 4 landmarks"):
        found.registration()


def test_points_that_are_left_out_or_weigh_nothing_or_coincide_do_not_count():
    view, seen, _ = problem(1, 6)
    assert solve_pnp(seen.without("2", "5", "6"), view).status is PnPStatus.TOO_FEW
    weights = torch.tensor([1.0, 0.0, 2.0, 3.0, 0.0, 0.0])
    assert solve_pnp(replace(seen, weights=weights), view).status is PnPStatus.TOO_FEW
    twice = Correspondences(seen.points[[0, 1, 2, 2]], seen.pixels[[0, 1, 2, 2]])
    assert solve_pnp(twice, view).status is PnPStatus.TOO_FEW


def test_collinear():
    view = carm()
    along = torch.tensor([[-1.0], [0.3], [0.9], [2.0], [3.7]]).double()
    world = PIVOT + along * torch.tensor([21.0, -13.0, 8.0]).double()
    found = solve_pnp(Correspondences(world, view.project(world, pose(4, view))), view)
    assert not found
    assert found.status is PnPStatus.COLLINEAR
    assert "one line" in found.reason


@pytest.mark.parametrize("how", [PnPSettings(), ALL])
def test_behind_the_source(how):
    """The pinhole equations hold, but the source stands among the points."""
    view = carm(mirrored=False)
    world = points(5, 13)
    true = Pose(pose(5, view).rotation, world.mean(0) + torch.tensor([3.0, -2.0, 4.0]))
    camera = true.inverse().apply(world)
    assert 5 < int((camera[:, 2] > 0).sum()) < 10
    k = view.camera_matrix()
    column = k[0, 0] * camera[:, 0] / camera[:, 2] + k[0, 2]
    row = k[1, 1] * camera[:, 1] / camera[:, 2] + k[1, 2]
    found = solve_pnp(Correspondences(world, torch.stack([row, column], -1)), view, settings=how)
    assert not found
    assert found.status is PnPStatus.BEHIND_SOURCE
    assert "behind the X-ray source" in found.reason


def test_pixels_of_nothing():
    view = carm()
    for seed in range(8):
        random = np.random.default_rng(seed)
        n = 6 + 3 * seed
        pixels = torch.from_numpy(random.uniform(0, 640, (n, 2)))
        found = solve_pnp(Correspondences(points(seed, n), pixels), view)
        assert not found
        assert found.status is PnPStatus.NO_CONSENSUS
        assert found.world_from_camera is None


@pytest.mark.parametrize("how", [PnPSettings(), ALL])
def test_a_mirrored_radiograph_is_recognised(how):
    for seed in range(4):
        _, seen, _ = problem(seed, 14, mirrored=True)
        found = solve_pnp(seen, carm(mirrored=False), settings=how)
        assert not found
        assert found.status is PnPStatus.MIRRORED
        assert found.world_from_camera is None
        assert "14 of 14 landmarks fit the mirror image" in found.reason


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize(("n", "bad"), [(9, 3), (14, 5), (50, 20), (600, 240)])
def test_outliers_are_found_and_named(n, bad, mirrored):
    for seed in range(4):
        view, seen, true = problem(seed, n, mirrored)
        random = np.random.default_rng(seed)
        pixels = seen.pixels + torch.from_numpy(random.normal(0, 0.5, (n, 2)))
        chosen = random.choice(n, bad, replace=False)
        angle = random.uniform(0, 2 * np.pi, bad)
        far = random.uniform(60, 300, bad)[:, None]
        pixels[chosen] += torch.from_numpy(far * np.stack([np.sin(angle), np.cos(angle)], 1))
        found = solve_pnp(Correspondences(seen.points, pixels), view)
        assert found, found.reason
        assert set(found.outliers) == {str(i + 1) for i in chosen}
        assert found.world_from_camera is not None
        assert errors(found.world_from_camera, true, seen.points)[0] < 1.0
        assert found.outliers[0] in found.reason


def test_a_wide_covariance_is_no_outlier():
    view, seen, _ = problem(6, 12)
    pixels = seen.pixels.clone()
    pixels[4] += torch.tensor([25.0, -20.0])
    covariances = torch.eye(2).double().repeat(12, 1, 1)
    assert solve_pnp(replace(seen, pixels=pixels), view).outliers == ("5",)
    covariances[4] *= 20.0**2
    wide = solve_pnp(replace(seen, pixels=pixels, covariances=covariances), view)
    assert wide.outliers == ()


@pytest.mark.parametrize("loss", ["huber", "cauchy", "geman-mcclure"])
def test_a_robust_loss_lets_an_outlier_have_little_say(loss):
    view, seen, true = problem(7, 12)
    pixels = seen.pixels.clone()
    pixels[3] += torch.tensor([60.0, -35.0])
    off = replace(seen, pixels=pixels)
    plain = solve_pnp(off, view, settings=ALL).world_from_camera
    robust = solve_pnp(off, view, settings=replace(ALL, loss=loss)).world_from_camera
    assert plain is not None
    assert robust is not None
    mm, robust_mm = (errors(p, true, seen.points)[1] for p in (plain, robust))
    assert robust_mm < 0.25 * mm


def reference(seen, view, start):
    """scipy's least squares over a rotation vector and a translation; whitening and all its own."""
    camera_from_world = start.inverse()
    world = seen.points.numpy()
    root = np.linalg.cholesky(np.linalg.inv(seen.covariances.numpy())).transpose(0, 2, 1)
    pixels = seen.pixels.numpy()

    def residuals(x):
        turned = Pose.exp(torch.tensor([*x[:3], 0.0, 0.0, 0.0])).rotation.numpy()
        camera = world @ (turned @ camera_from_world.rotation.numpy()).T + x[3:]
        off = pixels - 0.0
        s_row, s_column = view.detector.spacing
        c_row, c_column = view.detector.center
        f = view.source_to_detector
        sign = -1.0 if view.detector.mirrored else 1.0
        off = np.stack(
            [
                c_row + f * camera[:, 1] / (camera[:, 2] * s_row) - pixels[:, 0],
                c_column + sign * f * camera[:, 0] / (camera[:, 2] * s_column) - pixels[:, 1],
            ],
            1,
        )
        return np.einsum("nij,nj->ni", root, off).ravel()

    x0 = np.concatenate([np.zeros(3), camera_from_world.translation.numpy()])
    return least_squares(residuals, x0, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15).cost


@pytest.mark.parametrize("mirrored", [True, False])
def test_the_minimum_is_that_of_another_solver(mirrored):
    for seed in range(8):
        n = 5 + 4 * seed
        view, seen, true = problem(seed, n, mirrored)
        random = np.random.default_rng(seed)
        roots = random.uniform(-1, 1, (n, 2, 2)) + 1.6 * np.eye(2)
        noise = np.einsum("nij,nj->ni", roots, random.normal(size=(n, 2)))
        covariances = torch.from_numpy(roots @ roots.transpose(0, 2, 1))
        noisy = replace(seen, pixels=seen.pixels + torch.from_numpy(noise), covariances=covariances)
        found = solve_pnp(noisy, view, settings=ALL)
        assert found.world_from_camera is not None
        assert found.cost == pytest.approx(reference(noisy, view, true), rel=1e-9)


def test_a_weight_is_an_inverse_variance():
    """Weight 4 is the same as the point twice over twice, and as a standard deviation of a half."""
    view, seen, _ = problem(8, 7)
    random = np.random.default_rng(2)
    noisy = replace(seen, pixels=seen.pixels + torch.from_numpy(random.normal(0, 2, (7, 2))))
    weights = torch.ones(7).double()
    weights[2] = 4.0
    heavy = solve_pnp(replace(noisy, weights=weights), view, settings=ALL).world_from_camera
    covariances = torch.eye(2).double().repeat(7, 1, 1)
    covariances[2] *= 0.25
    narrow = solve_pnp(replace(noisy, covariances=covariances), view, settings=ALL)
    often = [0, 1, 2, 2, 2, 2, 3, 4, 5, 6]
    repeated = Correspondences(noisy.points[often], noisy.pixels[often])
    again = solve_pnp(repeated, view, settings=ALL).world_from_camera
    assert heavy is not None
    assert narrow.world_from_camera is not None
    assert again is not None
    assert errors(heavy, narrow.world_from_camera, seen.points)[1] < 1e-6
    assert errors(heavy, again, seen.points)[1] < 1e-6


rotations = st.tuples(*[st.floats(-2.5, 2.5)] * 3)
shifts = st.tuples(*[st.floats(-400, 400)] * 3)


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 50), turn=rotations, shift=shifts, mirrored=st.booleans())
def test_moving_the_patient_moves_the_camera_along(seed, turn, shift, mirrored):
    view, seen, _ = problem(seed, 11, mirrored)
    random = np.random.default_rng(seed)
    noisy = replace(seen, pixels=seen.pixels + torch.from_numpy(random.normal(0, 1, (11, 2))))
    moved_from_world = Pose.exp(torch.tensor([*turn, *shift], dtype=torch.float64))
    here = solve_pnp(noisy, view).world_from_camera
    moved = replace(noisy, points=moved_from_world.apply(noisy.points))
    there = solve_pnp(moved, view).world_from_camera
    assert here is not None
    assert there is not None
    degrees, mm = errors(there, moved_from_world @ here, moved.points)
    assert degrees < 1e-5
    assert mm < 1e-4


@pytest.mark.slow
@settings(max_examples=15)
@given(seed=st.integers(0, 50), order=st.permutations(range(11)))
def test_the_order_of_the_points_means_nothing(seed, order):
    view, seen, _ = problem(seed, 11)
    random = np.random.default_rng(seed)
    pixels = seen.pixels + torch.from_numpy(random.normal(0, 1, (11, 2)))
    weights = torch.from_numpy(random.uniform(0.2, 1, 11))
    straight = solve_pnp(Correspondences(seen.points, pixels, weights=weights), view)
    mixed = Correspondences(seen.points[order], pixels[order], weights=weights[order])
    other = solve_pnp(mixed, view)
    assert straight.world_from_camera is not None
    assert other.world_from_camera is not None
    assert errors(straight.world_from_camera, other.world_from_camera, seen.points)[1] < 1e-4
    assert straight.residuals is not None
    assert other.residuals is not None
    assert torch.allclose(straight.residuals[order], other.residuals, atol=1e-4)


def test_residuals_are_projection_minus_pixel_row_then_column():
    view, seen, true = problem(9, 8)
    pixels = seen.pixels.clone()
    pixels[5] += torch.tensor([30.0, -45.0])
    found = solve_pnp(replace(seen, pixels=pixels), view, start=true)
    assert found.residuals is not None
    assert found.residuals[5].tolist() == pytest.approx([-30.0, 45.0], abs=1e-4)
    assert found.outliers == ("6",)


def test_as_a_registration():
    view, seen, _ = problem(10, 9)
    random = np.random.default_rng(3)
    noisy = replace(seen, pixels=seen.pixels + torch.from_numpy(random.normal(0, 1, (9, 2))))
    found = solve_pnp(noisy, view, pivot=PIVOT)
    registration = found.registration(simulated=True)
    assert registration
    assert registration.simulated
    assert registration.pivot.tolist() == PIVOT.tolist()
    assert registration.views == (registration.world_from_camera,)
    assert registration.losses["reprojection_rms_px"] == pytest.approx(found.rms_px)
    assert registration.covariance is found.covariance


def test_the_outlier_limit_is_millimetres_on_the_detector_and_pixels_where_given():
    """12 mm on pixels of 0.9 x 1.3 mm, as large as squares of 1.0817 mm, are 11.094 pixels."""
    odd = CArm(1000.0, 700.0, Detector((300, 200), (0.9, 1.3), principal_point=(140.0, 110.0)))
    world = points(0, 6)
    some = Correspondences(world, odd.project(world, pose(0, odd)))
    limit = search_of(some, odd, PnPSettings(selection="magsac")).threshold_px
    assert limit == pytest.approx(12.0 / (0.9 * 1.3) ** 0.5)
    assert limit == pytest.approx(11.094, abs=1e-4)
    given = search_of(some, odd, PnPSettings(selection="magsac", threshold_px=7.5))
    assert given.threshold_px == 7.5
