"""Gradients through the solver against finite differences of the solver."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pnp_cases import carm, points, pose

from napari_xreg.registration import Correspondences, PnPSettings, Weighting, solve_pnp, weighted


def problem(seed, n, mirrored):
    view = carm(mirrored)
    world, true = points(seed, n), pose(seed, view)
    random = np.random.default_rng(seed)
    # Residuals far from zero, where Gauss-Newton's matrix is not the Hessian.
    pixels = view.project(world, true) + torch.from_numpy(random.normal(0, 6, (n, 2)))
    return view, Correspondences(world, pixels), random


NO_SELECTION = PnPSettings(selection="none")


def matrix(seen, view, loss):
    settings = PnPSettings(selection="none", loss=loss, loss_scale=5.0)
    found = solve_pnp(seen, view, settings=settings).world_from_camera
    assert found is not None
    # Rotations in units of 1 / 500 mm: one tolerance for all entries.
    return torch.cat([500 * found.rotation.reshape(-1), found.translation])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "mirrored"),
    [
        ("squared", True),
        ("squared", False),
        ("huber", True),
        ("cauchy", False),
        ("geman-mcclure", True),
    ],
)
def test_pixels_weights_and_points(loss, mirrored):
    view, seen, random = problem(5, 8, mirrored)
    weights = torch.from_numpy(random.uniform(0.3, 1.2, 8))

    def solved(pixels, weights, world):
        return matrix(replace(seen, points=world, pixels=pixels, weights=weights), view, loss)

    fast = loss != "squared"  # all entries at once, in a random direction
    inputs = [t.clone().requires_grad_(True) for t in (seen.pixels, weights, seen.points)]
    assert torch.autograd.gradcheck(solved, inputs, eps=1e-4, atol=1e-5, rtol=1e-5, fast_mode=fast)


@pytest.mark.slow
def test_covariances():
    view, seen, random = problem(6, 7, True)
    roots = torch.from_numpy(random.uniform(-1, 1, (7, 2, 2))) + 2 * torch.eye(2)

    def solved(roots):
        return matrix(replace(seen, covariances=roots @ roots.mT), view, "squared")

    roots = roots.requires_grad_(True)
    assert torch.autograd.gradcheck(solved, [roots], eps=1e-4, atol=1e-5, rtol=1e-5)


def test_uncertainty_learns_through_weights():
    view, seen, random = problem(8, 9, True)
    u = torch.from_numpy(random.uniform(1, 9, 9)).requires_grad_(True)
    seen = weighted(seen, Weighting("continuous", beta=0.1), u)
    found = solve_pnp(seen, view, settings=NO_SELECTION)
    assert found.world_from_camera is not None
    found.world_from_camera.translation.sum().backward()
    assert u.grad is not None
    assert (u.grad[found.used].abs() > 0).all()


def test_outliers_have_no_gradient_and_nobody_pays_who_did_not_ask():
    view, seen, _ = problem(9, 12, True)
    pixels = view.project(seen.points, pose(9, view))
    pixels[2] += torch.tensor([140.0, -90.0])
    assert not solve_pnp(
        replace(seen, pixels=pixels), view
    ).world_from_camera.rotation.requires_grad
    pixels = pixels.requires_grad_(True)
    with torch.no_grad():
        found = solve_pnp(replace(seen, pixels=pixels), view)
        assert not found.world_from_camera.rotation.requires_grad
    found = solve_pnp(replace(seen, pixels=pixels), view)
    assert found.outliers == ("3",)
    found.world_from_camera.translation.sum().backward()
    assert pixels.grad[2].tolist() == [0.0, 0.0]
    assert (pixels.grad[found.used].abs().sum(1) > 0).all()
    assert not found.registration().world_from_camera.rotation.requires_grad
