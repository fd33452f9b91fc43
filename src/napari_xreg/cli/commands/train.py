"""``napari-xreg train``: weights for one patient, or for many."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import read_marks, read_patient
from napari_xreg.cli.refining import cancelled_by_interrupt
from napari_xreg.files import TRAINING, schema_head
from napari_xreg.progress import Control, run as run_events
from napari_xreg.regression import PoseRecipe
from napari_xreg.rendering import choose_device, set_thread_count, thread_count
from napari_xreg.training import (
    NAMED_RANGES,
    CTsOfFolder,
    OneCT,
    Patients,
    Phantoms,
    PoseRange,
    Recipe,
    Step,
    TrainingStatus,
)
from napari_xreg.workflows import (
    RECIPES,
    Interrupted,
    Preparing,
    TrainingEvent,
    TrainingOutcome,
    TrainRequest,
    Unwritten,
    check_out,
    interrupted,
    recipe_as_it_was,
    train,
)

FAILED, INTERRUPTED = 1, 130


def run(arguments: Namespace, console: Console) -> int:
    """Train; files are written at every validation and at the end.

    The exit code is 1 where the loss stopped being a number, 130 after Ctrl-C.
    """
    check_out(Path(arguments.out))
    if arguments.threads is not None:
        set_thread_count(arguments.threads)
    request = train_request(arguments)
    console.step(
        f"training on {request.patients.words()}, {arguments.minutes:g} minutes; the best so far is "
        f"kept in {request.out}"
    )
    control = Control()
    with cancelled_by_interrupt(control):
        outcome = run_events(
            train(request, control=control), lambda event: _show(event, request, console)
        )
    if outcome is None:
        console.error("interrupted before the first step; nothing was written")
        return INTERRUPTED
    return _end(outcome, console)


def train_request(arguments: Namespace) -> TrainRequest:
    """What the command line asks for; reads the CT.

    Raises
    ------
    ValueError
        Where a range runs backwards, or a file is not what it should be.
    """
    resumed, finetuned = arguments.resume, arguments.finetune
    found = interrupted(Path(resumed)) if resumed else None
    poses = _pose_range(arguments)
    device = str(choose_device(arguments.device))
    return TrainRequest(
        _recipe(arguments, found),
        _patients(arguments),
        Path(arguments.out),
        start=Path(finetuned) if finetuned else "scratch",
        poses=poses,
        minutes=arguments.minutes,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        device=device,
        threads=thread_count(),
        resume=None if found is None else found.resume,
        tensorboard=Path(arguments.tensorboard) if arguments.tensorboard else None,
    )


def _recipe(arguments: Namespace, found: Interrupted | None) -> Recipe:
    recipe = RECIPES[arguments.method]()
    said = {
        name: weight
        for name in ("similarity", "overlap")
        if (weight := getattr(arguments, name)) is not None
    }
    if said and not isinstance(recipe, PoseRecipe):
        flags = " and ".join(f"--{name}" for name in said)
        raise ValueError(f"{flags} belongs to train pose: got train {arguments.method}")
    if found is not None and "similarity" not in said:
        try:
            recipe = recipe_as_it_was(recipe, found.settings)
        except ValueError as error:
            raise ValueError(f"{found.name}: {error}: give --similarity (0: not at all)") from error
    if isinstance(recipe, PoseRecipe):
        was = found.settings.get("overlap", 0.0) if found is not None else 0.0
        weights = {"similarity": recipe.similarity, "overlap": float(was)} | said
        return PoseRecipe(**weights)
    return recipe


def _pose_range(arguments: Namespace) -> PoseRange:
    usual = NAMED_RANGES[arguments.range] if arguments.range else PoseRange()
    primary, secondary, roll = (
        tuple(getattr(arguments, name) or getattr(usual, f"{name}_deg"))
        for name in ("primary", "secondary", "roll")
    )
    if arguments.offset is None:
        return replace(usual, primary_deg=primary, secondary_deg=secondary, roll_deg=roll)
    return PoseRange(primary, secondary, roll, arguments.offset)


def _patients(arguments: Namespace) -> Patients:
    """Whom to learn: ``phantoms``, the CTs of a folder, or one CT with what belongs to it."""
    given = read_marks(arguments, arguments.landmarks) if arguments.landmarks else []
    names = tuple(mark.name for mark in given if mark.position is not None)
    if arguments.ct == "phantoms":
        return Phantoms(names)
    if arguments.population:
        return CTsOfFolder(Path(arguments.ct), arguments.phantoms, arguments.above_hu, names)
    patient = read_patient(arguments)
    marks = patient.landmarks
    return OneCT(patient.name, patient.volume, patient.labels, None, arguments.above_hu, marks)


def _show(event: TrainingEvent, request: TrainRequest, console: Console) -> None:
    if isinstance(event, Preparing):
        console.step(event.words)
    elif isinstance(event, Unwritten):
        console.step(f"{event.what} not written: {event.words}; training goes on")
    elif isinstance(event, Step):
        text = f"step {event.index}  loss {event.losses['loss']:.3f}"
        console.progress(event.seconds / request.settings.by_time, text)
    else:
        found = (
            f"{name} {event.scores[key]:.1f} mm" for key, name in request.recipe.scores.items()
        )
        console.step(f"step {event.index}: {', '.join(found)}")


def _end(outcome: TrainingOutcome, console: Console) -> int:
    """The exit code."""
    trained = outcome.trained
    console.say(trained.status.value)
    for name, value in outcome.scores.items():
        if name != "score":
            console.say(f"{name.replace('_', ' ')}: {value:.2f}")
    console.say("measured on simulated radiographs")
    if outcome.problem:
        raise OSError(f"the weights were not written: {outcome.problem}")
    files = [str(outcome.file), str(outcome.state_file)]
    console.say(f"written: {', '.join(files)} (to go on with --resume)")
    console.say(f"every step: {outcome.file.with_suffix('.train.jsonl')}")
    console.answer({**schema_head(TRAINING), "files": files, **outcome.card})
    if trained.status is TrainingStatus.CANCELLED:
        return INTERRUPTED
    return 0 if trained else FAILED
