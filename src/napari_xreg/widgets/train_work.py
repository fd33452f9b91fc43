"""A training from request to files, as a generator for `Jobs`."""

import copy
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_xreg.registration import Control
from napari_xreg.training import (
    Step,
    Trained,
    TrainingStatus,
    Validation,
    read_state,
    train,
    write_state,
)
from napari_xreg.widgets.kernels import compiled, compiling
from napari_xreg.widgets.torch_threads import torch_threads
from napari_xreg.widgets.train_recipe import Recipe
from napari_xreg.widgets.train_request import TrainRequest


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
    yield Preparing("Rendering what it is measured on …")
    with torch_threads(request.threads):
        torch.manual_seed(request.seed)
        resume = request.resume
        state = None
        if resume is not None:
            state = read_state(resume.state) if isinstance(resume.state, Path) else resume.state
        network = recipe.network(request).to(request.device)
        if state is not None:
            _check_fits(network, state, request)
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
            yield event
            if isinstance(event, Validation) and event.best and event.weights is not None:
                about = card(recipe, request, event.index, event.seconds, event.scores, None)
                try:
                    _save(recipe, request.out, network, event.weights, event.detail, about)
                except (OSError, ValueError) as error:
                    yield Unwritten(str(error))
    if trained.steps == before:
        return None
    return _written(recipe, request, network, trained)


def card(
    recipe: Recipe,
    request: TrainRequest,
    steps: int,
    seconds: float,
    scores: Mapping[str, float],
    status: TrainingStatus | None,
) -> dict[str, Any]:
    """What the file of weights says about itself."""
    return {
        "task": recipe.kind,
        "trained_on": request.patients.words(),
        "steps": steps,
        "seconds": round(seconds),
        "status": "RUNNING" if status is None else status.name,
        "scores": dict(scores),
        "measured_on": "simulated radiographs",
        "words": recipe.words(scores) if scores else "",
        "request": request.described(),
    }


def best_scores(trained: Trained) -> Mapping[str, float]:
    """Of the weights that were kept; empty if they were never measured."""
    return min((v.scores for v in trained.validations), key=lambda s: s["score"], default={})


def _written(
    recipe: Recipe, request: TrainRequest, network: nn.Module, trained: Trained
) -> Outcome:
    scores = best_scores(trained)
    about = card(recipe, request, trained.steps, trained.seconds, scores, trained.status)
    problem = ""
    try:
        best = min(trained.validations, key=lambda v: v.scores["score"], default=None)
        detail = None if best is None else best.detail
        _save(recipe, request.out, network, trained.best, detail, about)
        write_state(request.state_file, trained.state)
    except (OSError, ValueError, RuntimeError) as error:
        problem = str(error).splitlines()[0]
    return Outcome(trained, request, request.out, request.state_file, scores, problem)


def _save(
    recipe: Recipe,
    file: Path,
    network: nn.Module,
    weights: Mapping[str, Any],
    detail: Any,
    about: Mapping[str, Any],
) -> None:
    """Other weights than the network has now: into a copy, for it is being trained."""
    kept = copy.deepcopy(network)
    kept.load_state_dict(dict(weights))
    recipe.finish(kept, detail)
    recipe.save(file, kept, about)


def _check_fits(network: nn.Module, state: Mapping[str, Any], request: TrainRequest) -> None:
    own = {name: value.shape for name, value in network.state_dict().items()}
    kept = {name: value.shape for name, value in state["network"].items()}
    if own != kept:
        assert request.resume is not None
        named = request.resume.state
        what = named.name if isinstance(named, Path) else "the interrupted training"
        raise ValueError(
            f"{what} belongs to another network: keep its weights (.safetensors) beside it"
        )
