"""Image similarities: worked cases, brute force, laws, and parity with the packages users know."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.metrics import (
    gradient_ncc,
    is_flat,
    local_ncc,
    multiscale_ncc,
    mutual_information,
    ncc,
    normalized_mutual_information,
    ssim,
    xvr_similarity,
)
from napari_xreg.metrics.correlation import check_images
from napari_xreg.metrics.gradient_correlation import sobel_gradients

SIMILARITIES = {
    "ncc": ncc,
    "local_ncc": lambda x, y, mask=None: local_ncc(x, y, patch=9, mask=mask),
    "multiscale_ncc": lambda x, y, mask=None: multiscale_ncc(x, y, patches=(None, 9), mask=mask),
    "gradient_ncc": gradient_ncc,
    "blurred_gradient_ncc": lambda x, y, mask=None: gradient_ncc(x, y, sigma=1.5, mask=mask),
    "xvr_similarity": xvr_similarity,
    "mutual_information": mutual_information,
    "normalized_mutual_information": normalized_mutual_information,
    "ssim": ssim,
}
# Those that a gain and an offset of either image must not change (a flipped sign neither for MI).
GAIN_FREE = [name for name in SIMILARITIES if name != "ssim"]

every_similarity = pytest.mark.parametrize("name", SIMILARITIES)


def bumps(seed=0, rows=33, columns=38, dtype=torch.float64, shift=0.0):
    """A smooth image without symmetry: Gaussians on a ramp; `shift` moves it along the columns."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(rows, dtype=torch.float64)[:, None]
    x = torch.arange(columns, dtype=torch.float64)[None, :] - shift
    image = 0.013 * y + 0.007 * x
    for _ in range(6):
        a, r, c, s = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        distance = (y - r * rows) ** 2 + (x - c * columns) ** 2
        image = image + (0.5 + a) * torch.exp(-0.5 * distance / (2 + 4 * s) ** 2)
    return image.to(dtype)


def test_ncc_of_a_worked_case():
    # x - 2 = (-2, 0, 2, 0) / sqrt 2; y - 3 = (-2, -1, 1, 2) / sqrt 2.5: (4 + 0 + 2 + 0) / 4 / sqrt 5
    x = torch.tensor([[0.0, 2.0], [4.0, 2.0]], dtype=torch.float64)
    y = torch.tensor([[1.0, 2.0], [4.0, 5.0]], dtype=torch.float64)
    assert float(ncc(x, y, eps=0.0)) == pytest.approx(1.5 / math.sqrt(5), abs=1e-12)


def test_eps_is_added_to_both_variances():
    # Variances 2 and 2.5, covariance 1.5; eps 0.5 makes them 2.5 and 3.
    x = torch.tensor([[0.0, 2.0], [4.0, 2.0]], dtype=torch.float64)
    y = torch.tensor([[1.0, 2.0], [4.0, 5.0]], dtype=torch.float64)
    assert float(ncc(x, y, eps=0.5)) == pytest.approx(1.5 / math.sqrt(7.5), abs=1e-12)


def brute_local_ncc(x, y, patch, eps, mask=None):
    scores = []
    for row in range(x.shape[0] - patch + 1):
        for column in range(x.shape[1] - patch + 1):
            window = (slice(row, row + patch), slice(column, column + patch))
            keep = np.ones((patch, patch), bool) if mask is None else mask[window].numpy()
            if keep.mean() < 0.5:
                continue
            a, b = x[window].numpy()[keep], y[window].numpy()[keep]
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            scores.append(covariance / math.sqrt((a.var() + eps) * (b.var() + eps)))
    return float(np.mean(scores))


@pytest.mark.parametrize("patch", [2, 5, 12])
def test_local_ncc_is_the_mean_over_every_window(patch):
    x, y = bumps(1, 17, 13), bumps(2, 17, 13)
    assert float(local_ncc(x, y, patch=patch, eps=1e-3)) == pytest.approx(
        brute_local_ncc(x, y, patch, 1e-3), abs=1e-10
    )


