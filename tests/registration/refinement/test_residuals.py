"""The z-scored residuals and their derivative, against numpy and finite differences."""

import cv2
import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import Channels, GaussianDerivative, gradient, intensity
from napari_xreg.registration.refinement.host.planes import (
    filtered,
    scored_slopes,
    standardised,
)
from napari_xreg.registration.refinement.host.view_problem import ViewProblem
from napari_xreg.rendering import prepare

RNG = np.random.default_rng(3)


def residual(values, target, w):
    return standardised(values.astype(np.float32), w)[0] - standardised(target, w)[0]


def test_half_the_mean_square_is_one_minus_ncc():
    a, b = RNG.normal(2.0, 3.0, 500), RNG.normal(-1.0, 0.5, 500)
    a = a + 2 * b
    w = np.full(500, 1 / 500, np.float32)
    r = residual(a, b.astype(np.float32), w)
    assert 0.5 * np.mean(r**2) == pytest.approx(1 - np.corrcoef(a, b)[0, 1], abs=1e-5)


def test_weighted_residuals_ignore_what_has_no_weight():
    a, b = RNG.normal(0, 1, 300), RNG.normal(0, 1, 300)
    a[:100] = 50.0
    w = np.r_[np.zeros(100), np.full(200, 1 / 200)].astype(np.float32)
    r = residual(a, b.astype(np.float32), w)
    assert 0.5 * np.sum(w * r**2) == pytest.approx(
        1 - np.corrcoef(a[100:], b[100:])[0, 1], abs=1e-5
    )


def test_derivative_includes_that_of_the_z_scoring():
    n = 400
    image, slopes = RNG.normal(1.7, 0.6, n), RNG.normal(0.3, 1.1, (6, n))
    target = RNG.normal(0, 1, n).astype(np.float32)
    w = RNG.uniform(0.2, 1.0, n)
    w = (w / w.sum()).astype(np.float32)
    z, spread = standardised(image.astype(np.float32), w)
    analytic = scored_slopes(slopes.astype(np.float32), z, spread, w)
    for k in range(6):
        moved = [residual(image + step * slopes[k], target, w) for step in (1e-2, -1e-2)]
        numeric = (moved[0] - moved[1]) / 2e-2
        np.testing.assert_allclose(analytic[k], numeric, atol=2e-3)


@pytest.mark.parametrize("shape", [(37, 23), (9, 40), (4, 5), (101, 97)])
def test_images_of_a_batch_are_filtered_as_one_by_one(shape):
    """To the bit, those of which a filter sees more rows than there are too."""
    kernels = GaussianDerivative("columns", 1.7).kernels()
    images = RNG.normal(1.3, 0.7, (3, 2, *shape)).astype(np.float32)
    whole = filtered(images, kernels)
    for image, found in zip(images.reshape(-1, *shape), whole.reshape(-1, *shape), strict=True):
        along_row, along_column = kernels
        border = cv2.BORDER_REFLECT
        wanted = cv2.sepFilter2D(image, cv2.CV_32F, along_row, along_column, borderType=border)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_pose_does_not_know_who_is_in_its_batch(threads):
    """What is fitted to it and its sums are, to the bit, as of it alone; so under what another fitted."""
    mask = torch.ones(26, 30, dtype=torch.bool)
    mask[:4] = mask[9, 7:12] = False
    channels = Channels(outlier_scale=3.0, tone=True, contrast_floor=0.1)
    problem, carm, volume = _small_problem(channels, mask)
    problem._threads = threads
    poses = Pose.stack(
        [
            carm.world_from_camera(11.0 * n, -7.0, 4.0, isocenter=volume.center, offset_mm=(n, 1.0, 2.0))
            for n in range(7)
        ]
    )  # fmt: skip
    seen = problem.observe(prepare(volume), poses, volume.center.numpy())
    held, sums = problem.fitted(seen)
    others = problem.sums_of(seen, held[::-1], slopes=False)
    for row in range(7):
        alone = problem.observe(prepare(volume), poses[row : row + 1], volume.center.numpy())
        np.testing.assert_array_equal(alone[0].jacobian, seen[row].jacobian)
        (own,), wanted = problem.fitted(alone)
        np.testing.assert_array_equal(sums[row], wanted[0])
        assert own.tone.curve == held[row].tone.curve
        np.testing.assert_array_equal(
            others[row], problem.sums_of(alone, [held[6 - row]], slopes=False)[0]
        )
        # What fits it best is not what fits another.
        assert not np.allclose(others[row, :, -1, -1], sums[row, :, -1, -1]) or row == 3


