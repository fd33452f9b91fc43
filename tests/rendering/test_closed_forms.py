"""Phantoms whose line integrals are known, and where their shadows fall."""

import functools
import math

import pytest
import torch
from rendering_phantoms import AFFINES, affine, grid_points

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering import at_voxel_size, render_drr

METHODS = ["trilinear", "joseph", "siddon"]
BACKENDS = ["numba", "torch"]


def rays_of(carm, pose):
    source, rays = carm.rays(pose)
    return source, rays / rays.norm(dim=-1, keepdim=True)


def ellipsoid_chords(source, directions, center, semi_axes):
    """Length of each ray inside an axis-aligned ellipsoid: the roots of a quadratic."""
    o, d = (source - center) / semi_axes, directions / semi_axes
    a, b, c = (d * d).sum(-1), (o * d).sum(-1), (o * o).sum(-1) - 1
    return 2 * (b * b - a * c).clamp_min(0).sqrt() / a


def solid_ellipsoid(world_from_index, shape, center, semi_axes, mu):
    """Each voxel holds the share of it (7 x 7 x 7 points) that lies inside."""
    sub = (torch.arange(7, dtype=torch.float64) - 3) / 7
    offsets = torch.cartesian_prod(sub, sub, sub) @ world_from_index[:3, :3].T / semi_axes
    points = (grid_points(shape, world_from_index) - center) / semi_axes
    radius = points.norm(dim=-1)
    share = (radius <= 1).double()
    rim = (radius - 1).abs() <= offsets.norm(dim=-1).max()  # others are whole, or empty
    inside = ((points[rim][:, None] + offsets) ** 2).sum(-1) <= 1
    share[rim] = inside.double().mean(-1)
    return Volume(mu * share, world_from_index)


@functools.cache
def ellipsoid_on(kind):
    """The volume, its center and its semi-axes, mm."""
    # Voxels of about 1 mm in each of the affines.
    matrix = AFFINES[kind].clone()
    matrix[:3, :3] *= 0.5
    center = (matrix @ torch.tensor([25.3, 24.1, 19.2, 1.0], dtype=torch.float64))[:3]
    semi_axes = torch.tensor([14.0, 11.0, 17.0], dtype=torch.float64)
    return solid_ellipsoid(matrix, (41, 47, 53), center, semi_axes, 0.021), center, semi_axes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", AFFINES)
def test_ellipsoid(method, kind):
    volume, center, semi_axes = ellipsoid_on(kind)
    detector = Detector((31, 29), (1.9, 2.3), principal_point=(13.1, 16.8))
    carm = CArm(980.0, 610.0, detector)
    pose = carm.world_from_camera(28.0, -17.0, 9.0, isocenter=center, offset_mm=(1.0, -2.0, 30.0))
    image = render_drr(volume, carm, pose, method=method, step_mm=0.2, backend="numba")
    chords = ellipsoid_chords(*rays_of(carm, pose), center, semi_axes).reshape(31, 29)
    # Away from the rim, where a chord of no length has a slope without bound.
    inner = chords > 12
    assert inner.sum() > 60
    error = (image - 0.021 * chords)[inner] / (0.021 * chords.max())
    # Voxels and interpolation blur the surface by some 0.5 mm (a variance of h^2 / 4); at a chord
    # of 12 mm its slope bends by 2 per mm, which makes up to 2 % of the longest chord. Siddon's
    # voxels are flat: one ray is off by a fraction of a voxel. Half a voxel of shift is 7 %.
    assert error.abs().max() < (0.05 if method == "siddon" else 0.025)
    # A blur moves attenuation about but loses none.
    assert image.sum() == pytest.approx(0.021 * chords.sum().item(), rel=0.003)