def test_local_ncc_with_a_mask_uses_windows_that_are_half_usable():
    x, y = bumps(1, 17, 13), bumps(2, 17, 13)
    mask = torch.ones(17, 13, dtype=torch.bool)
    mask[3:11, 2:7] = False
    mask[15, 11] = False
    expected = brute_local_ncc(x, y, 5, 1e-3, mask)
    assert float(local_ncc(x, y, patch=5, eps=1e-3, mask=mask)) == pytest.approx(
        expected, abs=1e-10
    )


def test_local_ncc_in_float32_survives_an_offset_and_flat_air():
    # Air of 0 beside a body of 5 to 6: E[x^2] - E[x]^2 in float32 would make scores of any size.
    x, y = bumps(3, dtype=torch.float32), bumps(4, dtype=torch.float32)
    for image in (x, y):
        image[:, :16] = 0
        image[:, 16:] += 5
    exact = local_ncc(x.double(), y.double(), patch=7)
    assert float(local_ncc(x, y, patch=7)) == pytest.approx(float(exact), abs=1e-5)


def test_multiscale_ncc_is_the_mean_of_its_scales():
    x, y = bumps(5), bumps(6)
    scales = [
        float(ncc(x, y, eps=1e-4)),
        float(local_ncc(x, y, patch=13, eps=1e-4)),
        float(local_ncc(x, y, patch=7, eps=1e-4)),
    ]
    assert float(multiscale_ncc(x, y)) == pytest.approx((scales[0] + scales[1]) / 2, abs=1e-12)
    weighted = multiscale_ncc(x, y, patches=(None, 13, 7), weights=(3.0, 2.0, 1.0))
    expected = (3 * scales[0] + 2 * scales[1] + scales[2]) / 6
    assert float(weighted) == pytest.approx(expected, abs=1e-12)


def test_sobel_of_a_ramp():
    # 3 per column and 5 per row: the kernels sum 8 unit steps.
    ramp = 3.0 * torch.arange(9.0)[None, :] + 5.0 * torch.arange(7.0)[:, None]
    along_columns, along_rows = sobel_gradients(ramp)
    assert (along_columns[1:-1, 1:-1] == 24).all()
    assert (along_rows[1:-1, 1:-1] == 40).all()


def test_blur_of_a_point_is_a_gaussian():
    point = torch.zeros(21, 25, dtype=torch.float64)
    point[10, 12] = 1
    sharp, blurred = sobel_gradients(point)[0], sobel_gradients(point, sigma=1.5)[0]
    assert float(sharp[10, 11]) == 2
    # The derivative of a blurred point, summed against the column: minus the Sobel gain of 8.
    columns = torch.arange(25, dtype=torch.float64)
    assert float((blurred.sum(0) * columns).sum()) == pytest.approx(-8, abs=1e-9)
    spread = blurred[10, 9] / blurred[10, 10]
    assert 0.5 < float(spread) < 1


def test_gradient_ncc_averages_the_two_directions():
    x, y = bumps(7), bumps(8)
    a, b = sobel_gradients(x), sobel_gradients(y)
    expected = (ncc(a[0], b[0]) + ncc(a[1], b[1])) / 2
    assert float(gradient_ncc(x, y)) == pytest.approx(float(expected), abs=1e-12)


def test_xvr_similarity_is_the_mean_of_mncc_9_and_gncc_11():
    x, y = bumps(26), bumps(27)
    mncc = (ncc(x, y, eps=1e-4) + local_ncc(x, y, patch=9, eps=1e-4)) / 2
    gncc = gradient_ncc(x, y, patch=11, eps=1e-7)
    assert float(xvr_similarity(x, y)) == pytest.approx(float(mncc + gncc) / 2, abs=1e-12)
    mixed = xvr_similarity(x, y, beta=0.2)
    assert float(mixed) == pytest.approx(float(0.2 * mncc + 0.8 * gncc), abs=1e-12)


