"""What all solvers without derivatives do: level after level, the best pose kept, every pose an event."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.metrics import Similarity
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.gradient_free.objective import (
    Objective,
    Values,
)
from napari_xreg.registration.refinement.result import Iterate, Registration, Status
from napari_xreg.registration.refinement.views import View

Search = Generator[Values, "list[float]", tuple[Values | None, bool]]
"""Asks for losses of the rows of an array; returns where it ended (None: at the best of them) and whether it
converged."""


@dataclass(frozen=True)
class SearchLevel:
    """One level.

    Parameters
    ----------
    pixels
        Longer side of the radiographs.
    similarity
        What is compared.
    search
        Of a start.
    penalty
        Of the rows of an array, added to `weight` times the loss.
    weight
        See there.
    """

    pixels: int
    similarity: Similarity
    search: Callable[[Values], Search]
    penalty: Callable[[Values], Values] = lambda values: np.zeros(len(values))
    weight: float = 1.0


@dataclass
class _Course:
    keep_images: bool
    began: float = field(default_factory=time.perf_counter)
    trajectory: list[Iterate] = field(default_factory=list)


def search_levels(
    volume: Volume,
    views: Sequence[View],
    levels: Sequence[SearchLevel],
    *,
    pivot: Float[Tensor, "3"],
    control: Control | None,
    keep_images: bool,
) -> Generator[Iterate, None, Registration]:
    """Through all levels; each begins where the one before ended."""
    course = _Course(keep_images)
    at, status, losses = np.zeros(6), Status.CONVERGED, {"loss": float("inf")}
    for number, level in enumerate(levels):
        objective = Objective(volume, views, level.pixels, pivot, level.similarity)
        at, loss, status = yield from _one_level(course, objective, level, number, at, control)
        # Cancelled before anything was tried: still where the level before ended.
        losses = losses if status is Status.CANCELLED and not np.isfinite(loss) else {"loss": loss}
        if status is Status.CANCELLED:
            break
    if status is not Status.CANCELLED and objective.flat(at):
        status = Status.NO_OVERLAP
    final = [poses[0] for poses in objective.poses(at)]
    return Registration(
        world_from_camera=final[0],
        status=status,
        losses=losses,
        trajectory=tuple(course.trajectory),
        pivot=pivot,
        views=tuple(final),
        simulated=any(view.radiograph.simulated for view in views),
    )


def _one_level(
    course: _Course,
    objective: Objective,
    level: SearchLevel,
    number: int,
    start: Values,
    control: Control | None,
) -> Generator[Iterate, None, tuple[Values, float, Status]]:
    best, lowest = start, float("inf")
    search = level.search(start)
    try:
        asked = next(search)
        while True:
            if control is not None and not control.proceed():
                return best, lowest, Status.CANCELLED
            plain, found, images = _losses(objective, level, asked)
            poses = objective.poses(asked)[0]
            for row, loss in enumerate(found.tolist()):
                better = loss < lowest
                if better:
                    best, lowest = asked[row], loss
                image = images[0][row].detach().cpu() if course.keep_images else None
                iterate = Iterate(
                    len(course.trajectory), 0, number, poses[row],
                    {"loss": loss, "similarity": 1.0 - float(plain[row])}, accepted=better,
                    seconds=time.perf_counter() - course.began, image=image,
                )  # fmt: skip
                course.trajectory.append(iterate)
                yield iterate
            asked = search.send(found.tolist())
    except StopIteration as end:
        ended, converged = end.value
        if ended is not None:
            best, lowest = ended, float(_losses(objective, level, ended[None])[1][0])
        return best, lowest, (Status.CONVERGED if converged else Status.ITERATION_LIMIT)
    finally:
        search.close()


def _losses(
    objective: Objective, level: SearchLevel, values: Values
) -> tuple[Values, Values, list[Tensor]]:
    """Of the rows of an array: one minus the similarity, what is minimised, DRRs."""
    plain, images = objective.losses(values)
    return plain, level.weight * plain + level.penalty(values), images
