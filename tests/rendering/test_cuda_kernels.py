"""The Triton kernels against the float64 reference: on a CUDA card, else in Triton's interpreter.

The interpreter runs the kernels' Python with numpy: it checks their numbers, not how they compile
(`test_cuda_compiles`) and not how fast they are.
"""

import functools
import importlib.util

import pytest
import torch
from rendering_phantoms import AFFINES

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.rendering import Excess, render_drr, render_structures, render_with_jacobian

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed (pip install triton)", allow_module_level=True)

ON_CARD = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_CARD else "cpu")
METHODS = ["trilinear", "joseph"]
# Of the largest value: 1.2e-6 was measured, and 7.4e-6 in Jacobians, whose terms cancel.
CLOSE, SLOPES_CLOSE = 3e-6, 1.5e-5
STEP = 3.1  # of the interpreter each sample costs
PIVOT = (3.0, -5.0, 8.0)
# One tile of 8 x 16 pixels, and two.
SMALL = CArm(1020.0, 700.0, Detector((7, 11), (5.1, 6.3), principal_point=(2.9, 6.2)))
TALL = CArm(1020.0, 700.0, Detector((9, 11), (5.1, 6.3), principal_point=(3.9, 6.2)))
# Every grid and every dominant axis once.
CASES = [
    ("anisotropic", (-80.0, 15.0, -7.0)),
    ("oblique", (3.0, 2.0, 1.0)),
    ("sheared", (10.0, -75.0, 40.0)),
    ("left-handed", (33.0, 21.0, 12.0)),
]


@pytest.fixture
def launch():
    from napari_xreg.rendering.cuda import launch

    return launch


def noise_on(grid, device=DEVICE):
    generator = torch.Generator().manual_seed(11)
    lac = torch.rand(13, 11, 9, generator=generator, dtype=torch.float64) * 0.02
    return Volume(lac, AFFINES[grid]).to(device=device)


def pose_at(volume, view, carm=SMALL):
    center = volume.center.cpu()
    return carm.world_from_camera(*view, isocenter=center, offset_mm=(2.0, -3.0, 5.0))


def difference(a, b):
    return ((a.cpu().double() - b.cpu().double()).abs().max() / b.abs().max().cpu()).item()


def marched(
    launch, grid, view, method, *, storage="float32", turned=True, pixels=None, excess=None, **shape
):
    """Image and Jacobian by the kernels, [7, n]."""
    from napari_xreg.rendering.cuda.volume import on_device

    volume = noise_on(grid)
    ready = on_device(volume, storage=storage, turned=turned)
    pose = Pose.stack([pose_at(volume, view)])
    pivot = torch.tensor(PIVOT, dtype=torch.float64)
    seen = launch.views(
        ready.grid, SMALL, pose, pivot=pivot, pixels=pixels, step_mm=STEP, excess=excess
    )
    how = launch.Shape(**shape)
    return launch.march(ready, seen, method=method, mode=launch.JACOBIAN, shape=how)[0]


def reference(grid, view, method, carm=SMALL):
    volume = noise_on(grid, "cpu")
    image, jacobian = render_with_jacobian(
        volume, carm, pose_at(volume, view, carm), pivot=PIVOT, method=method, step_mm=STEP,
        backend="torch",
    )  # fmt: skip
    return torch.cat([image.reshape(1, -1), jacobian.reshape(6, -1)])


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("grid", "view"), CASES)
def test_image_and_jacobian(grid, view, method):
    volume = noise_on(grid)
    image, jacobian = render_with_jacobian(
        volume, TALL, pose_at(volume, view, TALL), pivot=PIVOT, method=method, step_mm=STEP,
        backend="triton",
    )  # fmt: skip
    expected = reference(grid, view, method, TALL)
    assert expected[0].max() > 0.1
    assert image.shape == (9, 11)
    assert difference(image.reshape(-1), expected[0]) < CLOSE
    for found, wanted in zip(jacobian.reshape(6, -1), expected[1:], strict=True):
        assert difference(found, wanted) < SLOPES_CLOSE


