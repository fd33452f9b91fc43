"""``--init``: starts that initialisers find, and how networks are shown at work."""

from argparse import Namespace
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import read_start, said_isocenter
from napari_xreg.cli.refining import cancelled_by_interrupt, prepare_renderer
from napari_xreg.images import Radiograph
from napari_xreg.landmarks import PassesDone
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import SearchRound, TemplateMade
from napari_xreg.rendering import thread_count
from napari_xreg.workflows import (
    INITIALISERS,
    Asking,
    InitialiseRequest,
    Patient,
    StartingPose,
    WeightsRead,
    find_starts,
    weights_entry,
    weights_use,
)

Answer = TypeVar("Answer")


def find_every_start(
    arguments: Namespace,
    patient: Patient,
    radiographs: Sequence[Radiograph],
    given: StartingPose | None,
    console: Console,
) -> tuple[StartingPose, ...]:
    """The starts that --init finds, in its order.

    Parameters
    ----------
    radiographs
        The first, whose pose is looked for, and those that move with it.
    given
        By the options of the command line, or the header.

    Raises
    ------
    NoStart
        If it finds none.
    ValueError
        If it needs a file that was not given.
    """
    methods = ["manual" if name == "given" else name for name in arguments.init]
    weights = _weights_of(arguments, methods)
    first, *others = radiographs
    placed = len(arguments.start or ()) == len(radiographs) > 1  # by hand, each of them
    from_world = read_start(arguments, 0).inverse() if placed else None
    beside = tuple(
        (other, None if from_world is None else from_world @ read_start(arguments, number))
        for number, other in enumerate(others, 1)
    )
    requests = []
    for method in methods:
        row = INITIALISERS[method]
        if "weights" in row.needs and method not in weights:
            raise ValueError(
                f"--init {method} needs --weights: train a network first "
                f"(napari-xreg train {row.recipe})"
            )
        if "landmarks" in row.needs and not patient.landmarks:
            raise ValueError(
                "give the landmarks of the CT: --landmarks FILE (.mrk.json, .fcsv or .csv)"
            )
        requests.append(
            InitialiseRequest(
                method,
                patient.volume,
                first,
                patient.labels,
                patient.landmarks,
                said_isocenter(arguments),
                weights.get(method),
                arguments.seed,
                given,
                beside=beside,
                structures=tuple(patient.structures),
                warp=None if arguments.warp is None else Path(arguments.warp),
                template=None if arguments.template is None else Path(arguments.template),
            )
        )
    prepare_renderer(console, arguments.threads)
    control = Control()
    starts = shown(find_starts(requests, control=control), control, arguments.threads, console)
    for start in starts.found.values():
        if start.said:
            console.say(start.said)
    best, *further = starts.found.values()
    without = (f"{each.method}: {each.words}" for each in starts.nothing)
    return replace(best, notes=(*best.notes, *without)), *further


def _weights_of(arguments: Namespace, methods: Sequence[str]) -> dict[str, Path]:
    """Whose weights each file holds; one that does not say it belongs to the one that has none."""
    files = [Path(file) for file in arguments.weights or ()]
    networks = [method for method in methods if INITIALISERS[method].recipe]
    if len(files) > len(networks):
        raise ValueError(
            f"--weights was given {len(files)} files for --init {' '.join(networks)}: give one each"
        )
    if len(networks) == 1:
        return dict.fromkeys(networks, files[0]) if files else {}
    found: dict[str, Path] = {}
    silent = []
    for file in files:
        use = weights_use(weights_entry(file))
        method = next((name for name in networks if INITIALISERS[name].recipe == use), None)
        if use and (method is None or method in found):
            raise ValueError(f"{file.name}: --init {','.join(networks)} has no use for it ({use})")
        if method is None:
            silent.append(file)
        else:
            found[method] = file
    left = [method for method in networks if method not in found]
    if silent and (len(silent) > 1 or len(left) > 1):
        raise ValueError(f"{silent[0].name} does not say whose weights it holds: give one --init")
    return found | dict(zip(left, silent, strict=False))


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
    """One of the events of asking, preparing, finding and detecting."""
    match event:
        case Asking(method):
            console.step(f"looking for a start ({method})")
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
