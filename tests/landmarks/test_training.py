"""Batches from patients, mirrored ones too; the loss of the pose and its gradient; a resume."""

import dataclasses
import math

import pytest
import torch
from stub_detector import StubDetector

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Landmark
from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkSettings,
    LandmarkTask,
    LandmarkViewSettings,
    PoseFinetuneTask,
    PoseLossSettings,
    heatmap_carm,
    mirrored_pixels,
    pose_errors,
)
from napari_xreg.landmarks.task import LandmarkBatch, draw_batch, heatmap_pixels
from napari_xreg.registration import Weighting
from napari_xreg.simulation import phantom
from napari_xreg.training import (
    CLEAN,
    Framing,
    OnePatient,
    Patient,
    PoseRange,
    patient_from_volume,
    usable_at,
)

CARM = CArm(1020.0, 750.0, Detector((256, 256), (300 / 256, 300 / 256)))
STILL = dataclasses.replace(
    CLEAN, bone=(1.0, 1.0), soft=(1.0, 1.0), noise=(0.0, 0.0), blur_pixels=(0.0, 0.0),
    gamma=(1.0, 1.0),
)  # fmt: skip
VIEWS = LandmarkViewSettings(CARM, PoseRange(offset_mm=15.0), views=4, first=1)


@pytest.fixture(scope="module")
def patient() -> Patient:
    made = phantom(spacing_mm=8.0, seed=5)
    marks = [Landmark(name, place) for name, place in made.landmarks.items()]
    return patient_from_volume(made.volume, labels=made.labels, landmarks=marks[1:], voxel_mm=8.0)


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


def pose_problem(sigma: float) -> tuple[LandmarkBatch, CArm, torch.Tensor, torch.Tensor]:
    """Ten points, their heatmap pixels moved a little, uneven covariances."""
    generator = torch.Generator().manual_seed(6)
    world = 60 * torch.randn(1, 10, 3, generator=generator, dtype=torch.float64)
    pose = CARM.world_from_camera(12.0, -7.0, isocenter=torch.zeros(3, dtype=torch.float64))
    poses = Pose(pose.rotation[None], pose.translation[None])
    image = dataclasses.replace(CARM, detector=CARM.detector.resize(96, 96))
    grid = heatmap_carm(image, 2)
    clean = grid.project(world[0], pose)
    moved = clean + sigma * torch.randn(10, 2, generator=generator, dtype=torch.float64)
    spread = torch.rand(10, generator=generator, dtype=torch.float64) + 0.2
    covariances = spread[:, None, None] * torch.eye(2, dtype=torch.float64)
    yes = torch.ones(1, 10, dtype=torch.bool)
    batch = LandmarkBatch(
        torch.zeros(1, 96, 96), torch.ones(1, 96, 96, dtype=torch.bool),
        torch.zeros(1, 10, 2), yes, yes, world, poses, image,
    )  # fmt: skip
    return batch, grid, moved[None], covariances[None]


def test_the_loss_of_the_pose_is_zero_at_the_truth_and_its_gradient_is_right() -> None:
    batch, grid, exact, covariances = pose_problem(0.0)
    settings = PoseLossSettings()
    zero = pose_errors(exact.requires_grad_(), covariances, batch, grid, settings)
    assert zero.item() < 1e-4
    batch, grid, pixels, covariances = pose_problem(0.4)

    def error(p: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return pose_errors(p, c, batch, grid, settings)

    p, c = pixels.requires_grad_(), covariances.requires_grad_()
    value = error(p, c)
    assert value.item() > 1.0
    value.sum().backward()
    assert p.grad is not None
    assert c.grad is not None
    for tensor, at in ((p, (0, 3, 1)), (p, (0, 7, 0)), (c, (0, 2, 0, 0)), (c, (0, 5, 1, 1))):
        step = torch.zeros_like(tensor)
        step[at] = 1e-4
        both = []
        for sign in (1, -1):
            q = (p.detach() + sign * step if tensor is p else p.detach()).requires_grad_()
            d = (c.detach() + sign * step if tensor is c else c.detach()).requires_grad_()
            both.append(error(q, d).item())
        slope = (both[0] - both[1]) / 2e-4
        assert tensor.grad is not None
        assert float(tensor.grad[at]) == pytest.approx(slope, rel=2e-3, abs=1e-5)


def test_given_weights_send_no_gradient() -> None:
    batch, grid, pixels, covariances = pose_problem(0.4)
    p, c = pixels.requires_grad_(), covariances.requires_grad_()
    pose_errors(p, c, batch, grid, PoseLossSettings(gradient="pixels")).sum().backward()
    assert p.grad is not None
    assert float(p.grad.abs().max()) > 0
    assert c.grad is None
    plain = PoseLossSettings(weighting=Weighting())
    q = pixels.detach().requires_grad_()
    pose_errors(q, covariances.detach(), batch, grid, plain).sum().backward()
    assert q.grad is not None
    assert not torch.allclose(p.grad, q.grad)


@pytest.mark.parametrize("passes", [0, 3])
def test_the_pose_reaches_the_network(patient: Patient, passes: int) -> None:
    world = torch.tensor([m.position for m in patient.landmarks], dtype=torch.float64)
    labels = LandmarkSettings(
        dataclasses.replace(VIEWS, poses=PoseRange((-1, 1), (-1, 1), (-1, 1), 1.0)), batch=1,
        appearance=STILL,
    )  # fmt: skip
    framing = Framing(pixel_mm=4.6, multiple=16)
    pose = CARM.world_from_camera(0.0, 0.0, isocenter=patient.isocenter)
    grid = heatmap_carm(framing.carm(CARM), 2)
    places = grid.project(world, pose).tolist()
    stub = StubDetector(
        [m.name for m in patient.landmarks], [(r, c) for r, c in places], framing=framing,
        sigma=0.8, tremble=0.3,
    )  # fmt: skip
    settings = PoseLossSettings(labels, passes=passes, pose_weight=1.0)
    tuned = PoseFinetuneTask(stub, OnePatient(patient), scores, settings)
    losses = tuned.losses(torch.Generator().manual_seed(0))
    assert 0 < float(losses["mtre_mm"]) < 100
    # Nearly right: a Gaussian of 0.8 pixels has an entropy of 2.4; elsewhere it would be hundreds.
    assert losses["where"].item() < 6
    losses["pose"].backward()
    gradient = stub.places.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    assert int((gradient.abs().sum(1) > 1e-6).sum()) >= 6


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match="a mirrored image has no pose"):
        PoseLossSettings(LandmarkSettings(mirror=0.5))
    with pytest.raises(ValueError, match="a pose needs 4 landmarks"):
        PoseLossSettings(fewest=3)
    with pytest.raises(ValueError, match="mirror is a chance"):
        LandmarkSettings(mirror=1.5)
