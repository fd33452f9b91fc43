"""Gradient ascent on an image similarity by Adam, scale by scale: what the first-order recipes share.

Unlike in their published code, the best pose is kept, not the last.
"""

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.metrics import is_flat
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.by_similarity import SimilaritySettings
from napari_xreg.registration.refinement.first_order.adam_steps import AdamSteps
from napari_xreg.registration.refinement.result import Iterate, Registration, Status
from napari_xreg.registration.refinement.views import View, at_pixels, unsaturated
from napari_xreg.rendering import Method, render_drr


@runtime_checkable
class Rule(Protocol):
    """How fast a scale is gone through, and when it has ended; mutable."""

    rates: tuple[float, float]
    """Of the next step: rad, mm."""

    def met(self, similarity: float) -> bool:
        """After an iteration: whether it was the last."""
        ...


Compared = Callable[[Pose], tuple[Float[Tensor, ""], Tensor]]
"""Of a radiograph: similarity at a pose, and what was rendered for it."""


@dataclass(frozen=True)
class AscentSettings(SimilaritySettings):
    """Of a recipe, which says its `rule` and what is `compared`.

    Parameters
    ----------
    pixels, iterations, similarity, keep_images
        As of `SimilaritySettings`.
    rotation_rate, translation_rate
        Learning rates, rad and mm.
    method
        Integrator.
    """

    rotation_rate: float = 1e-2
    translation_rate: float = 1.0
    method: Method = "trilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.rotation_rate > 0 and self.translation_rate > 0):
            raise ValueError(
                "learning rates must be positive: got "
                f"{self.rotation_rate} rad, {self.translation_rate} mm"
            )

    def rule(self, scale: int) -> Rule:
        """Of a scale, by its number."""
        raise NotImplementedError

    def compared(self, volume: Volume, target: Radiograph, view: int) -> Compared:
        """Of a radiograph at the size of a scale, by its number: the whole images."""

        def similarity(pose: Pose) -> tuple[Float[Tensor, ""], Tensor]:
            image = render_drr(volume, target.carm, pose, method=self.method)
            fixed, usable = target.line_integrals[None].to(image), target.usable.to(image.device)
            return self.similarity(fixed, image[None], mask=usable).mean(), image

        return similarity


def ascend(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: AscentSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve` by gradient ascent on an image similarity.

    There is no covariance; ``CONVERGED`` means that the stopping rule was met.
    """
    began = time.perf_counter()
    trajectory: list[Iterate] = []
    best = _Tried(torch.zeros(2, 3, dtype=torch.float64), {"loss": float("inf")})
    status = Status.CONVERGED
    for number, pixels in enumerate(settings.pixels):
        scale = _Scale(volume, views, pixels, pivot, settings)
        climb = _climb(scale, best.values, settings.rule(number), settings, control)
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
        settings: AscentSettings,
    ) -> None:
        self._volume, self._views, self._pivot = volume, views, pivot
        targets = [at_pixels(view.radiograph, pixels) for view in unsaturated(views)]
        self._carm = targets[0].carm
        self._compared = [
            settings.compared(volume, target, number) for number, target in enumerate(targets)
        ]
        self._camera = views[0].world_from_camera.rotation.double()

    def poses(self, values: Float[Tensor, "2 3"]) -> list[Pose]:
        """Of every view, turned and moved from the start along the axes of the first camera."""
        twist = (values @ self._camera.mT).reshape(6)
        return [view.world_from_camera.left_perturb(twist, self._pivot) for view in self._views]

    def similarity(self, values: Float[Tensor, "2 3"]) -> tuple[Float[Tensor, ""], list[Tensor]]:
        """Mean over the views, and what was rendered of each."""
        seen = [
            compared(pose)
            for compared, pose in zip(self._compared, self.poses(values), strict=True)
        ]
        return torch.stack([each for each, _ in seen]).mean(), [values for _, values in seen]

    @torch.no_grad()
    def drr(
        self, values: Float[Tensor, "2 3"], rendered: Tensor, method: Method
    ) -> Float[Tensor, "rows columns"]:
        """Of the first view: what was rendered, if that is all of it."""
        if rendered.ndim < 2:
            rendered = render_drr(self._volume, self._carm, self.poses(values)[0], method=method)
        return rendered.detach().cpu()


def _climb(
    scale: _Scale,
    start: Float[Tensor, "2 3"],
    rule: Rule,
    settings: AscentSettings,
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
        value, at = float(similarity.detach()), torch.stack(parameters).detach().clone()
        yield _Tried(
            at,
            {"loss": 1.0 - value, "similarity": value},
            all(bool(is_flat(image.detach().flatten())) for image in images),
            scale.drr(at, images[0], settings.method) if settings.keep_images else None,
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