def test_derivative_filter_gives_one_on_a_unit_ramp():
    smooth, slope = GaussianDerivative("rows", 1.5).kernels()
    across, along = GaussianDerivative("columns", 1.5).kernels()
    assert (across == slope).all()
    assert (along == smooth).all()
    # correlation, as OpenCV's filters are: sum_k slope[k] f[x + k] with f = x is sum_k k slope[k]
    reach = slope.size // 2
    offsets = np.arange(-reach, reach + 1)
    assert smooth.sum() == pytest.approx(1.0, abs=1e-6)
    assert (offsets * slope).sum() == pytest.approx(1.0, abs=1e-6)
    assert slope.sum() == pytest.approx(0.0, abs=1e-6)


def _small_problem(channels, mask=None):
    z, y, x = np.meshgrid(np.arange(20), np.arange(24), np.arange(22), indexing="ij")
    blob = 0.02 * np.exp(-(((x - 9) / 4) ** 2 + ((y - 13) / 5) ** 2 + ((z - 8) / 3) ** 2))
    matrix = torch.diag(torch.tensor([2.0, 1.5, 2.5, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([-21.0, -17.0, -26.0])
    volume = Volume(torch.from_numpy(blob.astype(np.float32)), matrix)
    carm = CArm(900.0, 600.0, Detector((26, 30), (3.1, 2.9), (11.0, 16.5)))
    # What is compared with is smooth and elsewhere, so that the loss has a slope worth testing.
    row, column = np.meshgrid(np.arange(26), np.arange(30), indexing="ij")
    spot = np.exp(-(((row - 9) / 6) ** 2 + ((column - 19) / 5) ** 2)) + 0.01 * column
    radiograph = Radiograph(torch.from_numpy(spot.astype(np.float32)), carm, mask=mask)
    problem = ViewProblem(radiograph, channels, method="trilinear", threads=1)
    return problem, carm, volume


@pytest.mark.parametrize(
    ("scale", "tone", "floor"),
    [(None, False, None), (None, False, 0.2), (3.0, False, None), (3.0, True, 0.1)],
)
def test_gradient_of_the_loss_against_central_differences(scale, tone, floor):
    mask = torch.ones(26, 30, dtype=torch.bool)
    mask[:4] = False
    compared = (*intensity(0.4), *gradient(0.6, sigma=1.2))
    channels = Channels(compared, outlier_scale=scale, tone=tone, contrast_floor=floor)
    problem, carm, volume = _small_problem(channels, mask)
    pose = carm.world_from_camera(
        20.0, -15.0, 4.0, isocenter=volume.center, offset_mm=(3.0, -2.0, 5.0)
    )
    pivot = volume.center + 5.0
    shares = 0.5 * np.array([channel.weight for channel in problem.compared])
    seen = problem.observe(prepare(volume), Pose.stack([pose]), pivot.numpy())
    held, sums = problem.fitted(seen)
    assert (held[0].tone is not None) == tone
    slope = 2 * shares @ sums[0, :, :-1, -1]
    for k in range(6):
        step = 2e-3 if k < 3 else 0.2
        losses = []
        for sign in (1, -1):
            twist = torch.zeros(6, dtype=torch.float64)
            twist[k] = sign * step
            moved = Pose.stack([pose.left_perturb(twist, pivot)])
            there = problem.observe(prepare(volume), moved, pivot.numpy())
            losses.append(shares @ problem.sums_of(there, held, slopes=False)[0, :, -1, -1])
        numeric = (losses[0] - losses[1]) / (2 * step)
        # float32 images: the loss carries about 1e-6, divided by the step
        assert slope[k] == pytest.approx(numeric, rel=0.03, abs=2e-6 / step)


def _ramps_problem(channels):
    """Slope 0.5 along columns in the left 20 and 2 in the other 60: the median contrast is 2."""
    columns = torch.cat([0.5 * torch.arange(20.0), 10.0 + 2.0 * torch.arange(60.0)])
    carm = CArm(900.0, 600.0, Detector((50, 80), (3.1, 2.9)))
    volume = Volume(torch.ones(4, 4, 4), torch.eye(4, dtype=torch.float64))
    image = Radiograph(columns.expand(50, 80).clone(), carm)
    problem = ViewProblem(image, channels)
    pose = carm.world_from_camera(0.0, 0.0, isocenter=volume.center)
    seen = problem.observe(prepare(volume), Pose.stack([pose]), volume.center.numpy())
    return [w.reshape(50, 80) for w in problem.fitted(seen)[0][0].weights]


def test_faint_edges_weigh_by_one_over_the_contrast_around_them():
    intensity, along_rows, along_columns = _ramps_problem(Channels(contrast_floor=0.1))
    assert intensity.max() == intensity.min() == pytest.approx(1 / 4000)
    for weight in (along_rows, along_columns):
        assert weight.sum() == pytest.approx(1.0, abs=1e-5)
        faint, steep = weight[25, 10], weight[25, 50]
        assert faint / steep == pytest.approx((2 + 0.2) / (0.5 + 0.2), rel=1e-3)


def test_without_a_contrast_floor_pixels_weigh_alike():
    for weight in _ramps_problem(Channels()):
        assert weight.max() == weight.min() == pytest.approx(1 / 4000)


@pytest.mark.parametrize("floor", [0.0, -0.1])
def test_contrast_floor_must_be_positive(floor):
    with pytest.raises(ValueError, match="contrast floor"):
        Channels(contrast_floor=floor)


def test_masked_pixels_cannot_change_the_loss():
    mask = torch.ones(26, 30, dtype=torch.bool)
    mask[5:15, 8:20] = False
    channels = Channels(contrast_floor=0.1)
    problem, carm, volume = _small_problem(channels, mask)
    pose = carm.world_from_camera(0.0, 0.0, isocenter=volume.center)
    spoiled = problem.radiograph.line_integrals.clone()
    spoiled[~mask] = 77.0
    other = ViewProblem(
        Radiograph(spoiled, carm, mask=mask),
        channels,
        method="trilinear",
        threads=1,
    )
    losses = []
    for p in (problem, other):
        seen = p.observe(prepare(volume), Pose.stack([pose]), volume.center.numpy())
        losses.append(p.fitted(seen)[1][0, :, -1, -1].sum())
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize("value", [1.0, 12.3, 40.3])
def test_constant_radiograph_is_refused(value):
    # numpy's deviation of 12.3 in float32 is 3e-6.
    carm = CArm(900.0, 600.0, Detector((100, 107), (3.0, 2.5)))
    flat = torch.full((100, 107), value)
    with pytest.raises(ValueError, match="constant"):
        ViewProblem(Radiograph(flat, carm), Channels())
    flat[::3] *= 1 + 2**-23  # as a filter leaves it
    with pytest.raises(ValueError, match="constant"):
        ViewProblem(Radiograph(flat, carm), Channels())


@pytest.mark.parametrize("value", [0.0, 3.7, 40.3])
def test_a_constant_drr_has_no_z_scores(value):
    w = np.full(10700, 1 / 10700, np.float32)  # they sum to 1 - 2e-6
    target = RNG.normal(2.0, 3.0, 10700).astype(np.float32)
    r = residual(np.full(10700, value), target, w)
    expected = (target - target.mean(dtype=np.float64)) / target.std(dtype=np.float64)
    np.testing.assert_allclose(-r, expected, atol=1e-4)


def test_air_cut_off_at_zero_does_not_take_all_the_weight():
    # Two thirds are exactly 0. Their contrast is that of rounding, and so was the median's.
    carm = CArm(900.0, 600.0, Detector((60, 90), (3.0, 2.5)))
    image = torch.zeros(60, 90)
    rows, columns = torch.arange(60.0)[:, None], torch.arange(30.0)[None]
    image[:, 60:] = 2.0 + torch.sin(0.5 * rows) * torch.cos(0.7 * columns)
    problem = ViewProblem(Radiograph(image, carm), Channels(contrast_floor=0.1))
    prior = np.zeros(5400, np.float32)
    prior[problem.compared[1].index] = problem.compared[1].prior
    prior = prior.reshape(60, 90)
    # 1 / (0 + 0.1 m) against 1 / (m + 0.1 m), m the median of what has contrast.
    ratio = prior[:, :40].max() / np.median(prior[:, 64:])
    assert ratio == pytest.approx(11.0, rel=0.05)
