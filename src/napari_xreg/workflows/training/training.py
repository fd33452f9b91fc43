"""Train: a network for a patient, or for many, from a request to files that outlive whatever ends it."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from napari_xreg import training
from napari_xreg.geometry import CArm
from napari_xreg.progress import Control
from napari_xreg.rendering import torch_threads
from napari_xreg.training import (
    STANDARD_CARM,
    Journal,
    Kept,
    Patients,
    PoseRange,
    Recipe,
    Start,
    Step,
    Trained,
    TrainSettings,
    Validation,
    best_scores,
    check_state,
    drawn_from,
    read_state,
    reason,
)
from napari_xreg.workflows.training.recipes import recipe_described
from napari_xreg.workflows.warming import compiled, compiling

MOST_PIXELS = 256
"""Longer side of the radiographs that are simulated to validate on."""


@dataclass(frozen=True, eq=False)
class Resume:
    """An interrupted training to go on with.

    Parameters
    ----------
    state
        A ``.resume`` file, or the state itself.
    like
        Weights of the same network; None: the network a new training would have.
    steps, seconds
        What was done already, where that is known.
    """

    state: Path | Mapping[str, Any] = field(repr=False)
    like: Path | None = None
    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """Everything a training needs, captured: `train` may run in any thread.

    Parameters
    ----------
    recipe
        What to train.
    patients
        Whom to learn.
    out
        Where weights go (``.safetensors``); the state to resume from is written beside them.
    start
        Of a new training.
    poses
        Where the C-arm may stand.
    carm
        Of the radiographs to come.
    minutes
        In all, those before an interruption included.
    learning_rate
        None: that of the recipe.
    seed
        Of first weights, poses, appearance and batches.
    device
        As torch names it.
    threads
        Processors that torch may use.
    resume
        What to go on with; None: a new training.
    tensorboard
        Folder of an event file for TensorBoard; None: none.

    Raises
    ------
    ValueError
        If `out` is not a ``.safetensors`` file.
    """

    recipe: Recipe
    patients: Patients
    out: Path
    start: Start = "scratch"
    poses: PoseRange = field(default_factory=PoseRange)
    carm: CArm = STANDARD_CARM
    minutes: float = 5.0
    learning_rate: float | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    resume: Resume | None = None
    tensorboard: Path | None = None

    def __post_init__(self) -> None:
        _check_name(self.out)

    @property
    def state_file(self) -> Path:
        """Where the state to resume from is written."""
        return self.out.with_suffix(".resume")

    @property
    def journal_file(self) -> Path:
        """Where every step is written."""
        return self.out.with_suffix(".train.jsonl")

    @property
    def settings(self) -> TrainSettings:
        """Those of the recipe, until the time is over."""
        usual = self.recipe.settings
        rate = usual.learning_rate if self.learning_rate is None else self.learning_rate
        return replace(
            usual, steps=10**9, by_time=60.0 * self.minutes, seed=self.seed, learning_rate=rate
        )

    def described(self) -> dict[str, Any]:
        """As plain values, for the file of weights."""
        start = self.start.name if isinstance(self.start, Path) else self.start
        return {
            **recipe_described(self.recipe),
            **self.patients.described(),
            "start": start,
            **self.poses.described(),
            "carm": {
                "source_to_detector_mm": self.carm.source_to_detector,
                "source_to_isocenter_mm": self.carm.source_to_isocenter,
                "detector_mm": list(self.carm.detector.size_mm),
            },
            "minutes": self.minutes,
            "learning_rate": self.settings.learning_rate,
            "seed": self.seed,
        }

    def card(self, steps: int, seconds: float, scores: Mapping[str, float], status: str) -> Any:
        """What the file of weights says about itself.

        Parameters
        ----------
        steps, seconds
            Of training.
        scores
            Of these weights; empty if they were never measured.
        status
            Name of a `TrainingStatus`, or ``"RUNNING"``.
        """
        return {
            "task": self.recipe.kind,
            "trained_on": self.patients.words(),
            "steps": steps,
            "seconds": round(seconds),
            "status": status,
            "scores": dict(scores),
            "measured_on": "simulated radiographs",
            "words": self.recipe.words(scores) if scores else "",
            "request": self.described(),
        }


@dataclass(frozen=True)
class Preparing:
    """Training has not begun yet; what is being done."""

    words: str


@dataclass(frozen=True)
class Unwritten:
    """Something could not be written; training goes on.

    Parameters
    ----------
    words
        Why.
    what
        ``"weights"``, with the state to resume from, or ``"journal"``: that is then not tried again.
    """

    words: str
    what: Literal["weights", "journal"] = "weights"


@dataclass(frozen=True, eq=False)
class TrainingOutcome:
    """What a training left.

    Parameters
    ----------
    trained
        See `training.Trained`.
    card
        What the file of weights says about itself.
    file, state_file
        What was written.
    scores
        Of the best weights; empty if they were never measured.
    problem
        Why the files were not written; empty where they were.
    """

    trained: Trained = field(repr=False)
    card: Mapping[str, Any] = field(repr=False)
    file: Path
    state_file: Path
    scores: Mapping[str, float]
    problem: str = ""


TrainingEvent = Preparing | Unwritten | Step | Validation


def train(
    request: TrainRequest, *, control: Control | None = None
) -> Generator[TrainingEvent, None, TrainingOutcome | None]:
    """Train a network, and write it at every best and its state at every validation.

    The files are written here, whoever still listens: a window may close, the program may be
    killed. What was learned until the last validation is there, and a training goes on from it.

    Parameters
    ----------
    request
        What, on whom, how long, where to.
    control
        Cancel, pause, step.

    Yields
    ------
    Preparing
        Words, before the first step.
    Step, Validation
        In order; without weights and state, which are on the disk.
    Unwritten
        After a validation that could not be written, or where the journal ends.

    Returns
    -------
    TrainingOutcome or None
        None if it was stopped before the first step: nothing was written.

    Raises
    ------
    WriteError
        Before anything is learned, if the files cannot be written.
    CheckpointError
        If what is to be gone on with is of another network.
    ValueError
        If there is nothing to learn, in words for the user.
    """
    control = control or Control()
    if not compiled(simulator=True):
        yield from map(Preparing, compiling(control, simulator=True))
    if control.cancelled:
        return None
    check_out(request.out)
    recipe, resume = request.recipe, request.resume
    kept = Kept(request.out, recipe.finish)
    yield Preparing("Rendering validation images …")
    with torch_threads(request.threads), ExitStack() as at_end:
        state = None
        if resume is not None:
            state = read_state(resume.state) if isinstance(resume.state, Path) else resume.state
        start = request.start if resume is None or resume.like is None else resume.like
        with drawn_from(torch.Generator().manual_seed(request.seed)):
            network = recipe.network(request.patients, start).to(request.device)
        if resume is not None and state is not None:
            whose = resume.state.name if isinstance(resume.state, Path) else "what was interrupted"
            check_state(state, network, whose)
        task = recipe.task(
            network, request.patients, carm=request.carm, poses=request.poses, seed=request.seed
        )
        before = 0 if state is None else int(state["steps"])
        yield Preparing("Rendering the first views …")
        journal: Journal | None = None
        try:
            journal = Journal(
                request.journal_file, {"began": request.described(), "step": before},
                tensorboard=request.tensorboard, anew=state is None,
            )  # fmt: skip
            at_end.callback(journal.close)
        except OSError as error:
            yield Unwritten(reason(error), "journal")
        run = training.train(task, request.settings, resume=state, control=control)
        while True:
            try:
                event = next(run)
            except StopIteration as end:
                trained: Trained = end.value
                break
            if journal is not None:
                try:
                    journal.add(event)
                except (OSError, ValueError) as error:
                    journal = None
                    yield Unwritten(reason(error), "journal")
            if not isinstance(event, Validation):
                yield event
                continue
            so_far = best_scores((event.state or {})["validations"])
            problem = ""
            try:
                about = request.card(event.index, event.seconds, so_far, "RUNNING")
                kept.validated(network, event, about)
            except (OSError, ValueError) as error:
                problem = reason(error)
            # Whoever listens keeps it, and has no use for what is on the disk now.
            yield replace(event, weights=None, state=None)
            if problem:
                yield Unwritten(problem)
    if trained.steps == before:
        return None
    scores = best_scores(trained.validations)
    about = request.card(trained.steps, trained.seconds, scores, trained.status.name)
    problem = ""
    try:
        kept.ended(network, trained, about)
    except (OSError, ValueError, RuntimeError) as error:
        problem = reason(error)
    return TrainingOutcome(trained, about, kept.file, kept.state_file, scores, problem)


def check_out(file: Path) -> None:
    """Find out whether weights can be written there, and the state beside them.

    Raises
    ------
    ValueError, WriteError
        If not.
    """
    _check_name(file)
    Kept(file, lambda network, detail: None).check()


def _check_name(file: Path) -> None:
    if file.suffix != ".safetensors":
        raise ValueError(f"weights are written as .safetensors: got {file.name}")


def training_carm(carm: CArm) -> CArm:
    """The same C-arm with at most `MOST_PIXELS` a side: networks see far fewer."""
    return carm.at_most(MOST_PIXELS, least=8)
