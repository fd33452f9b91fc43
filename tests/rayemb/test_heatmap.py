"""Similarity and posterior: small integers by hand, the naive formula, sub-pixel laws."""

import math

import pytest
import torch
from torch.nn import functional

from napari_xreg.rayemb.heatmap import embedding_norm, posterior, probabilities, similarity
from napari_xreg.rayemb.subspace import projector, subspace_basis


def test_similarity_of_small_integers_by_hand():
    # Subspace: the x-y plane. (3, 4, 12) has |Qe| / |e| = 5 / 13; (0, 8, 6) has 8 / 10.
    basis = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
    embedding = torch.tensor([[3.0, 4.0, 12.0], [0.0, 8.0, 6.0]]).T.reshape(3, 1, 2)
    maps = similarity(embedding, basis)
    torch.testing.assert_close(maps, torch.tensor([[[5 / 13, 0.8]]]))


@pytest.mark.parametrize("upsampling", [1, 2, 14])
def test_project_first_upsample_later_is_the_papers_similarity(upsampling):
    generator = torch.Generator().manual_seed(11)
    embedding = torch.randn(32, 5, 7, generator=generator)
    features = torch.randn(6, 32, 4, generator=generator)
    up = functional.interpolate(
        embedding[None], scale_factor=upsampling, mode="bilinear", align_corners=False
    )[0]
    projected = torch.einsum("nde,ehw->ndhw", projector(features), up)
    naive = functional.cosine_similarity(up[None].expand_as(projected), projected, dim=1)
    maps = similarity(embedding, subspace_basis(features), upsampling=upsampling)
    torch.testing.assert_close(maps, naive, rtol=0, atol=2e-6)
    norm = embedding_norm(embedding, upsampling)
    again = similarity(embedding, subspace_basis(features), upsampling=upsampling, norm=norm)
    torch.testing.assert_close(again, maps)


def test_half_precision_embeddings_are_compared_in_single():
    embedding = torch.randn(
        8, 3, 4, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(1)
    )
    basis = subspace_basis(torch.randn(2, 8, 3))
    assert similarity(embedding, basis).dtype == torch.float32


def peaked(rows: int, columns: int, row: float, column: float, width: float) -> torch.Tensor:
    """Similarities whose softmax at temperature 0.01 is a Gaussian."""
    r = torch.arange(rows, dtype=torch.float32)[:, None] - row
    c = torch.arange(columns, dtype=torch.float32) - column
    return 0.9 - 0.01 * (r**2 + c**2) / (2 * width**2)


@pytest.mark.parametrize(("row", "column"), [(10.0, 21.0), (10.3, 20.6), (9.75, 21.45)])
def test_a_peak_between_pixels_is_read_without_bias(row, column):
    read = posterior(peaked(24, 40, row, column, 1.3)[None], 0.01)
    torch.testing.assert_close(read.mean, torch.tensor([[row, column]]), rtol=0, atol=2e-3)
    torch.testing.assert_close(read.peak, torch.tensor([[row, column]]), rtol=0, atol=2e-3)


@pytest.mark.parametrize("width", [0.4, 2.0, 7.0])
def test_the_refined_peak_does_not_depend_on_the_width(width):
    read = posterior(peaked(24, 40, 10.3, 20.6, width)[None], 0.01)
    torch.testing.assert_close(read.peak, torch.tensor([[10.3, 20.6]]), rtol=0, atol=5e-3)


def test_covariance_has_row_before_column_and_the_right_size():
    r = torch.arange(40, dtype=torch.float32)[:, None] - 17.0
    c = torch.arange(40, dtype=torch.float32) - 22.0
    inverse = torch.linalg.inv(torch.tensor([[9.0, 2.0], [2.0, 4.0]]))
    exponent = inverse[0, 0] * r**2 + 2 * inverse[0, 1] * r * c + inverse[1, 1] * c**2
    read = posterior((0.8 - 0.005 * exponent)[None], 0.01)
    torch.testing.assert_close(
        read.covariance, torch.tensor([[[9.0, 2.0], [2.0, 4.0]]]), rtol=1e-3, atol=1e-3
    )
    # Entropy of a Gaussian: log(2 pi e sqrt(det)), det = 32.
    assert read.entropy.item() == pytest.approx(
        math.log(2 * math.pi * math.e) + 0.5 * math.log(32.0), abs=1e-3
    )


def test_two_equal_peaks_make_the_covariance_about_the_peak_large():
    maps = torch.maximum(peaked(20, 60, 8.0, 10.0, 1.0), peaked(20, 60, 8.0, 50.0, 1.0))
    maps[8, 10] += 1e-6
    read = posterior(maps[None], 0.01)
    torch.testing.assert_close(read.peak, torch.tensor([[8.0, 10.0]]), rtol=0, atol=1e-2)
    # Half the mass is 40 columns away: 40^2 / 2 + 1.
    assert read.covariance_about_peak[0, 1, 1].item() == pytest.approx(801.0, rel=0.01)


def test_probability_of_being_in_the_image_by_hand():
    # Two pixels of logit log 3 and log 5 against "outside" of log 2: 8 / 10.
    maps = torch.tensor([[[math.log(3.0), math.log(5.0)]]])
    read = posterior(maps, 1.0, outside_logit=math.log(2.0))
    assert read.in_image.item() == pytest.approx(0.8, rel=1e-5)
    assert math.isnan(posterior(maps, 1.0).in_image.item())


def test_masked_pixels_are_no_answer():
    maps = peaked(9, 11, 2.0, 3.0, 1.0)[None]
    usable = torch.ones(9, 11, dtype=torch.bool)
    usable[:5, :6] = False
    read = posterior(maps, 0.01, usable=usable)
    assert usable[tuple(read.peak[0].round().long())]
    weights = probabilities(maps, 0.01, usable=usable)
    assert weights[0][~usable].abs().max() == 0
    assert weights.sum().item() == pytest.approx(1.0, abs=1e-5)


def test_at_the_border_the_peak_is_not_drawn_inwards():
    read = posterior(peaked(12, 12, 0.0, 5.0, 1.5)[None], 0.01)
    torch.testing.assert_close(read.peak, torch.tensor([[0.0, 5.0]]), rtol=0, atol=1e-4)


def test_beside_a_masked_pixel_the_peak_is_the_pixel_itself():
    maps = peaked(9, 11, 4.3, 5.3, 1.0)[None]
    usable = torch.ones(9, 11, dtype=torch.bool)
    usable[:, 6:] = False
    read = posterior(maps, 0.01, usable=usable)
    torch.testing.assert_close(read.peak, torch.tensor([[4.3, 5.0]]), rtol=0, atol=1e-3)