# Steps of 1/65535 of the largest voxel, and of 1/2048 of each voxel: as measured, times two.
@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("storage", "close", "slopes_close"), [("uint16", 1e-5, 4e-5), ("float16", 3e-4, 1.5e-3)]
)
def test_packed_voxels(launch, method, storage, close, slopes_close):
    for grid, view in CASES[:2]:
        found = marched(launch, grid, view, method, storage=storage)
        expected = reference(grid, view, method)
        assert difference(found[0], expected[0]) < close
        # ... and they really are packed.
        assert difference(found[0], expected[0]) > close / 100
        for column in range(1, 7):
            assert difference(found[column], expected[column]) < slopes_close


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", ["anisotropic", "oblique"])
def test_what_exceeds_water_is_scaled(launch, method, grid):
    """Against a volume that was scaled beforehand: every pose of the batch has its own gain."""
    volume, above = noise_on(grid), 0.0123
    view = dict(CASES)[grid]
    gains = torch.tensor([[0.0], [0.7], [-0.5]], dtype=torch.float64)
    pose = pose_at(volume, view)
    batch = Pose(pose.rotation.expand(3, 1, 3, 3), pose.translation.expand(3, 1, 3))
    how = {"pivot": PIVOT, "method": method, "step_mm": STEP}
    image, jacobian = render_with_jacobian(
        volume, SMALL, batch, backend="triton", excess=Excess(above, gains.to(DEVICE)), **how
    )
    assert image.shape == (3, 1, 7, 11)
    lac = noise_on(grid, "cpu").lac
    for row, gain in enumerate(gains[:, 0].tolist()):
        scaled = Volume(lac + gain * (lac - above).clamp_min(0), AFFINES[grid])
        wanted = render_with_jacobian(scaled, SMALL, pose, backend="torch", **how)
        assert difference(image[row, 0], wanted[0]) < CLOSE
        assert difference(jacobian[row, 0], wanted[1]) < SLOPES_CLOSE
    assert difference(image[1], image[0].cpu()) > 0.05


@pytest.mark.slow
def test_a_batch_that_does_not_fit_keeps_its_gains(launch, monkeypatch):
    volume = noise_on("oblique")
    poses = Pose.stack([pose_at(volume, view) for _, view in CASES[:3]])
    excess = Excess(0.0123, torch.tensor([0.5, -0.4, 0.1], device=DEVICE))
    how = {"pivot": PIVOT, "method": "joseph", "backend": "triton", "excess": excess}
    whole = render_with_jacobian(volume, SMALL, poses, **how)
    march = launch.march

    def small(ready, seen, **kwargs):
        if seen.poses > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return march(ready, seen, **kwargs)

    monkeypatch.setattr(launch, "march", small)
    parts = render_with_jacobian(volume, SMALL, poses, **how)
    for found, wanted in zip(parts, whole, strict=True):
        assert difference(found, wanted) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_what_exceeds_water_is_scaled_in_packed_voxels(launch, method):
    grid, view = CASES[0]
    excess = Excess(0.0123, torch.tensor([0.7], device=DEVICE))
    found, wanted = (
        marched(launch, grid, view, method, storage=storage, excess=excess)
        for storage in ("uint16", "float32")
    )
    assert difference(found[0], wanted[0]) < 1e-5
    assert difference(found[1:], wanted[1:]) < 1e-4


def test_packed_volumes_cannot_be_negative(launch):
    from napari_xreg.rendering.cuda.volume import on_device

    volume = noise_on("oblique")
    below = Volume(volume.lac - 0.005, volume.world_from_index)
    assert on_device(below, storage="uint16").storage == "float32"


