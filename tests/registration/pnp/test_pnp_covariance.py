"""The covariance of a pose: its convention, its scale, and its coverage."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pnp_cases import PIVOT, carm, points, pose, twist_between
from scipy import stats

from napari_xreg.registration import (
    Correspondences,
    PnPSettings,
    landmark_uncertainty,
    solve_pnp,
)

ALL = PnPSettings(selection="none")


def noisy(seed, n, *, mirrored=True):
    """Correlated noise of another size and direction at every point; its own covariances."""
    view = carm(mirrored)
    world, true = points(seed, n), pose(seed, view)
    random = np.random.default_rng([seed, 2])
    turn = random.uniform(0, np.pi, n)
    axes = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], 1).reshape(n, 2, 2)
    roots = axes * random.uniform(0.3, 2.0, (n, 1, 2))
    off = np.einsum("nij,nj->ni", roots, random.normal(size=(n, 2)))
    pixels = view.project(world, true) + torch.from_numpy(off)
    covariances = torch.from_numpy(roots @ roots.transpose(0, 2, 1))
    return view, Correspondences(world, pixels, covariances), true


def test_it_is_the_inverse_information_of_the_left_twist_about_the_pivot():
    """With the projection differentiated through `Pose.left_perturb`, one of them at a time."""
    view, seen, _ = noisy(0, 9)
    found = solve_pnp(seen, view, pivot=PIVOT, settings=ALL)
    assert found.world_from_camera is not None
    assert found.covariance is not None
    assert seen.covariances is not None
    assert found.variance == 1.0
    columns = []
    for axis in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[axis] = 1e-5
        ahead = view.project(seen.points, found.world_from_camera.left_perturb(step, PIVOT))
        back = view.project(seen.points, found.world_from_camera.left_perturb(-step, PIVOT))
        columns.append((ahead - back) / 2e-5)
    jacobian = torch.stack(columns, -1)
    information = (jacobian.mT @ torch.linalg.inv(seen.covariances) @ jacobian).sum(0)
    expected = torch.linalg.inv(information)
    assert torch.allclose(found.covariance, expected, rtol=1e-5, atol=1e-14)


def test_another_pivot_is_another_covariance_of_the_same_pose():
    view, seen, _ = noisy(1, 9)
    here = solve_pnp(seen, view, pivot=PIVOT)
    there = solve_pnp(seen, view, pivot=PIVOT + torch.tensor([40.0, -70.0, 25.0]).double())
    assert here.world_from_camera is not None
    assert here.covariance is not None
    assert there.world_from_camera is not None
    assert there.covariance is not None
    assert torch.allclose(here.world_from_camera.matrix(), there.world_from_camera.matrix())
    assert not torch.allclose(here.covariance[3:, 3:], there.covariance[3:, 3:], rtol=0.01)
    ellipses = [
        landmark_uncertainty(seen.points, view, f.world_from_camera, f.covariance, f.pivot)
        for f in (here, there)
    ]
    assert torch.allclose(ellipses[0].pixel_covariance, ellipses[1].pixel_covariance, rtol=1e-6)
    assert solve_pnp(seen, view).pivot.tolist() == pytest.approx(seen.points.mean(0).tolist())


def test_without_covariances_the_residuals_say_how_large_errors_are():
    view, seen, _ = noisy(2, 20)
    plain = replace(seen, covariances=None)
    known = replace(seen, covariances=torch.eye(2).double().repeat(20, 1, 1))
    free, fixed = (solve_pnp(c, view, settings=ALL) for c in (plain, known))
    assert free.covariance is not None
    assert fixed.covariance is not None
    assert free.residuals is not None
    # 40 numbers, 6 of them fitted.
    variance = float((free.residuals**2).sum()) / 34
    assert free.variance == pytest.approx(variance, rel=1e-9)
    assert torch.allclose(free.covariance, variance * fixed.covariance, rtol=1e-6)
    # All weights times 7: nothing changes.
    heavy = solve_pnp(replace(plain, weights=torch.full((20,), 7.0)), view, settings=ALL)
    assert heavy.covariance is not None
    assert torch.allclose(free.covariance, heavy.covariance, rtol=1e-6)


@pytest.mark.slow
def test_it_covers_as_often_as_it_says():
    """Squared Mahalanobis distances of 400 fixed seeds follow chi-square of 6 degrees of freedom."""
    found = []
    for seed in range(400):
        view, seen, true = noisy(seed, 8 + seed % 7, mirrored=seed % 2 == 0)
        solved = solve_pnp(seen, view, pivot=PIVOT, settings=ALL)
        assert solved.world_from_camera is not None
        assert solved.covariance is not None
        twist = twist_between(solved.world_from_camera, true, PIVOT)
        found.append(float(twist @ torch.linalg.solve(solved.covariance, twist)))
    squared = np.array(found)
    # Four standard errors of the mean: 4 sqrt(12 / 400).
    assert abs(squared.mean() - 6) < 4 * np.sqrt(12 / 400)
    for level in (0.5, 0.95):
        inside = int((squared < stats.chi2.ppf(level, 6)).sum())
        low, high = stats.binom.interval(0.9999, 400, level)
        assert low <= inside <= high
