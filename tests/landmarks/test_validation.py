"""How far off detections and their pose are, worked by hand."""

import dataclasses

import pytest
import torch
from stub_detector import StubDetector

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.landmarks import (
    CompactDetector,
    DetectSettings,
    LandmarkCase,
    LandmarkSettings,
    LandmarkValidator,
    evaluate,
    phantom_cases,
    population_landmark_task,
    recipe,
    trust_threshold,
)
from napari_xreg.training import Framing, PhantomPopulation, PoseRange

# 2 mm pixels at a magnification of 1000 / 700: 1.4 mm at the isocenter.
CARM = CArm(1000.0, 700.0, Detector((96, 128), (2.0, 2.0)))
FRAMING = Framing(shape=(96, 128))


def case() -> tuple[LandmarkCase, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    world = torch.tensor([5.0, -40.0, 600.0]) + 30 * torch.randn(9, 3, generator=generator)
    world = world.double()
    truth = CARM.world_from_camera(10.0, 5.0, isocenter=world.mean(0))
    marks = tuple(Landmark(f"mark {i}", (x, y, z)) for i, (x, y, z) in enumerate(world.tolist()))
    radiograph = Radiograph(torch.rand(96, 128, generator=generator), CARM)
    return LandmarkCase("made", radiograph, truth, marks), CARM.project(world, truth)


def detector(pixels: torch.Tensor, down: float = 0.0) -> StubDetector:
    """At stride 1 the heatmap is the radiograph; the first landmark is moved down."""
    places = pixels.clone()
    places[0, 0] += down
    names = [f"mark {i}" for i in range(len(places))] + ["nobody's"]
    rows = [(r, c) for r, c in places.tolist()] + [(50.0, 60.0)]
    return StubDetector(names, rows, stride=1, framing=FRAMING, sigma=0.9)


def test_errors_are_mm_at_the_isocenter_and_the_pose_is_found() -> None:
    made, pixels = case()
    exact = evaluate(detector(pixels), [made], settings=DetectSettings(0))[0]
    assert exact.inside.tolist() == [True] * 9 + [False]
    assert float(exact.error_mm[:9].max()) < 0.05
    assert torch.isnan(exact.error_mm[9])
    assert exact.mtre_mm < 1.0
    moved = evaluate(detector(pixels, down=3.0), [made], settings=DetectSettings(0))[0]
    # Three pixels of 1.4 mm.
    assert float(moved.error_mm[0]) == pytest.approx(4.2, abs=0.05)
    assert moved.mtre_mm > exact.mtre_mm


def test_scores_and_a_landmark_outside_the_image() -> None:
    made, pixels = case()
    half = dataclasses.replace(
        made.radiograph, mask=torch.arange(96)[:, None].expand(96, 128) > float(pixels[0, 0]) + 1
    )
    masked = dataclasses.replace(made, radiograph=half)
    validator = LandmarkValidator([made, masked], DetectSettings(0))
    scores, results = validator(detector(pixels))
    hidden = int((~results[1].inside[:9]).sum())
    assert hidden >= 1
    # The stub says that all are visible: right for the rest of 18.
    assert scores["visible_accuracy"] == pytest.approx((18 - hidden) / 18)
    assert scores["median_error_mm"] < 0.05
    assert scores["score"] == pytest.approx(
        float(torch.cat([r.error_mm[r.inside] for r in results]).mean())
    )
    with pytest.raises(ValueError, match="at least one case"):
        LandmarkValidator([])


def test_the_threshold_of_trust_comes_from_spread_and_pose() -> None:
    made, pixels = case()
    result = evaluate(detector(pixels), [made], settings=DetectSettings(0))[0]
    results = []
    for i, mtre in enumerate([5.0, 6.0, 7.0, 8.0, 9.0, 80.0, 90.0]):
        wider = dataclasses.replace(
            result.detections, covariances=(i + 1) ** 2 * result.detections.covariances
        )
        results.append(dataclasses.replace(result, detections=wider, mtre_mm=mtre))
    one = trust_threshold(results[:5])
    assert one is not None
    # The spread of the fifth: five times root 2 of 0.9 pixels of 1.4 mm, cut by the window.
    assert one == pytest.approx(5 * 2**0.5 * 0.9 * 1.4, rel=0.03)
    assert trust_threshold(results) == one
    assert trust_threshold(results[3:]) is None


@pytest.mark.slow
def test_phantoms_are_seen_from_the_poses_that_are_learned(monkeypatch):
    """Judged from elsewhere, the weights that are kept would be those of another task."""
    side = PoseRange((60.0, 62.0), (4.0, 6.0), (0.0, 0.0), 0.0)
    (one,) = phantom_cases(11, [900], spacing_mm=6.0, poses=side)
    angles = one.radiograph.carm.carm_pose(one.truth, (0.0, 0.0, 0.0))
    assert 60.0 <= angles.primary_deg <= 62.0
    assert 4.0 <= angles.secondary_deg <= 6.0
    asked = []

    def few(seed, images, *, poses, **_):
        asked.append(poses)
        return (one,)

    monkeypatch.setattr(recipe, "phantom_cases", few)
    usual = LandmarkSettings()
    settings = dataclasses.replace(usual, views=dataclasses.replace(usual.views, poses=side))
    detector = CompactDetector(widths=(8, 8, 8, 8))
    population_landmark_task(detector, PhantomPopulation(), settings=settings)
    assert set(asked) == {side}
