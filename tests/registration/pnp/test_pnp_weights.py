"""The paper's weightings with numbers worked out by hand."""

import math

import pytest
import torch

from napari_xreg.registration import Correspondences, Weighting, weighted

U = torch.tensor([3.0, 1.0, 5.0, 2.0], dtype=torch.float64)


def given(**change):
    return Correspondences(torch.zeros(4, 3), torch.zeros(4, 2), **change)


def weights(mode, **options):
    found = weighted(given(), Weighting(mode, **options), U)
    assert found.weights is not None
    return found.weights.tolist()


def test_none_forgets_covariances():
    c = given(covariances=2.0 * torch.eye(2).expand(4, 2, 2))
    found = weighted(c, Weighting())
    assert found.covariances is None
    assert found.weights is None
    assert weighted(c, Weighting("covariance")).covariances is c.covariances


def test_continuous_in_pixels_as_the_released_code():
    # exp(-0.1 u) / max: u - min u = 2, 0, 4, 1
    expected = [math.exp(-0.2), 1.0, math.exp(-0.4), math.exp(-0.1)]
    assert weights("continuous", beta=0.1) == pytest.approx(expected, abs=1e-12)


def test_continuous_in_pixels_does_not_underflow():
    assert weights("continuous", beta=1e4)[1] == 1.0


def test_continuous_normalised_as_the_paper():
    # u / max u = 0.6, 0.2, 1, 0.4, then relative to the largest: 0.4, 0, 0.8, 0.2
    expected = [math.exp(-0.2), 1.0, math.exp(-0.4), math.exp(-0.1)]
    found = weights("continuous", beta=0.5, form="normalised")
    assert found == pytest.approx(expected, abs=1e-6)
    # The paper's best beta is no weighting at all.
    assert min(weights("continuous", beta=0.01, form="normalised")) > 0.99


def test_inverse_is_of_u_not_of_its_square():
    assert weights("inverse") == pytest.approx([1 / 3, 1.0, 1 / 5, 1 / 2], abs=1e-5)


def test_rank_runs_from_one_to_zero():
    assert weights("rank") == pytest.approx([1 / 3, 1.0, 0.0, 2 / 3])


def test_selection_drops_the_most_uncertain():
    found = weighted(given(), Weighting.selection(2), U)
    assert found.kept is not None
    assert found.kept.tolist() == [False, True, False, True]
    assert found.weights is None


def test_selection_needs_more_than_it_drops():
    found = weighted(given(), Weighting.selection(4), U)
    assert found.kept is not None
    assert found.kept.all()


def test_selection_looks_at_what_is_kept_only():
    kept = torch.tensor([True, True, False, True])
    found = weighted(given(kept=kept), Weighting.selection(1), U)
    assert found.kept is not None
    assert found.kept.tolist() == [False, True, False, True]
    ranked = weighted(given(kept=kept), Weighting("rank"), U)
    assert ranked.weights is not None
    assert ranked.weights.tolist() == [0.0, 1.0, 0.0, 0.5]


def test_uncertainty_comes_from_the_covariance_and_selection_keeps_it():
    c = torch.stack([torch.diag(torch.tensor([u, 3 * u]) ** 2) for u in (3.0, 1.0, 5.0, 2.0)])
    found = weighted(given(covariances=c), Weighting("covariance", discard=1))
    assert found.covariances is c
    assert found.kept is not None
    assert found.kept.tolist() == [True, True, False, True]
    inverse = weighted(given(covariances=c), Weighting("inverse")).weights
    assert inverse is not None
    assert inverse.tolist() == pytest.approx([1 / 3, 1.0, 1 / 5, 1 / 2], abs=1e-5)


def test_unknown_counts_as_the_median_of_the_others():
    u = torch.tensor([4.0, float("nan"), 1.0, 2.0], dtype=torch.float64)
    found = weighted(given(), Weighting("inverse"), u).weights
    assert found is not None
    assert found.tolist() == pytest.approx([1 / 4, 1 / 2, 1.0, 1 / 2], abs=1e-5)


@pytest.mark.parametrize("mode", ["continuous", "inverse"])
def test_weights_know_their_gradient(mode):
    u = U.clone().requires_grad_(True)
    for form in ("pixel", "normalised"):
        how = Weighting(mode, beta=0.3, form=form)
        assert torch.autograd.gradcheck(lambda x, how=how: weighted(given(), how, x).weights, u)


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="needs the uncertainty"):
        weighted(given(), Weighting("inverse"))
    with pytest.raises(ValueError, match="needs a covariance"):
        weighted(given(), Weighting("covariance"), U)
    with pytest.raises(ValueError, match="beta must be at least 0"):
        Weighting("continuous", beta=-0.5)
    with pytest.raises(ValueError, match="number of landmarks: got -1"):
        Weighting.selection(-1)
    with pytest.raises(ValueError, match="at least 0"):
        weighted(given(), Weighting("rank"), -U)
