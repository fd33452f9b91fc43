"""Pairs of points and pixels: what they check, and what pairing leaves out and says."""

import pytest
import torch

from napari_xreg.images import Landmark, Volume
from napari_xreg.registration import Correspondences, pair_landmarks

PATIENT = [
    Landmark("ASIS-l", (121.5, -98.0, 14.25)),
    Landmark("ASIS-r", (-118.0, -97.5, 12.75)),
    Landmark("FH-l", (88.0, -20.5, -75.0)),
    Landmark("FH-r", (-86.5, -22.0, -73.5)),
]


def test_pairs_follow_the_names_not_the_order():
    picked = [Landmark("FH-r", pixel=(402.5, 99.0)), Landmark("ASIS-l", pixel=(120.0, 610.25))]
    found = pair_landmarks(PATIENT, picked)
    assert found.names == ("ASIS-l", "FH-r")
    assert found.points.tolist() == [[121.5, -98.0, 14.25], [-86.5, -22.0, -73.5]]
    assert found.pixels.tolist() == [[120.0, 610.25], [402.5, 99.0]]
    assert found.notes == (
        "ASIS-r has no point on the radiograph and was left out",
        "FH-l has no point on the radiograph and was left out",
    )


def test_what_does_not_pair_is_named_and_the_rest_goes_on():
    picked = [
        Landmark("ASIS-l", pixel=(1.0, 2.0)),
        Landmark("asis-r ", pixel=(3.0, 4.0)),
        Landmark("FH-l", pixel=(5.0, 6.0)),
        Landmark("FH-l", pixel=(7.0, 8.0)),
        Landmark("FH-r", pixel=(9.0, 11.0), visible=False),
    ]
    found = pair_landmarks(PATIENT, picked)
    assert found.names == ("ASIS-l",)
    said = "\n".join(found.notes)
    assert "FH-l is there 2 times on the radiograph, so it was left out: rename one" in said
    assert "FH-r is marked invisible and was left out" in said
    assert "ASIS-r has no point on the radiograph and was left out (is it the same as" in said
    assert "asis-r  has no position in the patient" in said


def test_invisible_in_the_patient_counts_too():
    hidden = Landmark("FH-l", (88.0, -20.5, -75.0), visible=False)
    picked = [Landmark("FH-l", pixel=(5.0, 6.0)), Landmark("FH-r", pixel=(9.0, 11.0))]
    found = pair_landmarks([hidden, PATIENT[3]], picked)
    assert found.names == ("FH-r",)


def test_nothing_pairs():
    found = pair_landmarks(PATIENT, [Landmark("knee", pixel=(5.0, 6.0))])
    assert len(found) == 0
    assert found.points.shape == (0, 3)
    assert len(found.notes) == 5


def test_positions_outside_the_ct_are_named_and_ras_is_suspected():
    world_from_index = torch.eye(4, dtype=torch.float64)
    world_from_index[:3, 3] = torch.tensor([60.0, -120.0, -90.0])
    volume = Volume(torch.zeros(130, 125, 70), world_from_index)  # x 60-129, y -120-4, z -90-39
    ras = [Landmark("a", (-121.5, 98.0, 14.25)), Landmark("b", (88.0, -20.5, -75.0))]
    picked = [Landmark("a", pixel=(1.0, 2.0)), Landmark("b", pixel=(3.0, 5.0))]
    found = pair_landmarks(ras, picked, volume=volume)
    assert found.names == ("a", "b")  # nothing lost
    assert found.notes == (
        "a lies outside the CT; with x and y negated inside: are these positions RAS?",
    )


def test_covariances_and_weights_by_name():
    picked = [Landmark("FH-r", pixel=(402.5, 99.0)), Landmark("ASIS-l", pixel=(120.0, 610.25))]
    c = {"FH-r": torch.tensor([[4.0, 1.0], [1.0, 9.0]]), "ASIS-l": 2.5 * torch.eye(2)}
    found = pair_landmarks(PATIENT, picked, covariances=c)
    assert found.covariances is not None
    assert found.covariances[1].tolist() == [[4.0, 1.0], [1.0, 9.0]]
    # sqrt(4 + 9), sqrt(2.5 + 2.5)
    assert found.uncertainty is not None
    assert found.uncertainty.tolist() == pytest.approx([5**0.5, 13**0.5])
    weights = pair_landmarks(PATIENT, picked, weights={"FH-r": 0.25, "ASIS-l": 0.75}).weights
    assert weights is not None
    assert weights.tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="every pair needs a weight: ASIS-l has none"):
        pair_landmarks(PATIENT, picked, weights={"FH-r": 0.25})


def test_leaving_out():
    c = Correspondences(torch.zeros(3, 3), torch.zeros(3, 2), names=("a", "b", "c"))
    assert c.kept is not None
    assert c.kept.tolist() == [True, True, True]
    out = c.without("b").without("c")
    assert out.kept is not None
    assert out.kept.tolist() == [True, False, False]
    with pytest.raises(ValueError, match="no landmark called d: expected one of a, b, c"):
        c.without("d")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("a", "a")}, "unique: a came twice"),
        ({"names": ("a",)}, "2 points need 2 names: got 1"),
        ({"weights": torch.tensor([1.0, -0.5])}, "at least 0: got -0.5"),
        ({"weights": torch.tensor([1.0, float("nan")])}, "weights must be finite"),
        ({"covariances": torch.tensor([[[1.0, 0.5], [0.0, 1.0]]] * 2)}, "covariance of 1 must be"),
        ({"covariances": torch.tensor([[[1.0, 2.0], [2.0, 1.0]]] * 2)}, "symmetric and positive"),
        (
            {"covariances": torch.eye(2).expand(2, 2, 2), "weights": torch.ones(2)},
            "not both",
        ),
    ],
)
def test_mistakes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Correspondences(torch.zeros(2, 3), torch.ones(2, 2), **change)
