"""First-order refinement: the Adam recipe of xvr, for comparison and for losses without residuals.

Constants and stopping rule are those of xvr's registrar (Gopalakrishnan et al., 2025, Methods M.6,
and its released code): Adam with 1e-2 rad and 1 mm; on a plateau (10 iterations without a relative
gain of 1e-4) both are divided by ten; the third plateau, counting the first rate as one, ends a
scale; at most 500 iterations a scale; scale k starts at rates divided by 2^(0 + 1 + ... + k). The
loss is the mean of multiscale NCC (global and 9-pixel patches) and gradient NCC (11-pixel patches).
Unlike there, the best pose is kept, not the last.
"""

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
from napari_xreg.registration.refinement.adam_steps import AdamSteps
from napari_xreg.registration.refinement.result import Iterate, Registration, Status
from napari_xreg.registration.refinement.solver import Solver, Wanted
from napari_xreg.registration.refinement.views import View, at_pixels
from napari_xreg.rendering import Method, render_drr


@dataclass(frozen=True)
class AdamSettings:
    """The recipe's constants; see the module's docstring.

    Parameters
    ----------
    pixels
        Longer side of the radiograph, scale by scale, coarse to fine.
    rotation_rate, translation_rate
        Learning rates, rad and mm.
    patience, threshold, plateaus, iterations
        The stopping rule.
    method
        Integrator.
    similarity
        ``(radiograph, rendered, mask=...)``, [1, rows, columns] each, to a number a batch item; higher
        is better.
    keep_images
        Put the DRR of every iterate into the trajectory.
    """

    pixels: tuple[int, ...] = (64, 128)
    rotation_rate: float = 1e-2
    translation_rate: float = 1.0
    patience: int = 10
    threshold: float = 1e-4
    plateaus: int = 3
    iterations: int = 500
    method: Method = "trilinear"
    similarity: Similarity = xvr_similarity
    keep_images: bool = True

    def __post_init__(self) -> None:
        if not self.pixels or min(self.pixels) < 16:
            raise ValueError(
                f"every scale needs at least 16 pixels, for its patches: got {self.pixels}"
            )
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

    There is no covariance, and nobody has measured up to which loss it can be trusted:
    ``CONVERGED`` means that the stopping rule was met.
    """
    began = time.perf_counter()
    camera = views[0].world_from_camera.rotation.double()
    parameters = torch.zeros(2, 3, dtype=torch.float64)
    trajectory: list[Iterate] = []
    best: Iterate | None = None
    status = Status.CONVERGED
    divisor, flat = 1.0, False

    def poses(values: Float[Tensor, "2 3"]) -> list[Pose]:
        twist = (values @ camera.mT).reshape(6)
        return [view.world_from_camera.left_perturb(twist, pivot) for view in views]

    for number, pixels in enumerate(settings.pixels):
        targets = [at_pixels(view.radiograph, pixels) for view in views]
        divisor *= 2.0**number
        rotation, translation = (p.clone().requires_grad_() for p in parameters)
        steps = AdamSteps([rotation, translation])
        rates = (settings.rotation_rate / divisor, settings.translation_rate / divisor)
        highest, waited, plateaus, scale_best = float("-inf"), 0, 1, None
        status = Status.ITERATION_LIMIT
        for _ in range(settings.iterations):
            if control is not None and not control.proceed():
                status = Status.CANCELLED
                break
            steps.zero_grad()
            current = poses(torch.stack([rotation, translation]))
            images = [
                render_drr(volume, target.carm, pose, method=settings.method)
                for target, pose in zip(targets, current, strict=True)
            ]
            similarity = torch.stack(
                [
                    settings.similarity(
                        target.line_integrals[None].to(image),
                        image[None],
                        mask=target.usable.to(image.device),
                    ).mean()
                    for target, image in zip(targets, images, strict=True)
                ]
            ).mean()
            value = float(similarity.detach())
            iterate = Iterate(
                index=len(trajectory),
                start=0,
                level=number,
                world_from_camera=Pose(
                    current[0].rotation.detach(), current[0].translation.detach()
                ),
                losses={"loss": 1.0 - value, "similarity": value},
                seconds=time.perf_counter() - began,
                image=images[0].detach().cpu() if settings.keep_images else None,
            )
            trajectory.append(iterate)
            # What is not a number is never the best.
            if value > (scale_best[0].losses["similarity"] if scale_best else float("-inf")):
                scale_best = (iterate, torch.stack([rotation, translation]).detach().clone())
                flat = all(bool(is_flat(image.detach().flatten())) for image in images)
            yield iterate
            if not torch.isfinite(similarity):
                status = Status.STALLED
                break
            (-similarity).backward()  # upwards
            if not all(
                bool(p.grad.isfinite().all()) for p in (rotation, translation) if p.grad is not None
            ):
                status = Status.STALLED  # no direction leads on from here
                break
            steps.step(rates)
            if value > highest * (1 + settings.threshold):
                highest, waited = value, 0
            else:
                waited += 1
            if waited > settings.patience:
                rates, waited, plateaus = (0.1 * rates[0], 0.1 * rates[1]), 0, plateaus + 1
            if plateaus >= settings.plateaus:
                status = Status.CONVERGED
                break
        if scale_best is not None:
            best, parameters = scale_best
        if status is Status.CANCELLED:
            break
    if best is None:  # cancelled before the first iteration
        best = Iterate(0, 0, 0, views[0].world_from_camera, {"loss": float("inf")})
        parameters = torch.zeros(2, 3, dtype=torch.float64)
    if flat and status is not Status.CANCELLED:
        status = Status.NO_OVERLAP  # a plateau, and no optimum
    final = poses(parameters)
    return Registration(
        world_from_camera=final[0],
        status=status,
        losses=best.losses,
        trajectory=tuple(trajectory),
        pivot=pivot,
        views=tuple(final),
        simulated=any(view.radiograph.simulated for view in views),
    )


def _configured(wanted: Wanted) -> AdamSettings:
    default = AdamSettings()
    pixels = default.pixels[-1:] if wanted.finest_only else default.pixels
    return AdamSettings(
        pixels=pixels if wanted.pixels is None else wanted.pixels,
        iterations=default.iterations if wanted.iterations is None else wanted.iterations,
        similarity=SIMILARITIES[wanted.compare] if wanted.compare else default.similarity,
        keep_images=wanted.keep_images,
    )


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
    configure=_configured,
    level_pixels=lambda settings: settings.pixels,
    most_iterates=lambda settings: len(settings.pixels) * settings.iterations,
    solve=refine_adam,
)
