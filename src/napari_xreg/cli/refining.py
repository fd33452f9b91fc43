"""Run a refinement with its progress shown; Ctrl-C ends it with the best result so far."""

import signal
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from napari_xreg.cli.console import Console
from napari_xreg.progress import Control, ahead, run
from napari_xreg.registration import Iterate, Registration, solver_of
from napari_xreg.rendering import choose_device, set_thread_count, warm_up
from napari_xreg.workflows import BonesAlone, OnCpuInstead, RefineRequest, TryingOthers, refine


def begin_reading(arguments: Namespace, console: Console) -> torch.device:
    """Say so, and load the kernels meanwhile; the device that was asked for.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    device = choose_device(arguments.device)
    console.step("reading")
    if arguments.threads is not None:
        set_thread_count(arguments.threads)
    ahead(lambda: list(warm_up()))
    return device


def prepare_renderer(console: Console, threads: int | None) -> None:
    """Compile the kernels, with a word if that takes long (only the first time on a machine)."""
    if threads is not None:
        set_thread_count(threads)
    for ready in warm_up():
        if ready.seconds > 2:
            console.progress(
                ready.done / ready.total,
                f"compiled the {ready.method} renderer (once per machine, {ready.seconds:.0f} s)",
            )


def refine_shown(request: RefineRequest, console: Console) -> Registration:
    """The registration; status CANCELLED after Ctrl-C."""
    control = Control()
    levels = len(solver_of(request.settings).level_pixels(request.settings))
    seen, level, within = 0, 0, 0

    def show(event: Iterate | OnCpuInstead | BonesAlone | TryingOthers) -> None:
        nonlocal seen, level, within
        if isinstance(event, OnCpuInstead):
            console.say(f"note: the CT does not fit on {event.device}: the CPU refines")
            return
        if isinstance(event, BonesAlone):
            console.notes(event.words)
            return
        if isinstance(event, TryingOthers):
            console.step("not trusted: trying other explanations")
            return
        seen += 1
        within = within + 1 if event.level == level else 1
        level = event.level
        # How many steps a level takes is not known: this creeps up to its end.
        share = (level + within / (within + 12.0)) / levels
        console.progress(share, _words(event, levels))

    with cancelled_by_interrupt(control):
        result = run(refine(request, control=control), show)
    console.progress(1.0, f"{seen} iterations, loss {result.losses['loss']:.4f}", last=True)
    return result


def _words(iterate: Iterate, levels: int) -> str:
    start = f"start {iterate.start + 1}  " if iterate.start else ""
    return (
        f"level {iterate.level + 1}/{levels}  {start}iteration {iterate.index}  "
        f"loss {iterate.loss:.4f}"
    )


@contextmanager
def cancelled_by_interrupt(control: Control) -> Iterator[None]:
    """The first Ctrl-C cancels; a second one interrupts as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return

    def cancel(number: int, frame: FrameType | None) -> None:
        control.cancel()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
