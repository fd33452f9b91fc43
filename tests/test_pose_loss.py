"""The loss of the pose, which only a benchmark uses: zero at the truth, its gradient, and what it moves."""

import dataclasses

import pytest
import torch
from landmark_views import CARM, STILL, VIEWS, small_patient
from stub_detector import StubDetector

from benchmarks.pose_loss import PoseFinetuneTask, PoseLossSettings, pose_errors
from napari_xreg.geometry import CArm, Pose
from napari_xreg.landmarks import LandmarkSettings, heatmap_carm
from napari_xreg.landmarks.task import LandmarkBatch
from napari_xreg.registration import Weighting
from napari_xreg.training import (
    Framing,
    OnePatient,
    Patient,
    PoseRange,
)


@pytest.fixture(scope="module")
def patient() -> Patient:
    return small_patient()


def scores(network: torch.nn.Module) -> tuple[dict[str, float], None]:
    return {"score": 1.0}, None


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
