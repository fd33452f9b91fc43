"""Batches from patients, mirrored ones too; a resume."""

import dataclasses
import math

import pytest
import torch
from landmark_views import STILL, VIEWS, small_patient

from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkSettings,
    LandmarkTask,
    mirrored_pixels,
)
from napari_xreg.landmarks.task import draw_batch, heatmap_pixels
from napari_xreg.training import (
    Framing,
    OnePatient,
    Patient,
    usable_at,
)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return small_patient()


def detector(patient: Patient) -> CompactDetector:
    torch.manual_seed(3)
    names = [mark.name for mark in patient.landmarks]
    return CompactDetector(names, (8, 8, 8, 8), framing=Framing(pixel_mm=4.6, multiple=16))


def scores(network: torch.nn.Module) -> tuple[dict[str, float], None]:
    return {"score": 1.0}, None


def task(patient: Patient, **changes: object) -> LandmarkTask:
    settings = LandmarkSettings(VIEWS, batch=3, appearance=STILL, **changes)  # type: ignore[arg-type]
    return LandmarkTask(detector(patient), OnePatient(patient), scores, settings)


@pytest.mark.slow
def test_a_batch_knows_where_its_landmarks_are(patient: Patient) -> None:
    made = task(patient)
    batch = draw_batch(
        made.pool, made.settings, torch.Generator().manual_seed(1), torch.device("cpu")
    )
    assert batch.images.shape == (3, 48, 48)
    for i in range(3):
        world = torch.tensor([m.position for m in patient.landmarks], dtype=torch.float64)
        expected = batch.carm.project(world, batch.poses[i])
        assert torch.allclose(batch.pixels[i].double(), expected, atol=1e-3)
        size = torch.tensor([48, 48])
        inside = ((expected > -0.5) & (expected < size - 0.5)).all(1)
        assert torch.equal(batch.inside[i], inside)
    assert 0 < int(batch.inside.sum()) < batch.inside.numel()


def test_a_mirrored_batch_is_the_mirror_image_with_sides_exchanged(patient: Patient) -> None:
    names = [m.name for m in patient.landmarks if m.name != "ASIS-r"]
    both = dataclasses.replace(
        patient, landmarks=tuple(m for m in patient.landmarks if m.name in names)
    )
    plain, mirrored = task(both), task(both, mirror=1.0)
    draws = [
        draw_batch(t.pool, t.settings, torch.Generator().manual_seed(1), torch.device("cpu"))
        for t in (plain, mirrored)
    ]
    assert torch.allclose(draws[0].images.flip(-1), draws[1].images, atol=1e-5)
    expected = mirrored_pixels(draws[0].pixels, 48, names)
    assert torch.allclose(draws[1].pixels, expected, atol=1e-3, equal_nan=True)
    assert (draws[0].pixels - draws[1].pixels).abs().max() > 3
    with pytest.raises(ValueError, match="ASIS-r has no partner"):
        task(patient, mirror=0.5)


def test_a_landmark_the_patient_lacks_teaches_nothing(patient: Patient) -> None:
    fewer = dataclasses.replace(patient, landmarks=patient.landmarks[2:])
    network = detector(patient)
    lacking = LandmarkTask(
        network, OnePatient(fewer), scores, LandmarkSettings(VIEWS, batch=2, appearance=STILL)
    )
    batch = draw_batch(
        lacking.pool, lacking.settings, torch.Generator().manual_seed(1), torch.device("cpu")
    )
    assert batch.known[0, :3].tolist() == [False, False, True]
    losses = lacking.losses(torch.Generator().manual_seed(2))
    losses["loss"].backward()
    gradient = network.head[2].weight.grad
    assert gradient is not None
    assert float(gradient[:2].abs().max()) == 0
    assert float(gradient[2:].abs().amax((1, 2, 3)).min()) > 0
    nameless = OnePatient(dataclasses.replace(patient, landmarks=()))
    nobody = LandmarkTask(network, nameless, scores)
    with pytest.raises(ValueError, match="has none of the landmarks"):
        nobody.losses(torch.Generator().manual_seed(2))


@pytest.mark.parametrize("labels", ["point", "dilation"])
def test_losses_are_finite_and_reach_every_weight(patient: Patient, labels: str) -> None:
    made = task(patient, labels=labels)
    made.losses(torch.Generator().manual_seed(0))["loss"].backward()
    for name, weight in made.network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name


@pytest.mark.slow
def test_a_resumed_task_draws_what_it_would_have_drawn(patient: Patient) -> None:
    whole, half = task(patient), task(patient)
    generator = torch.Generator().manual_seed(4)
    whole.losses(generator)
    state, numbers = dict(whole.state()), generator.get_state()
    whole.losses(generator)
    half.restore(state)
    resumed = torch.Generator()
    resumed.set_state(numbers)
    again = draw_batch(half.pool, half.settings, resumed, torch.device("cpu"))
    assert half.steps == 1
    generator.set_state(numbers)
    whole.restore(state)
    there = draw_batch(whole.pool, whole.settings, generator, torch.device("cpu"))
    assert torch.equal(again.images, there.images)


def test_heatmap_pixels_keep_the_outer_edge() -> None:
    # Stride 2: image pixels 0 and 1 make heatmap pixel 0, so its centre lies at 0.5.
    assert heatmap_pixels(torch.tensor([0.5, 95.5]), 2).tolist() == [0.0, 47.5]
    assert heatmap_pixels(torch.tensor([-0.5, 3.0]), 2).tolist() == [-0.5, 1.25]
    masks = torch.ones(1, 4, 6, dtype=torch.bool)
    masks[0, 1, 2] = False
    at = torch.tensor(
        [[[1.2, 1.7], [1.6, 1.7], [-0.5, 0.0], [-0.6, 0.0], [3.0, 5.6], [math.nan, 1]]]
    )
    assert usable_at(masks, at)[0].tolist() == [False, True, True, False, False, False]


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match="mirror is a chance"):
        LandmarkSettings(mirror=1.5)
