"""Jacobians and gradients against central differences in float64."""

import pytest
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import render_drr, render_with_jacobian
from napari_xreg.rendering.reference import integrate

METHODS = ["trilinear", "joseph", "siddon"]


def central_differences(volume, carm, pose, pivot, method):
    columns = []
    for axis in range(6):
        # The interpolant has kinks: a small step seldom straddles one, float64 can afford it.
        size = 1e-7 if axis < 3 else 1e-5
        twist = torch.zeros(6, dtype=torch.float64)
        twist[axis] = size
        ahead, back = (
            render_drr(
                volume, carm, pose.left_perturb(s * twist, pivot), method=method, step_mm=0.7
            )
            for s in (1, -1)
        )
        columns.append((ahead - back) / (2 * size))
    return torch.stack(columns)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_six_columns(noise, carm, pose_of, view, method, backend):
    pose = pose_of(noise, view)
    # Far from the volume and from the source: a wrong pivot or its sign shows in every pixel.
    pivot = torch.tensor([40.0, -60.0, 25.0], dtype=torch.float64)
    expected = central_differences(noise, carm, pose, pivot, method)
    _, jacobian = render_with_jacobian(
        noise, carm, pose, pivot=pivot, method=method, step_mm=0.7, backend=backend
    )
    for found, wanted in zip(jacobian, expected, strict=True):
        error = (found - wanted).abs() / wanted.abs().max()
        # One pixel in a hundred may have a sample within the step of a voxel boundary.
        assert error.quantile(0.99) < 5e-6
    # ... and what they say is not small: all six are needed.
    assert (expected.abs().amax((1, 2)) > 1e-4).all()


@pytest.mark.parametrize("method", METHODS)
def test_autograd_of_the_reference(noise, carm, pose_of, method):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    pixels = torch.tensor([[8.0, 11.0], [6.25, 13.5], [7.5, 12.25]], dtype=torch.float64)
    source, rays = (t.detach().requires_grad_() for t in carm.rays(pose, pixels))
    lac = noise.lac.clone().requires_grad_()

    def render(lac, source, rays):
        volume = Volume(lac, noise.world_from_index)
        return integrate(volume, source, rays, method=method, step_mm=2.3)

    assert render(lac, source, rays).min() > 0.05
    assert torch.autograd.gradcheck(
        render, (lac, source, rays), eps=1e-6, atol=1e-6, rtol=1e-4, fast_mode=True
    )


@pytest.mark.parametrize("method", METHODS)
def test_pose_gradient_flows_through_whatever_made_the_pose(noise, carm, pose_of, method):
    # d/dtwist of sum(w I(exp(twist) T)) is w^T J, by the fused backend.
    single = noise.to(dtype=torch.float32)
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    pivot = torch.tensor([40.0, -60.0, 25.0], dtype=torch.float64)
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    image = render_drr(single, carm, pose.left_perturb(twist, pivot), method=method, step_mm=0.7)
    weights = torch.linspace(-0.3, 1.0, image.numel()).reshape(image.shape)
    (gradient,) = torch.autograd.grad((weights * image).sum(), twist)
    _, jacobian = render_with_jacobian(single, carm, pose, pivot=pivot, method=method, step_mm=0.7)
    expected = (weights * jacobian).sum((1, 2)).double()
    torch.testing.assert_close(gradient, expected, rtol=2e-5, atol=1e-5 * expected.abs().max())


def test_stretching_a_ray_moves_no_trilinear_sample(noise, carm, pose_of):
    # dI/dr along r is zero for samples at fixed mm (the ray's end lies beyond the volume) ...
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    source, rays = carm.rays(pose)
    single = noise.to(dtype=torch.float32)
    from napari_xreg.rendering.autograd import march_differentiably

    rays = rays.requires_grad_()
    for method, expected in (("trilinear", 0.0), ("joseph", 0.0), ("siddon", 0.0)):
        image = march_differentiably(single, source, rays, method=method, step_mm=0.7)
        (gradient,) = torch.autograd.grad(image.sum(), rays)
        along = (gradient * rays).sum(-1)
        assert gradient.abs().max() > 1e-4
        # ... and for the exact methods, whose sums do not know where the ray ends: 1e-6 of
        # |gradient| |r|, float32.
        assert (along - expected).abs().max() < 1e-6 * (gradient.norm(dim=1) * 1020).max()


def test_leaves_no_graph_behind(noise, carm, pose_of):
    pose = pose_of(noise, (3.0, 2.0, 1.0))
    lac = noise.lac.float().requires_grad_()
    volume = Volume(lac, noise.world_from_index)
    image, jacobian = render_with_jacobian(volume, carm, pose, pivot=(0.0, 0.0, 0.0))
    assert not image.requires_grad
    assert not jacobian.requires_grad
    with torch.no_grad():
        assert not render_drr(volume, carm, pose).requires_grad
    assert render_drr(volume, carm, pose).requires_grad
    moving = Pose(pose.rotation.clone().requires_grad_(), pose.translation)
    assert render_drr(noise.to(dtype=torch.float32), carm, moving).requires_grad
