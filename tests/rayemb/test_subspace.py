"""The subspace of a point, pinned by hand and against the naive projector."""

import pytest
import torch

from napari_xreg.rayemb.subspace import projector, subspace_basis


def rank(basis):
    """How many of the basis vectors are not zero."""
    return basis.square().sum((-2, -1)).round()


def test_projection_of_small_integers_by_hand():
    # Span of (1, 2, 2, 0) and (0, 3, 0, 4). e = (3, 0, 3, 5): by Gram-Schmidt q1 = (1, 2, 2, 0) / 3,
    # (0, 3, 0, 4) - 2 q1 = (-2/3, 5/3, -4/3, 4), of squared length 21; q1.e = 3 and that . e = 14:
    features = torch.tensor([[1.0, 0.0], [2.0, 3.0], [2.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    e = torch.tensor([3.0, 0.0, 3.0, 5.0], dtype=torch.float64)
    basis = subspace_basis(features)
    # (-2/3*3 - 4/3*3 + 4*5) = -2 - 4 + 20 = 14; |Q^T e|^2 = 9 + 14^2 / 21 = 55 / 3.
    torch.testing.assert_close((basis.mT @ e).square().sum(), torch.tensor(55.0 / 3.0).double())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_thin_qr_is_the_papers_projector(dtype, tolerance):
    features = torch.randn(50, 32, 4, dtype=dtype, generator=torch.Generator().manual_seed(3))
    basis = subspace_basis(features)
    torch.testing.assert_close(basis @ basis.mT, projector(features), rtol=0, atol=tolerance)
    assert rank(basis).tolist() == [4.0] * 50


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_dependent_templates_leave_the_subspace_of_the_others(dtype):
    features = torch.randn(4, 12, 4, dtype=dtype, generator=torch.Generator().manual_seed(4))
    features[1, :, 3] = features[1, :, 0]  # chosen twice
    features[2, :, 2] = features[2, :, 0] - 2 * features[2, :, 1]  # in the plane of two
    features[3, :, 1:] = 0.0  # seen by one template only
    basis = subspace_basis(features)
    expected = projector(features)
    torch.testing.assert_close(
        basis @ basis.mT, expected, rtol=0, atol=3e-4 if dtype == torch.float32 else 1e-10
    )
    assert rank(basis).tolist() == [4.0, 3.0, 3.0, 1.0]


def test_nothing_seen_is_an_empty_subspace():
    basis = subspace_basis(torch.zeros(2, 5, 3))
    assert basis.abs().max() == 0
    assert rank(basis).tolist() == [0.0, 0.0]


def test_nearly_dependent_but_above_the_cut_stays_full():
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(9, 3, dtype=torch.float64, generator=generator)
    features[:, 2] = features[:, 0] + 1e-7 * features[:, 2]
    basis = subspace_basis(features)
    assert rank(basis) == 3
    torch.testing.assert_close(basis @ basis.mT, projector(features), rtol=0, atol=1e-7)


def test_the_gradient_is_that_of_the_projector():
    generator = torch.Generator().manual_seed(6)
    features = torch.randn(2, 7, 3, dtype=torch.float64, generator=generator).requires_grad_()
    e = torch.randn(7, dtype=torch.float64, generator=generator)
    (by_basis,) = torch.autograd.grad((subspace_basis(features).mT @ e).square().sum(), features)
    (naive,) = torch.autograd.grad((e @ (projector(features) @ e).mT).sum(), features)
    torch.testing.assert_close(by_basis, naive)


def test_as_many_templates_as_dimensions_are_refused():
    with pytest.raises(ValueError, match="fewer than 4 templates"):
        subspace_basis(torch.randn(4, 4))