@pytest.mark.parametrize("method", ["trilinear", "joseph"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gaussian_ball(method, backend):
    sigma, peak = 8.0, 0.03
    matrix = affine([[1.5, 0.2, 0.0], [0.1, -2.0, 0.3], [0.0, 0.1, 1.0]], (-41.0, 63.0, -44.0))
    center = torch.tensor([3.0, 11.0, 5.0], dtype=torch.float64)
    squared = ((grid_points((83, 53, 61), matrix) - center) ** 2).sum(-1)
    volume = Volume(peak * torch.exp(-squared / (2 * sigma**2)), matrix)
    carm = CArm(1000.0, 650.0, Detector((24, 32), (2.7, 2.2), principal_point=(10.2, 17.7)))
    pose = carm.world_from_camera(37.0, 22.0, 15.0, isocenter=(0.0, 5.0, 2.0))
    source, directions = rays_of(carm, pose)
    nearest = torch.linalg.cross((center - source).expand_as(directions), directions)
    squared = (nearest**2).sum(-1)
    expected = peak * sigma * math.sqrt(2 * math.pi) * torch.exp(-squared / (2 * sigma**2))
    image = render_drr(volume, carm, pose, method=method, step_mm=0.5, backend=backend)
    # Linear interpolation adds a variance of up to h^2 / 6 per axis: 2 mm against sigma 8 mm
    # lowers the peak by up to 1 %.
    assert (image.reshape(-1) - expected).abs().max() < 0.011 * expected.max()
    assert expected.max() > 0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("angle", [0.0, 30.0, 45.0])
def test_slab(method, angle):
    # 24 mm thick (12 voxels of 2 mm) across y, 0.02/mm, turned by the angle about z.
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = affine([[3 * c, 3 * s, 0], [-2 * s, 2 * c, 0], [0, 0, 5]], (0.0, 0.0, 0.0))
    middle = matrix[:3, :3] @ torch.tensor([50.0, 5.5, 30.0], dtype=torch.float64)
    slab = Volume(torch.full((61, 12, 101), 0.02, dtype=torch.float64), matrix)
    carm = CArm(1000.0, 650.0, Detector((7, 9), (4.1, 3.3), principal_point=(2.2, 5.7)))
    pose = carm.world_from_camera(0.0, 0.0, isocenter=middle)
    _, directions = rays_of(carm, pose)
    normal = torch.tensor([-s, c, 0.0], dtype=torch.float64)
    expected = 0.02 * 24 / (directions @ normal).abs()
    image = render_drr(slab, carm, pose, method=method, step_mm=0.1, backend="numba")
    torch.testing.assert_close(image.reshape(-1), expected, rtol=1e-4, atol=0.0)
    assert expected.mean() == pytest.approx(0.48 / c, rel=0.02)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_voxel_falls_where_it_projects(method, backend, mirrored):
    matrix = affine([[1.6, 0.3, 0.1], [-0.2, 2.0, 0.4], [0.1, -0.3, -1.3]], (-9.0, -16.0, 31.0))
    lac = torch.zeros((19, 15, 17), dtype=torch.float64)
    lac[4, 9, 12] = 1.0
    volume = Volume(lac, matrix)
    point = matrix[:3, :3] @ torch.tensor([12.0, 9.0, 4.0], dtype=torch.float64) + matrix[:3, 3]
    detector = Detector((90, 135), (0.21, 0.17), (31.4, 64.2), mirrored=mirrored)
    carm = CArm(1010.0, 690.0, detector)
    pose = carm.world_from_camera(24.0, 13.0, 8.0, isocenter=point - 2.0)
    image = render_drr(volume, carm, pose, method=method, step_mm=0.4, backend=backend)
    rows, columns = torch.arange(90.0).double(), torch.arange(135.0).double()
    total = image.sum()
    centroid = torch.stack([(image.sum(1) * rows).sum(), (image.sum(0) * columns).sum()]) / total
    expected = carm.project(point[None], pose)[0]
    # The shadow is whole, and half a voxel would be some six pixels.
    assert image[0].max() + image[-1].max() + image[:, 0].max() + image[:, -1].max() == 0
    torch.testing.assert_close(centroid, expected, rtol=0.0, atol=0.02)


@pytest.mark.parametrize("view", [(24.0, 13.0, 8.0), (-61.0, 30.0, -20.0), (95.0, -35.0, 3.0)])
def test_three_blobs_in_their_places(view):
    # RAS storage of a patient: x and y run against LPS. An implicit flip puts a blob elsewhere.
    matrix = affine([[-2.0, 0, 0], [0, -2.3, 0], [0, 0, 2.7]], (40.0, 35.0, -30.0))
    indices = torch.tensor([[5.0, 9, 4], [31, 12, 8], [17, 24, 19]], dtype=torch.float64)
    lac = torch.zeros((23, 29, 37))
    for weight, (x, y, z) in zip((1.0, 0.7, 1.6), indices.long(), strict=True):
        lac[z, y, x] = weight
    points = indices @ matrix[:3, :3].T + matrix[:3, 3]
    detector = Detector((260, 300), (0.71, 0.63), (121.3, 160.8))
    carm = CArm(1010.0, 690.0, detector)
    pose = carm.world_from_camera(*view, isocenter=points.mean(0))
    image = render_drr(Volume(lac, matrix), carm, pose, step_mm=0.2).double()
    for row, column in carm.project(points, pose).tolist():
        top, left = round(row) - 10, round(column) - 10
        window = image[top : top + 21, left : left + 21]
        assert window.sum() > 1.0
        at = torch.arange(21.0).double()
        assert (window.sum(1) * at).sum() / window.sum() + top == pytest.approx(row, abs=0.05)
        assert (window.sum(0) * at).sum() / window.sum() + left == pytest.approx(column, abs=0.05)
    # Nothing anywhere else.
    for row, column in carm.project(points, pose).tolist():
        top, left = round(row) - 10, round(column) - 10
        image[top : top + 21, left : left + 21] = 0
    assert image.max() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_siddon_is_the_sum_over_voxels(noise, carm, pose_of, view, backend):
    # Brute force: the box of every voxel clipped by itself, in index space.
    pose = pose_of(noise, view)
    pixels = torch.tensor([[8.0, 11.0], [6.25, 13.5], [7.5, 12.25], [2.0, 9.0]]).double()
    source, rays = carm.rays(pose, pixels)
    linear = torch.linalg.inv(noise.world_from_index)[:3]
    start = linear[:, :3] @ source + linear[:, 3]
    z, y, x = (torch.arange(n, dtype=torch.float64) for n in noise.shape)
    zz, yy, xx = torch.meshgrid(z, y, x, indexing="ij")
    expected = []
    for ray in rays:
        d = linear[:, :3] @ ray
        enter, leave = torch.zeros_like(xx), torch.ones_like(xx)
        for k, centers in enumerate((xx, yy, zz)):
            a, b = (centers - 0.5 - start[k]) / d[k], (centers + 0.5 - start[k]) / d[k]
            enter = torch.maximum(enter, torch.minimum(a, b))
            leave = torch.minimum(leave, torch.maximum(a, b))
        expected.append((noise.lac * (leave - enter).clamp_min(0)).sum() * ray.norm())
    expected = torch.stack(expected)
    assert expected.max() > 0.1
    image = render_drr(noise, carm, pose, method="siddon", pixels=pixels, backend=backend)
    torch.testing.assert_close(image, expected, rtol=1e-6, atol=1e-7)


def test_finer_steps_come_closer_and_the_default_is_fine(noise, carm, pose_of):
    pose = pose_of(noise, (33.0, 21.0, 12.0))

    def error(step):
        image = render_drr(noise, carm, pose, step_mm=step)
        return (image - truth).abs().max() / truth.max()

    truth = render_drr(noise, carm, pose, step_mm=0.05)
    assert error(0.2) < error(0.8) < error(3.2)
    # White noise is the worst volume there is.
    assert error(None) < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_twice_the_millimetres_twice_the_integral(noise, method):
    # Everything in space doubled: path lengths double, and with a step that doubles exactly so.
    images = []
    for scale in (1.0, 2.0):
        matrix = noise.world_from_index.clone()
        matrix[:3] *= scale
        detector = Detector((9, 11), (2.7 * scale, 3.1 * scale), (3.3, 6.9))
        carm = CArm(500.0 * scale, 300.0 * scale, detector)
        volume = Volume(noise.lac, matrix)
        pose = carm.world_from_camera(33.0, 21.0, isocenter=volume.center)
        images.append(render_drr(volume, carm, pose, method=method, step_mm=0.7 * scale))
    torch.testing.assert_close(images[1], 2 * images[0], rtol=1e-9, atol=1e-12)


def test_a_coarser_level_shows_the_same_patient():
    matrix = affine([[1.1, 0, 0], [0, 1.2, 0], [0, 0, 2.9]], (-40.0, -35.0, -43.0))
    squared = grid_points((31, 61, 71), matrix) - torch.tensor([2.0, 4.0, 1.0]).double()
    lac = 0.02 * torch.exp(-(squared**2).sum(-1) / (2 * 12.0**2))
    volume = Volume(lac, matrix)
    coarse = at_voxel_size(volume, 3.0)
    assert coarse.spacing == pytest.approx((3.3, 2.4, 2.9))
    assert at_voxel_size(volume, 3.0) is coarse
    assert at_voxel_size(volume, 1.0) is volume
    carm = CArm(1000.0, 650.0, Detector((24, 32), (2.7, 2.2), principal_point=(10.2, 17.7)))
    pose = carm.world_from_camera(37.0, 22.0, 15.0, isocenter=(0.0, 5.0, 2.0))
    fine, rough = (render_drr(v, carm, pose) for v in (volume, coarse))
    # Averaging widens the ball by about 1 mm^2 of 144; a level off by half a voxel would differ
    # by 6 % of the peak.
    assert (fine - rough).abs().max() < 0.012 * fine.max()
    with pytest.raises(ValueError, match="voxel size must be positive"):
        at_voxel_size(volume, 0.0)
