"""``--init``: a start that an initialiser finds, and how networks are shown at work."""

from argparse import Namespace
from collections.abc import Generator
from pathlib import Path
from typing import Any, TypeVar

import torch

from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import said_isocenter
from napari_xreg.cli.refining import cancelled_by_interrupt, prepare_renderer
from napari_xreg.images import Radiograph
from napari_xreg.landmarks import PassesDone
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import SearchRound, TemplateMade
from napari_xreg.rendering import thread_count
from napari_xreg.workflows import (
    INITIALISERS,
    InitialiseRequest,
    Patient,
    StartingPose,
    WeightsRead,
    initialise,
)

Answer = TypeVar("Answer")


def find_start(
    arguments: Namespace,
    patient: Patient,
    radiograph: Radiograph,
    console: Console,
) -> StartingPose:
    """The start that --init finds.

    Raises
    ------
    NoStart
        If it finds none.
    ValueError
        If it needs a file that was not given.
    """
    row = INITIALISERS[arguments.init]
    needs = row.needs
    if "weights" in needs and arguments.weights is None:
        raise ValueError(
            f"--init {arguments.init} needs --weights: train a network first "
            f"(napari-xreg train {row.recipe})"
        )
    if "landmarks" in needs and not patient.landmarks:
        raise ValueError(
            "give the landmarks of the CT: --landmarks FILE (.mrk.json, .fcsv or .csv)"
        )
    request = InitialiseRequest(
        arguments.init,
        patient.volume,
        radiograph,
        patient.labels,
        patient.landmarks,
        said_isocenter(arguments),
        None if arguments.weights is None else Path(arguments.weights),
        arguments.seed,
    )
    prepare_renderer(console, arguments.threads)
    console.step(f"looking for a start ({arguments.init})")
    control = Control()
    start = shown(initialise(request, control=control), control, arguments.threads, console)
    if start.said:
        console.say(start.said)
    return start


def shown(
    events: Generator[Any, None, Answer | None],
    control: Control,
    threads: int | None,
    console: Console,
) -> Answer:
    """The answer of a workflow with a network, its events shown; Ctrl-C ends the program."""
    torch.set_num_threads(threads or thread_count())
    with cancelled_by_interrupt(control):
        answer = run(events, lambda event: show(event, console))
    if answer is None or control.cancelled:
        raise KeyboardInterrupt
    return answer


def show(event: object, console: Console) -> None:
    """One of the events of preparing, finding and detecting."""
    match event:
        case WeightsRead(name, landmarks=count) if count:
            console.say(f"weights: {name}, {count} landmarks, {event.trained_on}")
        case WeightsRead(name, own=True):
            console.say(f"weights: {name}, {event.trained_on}")
        case WeightsRead():
            console.say(
                f"weights: those of the package, {event.trained_on}; for a patient train your own "
                "(napari-xreg train rayemb) and give them as --weights"
            )
        case TemplateMade(index, count):
            _progress("template", index + 1, count, console)
        case SearchRound(index, count):
            _progress("round", index + 1, count, console)
        case PassesDone(done, of):
            _progress("pass", done, of, console)


def _progress(what: str, done: int, count: int, console: Console) -> None:
    console.progress(done / count, f"{what} {done}/{count}", last=done == count)
