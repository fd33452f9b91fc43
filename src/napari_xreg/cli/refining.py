"""Run a refinement with its progress shown; Ctrl-C ends it with the best result so far."""

import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from jaxtyping import Float
from torch import Tensor

from napari_xreg.cli.console import Console
from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration import Iterate, RefineSettings, Registration, View, refine
from napari_xreg.registration.refinement.adam import AdamSettings, refine_adam
from napari_xreg.rendering import set_thread_count, warm_up


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


def refine_shown(
    volume: Volume,
    views: Sequence[View],
    settings: RefineSettings | AdamSettings,
    isocenter: Float[Tensor, "3"],
    console: Console,
) -> Registration:
    """The registration; status CANCELLED after Ctrl-C."""
    control = Control()
    events: Generator[Iterate, None, Registration]
    if isinstance(settings, AdamSettings):
        levels = len(settings.pixels)
        events = refine_adam(volume, views, settings=settings, isocenter=isocenter, control=control)
    else:
        levels = len(settings.levels)
        events = refine(volume, views, settings=settings, isocenter=isocenter, control=control)
    with cancelled_by_interrupt(control):
        seen = 0
        level, within = 0, 0
        while True:
            try:
                iterate = next(events)
            except StopIteration as end:
                result: Registration = end.value
                break
            seen += 1
            within = within + 1 if iterate.level == level else 1
            level = iterate.level
            # How many steps a level takes is not known: this creeps up to its end.
            share = (level + within / (within + 12.0)) / levels
            console.progress(share, _words(iterate, levels))
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
