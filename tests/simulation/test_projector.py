"""The simulator's integrator against closed form."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from ellipsoids import AttenuatingEllipsoid, ellipsoid_line_integrals, ellipsoid_volume

from napari_xreg.files import set_thread_count
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import lac_from_hu, linear_attenuation
from napari_xreg.simulation import (
    Ellipsoid,
    projector,
    sphere,
)
from napari_xreg.simulation.decomposition import Decomposition
from napari_xreg.simulation.patient import rotation_about
from napari_xreg.simulation.projector import path_lengths, subpixel_rays

STANDARD = Decomposition.standard()
# Attenuation over that of water, so that `lac` of the volume is u itself.
BODIES = (
    AttenuatingEllipsoid(
        Ellipsoid(np.array([12.0, -31.0, 44.0]), (31.0, 23.0, 27.0), rotation_about("y", 20.0)), 0.7
    ),
    AttenuatingEllipsoid(sphere(np.array([20.0, -25.0, 52.0]), 9.0), 0.2),
    AttenuatingEllipsoid(sphere(np.array([3.0, -38.0, 36.0]), 8.0), -0.5),
)
CARM = CArm(1020.0, 640.0, Detector((27, 33), (4.1, 3.7), principal_point=(12.3, 17.1)))
POSE = CARM.pose_from(
    CArmPose(24.0, -13.0, 7.0, offset_mm=(2.0, -3.0, 15.0), isocenter=(11.0, -30.0, 45.0))
)


def gaussian_ball(spacing=2.0):
    """u = exp(-d^2 / 2 s^2), s = 9 mm, on an oblique anisotropic grid."""
    linear = (
        rotation_about("z", 30.0)
        @ rotation_about("x", -20.0)
        @ np.diag([spacing, 1.3 * spacing, 1.1 * spacing])
    )
    shape = np.array([104, 82, 94]) // int(spacing)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = np.array([12.0, -31.0, 44.0]) - linear @ ((shape - 1) / 2 + [0.7, -1.2, 0.4])
    x, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    world = np.stack([x, y, z], -1) @ linear.T + matrix[:3, 3]
    values = np.exp(-((world - [12.0, -31.0, 44.0]) ** 2).sum(-1) / (2 * 9.0**2))
    return values.transpose(2, 1, 0).astype(np.float32), matrix


def gaussian_integrals(source, r):
    unit = r / np.linalg.norm(r, axis=-1, keepdims=True)
    offset = np.array([12.0, -31.0, 44.0]) - source
    across = offset - (unit @ offset)[..., None] * unit
    return 9.0 * np.sqrt(2 * np.pi) * np.exp(-(across**2).sum(-1) / (2 * 9.0**2))


def soft(values, matrix, source, r, step_mm=0.5):
    inverse = np.linalg.inv(matrix)
    return path_lengths(values, inverse, source, r, decomposition=STANDARD, step_mm=step_mm).soft


def test_a_smooth_ball_on_an_oblique_grid():
    values, matrix = gaussian_ball()
    source, r = subpixel_rays(CARM, POSE, 1)
    exact = gaussian_integrals(source, r)
    coarse = np.abs(soft(values, matrix, source, r) - exact).max()
    # Linear interpolation of samples h apart adds up to h^2 / 4 to the variance of the ball.
    assert coarse < exact.max() * 2.6**2 / 4 / 9.0**2
    fine, fine_matrix = gaussian_ball(1.0)
    assert np.abs(soft(fine, fine_matrix, source, r) - exact).max() < 0.3 * coarse


def test_no_shift_of_a_part_of_a_voxel():
    values, matrix = gaussian_ball()
    source, r = subpixel_rays(CARM, POSE, 1)
    image, exact = soft(values, matrix, source, r)[..., 0], gaussian_integrals(source, r)[..., 0]
    rows, columns = np.indices(image.shape)
    for axis in (rows, columns):
        centroid = (image * axis).sum() / image.sum()
        assert centroid == pytest.approx((exact * axis).sum() / exact.sum(), abs=0.003)


def test_the_error_falls_with_the_square_of_the_step():
    values, matrix = gaussian_ball()
    source, r = subpixel_rays(CARM, POSE, 1)
    truth = soft(values, matrix, source, r, step_mm=0.05)
    coarse, fine = (
        np.sqrt(((soft(values, matrix, source, r, step_mm=h) - truth) ** 2).mean())
        for h in (1.6, 0.4)
    )
    # Kinks of the interpolant at voxel faces make single rays irregular; the mean over rays is not.
    assert 8.0 < coarse / fine


def test_ellipsoids_against_closed_form():
    source, r = subpixel_rays(CARM, POSE, 3)
    exact = ellipsoid_line_integrals(
        BODIES, torch.from_numpy(source), torch.from_numpy(r.reshape(-1, 3))
    )
    exact = exact.reshape(27, 33, 9).mean(-1).numpy()
    assert exact.max() > 35.0
    spread = {}
    for spacing in (2.0, 1.0):
        shape = tuple(int(n / spacing) for n in (80, 72, 90))
        volume = ellipsoid_volume(
            BODIES, spacing_mm=spacing, shape=shape, origin_mm=(-32.3, -66.1, 5.2)
        )
        image = soft(volume.lac.numpy(), volume.world_from_index.numpy(), source, r).mean(-1)
        error = image - exact
        # Edges are blurred, not moved: what is lost inside a rim is found outside it.
        assert abs(error.mean()) < 1e-3 * exact.mean()
        spread[spacing] = np.sqrt((error**2).mean())
    assert spread[2.0] < 0.01 * exact.max()
    # At a rim the chord grows as a square root, so the blur costs h^1.5: a factor of 2.8.
    assert spread[1.0] < spread[2.0] / 2.3


@pytest.mark.parametrize("hu", [-1000.0, -620.0, 0.0, 45.0, 900.0, 1559.0, 2400.0, 2900.0])
def test_thicknesses_add_up_to_the_attenuation_of_the_ct(hu):
    # A slab so wide that every ray crosses its two faces, 40 mm along x.
    values = np.full((60, 50, 20), 1 + hu / 1000, dtype=np.float32)
    matrix = np.diag([2.0, 3.0, 2.5, 1.0])
    inverse = np.linalg.inv(matrix)
    source, r = np.array([-300.0, 70.0, 71.0]), np.array([[600.0, 11.0, -7.0]])
    paths = path_lengths(values, inverse, source, r, decomposition=STANDARD, step_mm=0.02)
    total = sum(
        float(linear_attenuation(m, 70.0)) * t[0]
        for m, t in (("water", paths.soft), ("bone", paths.bone), ("titanium", paths.metal))
    )
    # 19 steps of 2 mm between the outer centres, and half a step of fading on either side.
    length = 40.0 * np.linalg.norm(r) / 600.0
    expected = float(lac_from_hu(torch.tensor([hu])).double()) * length
    assert total == pytest.approx(expected, rel=1e-4, abs=1e-9)
    if 0 <= hu <= 1500:
        assert paths.metal[0] == 0
        assert paths.bone[0] == pytest.approx(hu / 1559.0 * length, rel=0.1, abs=1e-9)


def test_rays_that_miss_the_grid_are_empty():
    values, matrix = gaussian_ball()
    source, r = subpixel_rays(CARM, POSE, 1)
    away = POSE.left_perturb(
        torch.tensor([0.0, 0, 0, 0, 0, 900.0], dtype=torch.float64),
        torch.zeros(3, dtype=torch.float64),
    )
    source, r = subpixel_rays(CARM, away, 1)
    assert np.all(soft(values, matrix, source, r) == 0.0)


def test_sub_rays_sit_in_the_middle_of_quarters_of_the_pixel():
    source, r = subpixel_rays(CARM, POSE, 2)
    _, centre = subpixel_rays(CARM, POSE, 1)
    assert r.shape == (27, 33, 4, 3)
    assert np.allclose(r.mean(2), centre[:, :, 0], atol=1e-9)
    # Neighbours within a pixel are half a pixel apart: 1.85 mm along a row, 2.05 along a column.
    assert np.linalg.norm(r[5, 8, 1] - r[5, 8, 0]) == pytest.approx(1.85)
    assert np.linalg.norm(r[5, 8, 2] - r[5, 8, 0]) == pytest.approx(2.05)
    # And they look where the camera says a pixel a quarter to the upper left lies.
    point = torch.from_numpy(source + 0.6 * r[5, 8, 0])[None]
    assert CARM.project(point, POSE)[0].tolist() == pytest.approx([4.75, 7.75])


def test_a_step_that_is_not_positive_is_refused():
    values, matrix = gaussian_ball()
    source, r = subpixel_rays(CARM, POSE, 1)
    with pytest.raises(ValueError, match="step_mm must be positive"):
        soft(values, matrix, source, r, step_mm=0.0)
    with pytest.raises(ValueError, match="rays_per_side"):
        subpixel_rays(CARM, POSE, 0)


def test_as_many_threads_as_are_set_and_the_same_numbers(monkeypatch):
    asked = []

    class Counted(ThreadPoolExecutor):
        def __init__(self, count):
            asked.append(count)
            super().__init__(count)

    monkeypatch.setattr(projector, "ThreadPoolExecutor", Counted)
    relative = np.random.default_rng(4).random((5, 6, 7)).astype(np.float32)
    rays = np.random.default_rng(5).normal(size=(9, 3)) + np.array([0, 0, 40.0])
    found = []
    try:
        for count in (1, 3):
            set_thread_count(count)
            lengths = projector.path_lengths(
                relative,
                np.eye(4),
                np.array([3.0, 2.5, -20.0]),
                rays,
                decomposition=Decomposition.standard(),
                step_mm=0.5,
            )
            found.append(lengths.soft)
    finally:
        set_thread_count(None)
    assert asked == [1, 3]
    assert found[0].max() > 0
    assert np.array_equal(found[0], found[1])
