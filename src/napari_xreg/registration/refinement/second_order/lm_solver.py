"""Levenberg-Marquardt: second order, coarse to fine, from one or many starts."""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.batched.backend import Batched
from napari_xreg.registration.refinement.host.problem import Host
from napari_xreg.registration.refinement.problem import Backend
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.second_order.comparisons import COMPARISONS
from napari_xreg.registration.refinement.second_order.course import refine_cases
from napari_xreg.registration.refinement.second_order.levels import (
    COARSE_TO_FINE,
    TO_THE_END,
    Level,
    levels_at,
    prepare_levels,
)
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.solver import Solver, Wanted
from napari_xreg.registration.refinement.starts_in_turn import rounds_of
from napari_xreg.registration.refinement.views import View
from napari_xreg.rendering import choose_backend, out_of_memory


def refine_second_order(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
    backend: Backend | None = None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve` of Levenberg-Marquardt.

    On z-scored images and their filtered versions, with the Jacobian from the march that renders
    the DRR, over the levels of a pyramid; all starts of a level advance together.

    Parameters
    ----------
    backend
        What makes the sums; None: `backend_for` the volume.
    """
    began = time.perf_counter()
    trajectory: list[Iterate] = []
    turns = refine_cases(
        volume, [tuple(views)], settings=settings, pivot=pivot, control=control,
        backend=backend or backend_for(volume, settings),
    )  # fmt: skip
    while True:
        try:
            turn = next(turns)
        except StopIteration as end:
            (registration,) = end.value
            return replace(registration, trajectory=tuple(trajectory))
        except torch.OutOfMemoryError as error:
            raise out_of_memory(f"a refinement from {settings.starts} starts", error) from error
        for row in (row for row, tried in enumerate(turn.tried) if tried and turn.shown(row)):
            seconds = time.perf_counter() - began
            iterate = turn.iterate(row, index=len(trajectory), seconds=seconds)
            trajectory.append(iterate)
            yield iterate


def backend_for(volume: Volume, settings: RefineSettings) -> Backend:
    """Batches where the CT is on a CUDA device with Triton; anywhere else the processor."""
    if choose_backend(volume, "joseph") == "triton":
        return Batched(volume.lac.device)
    return Host(settings.threads)


def _configured(wanted: Wanted) -> RefineSettings:
    levels: tuple[Level, ...] = COARSE_TO_FINE
    if wanted.pixels is not None:
        levels = levels_at(wanted.pixels)
    elif wanted.finest_only:
        levels = COARSE_TO_FINE[-1:]
    channels = COMPARISONS[wanted.compare].channels if wanted.compare is not None else None
    if wanted.iterations is not None:
        # Of the last level; a coarser one that is not done by then is not on its way.
        coarser = [
            replace(level, iterations=min(level.iterations, wanted.iterations))
            for level in levels[:-1]
        ]
        levels = (*coarser, replace(levels[-1], iterations=wanted.iterations))
    return RefineSettings(
        levels=tuple(replace(level, channels=channels or level.channels) for level in levels),
        starts=wanted.starts,
        spread=wanted.spread,
        beside=wanted.beside,
        origin=wanted.origin,
        locked=wanted.locked,
        seed=wanted.seed,
        keep_images=wanted.keep_images,
        threads=wanted.threads,
    )


def _most_iterates(settings: RefineSettings) -> int:
    if not settings.starts:
        return sum(_most_iterates(each) for each in rounds_of(settings))
    others = sum(each.starts for each in settings.beside)
    total, tracks = 0, settings.starts + others
    for number, level in enumerate(settings.levels):
        if number > 0:
            keep = settings.entering(number)
            # What was given goes along.
            tracks = min(tracks, keep + 1 + len(settings.beside) if keep > 1 else 1)
        total += tracks * (level.iterations + 1)
    return total


LEVENBERG_MARQUARDT = Solver(
    name="lm",
    title="Levenberg–Marquardt",
    about="Second order: the Jacobian comes with every DRR. Seconds; gives a covariance.",
    settings=RefineSettings,
    compares=lambda: {name: choice.about for name, choice in COMPARISONS.items()},
    iterations=TO_THE_END,
    several_starts=True,
    locks=True,
    covariance=True,
    configure=_configured,
    level_pixels=lambda settings: tuple(level.pixels for level in settings.levels),
    most_iterates=_most_iterates,
    solve=refine_second_order,
    prepare=lambda volume, settings: prepare_levels(volume, settings.levels),
)
