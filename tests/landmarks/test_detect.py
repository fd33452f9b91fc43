"""From a radiograph through many passes to named pixels: places, spread, what dropout does."""

import dataclasses

import pytest
import torch
from stub_detector import StubDetector

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.landmarks import CompactDetector, DetectSettings, detect, dropout_active
from napari_xreg.progress import Control, run
from napari_xreg.training import Framing

NAMES = ("ASIS-l", "FH-r")
# 200 x 240 pixels of 0.9 x 1.1 mm, principal point off the middle.
DETECTOR = Detector((200, 240), (0.9, 1.1), (93.0, 127.5))
CARM = CArm(1000.0, 700.0, DETECTOR)
FRAMING = Framing(shape=(80, 96))


def radiograph(mirrored: bool = True) -> Radiograph:
    values = torch.rand(200, 240, generator=torch.Generator().manual_seed(3))
    plain = Radiograph(values, CARM)
    return plain if mirrored else plain.flip_columns()


def stub(**changes: float) -> StubDetector:
    return StubDetector(NAMES, [(11.3, 30.0), (25.0, 8.6)], framing=FRAMING, **changes)


def test_a_heatmap_pixel_lies_on_the_radiograph_where_outer_edges_say() -> None:
    found = run(detect(stub(), radiograph(), settings=DetectSettings(0)))
    assert found is not None
    # The heatmap is 40 x 48: 5 x 5 radiograph pixels each. (11.3 + 0.5) * 5 - 0.5 = 58.5;
    # (30 + 0.5) * 5 - 0.5 = 152; (25.5 * 5) - 0.5 = 127; (8.6 + 0.5) * 5 - 0.5 = 45.
    expected = torch.tensor([[58.5, 152.0], [127.0, 45.0]], dtype=torch.float64)
    assert torch.allclose(found.pixels, expected, atol=0.01)
    # A peak of one heatmap pixel's standard deviation is 5 radiograph pixels wide.
    assert torch.allclose(
        found.covariances[0], 25 * torch.eye(2, dtype=torch.float64), rtol=0.03, atol=0.1
    )


def test_an_unmirrored_radiograph_gives_the_mirrored_column() -> None:
    found = run(detect(stub(), radiograph(mirrored=False), settings=DetectSettings(0)))
    assert found is not None
    assert found.pixels[0].tolist() == pytest.approx([58.5, 239 - 152.0], abs=0.01)


def test_passes_spread_as_they_tremble() -> None:
    detector = stub(tremble=0.8)
    found = run(detect(detector, radiograph(), settings=DetectSettings(400, batch=100)))
    assert found is not None
    assert found.passes == 400
    # Up or down by 0.8 heatmap pixels = 4 pixels, evenly: variance 16 in rows, none in columns.
    between = found.between
    assert between[:, 0, 0].tolist() == pytest.approx([16.0, 16.0], rel=0.05)
    assert float(between[:, 1, 1].max()) < 0.01
    assert found.uncertainty.tolist() == pytest.approx([4.0, 4.0], rel=0.05)
    # The total has the width of a peak on top.
    assert torch.allclose(found.covariances[:, 0, 0], between[:, 0, 0] + 25, rtol=0.03)
    assert torch.allclose(found.covariances[:, 1, 1], torch.full((2,), 25.0).double(), rtol=0.03)
    assert found.visible.tolist() == pytest.approx([0.9526, 0.9526], abs=1e-3)
    assert found.heatmaps is not None
    assert found.heatmaps.shape == (2, 40, 48)
    assert found.heatmap_carm is not None
    assert found.heatmap_carm.detector.shape == (40, 48)


def test_dropout_is_active_in_passes_and_only_there() -> None:
    torch.manual_seed(5)
    detector = CompactDetector(NAMES, widths=(8, 8, 8, 8), framing=FRAMING)
    still = [run(detect(detector, radiograph(), settings=DetectSettings(0))) for _ in range(2)]
    many = run(detect(detector, radiograph(), settings=DetectSettings(6, seed=1)))
    again = run(detect(detector, radiograph(), settings=DetectSettings(6, seed=1)))
    other = run(detect(detector, radiograph(), settings=DetectSettings(6, seed=2)))
    assert still[0] is not None
    assert still[1] is not None
    assert many is not None
    assert again is not None
    assert other is not None
    assert torch.equal(still[0].pixels, still[1].pixels)
    assert len(still[0].samples) == 1
    assert float(still[0].between.abs().max()) == 0
    assert float(many.samples.std(0).max()) > 1e-3
    assert torch.equal(many.samples, again.samples)
    assert not torch.equal(many.samples, other.samples)
    # Training mode of the layers and the global random numbers are as they were.
    assert all(module.training for module in detector.modules())
    state = torch.get_rng_state()
    run(detect(detector, radiograph(), settings=DetectSettings(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_active_leaves_normalisation_in_evaluation() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(2), torch.nn.Dropout2d(), torch.nn.Dropout())
    with dropout_active(network):
        assert [m.training for m in network] == [False, True, True]
    assert [m.training for m in network] == [True, True, True]
    network.eval()
    with dropout_active(network, False):
        assert not any(m.training for m in network.modules())


def test_passes_are_streamed_and_can_be_cancelled() -> None:
    control = Control()
    stream = detect(stub(), radiograph(), settings=DetectSettings(25, batch=10), control=control)
    first = next(stream)
    assert (first.done, first.of, first.detections.passes) == (10, 25, 10)
    control.cancel()
    with pytest.raises(StopIteration) as end:
        next(stream)
    assert end.value.value.passes == 10
    cancelled = Control()
    cancelled.cancel()
    assert run(detect(stub(), radiograph(), control=cancelled)) is None
    counts = [event.done for event in detect(stub(), radiograph(), settings=DetectSettings(25))]
    assert counts == [5, 10, 15, 20, 25]


def test_nothing_usable_is_said() -> None:
    empty = dataclasses.replace(radiograph(), mask=torch.zeros(200, 240, dtype=torch.bool))
    with pytest.raises(ValueError, match="no pixel of the radiograph is usable"):
        run(detect(stub(), empty))
