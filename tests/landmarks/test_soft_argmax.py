"""Where a heatmap peaks: worked by hand, unbiased between pixels, differentiable."""

import pytest
import torch

from napari_xreg.landmarks import local_soft_argmax


def gaussian(row: float, column: float, shape: tuple[int, int], sigma: float = 1.0) -> torch.Tensor:
    v = torch.arange(shape[0], dtype=torch.float64)[:, None] - row
    u = torch.arange(shape[1], dtype=torch.float64) - column
    return -0.5 * (v**2 + u**2) / sigma**2


def test_mean_and_covariance_of_four_pixels_by_hand() -> None:
    # Shares 0.5 at (2, 3), 0.2 at (2, 4), 0.1 at (3, 4), 0.2 at (1, 3); nothing elsewhere.
    share = torch.full((5, 7), 1e-30, dtype=torch.float64)
    share[2, 3], share[2, 4], share[3, 4], share[1, 3] = 0.5, 0.2, 0.1, 0.2
    peak = local_soft_argmax(share.log(), window=3)
    # row: 0.7 * 2 + 0.1 * 3 + 0.2 * 1 = 1.9; column: 0.7 * 3 + 0.3 * 4 = 3.3
    assert peak.pixels.tolist() == pytest.approx([1.9, 3.3])
    # rows: 0.7 * 0.01 + 0.1 * 1.21 + 0.2 * 0.81; columns: 0.7 * 0.09 + 0.3 * 0.49
    # across: 0.5 (0.1)(-0.3) + 0.2 (0.1)(0.7) + 0.1 (1.1)(0.7) + 0.2 (-0.9)(-0.3)
    expected = [[0.29, 0.13], [0.13, 0.21]]
    assert torch.allclose(peak.covariances, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("row", [11.0, 11.3, 11.5, 11.85])
@pytest.mark.parametrize("column", [6.0, 6.45, 6.7])
def test_a_gaussian_peak_between_pixels_is_found_without_bias(row: float, column: float) -> None:
    peak = local_soft_argmax(gaussian(row, column, (31, 20)), window=11)
    assert peak.pixels.tolist() == pytest.approx([row, column], abs=2e-3)
    assert torch.allclose(peak.covariances, torch.eye(2, dtype=torch.float64), atol=0.02)


def test_rows_and_columns_are_not_exchanged() -> None:
    v = torch.arange(31, dtype=torch.float64)[:, None] - 14.2
    u = torch.arange(20, dtype=torch.float64) - 8.6
    peak = local_soft_argmax(-0.5 * (v**2 / 4 + u**2 / 0.49), window=15)
    assert peak.pixels.tolist() == pytest.approx([14.2, 8.6], abs=0.01)
    assert peak.covariances.diagonal().tolist() == pytest.approx([4.0, 0.49], rel=0.02)


def test_beside_a_border_a_peak_stays_unbiased_and_keeps_its_spread() -> None:
    peak = local_soft_argmax(gaussian(1.0, 17.0, (31, 20), 1.5), window=9)
    assert peak.pixels.tolist() == pytest.approx([1.0, 17.0], abs=1e-6)
    corner = local_soft_argmax(gaussian(0.0, 19.0, (31, 20), 1.5), window=9)
    assert corner.pixels.tolist() == pytest.approx([0.0, 19.0])
    assert corner.covariances.diagonal().min() > 0.8


def test_other_peaks_have_no_say() -> None:
    two = torch.logaddexp(gaussian(20.3, 5.0, (31, 20)), gaussian(5.0, 15.0, (31, 20)) - 0.7)
    assert local_soft_argmax(two, window=9).pixels.tolist() == pytest.approx([20.3, 5.0], abs=0.01)


def test_every_pixel_of_the_window_has_a_gradient_and_no_other() -> None:
    logits = gaussian(11.3, 6.8, (31, 20)).requires_grad_()
    local_soft_argmax(logits, window=5).pixels[0].backward()
    assert logits.grad is not None
    touched = logits.grad != 0
    # The peak's pixel is (11, 7): rows 9 to 13, columns 5 to 9.
    assert touched[9:14, 5:10].sum() >= 24
    assert touched.sum() == touched[9:14, 5:10].sum()
    assert torch.autograd.gradcheck(
        lambda x: local_soft_argmax(x, window=5).pixels,
        gaussian(5.3, 4.8, (12, 9)).requires_grad_(),
    )


def test_batches_are_maps_one_by_one() -> None:
    maps = torch.randn(3, 2, 17, 13, generator=torch.Generator().manual_seed(4))
    together = local_soft_argmax(maps)
    for i in range(3):
        for j in range(2):
            alone = local_soft_argmax(maps[i, j])
            assert torch.allclose(together.pixels[i, j], alone.pixels, atol=1e-5)
            assert torch.allclose(together.covariances[i, j], alone.covariances, atol=1e-5)


def test_an_even_window_has_no_middle() -> None:
    with pytest.raises(ValueError, match="odd side"):
        local_soft_argmax(torch.zeros(9, 9), window=4)
