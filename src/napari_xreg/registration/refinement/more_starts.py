"""As many starts as it takes: one first, more where the radiographs do not support its result."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from napari_xreg.progress import Control
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.settings import RefineSettings


def width_of(number: int) -> float:
    """How many times the given spread the starts of a round are spread: 1, 2, 2.5, 3.1 ...

    Of a start that led astray nobody knows how far off it is; few wide starts find what many
    narrow ones do not (docs/decisions/0026-auto.md).
    """
    return 2.0 * 1.25 ** (number - 1) if number > 0 else 1.0


Once = Callable[[Any], Generator[Iterate, None, Registration]]


def until_trusted(
    once: Once, settings: Any, control: Control | None
) -> Generator[Iterate, None, Registration]:
    """Refine; where the number of starts is left to the program, again from more until it is trusted.

    Parameters
    ----------
    once
        A refinement with given settings, its result judged.
    settings
        Of a solver; those that say how many starts are used once.
    control
        Cancelled between rounds too.

    Yields
    ------
    Iterate
        Of all rounds, numbered through; starts too.

    Returns
    -------
    Registration
        The first that is trusted, else the most likely; its trajectory holds all rounds.
    """
    if not isinstance(settings, RefineSettings) or settings.starts:
        return (yield from once(settings))
    trajectory: list[Iterate] = []
    best: Registration | None = None
    used, poses = 0, 0
    for asked in rounds_of(settings):
        began = trajectory[-1].seconds if trajectory else 0.0

        def after(event: Iterate, used: int = used, began: float = began) -> Iterate:
            return replace(event, start=event.start + used, seconds=event.seconds + began)

        found = yield from renumbered(once(asked), trajectory, after)
        moved = [replace(each, start=each.start + used) for each in found.candidates]
        found = replace(found, candidates=tuple(moved))
        # Antipodes are numbered on.
        used = max([used + asked.starts, *(each.start + 1 for each in moved)])
        poses += asked.starts
        if best is None or likely(found) > likely(best):
            best = found
        if best or (control is not None and control.cancelled):
            break
    assert best is not None  # there is at least one round
    if poses == settings.rounds[0]:
        return best
    said = f"Refined from {poses} starting poses: the first result was not sure."
    return replace(best, trajectory=tuple(trajectory), notes=(*best.notes, said))


def rounds_of(settings: RefineSettings) -> list[RefineSettings]:
    """The settings of one round after the other; themselves where they say how many starts.

    What is locked is known, and a spread would move it: there is one round then.
    """
    if settings.starts:
        return [settings]
    rounds = settings.rounds[:1] if settings.locked else settings.rounds
    return [
        replace(settings, starts=starts, spread=settings.spread.scaled(width_of(number)))
        for number, starts in enumerate(rounds)
    ]


def likely(registration: Registration) -> tuple[bool, float]:
    """What is trusted first: a likely pose may contradict its header."""
    probability = registration.probability
    return bool(registration), -1.0 if probability is None else probability


def renumbered(
    events: Generator[Iterate, None, Registration],
    trajectory: list[Iterate],
    change: Callable[[Iterate], Iterate],
) -> Generator[Iterate, None, Registration]:
    """Events of a part as those of the whole: changed, numbered on from `trajectory`, added to it."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            done: Registration = end.value
            return done
        iterate = replace(change(event), index=len(trajectory))
        trajectory.append(iterate)
        yield iterate
