"""First-order refinement: the Adam recipe of xvr, for comparison and for losses without residuals.

Constants and stopping rule are those of xvr's registrar (Gopalakrishnan et al., 2025, Methods M.6,
and its released code): Adam with 1e-2 rad and 1 mm; on a plateau (10 iterations without a relative
gain of 1e-4) both are divided by ten; the third plateau, counting the first rate as one, ends a
scale; at most 500 iterations a scale; scale k starts at rates divided by 2^(0 + 1 + ... + k). The
loss is the mean of multiscale NCC (global and 9-pixel patches) and gradient NCC (11-pixel patches).
Unlike there, the best pose is kept, not the last.
"""

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import SIMILARITIES, Similarity, is_flat, similarity_words, xvr_similarity
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.by_similarity import SimilaritySettings
from napari_xreg.registration.refinement.first_order.adam_steps import AdamSteps
from napari_xreg.registration.refinement.result import Iterate, Registration, Status
from napari_xreg.registration.refinement.solver import Solver
from napari_xreg.registration.refinement.views import View, at_pixels, unsaturated
from napari_xreg.rendering import Method, render_drr


@dataclass(frozen=True)
class AdamSettings(SimilaritySettings):
    """The recipe's constants; see the module's docstring.

    Parameters
    ----------
    pixels, iterations, similarity, keep_images
        As of `SimilaritySettings`.
    rotation_rate, translation_rate
        Learning rates, rad and mm.
    patience, threshold, plateaus
        The stopping rule.
    method
        Integrator.
    """

    iterations: int = 500
    similarity: Similarity = xvr_similarity
    rotation_rate: float = 1e-2
    translation_rate: float = 1.0
    patience: int = 10
    threshold: float = 1e-4
    plateaus: int = 3
    method: Method = "trilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.rotation_rate > 0 and self.translation_rate > 0):
            raise ValueError(
                "learning rates must be positive: got "
                f"{self.rotation_rate} rad, {self.translation_rate} mm"
            )


