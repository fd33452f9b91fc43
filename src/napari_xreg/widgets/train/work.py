"""A training from request to files, as a generator for `Jobs`."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_xreg.progress import Control
from napari_xreg.training import (
    Kept,
    Step,
    Trained,
    Validation,
    best_scores,
    card,
    check_state,
    drawn_from,
    read_state,
    reason,
    train,
)
from napari_xreg.widgets.jobs.torch_threads import torch_threads
from napari_xreg.widgets.jobs.warming import compiled, compiling
from napari_xreg.widgets.train.recipe import Recipe
from napari_xreg.widgets.train.request import TrainRequest


@dataclass(frozen=True)
class Preparing:
    """Training has not begun yet; what is being done."""

    words: str


@dataclass(frozen=True)
class Unwritten:
    """The best weights so far could not be written; training goes on."""

    words: str


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a training left.

    Parameters
    ----------
    trained
        See `training.Trained`.
    request
        What was asked.
    file, state_file
        What was written.
    scores
        Of the best weights; empty if they were never measured.
    problem
        Why the files were not written; empty where they were.
    """

    trained: Trained = field(repr=False)
    request: TrainRequest = field(repr=False)
    file: Path
    state_file: Path
    scores: Mapping[str, float]
    problem: str = ""


Event = Preparing | Unwritten | Step | Validation


def training(
    recipe: Recipe, request: TrainRequest, control: Control
) -> Generator[Event, None, Outcome | None]:
    """Train and write; None if it was stopped before the first step.

    The files are written here, off the main thread and whoever still listens: a viewer may close.
    """
    if not compiled(simulator=True):
        yield from map(Preparing, compiling(control, simulator=True))
    if control.cancelled:
        return None
    kept = Kept(request.out, recipe.save, recipe.finish)
    kept.check()
    yield Preparing("Rendering what it is measured on …")
    with torch_threads(request.threads):
        resume = request.resume
        state = None
        if resume is not None:
            state = read_state(resume.state) if isinstance(resume.state, Path) else resume.state
        with drawn_from(torch.Generator().manual_seed(request.seed)):
            network = recipe.network(request).to(request.device)
        if state is not None:
            assert resume is not None
            whose = resume.state.name if isinstance(resume.state, Path) else "what was interrupted"
            check_state(state, network, whose)
        task = recipe.task(request, network)
        before = 0 if state is None else int(state["steps"])
        yield Preparing("Rendering the first views …")
        run = train(task, recipe.settings(request), resume=state, control=control)
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                trained: Trained = end.value
                break
            if not isinstance(event, Validation):
                yield event
                continue
            so_far = best_scores((event.state or {})["validations"])
            about = _card(recipe, request, event.index, event.seconds, so_far, "RUNNING")
            problem = ""
            try:
                kept.validated(network, event, about)
            except (OSError, ValueError) as error:
                problem = reason(error)
            # Whoever listens keeps it, and has no use for what is on the disk now.
            yield replace(event, weights=None, state=None)
            if problem:
                yield Unwritten(problem)
    if trained.steps == before:
        return None
    return _written(recipe, request, kept, network, trained)


def _card(
    recipe: Recipe,
    request: TrainRequest,
    steps: int,
    seconds: float,
    scores: Mapping[str, float],
    status: str,
) -> dict[str, Any]:
    """What the file of weights says about itself."""
    return card(
        task=recipe.kind, trained_on=request.patients.words(), steps=steps, seconds=seconds,
        scores=scores, status=status, words=recipe.words(scores) if scores else "",
        request=request.described(),
    )  # fmt: skip


def _written(
    recipe: Recipe, request: TrainRequest, kept: Kept, network: nn.Module, trained: Trained
) -> Outcome:
    scores = best_scores(trained.validations)
    about = _card(recipe, request, trained.steps, trained.seconds, scores, trained.status.name)
    problem = ""
    try:
        kept.ended(network, trained, about)
    except (OSError, ValueError, RuntimeError) as error:
        problem = reason(error)
    return Outcome(trained, request, kept.file, kept.state_file, scores, problem)