def test_mutual_information_of_worked_histograms():
    # Joint shares: (0,0) 1/2, (1,0) 1/4, (1,1) 1/4.
    x = torch.tensor([[0.0, 0.0], [7.0, 7.0]], dtype=torch.float64)
    y = torch.tensor([[2.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    h_x = math.log(2)
    h_y = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    h_xy = 0.5 * math.log(2) + 0.5 * math.log(4)
    assert float(mutual_information(x, y, bins=2)) == pytest.approx(h_x + h_y - h_xy, abs=1e-12)
    assert float(normalized_mutual_information(x, y, bins=2)) == pytest.approx(
        (h_x + h_y) / h_xy - 1, abs=1e-12
    )


def test_a_value_between_two_bins_is_shared_linearly():
    # 0, 1 and 0.25 in two bins: the last adds 0.75 to the first and 0.25 to the second.
    x = torch.tensor([[0.0, 1.0, 0.25]], dtype=torch.float64)
    same = mutual_information(x, x, bins=2)
    p = np.array([[1 + 0.75**2, 0.75 * 0.25], [0.75 * 0.25, 1 + 0.25**2]]) / 3
    marginal = p.sum(1)
    expected = (p * np.log(p / np.outer(marginal, marginal))).sum()
    assert float(same) == pytest.approx(expected, abs=1e-12)


def test_mutual_information_agrees_with_scikit_image():
    metrics = pytest.importorskip("skimage.metrics")
    generator = torch.Generator().manual_seed(11)
    x = torch.randint(0, 12, (40, 31), generator=generator)
    y = (x + torch.randint(0, 3, (40, 31), generator=generator)).clamp(0, 11)
    theirs = metrics.normalized_mutual_information(x.numpy(), y.numpy(), bins=12)
    ours = normalized_mutual_information(x.double(), y.double(), bins=12)
    assert float(ours) + 1 == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("offset", [0.0, 40.0])
def test_ssim_agrees_with_scikit_image(offset):
    metrics = pytest.importorskip("skimage.metrics")
    x, y = bumps(12) + offset, bumps(13) + offset
    theirs = metrics.structural_similarity(
        x.numpy(), y.numpy(), data_range=2.5, gaussian_weights=True, use_sample_covariance=False
    )
    assert float(ssim(x, y, data_range=2.5)) == pytest.approx(theirs, abs=1e-8)
    in_float32 = float(ssim(x.float(), y.float(), data_range=2.5))
    assert in_float32 == pytest.approx(theirs, abs=2e-3 if offset else 1e-5)


@every_similarity
def test_an_image_is_most_similar_to_itself(name):
    similarity = SIMILARITIES[name]
    x = bumps(14)
    scores = [float(similarity(x, bumps(14, shift=s))) for s in (0.0, 0.6, 2.3)]
    assert scores[0] > scores[1] > scores[2]
    if "mutual" not in name:  # in nats, and below 1 where values lie between bin centres
        assert scores[0] == pytest.approx(1, abs=1e-2)


@every_similarity
def test_the_negative_of_an_image_is_no_match(name):
    # Bone dark against bone bright: MI alone does not mind. Without the border: see gradient_ncc.
    similarity = SIMILARITIES[name]
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    x = bumps(15)
    positive = float(similarity(x, x, mask=mask))
    negative = float(similarity(x, x.max() - x, mask=mask))
    if "mutual" in name:
        assert negative == pytest.approx(positive, abs=1e-9)
    else:
        assert negative < 0


@pytest.mark.slow
@pytest.mark.parametrize("name", GAIN_FREE)
@given(gain=st.floats(0.5, 40), offset=st.floats(-20, 20))
def test_gain_and_offset_do_not_matter(name, gain, offset):
    # A mask that leaves out the border, where zero padding turns an offset into an edge.
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    x, y = 30 * bumps(16), 30 * bumps(17)
    similarity = SIMILARITIES[name]
    plain, changed = similarity(x, y, mask=mask), similarity(x, gain * y + offset, mask=mask)
    assert float(changed) == pytest.approx(float(plain), abs=2e-3)


@every_similarity
def test_what_lies_under_the_mask_does_not_matter(name):
    similarity = SIMILARITIES[name]
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[4:9, 20:36] = False
    x, y = bumps(18), bumps(19)
    clean = similarity(x, y, mask=mask)
    x[~mask], y[~mask] = float("nan"), 1e6
    assert float(similarity(x, y, mask=mask)) == pytest.approx(float(clean), abs=1e-12)
    assert float(clean) != pytest.approx(float(similarity(bumps(18), bumps(19))), abs=1e-6)


@every_similarity
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_image_scores_zero_and_has_a_finite_gradient(name, dtype):
    similarity = SIMILARITIES[name]
    flat = torch.full((33, 38), 3.7, dtype=dtype)
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    for fixed, moving in ((flat, bumps(20, dtype=dtype)), (bumps(20, dtype=dtype), flat)):
        moving = moving.clone().requires_grad_()
        score = similarity(fixed, moving, mask=mask)
        # SSIM against a constant image keeps its luminance term: only a flat `fixed` is 0 there.
        if name != "ssim" or fixed is flat:
            assert float(score.detach()) == pytest.approx(0, abs=1e-4)
        score.backward()
        assert torch.isfinite(moving.grad).all()
    both = similarity(flat, flat, mask=mask)
    assert float(both) == pytest.approx(0, abs=1e-4)


def rounded(value, rows=33, columns=38):
    """A constant as filters leave it in float32: now and then one unit in the last place off."""
    generator = torch.Generator().manual_seed(31)
    steps = torch.randint(-1, 2, (rows, columns), generator=generator).double()
    return torch.full((rows, columns), value).double().mul(1 + 2**-23 * steps).float()


CONSTANTS = {str(value): torch.full((33, 38), value) for value in (0.1, 12.3, -40.3)}
CONSTANTS |= {f"rounded {value}": rounded(value) for value in (0.1, 3.7)}


@every_similarity
@pytest.mark.parametrize("flat", CONSTANTS.values(), ids=CONSTANTS)
def test_what_rounding_makes_of_a_constant_scores_zero(name, flat):
    similarity = SIMILARITIES[name]
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    mask[9:21, 5:16] = False
    for moving in (bumps(20, dtype=torch.float32), 3 * flat + 1):
        assert float(similarity(flat, moving, mask=mask)) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", ["ncc", "gradient_ncc", "blurred_gradient_ncc"])
def test_a_constant_far_from_zero_scores_zero(name):
    # In float32 the mean of a thousand times 1000.7 is 6e-5 off, whose square is no match for eps.
    flat = torch.full((33, 38), 1000.7)
    mask = torch.ones(33, 38, dtype=torch.bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    for moving in (bumps(20, dtype=torch.float32), flat, 3 * flat + 1):
        assert float(SIMILARITIES[name](flat, moving, mask=mask)) == pytest.approx(0, abs=1e-6)


def test_blurring_a_constant_leaves_no_slope_but_at_the_border():
    slopes = sobel_gradients(torch.full((17, 21), 40.3), sigma=1.5)
    assert slopes[:, 1:-1, 1:-1].abs().max() == 0
    # Beyond the image is zero: 3.7 less nothing, weights 1, 2, 1.
    edge = sobel_gradients(torch.full((17, 21), 3.7), sigma=1.5)
    assert edge[0, 5, 0] == pytest.approx(4 * 3.7)
    assert edge[1, -1, 5] == pytest.approx(-4 * 3.7)


@pytest.mark.parametrize("name", ["ncc", "mutual_information", "normalized_mutual_information"])
def test_a_single_usable_pixel_scores_zero(name):
    mask = torch.zeros(33, 38, dtype=torch.bool)
    mask[7, 19] = True
    assert float(SIMILARITIES[name](bumps(1), bumps(2), mask=mask)) == 0


def test_a_constant_is_flat_however_it_is_rounded():
    values = torch.stack([rounded(v).flatten() for v in (0.0, 3.7, -40.3, 1000.7)])
    assert is_flat(values).all()
    assert not is_flat(values + 0.01 * bumps(3).float().flatten()).any()
    assert is_flat(torch.zeros(0))
    assert is_flat(torch.tensor([5.0]))


@every_similarity
def test_batches_equal_single_images_and_broadcast(name):
    similarity = SIMILARITIES[name]
    fixed = bumps(21)
    moving = torch.stack([bumps(seed) for seed in (21, 22, 23)])
    batch = similarity(fixed, moving)
    assert batch.shape == (3,)
    singles = torch.stack([similarity(fixed, image) for image in moving])
    assert torch.allclose(batch, singles, atol=1e-12)
    grid = similarity(moving[:2, None], moving)
    assert grid.shape == (2, 3)
    assert float(grid[1, 2]) == pytest.approx(float(similarity(moving[1], moving[2])), abs=1e-12)


@every_similarity
def test_the_gradient_is_that_of_central_differences(name):
    similarity = SIMILARITIES[name]
    x = bumps(24, 14, 16)
    # Noise keeps values off the bin centres of the histogram, where it has a kink.
    y = bumps(25, 14, 16) + 0.01 * torch.rand(
        14, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(5)
    )
    y.requires_grad_()
    similarity(x, y).backward()
    inner = (
        (y.detach() > y.detach().min() + 1e-3) & (y.detach() < y.detach().max() - 1e-3)
    ).nonzero()
    for row, column in inner[:: len(inner) // 9].tolist():
        change = torch.zeros_like(x)
        change[row, column] = 1e-6
        up, down = similarity(x, y.detach() + change), similarity(x, y.detach() - change)
        slope = float(up - down) / 2e-6
        assert float(y.grad[row, column]) == pytest.approx(slope, abs=1e-5, rel=1e-3)


def test_images_and_masks_of_different_size_are_refused():
    # Called directly: in tests the shape checks would speak first.
    with pytest.raises(ValueError, match="same rows and columns"):
        check_images(torch.ones(30, 31), torch.ones(31, 30), None)
    with pytest.raises(ValueError, match="rows and columns of the images"):
        check_images(torch.ones(30, 31), torch.ones(30, 31), torch.ones(31, 30, dtype=torch.bool))


def test_bad_arguments_are_refused():
    x = bumps(1)
    with pytest.raises(ValueError, match="no pixel"):
        ncc(x, x, mask=torch.zeros(33, 38, dtype=torch.bool))
    with pytest.raises(ValueError, match="got 34"):
        local_ncc(x, x, patch=34)
    with pytest.raises(ValueError, match="2 weights"):
        multiscale_ncc(x, x, patches=(None, 9, 13), weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(x[:10], x[:10])
    with pytest.raises(ValueError, match="at least two bins"):
        mutual_information(x, x, bins=1)


@pytest.mark.peers
class TestNanodrr:
    """The NCC family against nanodrr 0.1.7, which xvr refines with."""

    def images(self):
        pair = [torch.stack([bumps(s), bumps(s + 1)]).float() for s in (30, 40)]
        return pair, [image[:, None] for image in pair]

    @pytest.mark.parametrize("patch", [None, 9])
    def test_ncc(self, patch):
        peers = pytest.importorskip("nanodrr.metrics")
        ours, theirs = self.images()
        expected = peers.NormalizedCrossCorrelation2d(patch)(*theirs)
        found = ncc(*ours) if patch is None else local_ncc(*ours, patch=patch)
        assert torch.allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize("patch", [None, 11])
    @pytest.mark.parametrize("sigma", [0.0, 1.3])
    def test_gradient_ncc(self, patch, sigma):
        peers = pytest.importorskip("nanodrr.metrics")
        ours, theirs = self.images()
        expected = peers.GradientNormalizedCrossCorrelation2d(patch, sigma)(*theirs)
        assert torch.allclose(gradient_ncc(*ours, patch=patch, sigma=sigma), expected, atol=1e-5)

    def test_xvr_similarity(self):
        peers = pytest.importorskip("nanodrr.metrics")
        ours, theirs = self.images()
        mncc = peers.MultiscaleNormalizedCrossCorrelation2d([None, 9], [0.5, 0.5])(*theirs)
        gncc = peers.GradientNormalizedCrossCorrelation2d(11, 0.0)(*theirs)
        assert torch.allclose(xvr_similarity(*ours), 0.5 * mncc + 0.5 * gncc, atol=1e-5)