def refine_adam(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: AdamSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve` by gradient ascent on an image similarity.

    There is no covariance; ``CONVERGED`` means that the stopping rule was met.
    """
    began = time.perf_counter()
    trajectory: list[Iterate] = []
    best = _Tried(torch.zeros(2, 3, dtype=torch.float64), {"loss": float("inf")})
    status, divisor = Status.CONVERGED, 1.0
    for number, pixels in enumerate(settings.pixels):
        divisor *= 2.0**number
        scale = _Scale(volume, views, pixels, pivot, settings)
        climb = _climb(scale, best.values, _Rule(settings, divisor), settings, control)
        found: _Tried | None = None
        while True:
            try:
                tried = next(climb)
            except StopIteration as end:
                status = end.value
                break
            # What is not a number is never the best, nor is a scale of such numbers.
            if tried.loss < (float("inf") if found is None else found.loss):
                found = tried
            pose = scale.poses(tried.values)[0]
            seconds = time.perf_counter() - began
            iterate = Iterate(
                len(trajectory), 0, number, pose, tried.losses, seconds=seconds, image=tried.image
            )
            trajectory.append(iterate)
            yield iterate
        best = best if found is None else found
        if status is Status.CANCELLED:
            break
    if best.flat and status is not Status.CANCELLED:
        status = Status.NO_OVERLAP  # a plateau, and no optimum
    final = scale.poses(best.values)
    return Registration(
        world_from_camera=final[0],
        status=status,
        losses=best.losses,
        trajectory=tuple(trajectory),
        pivot=pivot,
        views=tuple(final),
        simulated=any(view.radiograph.simulated for view in views),
    )


@dataclass(frozen=True, eq=False)
class _Tried:
    """One evaluation: rotation and translation from the start, and what was seen there."""

    values: Float[Tensor, "2 3"]
    losses: dict[str, float]
    flat: bool = False
    image: Float[Tensor, "rows columns"] | None = None

    @property
    def loss(self) -> float:
        return self.losses["loss"]


class _Scale:
    """The radiographs at one size, and how well the CT explains them."""

    def __init__(
        self,
        volume: Volume,
        views: Sequence[View],
        pixels: int,
        pivot: Float[Tensor, "3"],
        settings: AdamSettings,
    ) -> None:
        self._volume, self._views, self._pivot, self._settings = volume, views, pivot, settings
        self._targets = [at_pixels(view.radiograph, pixels) for view in unsaturated(views)]
        self._camera = views[0].world_from_camera.rotation.double()

    def poses(self, values: Float[Tensor, "2 3"]) -> list[Pose]:
        """Of every view, turned and moved from the start along the axes of the first camera."""
        twist = (values @ self._camera.mT).reshape(6)
        return [view.world_from_camera.left_perturb(twist, self._pivot) for view in self._views]

    def similarity(self, values: Float[Tensor, "2 3"]) -> tuple[Float[Tensor, ""], list[Tensor]]:
        """Mean over the views, and their DRRs."""
        images = [
            render_drr(self._volume, target.carm, pose, method=self._settings.method)
            for target, pose in zip(self._targets, self.poses(values), strict=True)
        ]
        each = [
            self._settings.similarity(
                target.line_integrals[None].to(image),
                image[None],
                mask=target.usable.to(image.device),
            ).mean()
            for target, image in zip(self._targets, images, strict=True)
        ]
        return torch.stack(each).mean(), images


class _Rule:
    """When the rates fall, and when a scale has ended; see the module's docstring."""

    def __init__(self, settings: AdamSettings, divisor: float) -> None:
        self.rates = (settings.rotation_rate / divisor, settings.translation_rate / divisor)
        self._settings = settings
        self._highest, self._waited, self._plateaus = float("-inf"), 0, 1

    def met(self, similarity: float) -> bool:
        """After an iteration."""
        if similarity > self._highest * (1 + self._settings.threshold):
            self._highest, self._waited = similarity, 0
        else:
            self._waited += 1
        if self._waited > self._settings.patience:
            self.rates = (0.1 * self.rates[0], 0.1 * self.rates[1])
            self._waited, self._plateaus = 0, self._plateaus + 1
        return self._plateaus >= self._settings.plateaus


def _climb(
    scale: _Scale,
    start: Float[Tensor, "2 3"],
    rule: _Rule,
    settings: AdamSettings,
    control: Control | None,
) -> Generator[_Tried, None, Status]:
    """Through one scale; returns how it ended."""
    parameters = [part.clone().requires_grad_() for part in start]
    steps = AdamSteps(parameters)
    for _ in range(settings.iterations):
        if control is not None and not control.proceed():
            return Status.CANCELLED
        steps.zero_grad()
        similarity, images = scale.similarity(torch.stack(parameters))
        value = float(similarity.detach())
        yield _Tried(
            torch.stack(parameters).detach().clone(),
            {"loss": 1.0 - value, "similarity": value},
            all(bool(is_flat(image.detach().flatten())) for image in images),
            images[0].detach().cpu() if settings.keep_images else None,
        )
        if not math.isfinite(value):
            return Status.STALLED
        (-similarity).backward()  # upwards
        if not all(bool(p.grad.isfinite().all()) for p in parameters if p.grad is not None):
            return Status.STALLED  # no direction leads on from here
        steps.step(rule.rates)
        if rule.met(value):
            return Status.CONVERGED
    return Status.ITERATION_LIMIT


ADAM = Solver(
    name="adam",
    title="Adam",
    about=(
        "First order, the recipe of xvr (Gopalakrishnan et al. 2025, M.6), for comparison. "
        "Minutes; one start, no locks, no covariance."
    ),
    settings=AdamSettings,
    compares=lambda: {name: similarity_words(function) for name, function in SIMILARITIES.items()},
    iterations=AdamSettings().iterations,
    several_starts=False,
    locks=False,
    covariance=False,
    configure=AdamSettings.configured,
    level_pixels=lambda settings: settings.pixels,
    most_iterates=lambda settings: len(settings.pixels) * settings.iterations,
    solve=refine_adam,
)
