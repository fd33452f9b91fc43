"""One number for an image, and the sentence of distrust."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.landmarks import (
    Detections,
    fitted_threshold,
    image_uncertainty_mm,
    trust_of,
)

# 0.8 mm pixels at a magnification of 1000 / 700: 0.56 mm at the isocenter.
CARM = CArm(1000.0, 700.0, Detector((200, 240), (0.8, 0.8)))


def detections(sigmas: list[float], visible: list[float]) -> Detections:
    n = len(sigmas)
    covariances = torch.stack([s**2 * torch.eye(2, dtype=torch.float64) for s in sigmas])
    pixels = torch.zeros(n, 2, dtype=torch.float64)
    return Detections(
        tuple(str(i) for i in range(n)), pixels, covariances, torch.tensor(visible).double(),
        pixels[None],
    )  # fmt: skip


def test_the_score_is_the_mean_spread_of_the_visible_in_mm_at_the_isocenter() -> None:
    found = detections([1.0, 3.0, 50.0], [0.9, 0.6, 0.1])
    # root of the trace: sqrt(2) sigma; mean of 1 and 3 is 2; 0.56 mm a pixel.
    assert image_uncertainty_mm(found, CARM) == pytest.approx(2 * 2**0.5 * 0.56, rel=1e-3)
    assert image_uncertainty_mm(found, CARM, spread="passes") < 0.02
    assert image_uncertainty_mm(detections([1.0], [0.2]), CARM) == float("inf")


def test_a_sentence_says_whether_to_trust() -> None:
    good = detections([2.0] * 8, [0.9] * 8)
    u = 2 * 2**0.5 * 0.56
    trusted = trust_of(good, CARM, threshold_mm=u + 0.1)
    assert trusted
    assert trusted.trusted is True
    assert "within the 1.7 mm" in trusted.reason
    refused = trust_of(good, CARM, threshold_mm=u - 0.1)
    assert not refused
    assert refused.trusted is False
    # Odds 9 at the threshold, falling with the cube of the spread: 9 (1.484 / 1.584)^3 = 7.40.
    assert refused.likelihood.probability == pytest.approx(7.40 / 8.40, abs=1e-3)
    assert refused.reason.startswith(
        "Not trusted: 88 % likely to lie within 20 mm. The landmarks are spread by 1.6 mm"
    )
    assert trusted.reason.startswith("Trusted: 92 % likely to lie within 20 mm. ")
    assert "1.5 mm" in refused.reason
    unmeasured = trust_of(good, CARM, threshold_mm=None)
    assert unmeasured.trusted is None
    assert not unmeasured, "unknown is not trusted"
    assert "nobody has measured" in unmeasured.reason
    few = trust_of(detections([0.1] * 8, [0.9] * 5 + [0.1] * 3), CARM, threshold_mm=5.0)
    assert not few
    assert trust_of(detections([0.1] * 5, [0.9] * 5), CARM, threshold_mm=None).trusted is False
    assert few.reason.startswith("Look again: only 5 of 8 landmarks")


def test_the_threshold_is_the_last_that_keeps_the_share() -> None:
    u = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    errors = [5.0] * 6 + [50.0, 5.0, 50.0, 50.0]
    # 6 of 6, 6 of 7 (0.857), 7 of 8 (0.875), 7 of 9 (0.78) ...
    assert fitted_threshold(u, errors, good=10.0, wanted=0.9) == 6.0
    assert fitted_threshold(u, errors, good=10.0, wanted=0.87) == 8.0
    assert fitted_threshold(u, [50.0] * 10, good=10.0) is None
    # Four of four are not enough to say anything.
    assert fitted_threshold(u[:4], [5.0] * 4, good=10.0) is None