@functools.cache
def in_one_tile(launch, method):
    grid, view = CASES[3]
    return marched(launch, grid, view, method, fill=0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape",
    [
        {"block": 32, "wide": 4, "fill": 0},
        {"block": 128, "wide": 128, "fill": 0},
        {"block": 128, "wide": 16, "unroll": 2, "fill": 0},
    ],
    ids=str,
)
def test_tiles_do_not_matter(launch, method, shape):
    grid, view = CASES[3]
    other = marched(launch, grid, view, method, **shape)
    torch.testing.assert_close(other, in_one_tile(launch, method), rtol=1e-6, atol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_parts_of_the_sample_range_add_up(launch, method, monkeypatch):
    grid, view = CASES[1]
    whole = marched(launch, grid, view, method, fill=0)
    monkeypatch.setattr(launch, "_split", lambda programs, samples, shape: 4)
    parts = marched(launch, grid, view, method)
    for found, wanted in zip(parts, whole, strict=True):
        assert difference(found, wanted) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_one_copy_is_as_good_as_two(launch, method):
    # The turned copy serves rays along x: the first case.
    for storage in ("float32", "uint16"):
        both, one = (
            marched(launch, *CASES[0], method, storage=storage, turned=turned)
            for turned in (True, False)
        )
        for found, wanted in zip(one, both, strict=True):
            assert difference(found, wanted) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_list_is_the_image_at_its_pixels(launch, method):
    grid, view = CASES[3]
    pixels = torch.tensor([[6, 10], [3, 4], [0, 10], [5, 6], [4, 6]])
    whole = marched(launch, grid, view, method).reshape(7, 7, 11)
    some = marched(launch, grid, view, method, pixels=pixels.double())
    rows, columns = pixels.T
    torch.testing.assert_close(some, whole[:, rows, columns], rtol=1e-6, atol=0.0)
    # Between pixels: what a detector shifted by half a pixel sees.
    volume = noise_on(grid)
    half = CArm(
        1020.0, 700.0, Detector((1, 1), (5.1, 6.3), principal_point=(2.9 - 3.5, 6.2 - 5.25))
    )
    how = {"method": method, "step_mm": STEP}
    expected = render_drr(
        noise_on(grid, "cpu"), half, pose_at(volume, view), backend="torch", **how
    )
    found = render_drr(
        volume, SMALL, pose_at(volume, view), pixels=torch.tensor([[3.5, 5.25]]), backend="triton",
        **how,
    )  # fmt: skip
    assert difference(found, expected[0]) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_items_bit_by_bit(method):
    volume = noise_on("oblique")
    poses = Pose.stack([pose_at(volume, view) for _, view in CASES])
    batch = Pose(poses.rotation.reshape(2, 2, 3, 3), poses.translation.reshape(2, 2, 3))
    how = {"pivot": PIVOT, "method": method, "step_mm": STEP, "backend": "triton"}
    image, jacobian = render_with_jacobian(volume, SMALL, batch, **how)
    assert image.shape == (2, 2, 7, 11)
    assert jacobian.shape == (2, 2, 6, 7, 11)
    one = render_with_jacobian(volume, SMALL, poses[2], **how)
    again = render_with_jacobian(volume, SMALL, poses[2], **how)
    # A small launch may be split into other parts than a large one: rounding, nothing else.
    torch.testing.assert_close(image[1, 0], one[0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(jacobian[1, 0], one[1], rtol=1e-5, atol=1e-5)
    assert torch.equal(one[0], again[0])
    assert torch.equal(one[1], again[1])
    alone = render_drr(volume, SMALL, batch, method=method, step_mm=STEP, backend="triton")
    assert torch.equal(alone, image)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_gradients(method):
    found = []
    for backend, device in (("triton", DEVICE), ("torch", "cpu")):
        volume = noise_on("left-handed", device)
        lac = torch.nn.functional.pad(volume.lac, (2, 0, 0, 1, 0, 0)).requires_grad_()
        poses = Pose.stack([pose_at(volume, view) for _, view in CASES[1:3]])
        rotation = poses.rotation.clone().requires_grad_()
        translation = poses.translation.clone().requires_grad_()
        image = render_drr(
            Volume(lac, volume.world_from_index), SMALL, Pose(rotation, translation),
            method=method, step_mm=STEP, backend=backend,
        )  # fmt: skip
        weights = torch.linspace(-1.0, 2.0, image.numel()).reshape(image.shape).to(image)
        loss = (weights * image**2).sum()
        found.append(torch.autograd.grad(loss, (rotation, translation, lac)))
    for fast, slow in zip(*found, strict=True):
        assert slow.abs().max() > 0
        assert difference(fast, slow) < 10 * CLOSE
    # Voxels that are zero have a gradient too.
    assert found[0][2][:, :, :2].abs().max() > 0


@pytest.mark.slow
def test_pose_gradients_repeat_bit_by_bit():
    volume = noise_on("sheared").to(dtype=torch.float32)
    pose = pose_at(volume, CASES[3][1])
    found = []
    for _ in range(2):
        rotation = pose.rotation.clone().requires_grad_()
        image = render_drr(
            volume, SMALL, Pose(rotation, pose.translation), step_mm=STEP, backend="triton"
        )
        found.append(torch.autograd.grad(image.square().sum(), rotation)[0])
    assert torch.equal(*found)


@pytest.mark.slow
def test_structures():
    volume = noise_on("oblique")
    ids = torch.zeros(volume.shape, dtype=torch.int16)
    ids[3:7, 2:9, 1:5] = 25
    ids[6:11, 4:8, 5:8] = 77
    labels = LabelMap(ids, AFFINES["oblique"], {25: "sacrum", 77: "hip_left"})
    poses = Pose.stack([pose_at(volume, view) for _, view in CASES[1:3]])
    on_cpu = render_structures(
        noise_on("oblique", "cpu"), labels, [{77}, {25}], SMALL, poses, step_mm=STEP
    )
    found = render_structures(
        volume, labels, [{77}, {25}], SMALL, poses, step_mm=STEP, backend="triton"
    )
    assert found.shape == (2, 3, 7, 11)
    # A sample in the middle between two voxels may go to either: none did here.
    assert difference(found, on_cpu) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_empty_space_is_skipped_and_nothing_else(launch, method):
    from napari_xreg.rendering.cuda.volume import on_device

    lac = torch.zeros(60, 50, 40)
    lac[2:6, 3:8, 2:5] = 0.01 + 0.01 * torch.rand(
        4, 5, 3, generator=torch.Generator().manual_seed(3)
    )
    lac[47:58, 40:48, 30:38] = 0.02
    volume = Volume(lac, AFFINES["anisotropic"]).to(device=DEVICE)
    ready = on_device(volume)
    assert ready.empty > 0.5
    wide = CArm(1020.0, 700.0, Detector((9, 11), (15.0, 13.0), principal_point=(3.9, 6.2)))
    blob = AFFINES["anisotropic"][:3] @ torch.tensor([34.0, 44.0, 52.0, 1.0], dtype=torch.float64)
    pose = Pose.stack([wide.world_from_camera(33.0, 21.0, 12.0, isocenter=blob)])
    found = []
    for skip_from in (0.5, 2.0):
        how = launch.Shape(skip_from=skip_from, fill=0)
        assert (launch._skip(ready, STEP, method, how) > 0) == (skip_from < 1)
        seen = launch.views(ready.grid, wide, pose, step_mm=STEP)
        found.append(launch.march(ready, seen, method=method, mode=launch.GRADIENTS, shape=how))
    assert (found[1][0, 0] > 0.05).sum() >= 3
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
class TestOddRays:
    def test_rays_that_miss_are_zero(self, method):
        volume = noise_on("oblique")
        far = volume.center.cpu() + 900.0
        for isocenter, offset in ((far, (0.0, 0.0, 0.0)), (volume.center.cpu(), (0.0, 0.0, 900.0))):
            away = SMALL.world_from_camera(20.0, 10.0, isocenter=isocenter, offset_mm=offset)
            image, jacobian = render_with_jacobian(
                volume, SMALL, away, pivot=PIVOT, method=method, step_mm=STEP, backend="triton"
            )
            assert image.abs().max() == 0
            assert jacobian.abs().max() == 0

    @pytest.mark.slow
    def test_rays_along_the_axes_of_the_grid(self, method):
        cube = Volume(torch.full((5, 7, 6), 0.02), torch.eye(4)).to(device=DEVICE)
        carm = CArm(500.0, 300.0, Detector((1, 1), (1.0, 1.0)))
        for angles, voxels in (((0.0, 0.0), 7), ((90.0, 0.0), 6), ((0.0, 90.0), 5)):
            pose = carm.world_from_camera(*angles, isocenter=(2.5, 3.0, 2.0))
            image, jacobian = render_with_jacobian(
                cube, carm, pose, pivot=PIVOT, method=method, backend="triton", step_mm=0.25
            )
            assert image.item() == pytest.approx(0.02 * voxels, rel=1e-3)
            assert torch.isfinite(jacobian).all()

    @pytest.mark.slow
    def test_the_source_may_stand_inside(self, method):
        volume = Volume(torch.full((41, 40, 39), 0.01), torch.diag(torch.tensor([2.0, 2, 2, 1])))
        carm = CArm(500.0, 1.0, Detector((1, 1), (1.0, 1.0)))
        pose = carm.world_from_camera(0.0, 0.0, isocenter=(38.0, 39.0, 40.0))
        image = render_drr(
            volume.to(device=DEVICE), carm, pose, method=method, backend="triton", step_mm=0.5
        )
        near = 0.021 if method == "joseph" else 0.003
        assert image.item() == pytest.approx(0.41, abs=near)

    def test_an_empty_volume_no_pixels_no_poses(self, method):
        empty = Volume(torch.zeros(3, 4, 5), torch.eye(4)).to(device=DEVICE)
        pose = SMALL.world_from_camera(5.0, 3.0, isocenter=empty.center.cpu())
        how = {"method": method, "backend": "triton"}
        assert render_drr(empty, SMALL, pose, **how).abs().max() == 0
        image, jacobian = render_with_jacobian(
            empty, SMALL, pose, pivot=PIVOT, pixels=torch.zeros(0, 2), **how
        )
        assert image.shape == (0,)
        assert jacobian.shape == (6, 0)
        none = Pose(torch.zeros(0, 3, 3), torch.zeros(0, 3))
        assert render_drr(empty, SMALL, none, **how).shape == (0, 7, 11)


@pytest.mark.gpu
@pytest.mark.skipif(not ON_CARD, reason="no CUDA card")
def test_auto_is_triton_on_a_card():
    volume = noise_on("oblique").to(dtype=torch.float32)
    pose = pose_at(volume, CASES[1][1])
    assert torch.equal(
        render_drr(volume, SMALL, pose), render_drr(volume, SMALL, pose, backend="triton")
    )
