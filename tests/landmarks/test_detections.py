"""Detections as correspondences: names, visibility, weights; a known cloud of samples."""

import pytest
import torch

from napari_xreg.images import Landmark
from napari_xreg.landmarks import Detections
from napari_xreg.registration import Weighting

NAMES = ("ASIS-l", "FH-l", "FH-r", "GSN-r", "MOF-l")


def cloud(samples: int = 4) -> Detections:
    generator = torch.Generator().manual_seed(9)
    centers = torch.tensor(
        [[20.0, 31.0], [60.5, 44.0], [61.0, 90.0], [15.0, 77.0], [99.0, 52.0]]
    ).double()
    root = torch.tensor([[2.0, 0.0], [0.9, 0.5]]).double()
    noise = torch.randn(samples, 5, 2, generator=generator, dtype=torch.float64)
    scale = torch.tensor([1.0, 3.0, 0.5, 2.0, 5.0]).double()[:, None]
    points = centers + scale * (noise @ root.T)
    away = points - points.mean(0)
    between = (away[..., :, None] * away[..., None, :]).mean(0)
    visible = torch.tensor([0.9, 0.8, 0.5, 0.2, 0.99]).double()
    total = between + 1.5 * torch.eye(2, dtype=torch.float64)
    return Detections(NAMES, points.mean(0), total, visible, points)


def patient() -> list[Landmark]:
    places = [(10.0, 20.0, 30.0), (40.0, -20.0, 5.0), (-41.0, -22.0, 6.0), (-30.0, 60.0, 40.0)]
    return [
        Landmark(n, p) for n, p in zip(("FH-r", "FH-l", "ASIS-l", "GSN-r"), places, strict=True)
    ]


def test_covariance_of_a_known_gaussian_cloud() -> None:
    found = cloud(20_000)
    # root root^T = [[4, 1.8], [1.8, 0.81 + 0.25]]
    expected = torch.tensor([[4.0, 1.8], [1.8, 1.06]]).double()
    assert torch.allclose(found.between[0], expected, rtol=0.05)
    assert torch.allclose(found.between[1], 9 * expected, rtol=0.05)
    assert float(found.uncertainty[0]) == pytest.approx((4 + 1.06) ** 0.5, rel=0.03)


def test_uncertainty_is_equation_5_by_hand() -> None:
    samples = torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]], [[5.0, 8.0]]]).double()
    one = Detections(
        ("x",), samples.mean(0), torch.eye(2).double()[None], torch.ones(1).double(), samples
    )
    # Mean (3, 4); squared distances 4 + 4, 0 + 4, 4 + 16; their mean 32 / 3.
    assert float(one.uncertainty[0]) == pytest.approx((32 / 3) ** 0.5)
    by_hand = torch.tensor([[8 / 3, 4.0], [4.0, 8.0]], dtype=torch.float64)
    assert torch.allclose(one.between[0], by_hand)


def test_pairs_are_by_name_and_the_invisible_are_left_out() -> None:
    found = cloud()
    pairs = found.correspondences(patient())
    # In the patient's order; GSN-r (0.2) is not in the image, MOF-l is not in the patient.
    assert pairs.names == ("FH-r", "FH-l", "ASIS-l")
    assert torch.equal(pairs.pixels, found.pixels[[2, 1, 0]])
    assert pairs.points[2].tolist() == [-41.0, -22.0, 6.0]
    assert pairs.covariances is not None
    assert torch.allclose(pairs.covariances, found.covariances[[2, 1, 0]], atol=1e-3)
    assert any("GSN-r is marked invisible" in note for note in pairs.notes)
    assert any("MOF-l has no position in the patient" in note for note in pairs.notes)
    # The shortcut of the released code, which takes all of them, must be asked for.
    assert len(found.correspondences(patient(), visible_above=0.0)) == 4
    assert len(found.correspondences(patient(), visible_above=0.85)) == 1


def test_modes_weigh_by_the_chosen_spread() -> None:
    found = cloud()
    passes = found.correspondences(
        patient(), weighting=Weighting("continuous", 0.3), spread="passes"
    )
    u = found.uncertainty[[2, 1, 0]]
    expected = torch.exp(-0.3 * (u - u.min()))
    assert passes.weights is not None
    assert torch.allclose(passes.weights, expected, atol=1e-3)
    total = found.correspondences(patient(), weighting=Weighting("continuous", 0.3))
    assert total.weights is not None
    assert not torch.allclose(total.weights, passes.weights, atol=1e-3)
    selected = found.correspondences(patient(), weighting=Weighting.selection(1))
    assert selected.kept is not None
    assert selected.kept.tolist() == [True, False, True]
    plain = found.correspondences(patient(), weighting=Weighting())
    assert plain.weights is None
    assert plain.covariances is None


def test_identical_passes_still_have_a_positive_covariance() -> None:
    samples = torch.tensor([[[1.0, 2.0]]] * 3).double()
    zero = torch.zeros(1, 2, 2).double()
    one = Detections(("FH-l",), samples[0], zero, torch.ones(1).double(), samples)
    pairs = one.correspondences(patient(), spread="passes")
    assert pairs.covariances is not None
    assert float(torch.linalg.eigvalsh(pairs.covariances[0]).min()) > 0


def test_some_of_them_and_truth_value() -> None:
    found = cloud()
    two = found.of(["GSN-r", "ASIS-l"])
    assert two.names == ("GSN-r", "ASIS-l")
    assert torch.equal(two.samples, found.samples[:, [3, 0]])
    assert two
    assert not found.of(["GSN-r"])
    with pytest.raises(ValueError, match="does not know IOF-l: it knows ASIS-l"):
        found.of(["IOF-l"])
    with pytest.raises(ValueError, match="1 names need"):
        Detections(("x",), found.pixels, found.covariances, found.visible, found.samples)
