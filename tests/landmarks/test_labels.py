"""Balls that shrink, and losses whose best map is worked by hand."""

import math

import pytest
import torch
from scipy.ndimage import binary_dilation, generate_binary_structure

from napari_xreg.landmarks import DilationErosion, ball, point_loss, weighted_bce
from napari_xreg.landmarks.labels import ball_size
from napari_xreg.registration import AdamSteps


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_a_ball_is_a_pixel_dilated_by_a_cross(radius: int) -> None:
    seed = torch.zeros(23, 31, dtype=torch.bool)
    seed[9, 14] = True
    cross = generate_binary_structure(2, 1)
    dilated = torch.from_numpy(binary_dilation(seed.numpy(), cross, iterations=radius))
    label = ball(torch.tensor([[9.0, 14.0]]), radius, (23, 31))[0]
    assert torch.equal(label, dilated)
    assert int(label.sum()) == ball_size(radius) == 1 + 2 * radius * (radius + 1)


def test_a_ball_between_pixels_is_centred_there() -> None:
    label = ball(torch.tensor([[9.5, 14.0]]), 3, (23, 31))[0].double()
    rows = (label.sum(1) * torch.arange(23)).sum() / label.sum()
    assert float(rows) == pytest.approx(9.5)
    assert not ball(torch.tensor([[math.nan, math.nan]]), 3, (23, 31)).any()


def test_the_schedule_of_the_released_code() -> None:
    schedule = DilationErosion()
    full = (512, 512)
    radii = [schedule.radius((step + 0.5) / 7, full) for step in range(7)]
    assert radii == [65, 55, 45, 35, 25, 15, 5]
    assert schedule.radius(1.0, full) == 5
    # On a heatmap of 48 pixels the same share of the image: 65 / 512 of 48 is 6.1.
    assert schedule.radius(0.0, (40, 48)) == 6
    assert schedule.radius(1.0, (40, 48)) == 1


def test_weighted_bce_by_hand() -> None:
    # One map of 4 x 6 pixels, a ball of radius 1 (5 pixels) inside it, logits 0: every pixel costs
    # ln 2, those of the ball (24 - 5) / 5 times as much: (19 + 5 * 3.8) / 24 ln 2.
    label = ball(torch.tensor([[[2.0, 3.0]]]), 1, (4, 6))
    logits = torch.zeros(1, 1, 4, 6)
    known = torch.ones(1, 1, dtype=torch.bool)
    expected = (19 + 19) / 24 * math.log(2)
    assert float(weighted_bce(logits, label, known, 1)) == pytest.approx(expected)
    # A landmark that is not in the image is empty; one that is not known teaches nothing.
    empty = torch.zeros_like(label)
    both = torch.cat([label, empty], 1)
    twice = weighted_bce(torch.zeros(1, 2, 4, 6), both, torch.tensor([[True, False]]), 1)
    assert float(twice) == pytest.approx(expected)
    absent = weighted_bce(logits, empty, known, 1)
    assert float(absent) == pytest.approx(math.log(2))


def test_the_best_map_of_the_point_loss_has_the_place_as_its_mean() -> None:
    place = torch.tensor([[[4.25, 2.6]]])
    logits = torch.zeros(1, 1, 9, 7, requires_grad=True)
    steps = AdamSteps([logits])
    for number in range(400):
        steps.zero_grad()
        point_loss(logits, place, torch.ones(1, 1, dtype=torch.bool)).backward()
        steps.step(0.3 if number < 200 else 0.03)
    share = logits.detach().flatten(2).softmax(-1).reshape(9, 7)
    assert float((share.sum(1) * torch.arange(9)).sum()) == pytest.approx(4.25, abs=0.01)
    assert float((share.sum(0) * torch.arange(7)).sum()) == pytest.approx(2.6, abs=0.01)
    assert float(share[4, 3]) == pytest.approx(0.75 * 0.6, abs=0.01)
    assert float(share[5, 2]) == pytest.approx(0.25 * 0.4, abs=0.01)


def test_places_outside_or_unknown_teach_nothing() -> None:
    logits = torch.randn(1, 3, 9, 7, generator=torch.Generator().manual_seed(2), requires_grad=True)
    place = torch.tensor([[[4.25, 2.6], [math.nan, math.nan], [30.0, 3.0]]])
    loss = point_loss(logits, place, torch.tensor([[True, False, False]]))
    assert torch.isfinite(loss)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().max() > 0
    assert logits.grad[0, 1:].abs().max() == 0
    uniform = point_loss(torch.zeros(1, 1, 9, 7), place[:, :1], torch.tensor([[True]]))
    assert float(uniform) == pytest.approx(math.log(63))


def test_a_place_on_the_outer_half_of_a_border_pixel_is_that_pixel() -> None:
    share = torch.full((1, 1, 9, 7), 0.1 / 62)
    share[0, 0, 8, 0] = 0.9
    loss = point_loss(share.log(), torch.tensor([[[8.4, -0.3]]]), torch.tensor([[True]]))
    assert float(loss) == pytest.approx(-math.log(0.9), rel=1e-4)
