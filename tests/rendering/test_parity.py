"""The fast kernels against the plain reference: images, Jacobians, gradients, odd rays."""

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import march_view, march_views, prepare, render_drr, render_with_jacobian

METHODS = ["trilinear", "joseph", "siddon"]
# float32 sums of some hundred samples, and coordinates of about 10 voxels rounded to 1e-6 of a
# voxel: a few 1e-7 of the largest value were measured.
CLOSE = 3e-6
# Slopes of both signs cancel in a Jacobian to about a third of their parts (3.1e-6 was measured).
SLOPES_CLOSE = 1e-5


def difference(a, b):
    return ((a.double() - b.double()).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize("method", METHODS)
def test_image_and_jacobian(noise, carm, pose_of, view, method):
    pose = pose_of(noise, view)
    how = {"pivot": (3.0, -5.0, 8.0), "method": method, "step_mm": 0.7}
    fast = render_with_jacobian(noise, carm, pose, backend="numba", **how)
    slow = render_with_jacobian(noise, carm, pose, backend="torch", **how)
    assert slow[0].max() > 0.1
    assert difference(fast[0], slow[0]) < CLOSE
    for column in range(6):
        assert difference(fast[1][column], slow[1][column]) < SLOPES_CLOSE
    image = render_drr(noise, carm, pose, method=method, step_mm=0.7, backend="numba")
    assert difference(image, slow[0]) < CLOSE


@pytest.mark.parametrize("method", METHODS)
def test_gradients(noise, carm, pose_of, view, method):
    pose = pose_of(noise, view)
    found = []
    for backend in ("numba", "torch"):
        rotation = pose.rotation.clone().requires_grad_()
        translation = pose.translation.clone().requires_grad_()
        lac = noise.lac.clone().requires_grad_()
        image = render_drr(
            Volume(lac, noise.world_from_index),
            carm,
            Pose(rotation, translation),
            method=method,
            step_mm=0.7,
            backend=backend,
        )
        weights = torch.linspace(-1.0, 2.0, image.numel()).reshape(image.shape)
        found.append(torch.autograd.grad((weights * image**2).sum(), (rotation, translation, lac)))
    for fast, slow in zip(*found, strict=True):
        # Sums over pixels of both signs cancel to about a tenth of their parts.
        assert difference(fast, slow) < 10 * CLOSE


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_pixel_list_is_the_image_at_its_pixels(noise, carm, pose_of, method, backend):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    pixels = torch.tensor([[16, 22], [3, 4], [8, 11], [8, 12], [0, 22]])
    how = {"method": method, "backend": backend, "pivot": (1.0, 2.0, 3.0)}
    image, jacobian = render_with_jacobian(noise, carm, pose, **how)
    at, jacobian_at = render_with_jacobian(noise, carm, pose, pixels=pixels.double(), **how)
    rows, columns = pixels.T
    assert image[rows, columns].max() > 0.1
    torch.testing.assert_close(at, image[rows, columns], rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(jacobian_at, jacobian[:, rows, columns], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_a_ray_does_not_depend_on_those_beside_it(noise, carm, pose_of, packed):
    """Joseph's kernel takes eight at a time: to the last digit, also where they cross other planes."""
    pose, ready = pose_of(noise, (45.0, 12.0, 7.0)), prepare(noise, packed=packed)
    rows, columns = carm.detector.shape
    every = np.stack(np.mgrid[:rows, :columns], -1).reshape(-1, 2).astype(float)
    order = np.random.default_rng(3).permutation(len(every))[:-3]
    image, jacobian = march_view(ready, carm, pose)
    at, jacobian_at = march_view(ready, carm, pose, pixels=every[order])
    assert len(order) % 8
    assert np.array_equal(at, image.reshape(-1)[order])
    assert np.array_equal(jacobian_at, jacobian.reshape(6, -1)[:, order])
    alone, _ = march_view(ready, carm, pose, jacobian=False)
    np.testing.assert_allclose(alone, image, rtol=1e-6, atol=1e-7)


def test_a_fractional_pixel_is_a_pixel_of_a_shifted_detector(noise, carm, pose_of):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    detector = Detector((1, 1), (2.7, 3.1), principal_point=(7.3 - 8.25, 12.9 - 11.5))
    single = CArm(1020.0, 700.0, detector)
    expected = render_drr(noise, single, pose)[0]
    assert expected > 0.1
    found = render_drr(noise, carm, pose, pixels=torch.tensor([[8.25, 11.5]]))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_batch_is_its_items(noise, carm, pose_of, backend):
    poses = [pose_of(noise, view) for view in ((3.0, 2.0, 1.0), (33.0, 21.0, 12.0))]
    poses += [poses[0].left_perturb(torch.full((6,), 0.02, dtype=torch.float64), noise.center)]
    batch = Pose.stack([*poses, *reversed(poses)])
    batch = Pose(batch.rotation.reshape(2, 3, 3, 3), batch.translation.reshape(2, 3, 3))
    image, jacobian = render_with_jacobian(
        noise, carm, batch, pivot=(1.0, 2.0, 3.0), backend=backend
    )
    assert image.shape == (2, 3, 17, 23)
    assert jacobian.shape == (2, 3, 6, 17, 23)
    one = render_with_jacobian(noise, carm, poses[2], pivot=(1.0, 2.0, 3.0), backend=backend)
    assert torch.equal(image[0, 2], one[0])
    assert torch.equal(image[1, 0], one[0])
    assert torch.equal(jacobian[1, 0], one[1])
    # Without the Jacobian the compiler sums in another order.
    alone = render_drr(noise, carm, batch, backend=backend)
    torch.testing.assert_close(alone, image, rtol=3e-6, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["numba", "torch"])
class TestOddRays:
    def test_rays_that_miss_are_zero(self, noise, carm, method, backend):
        away = carm.world_from_camera(20.0, 10.0, isocenter=noise.center + 900.0)
        image, jacobian = render_with_jacobian(
            noise, carm, away, pivot=noise.center, method=method, backend=backend
        )
        assert torch.equal(image, torch.zeros_like(image))
        assert torch.equal(jacobian, torch.zeros_like(jacobian))

    def test_a_volume_behind_the_source_casts_no_shadow(self, noise, carm, method, backend):
        behind = carm.world_from_camera(
            20.0, 10.0, isocenter=noise.center, offset_mm=(0.0, 0.0, 900.0)
        )
        image = render_drr(noise, carm, behind, method=method, backend=backend)
        assert image.abs().max() == 0

    def test_rays_along_the_axes_of_the_grid(self, method, backend):
        cube = Volume(torch.full((5, 7, 6), 0.02), torch.eye(4))
        carm = CArm(500.0, 300.0, Detector((1, 1), (1.0, 1.0)))
        for angles, voxels in (((0.0, 0.0), 7), ((90.0, 0.0), 6), ((0.0, 90.0), 5)):
            pose = carm.world_from_camera(*angles, isocenter=(2.5, 3.0, 2.0))
            image, jacobian = render_with_jacobian(
                cube, carm, pose, pivot=(2.5, 3.0, 2.0), method=method, backend=backend, step_mm=0.1
            )
            assert image.item() == pytest.approx(0.02 * voxels, rel=1e-4)
            assert torch.isfinite(jacobian).all()

    def test_the_source_may_stand_inside(self, method, backend):
        # 2 mm voxels, 20 of them along the ray from the source at index 20 of 40.
        lac = torch.full((41, 40, 39), 0.01)
        volume = Volume(lac, torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
        carm = CArm(500.0, 1.0, Detector((1, 1), (1.0, 1.0)))
        # Frontal: rays run towards -y (anterior). The source is at y = 40 mm, the skin at -1 mm.
        pose = carm.world_from_camera(0.0, 0.0, isocenter=(38.0, 39.0, 40.0))
        image = render_drr(volume, carm, pose, method=method, backend=backend, step_mm=0.05)
        # Joseph counts whole planes of 2 mm, the one at the source included.
        near = 0.021 if method == "joseph" else 0.002
        assert image.item() == pytest.approx(0.41, abs=near)

    def test_an_empty_volume_and_no_pixels(self, carm, method, backend):
        empty = Volume(torch.zeros(3, 4, 5), torch.eye(4))
        pose = carm.world_from_camera(5.0, 3.0, isocenter=empty.center)
        assert render_drr(empty, carm, pose, method=method, backend=backend).abs().max() == 0
        none = torch.zeros(0, 2)
        image, jacobian = render_with_jacobian(
            empty, carm, pose, pivot=empty.center, pixels=none, method=method, backend=backend
        )
        assert image.shape == (0,)
        assert jacobian.shape == (6, 0)

    def test_one_slice(self, method, backend):
        slice_ = Volume(torch.full((1, 30, 30), 0.02), torch.diag(torch.tensor([1.0, 1, 3, 1])))
        carm = CArm(500.0, 300.0, Detector((1, 1), (1.0, 1.0)))
        cranial = carm.world_from_camera(0.0, 90.0, isocenter=slice_.center)
        image = render_drr(slice_, carm, cranial, method=method, backend=backend, step_mm=0.1)
        assert image.item() == pytest.approx(0.06, rel=1e-3)


def test_result_follows_the_volume(noise, carm, pose_of):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    single = noise.to(dtype=torch.float32)
    assert render_drr(single, carm, pose).dtype == torch.float32
    assert render_drr(noise, carm, pose).dtype == torch.float64
    assert render_drr(noise, carm, pose, backend="numba").dtype == torch.float64
    # auto is numba for float32 and the reference for float64.
    fast = render_drr(single, carm, pose, backend="numba")
    assert torch.equal(render_drr(single, carm, pose), fast)


def test_the_march_of_the_optimiser_is_the_public_render(noise, carm, pose_of):
    pose = pose_of(noise, (33.0, 21.0, 12.0))
    image, jacobian = march_view(
        prepare(noise), carm, pose, pivot=(1.0, 2.0, 3.0), method="joseph", threads=1
    )
    public = render_with_jacobian(
        noise, carm, pose, pivot=(1.0, 2.0, 3.0), method="joseph", backend="numba"
    )
    assert torch.equal(torch.from_numpy(image).double(), public[0])
    assert torch.equal(torch.from_numpy(jacobian).double(), public[1])
    with pytest.raises(ValueError, match="one pose"):
        march_view(prepare(noise), carm, Pose.stack([pose, pose]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"step_mm": 0.0}, "step_mm must be positive"),
        ({"step_mm": 2000.0}, "not longer than a ray"),
        ({"step_mm": float("nan")}, "step_mm must be positive"),
    ],
)
def test_errors_name_what_came(noise, carm, pose_of, wrong, message):
    pose = pose_of(noise, (3.0, 2.0, 1.0))
    with pytest.raises(ValueError, match=message):
        render_drr(noise, carm, pose, **wrong)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_views_of_many_poses_are_those_of_each(noise, threads):
    """To the bit, however the rays are shared out: 713 rays a view are no multiple of what a thread takes."""
    carm = CArm(900.0, 640.0, Detector((31, 23), (3.1, 4.3), (13.0, 12.5)))
    pivot = (3.0, -2.0, 5.0)
    poses = Pose.stack(
        [
            carm.world_from_camera(17.0 * n, 5.0 - n, 3.0, isocenter=noise.center)
            for n in range(5)
        ]
    )  # fmt: skip
    ready = prepare(noise, packed=True)
    found = march_views(ready, carm, poses, pivot=pivot, threads=threads)
    assert len(found) == 5
    for number, (image, jacobian) in enumerate(found):
        wanted, slopes = march_view(ready, carm, poses[number], pivot=pivot, threads=1)
        np.testing.assert_array_equal(image, wanted)
        np.testing.assert_array_equal(jacobian, slopes)
        assert image.max() > 0


def test_a_view_that_is_nowhere_is_refused_among_others(noise):
    carm = CArm(900.0, 640.0, Detector((31, 23), (3.1, 4.3)))
    pose = carm.world_from_camera(17.0, 5.0, 3.0, isocenter=noise.center)
    lost = Pose(pose.rotation, pose.translation * float("nan"))
    with pytest.raises(ValueError, match="finite"):
        march_views(prepare(noise), carm, Pose.stack([pose, lost]))
