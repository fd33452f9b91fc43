"""The Adam recipe of xvr, run through nanodrr 0.1.7's own ``Registration``: the comparison.

nanodrr has the module with the pose parameters, xvr the loop around it. Every constant below is the
default of xvr at its commit 8fb5d02, the one that registers through nanodrr:

* ``src/xvr/register/base.py``, ``RegisterBase.__init__``: lr_rot 1e-2 (rad), lr_xyz 1 (mm),
  lr_reduce_factor 0.1, patience 5, threshold 1e-4, max_n_plateaus 2, n_itrs 500 a scale;
  ``_setup_stage``: rates divided by 2^stage, a new Adam and ReduceLROnPlateau for every scale;
  ``_run_multiscale``: the scale ends once the rate was reduced twice (the counter starts at the
  first rate and must exceed max_n_plateaus). The last pose is the result.
* ``src/xvr/register/losses/gmncc.py``: 0.5 mNCC[None, 9] (0.5, 0.5) + 0.5 gNCC[11], sigma 0.
* ``src/xvr/utils/preprocess.py``, ``XrayTransforms``: min-max to [0, 1], then (x - 0.15) / 0.1.

The releases that go with the paper (M.6) had patience 10 and the same two reductions
(``src/xvr/cli/commands/register.py``): ``PAPER``.

Ours, and in its favour: 200 samples a ray (a step of 1.2 to 1.8 mm in these CTs) where xvr leaves
nanodrr at its default of 500; it is given the collimator mask (behind the blades both images show
their own mean); it turns about the same isocenter as the starts.
"""

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks import peers
from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import at_pixels


@dataclass(frozen=True)
class Recipe:
    """See the module."""

    name: str = "xvr through nanodrr (8fb5d02)"
    pixels: tuple[int, ...] = (64, 128)
    samples: int = 200
    rotation_rate: float = 1e-2
    translation_rate: float = 1.0
    factor: float = 0.1
    patience: int = 5
    threshold: float = 1e-4
    reductions: int = 2
    iterations: int = 500


CURRENT = Recipe()
PAPER = Recipe(name="xvr as released with the paper", patience=10)


@dataclass(eq=False)
class Run:
    """What an optimisation went through: a pose and a CPU time stamp after every step."""

    poses: list[Tensor] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    similarities: list[float] = field(default_factory=list)
    steps_per_scale: list[int] = field(default_factory=list)
    total_cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    def pose(self, index: int) -> Pose:
        """As ours."""
        return Pose.from_matrix(self.poses[index][0].double())


class Similarity(torch.nn.Module):
    """``gmncc`` of xvr, made of nanodrr's own metrics."""

    def __init__(self) -> None:
        from nanodrr.metrics import (
            GradientNormalizedCrossCorrelation2d,
            MultiscaleNormalizedCrossCorrelation2d,
        )

        super().__init__()
        self.smooth = MultiscaleNormalizedCrossCorrelation2d([None, 9], [0.5, 0.5])
        self.sharp = GradientNormalizedCrossCorrelation2d(11, 0.0)

    def forward(self, true: Tensor, predicted: Tensor) -> Tensor:
        """Higher is better."""
        value: Tensor = 0.5 * self.smooth(true, predicted) + 0.5 * self.sharp(true, predicted)
        return value


def standardised(image: Tensor, usable: Tensor) -> Tensor:
    """Min-max over the usable pixels, the others at their mean, then xvr's normalisation."""
    inside = image[:, :, usable]
    low, high = inside.min(), inside.max()
    scaled = (image - low) / (high - low + 1e-6)
    if not bool(usable.all()):
        scaled = torch.where(usable, scaled, scaled[:, :, usable].mean())
    return (scaled - 0.15) / 0.1


def optimise(
    subject: object,
    radiograph: Radiograph,
    start: Pose,
    recipe: Recipe = CURRENT,
    *,
    most_cpu_seconds: float = math.inf,
) -> Run:
    """Run the recipe from a start.

    Parameters
    ----------
    subject
        From `peers.nanodrr_subject`, made once a volume: not timed, as our own preparation is not.
    most_cpu_seconds
        Give up after so long (the run then says so by its last stamp).
    """
    from nanodrr.registration import Registration

    run = Run()
    torch.manual_seed(0)  # Registration draws its first 1e-8 perturbation
    wall, began = time.perf_counter(), time.process_time()
    similarity = Similarity()
    first = at_pixels(radiograph, recipe.pixels[0])
    k_inv, sdd = peers.nanodrr_intrinsics(first.carm)
    registration = Registration(
        subject, peers.nanodrr_pose(start), k_inv, sdd, *first.carm.detector.shape
    )
    with torch.no_grad():
        registration._rot.zero_()
        registration._xyz.zero_()
    previous = recipe.pixels[0]
    for stage, pixels in enumerate(recipe.pixels):
        level = at_pixels(radiograph, pixels)
        registration.rescale_(pixels / previous)
        previous = pixels
        usable = level.usable
        true = standardised(level.line_integrals.float()[None, None], usable)
        optimizer = torch.optim.Adam(
            [
                {"params": [registration._rot], "lr": recipe.rotation_rate / 2**stage},
                {"params": [registration._xyz], "lr": recipe.translation_rate / 2**stage},
            ],
            maximize=True,
        )
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, "max", recipe.factor, recipe.patience, recipe.threshold
        )
        rate, reductions, steps = min(scheduler.get_last_lr()), 0, 0
        for _ in range(recipe.iterations):
            optimizer.zero_grad()
            image = registration(n_samples=recipe.samples, backend="torch")
            value = similarity(true, standardised(image, usable))
            value.backward()
            optimizer.step()
            scheduler.step(value.detach())
            steps += 1
            run.poses.append(registration.pose.detach().clone())
            run.similarities.append(float(value.detach()))
            run.cpu_seconds.append(time.process_time() - began)
            now = min(scheduler.get_last_lr())
            if now < rate:
                rate, reductions = now, reductions + 1
            if reductions >= recipe.reductions or run.cpu_seconds[-1] > most_cpu_seconds:
                break
        run.steps_per_scale.append(steps)
    run.total_cpu_seconds = time.process_time() - began
    run.wall_seconds = time.perf_counter() - wall
    return run
