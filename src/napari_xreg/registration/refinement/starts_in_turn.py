"""As many starts as it takes: one first, more where the radiographs do not support its result."""

import math
from collections.abc import Callable, Generator
from dataclasses import fields, replace
from typing import Any

from napari_xreg.progress import Control
from napari_xreg.registration.refinement.result import (
    Iterate,
    Registration,
    Status,
    apart_mm,
)
from napari_xreg.registration.refinement.second_order.channels import FAR_OFF, FAR_OFF_OTHERWISE
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.starts import Spread
from napari_xreg.registration.verdict.likelihood import TRUSTED
from napari_xreg.rendering import OutOfMemory


def width_of(number: int) -> float:
    """How many times the given spread the starts of a round are spread: 1, 2, 2.5, 3.1 ...

    Of a start that led astray nobody knows how far off it is; few wide starts find what many
    narrow ones do not (docs/decisions/0026-auto.md).
    """
    return 2.0 * 1.25 ** (number - 1) if number > 0 else 1.0


WIDEST = 4.0
"""Times the usual spread. Who gives a wide spread has said how far off the start may be; spread wider still, starts lie
farther apart than the way home is long."""
MANY = 100
"""A round of so many starts, spread wider, that ends where one before it ended has looked around: what the
next would find there is the same again, for as much time as all rounds before."""
GIVEN_UP = 0.05
"""A round of fewer starts, more to come, ends before its last level where it is less likely than this
(`RefineSettings.given_up`)."""
SAME_MM = 2.0
"""Poses nearer than this are one: as `ELSEWHERE_MM` is measured."""


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
        The first that is trusted, else the most likely; its trajectory holds all rounds. Where a later
        round was cancelled, or had too little memory, the best of those before it.
    """
    if not isinstance(settings, RefineSettings) or settings.starts:
        return (yield from once(settings))
    trajectory: list[Iterate] = []
    best: Registration | None = None
    used, poses = 0, 0
    rounds = rounds_of(settings)
    for asked in rounds:
        began = trajectory[-1].seconds if trajectory else 0.0

        def after(event: Iterate, used: int = used, began: float = began) -> Iterate:
            return replace(event, start=event.start + used, seconds=event.seconds + began)

        try:
            found = yield from renumbered(once(asked), trajectory, after)
        except OutOfMemory:
            if best is None:
                raise
            best = short_of_memory(best, asked.starts)
            break
        moved = [replace(each, start=each.start + used) for each in found.candidates]
        found = replace(found, candidates=tuple(moved))
        # Antipodes are numbered on.
        used = max([used + asked.starts, *(each.start + 1 for each in moved)])
        again = best is not None and came_back(best, found, asked.starts)
        if best is None or worth(found, asked) > worth(best, asked):
            best = found
        if control is not None and control.cancelled:
            if poses:
                best = cancelled_at(best, asked.starts)
            break
        poses += asked.starts
        if not more_would_help(best):
            break
        if again and asked is not rounds[-1]:
            best = replace(best, notes=(*best.notes, SAME_AGAIN.format(asked.starts)))
            break
    assert best is not None  # there is at least one round
    return replace(told(best, poses, settings), trajectory=tuple(trajectory))


def told(best: Registration, poses: int, settings: RefineSettings) -> Registration:
    """The result, and from how many starts it came where one round was not enough."""
    if settings.starts or poses <= settings.rounds[0]:
        return best
    said = f"Refined from {poses} starting poses: the first result was not sure."
    return replace(best, notes=(*best.notes, said))


def short_of_memory(best: Registration, starts: int) -> Registration:
    """The best of the rounds before one that did not fit."""
    said = f"There is too little memory for {starts} starting poses at once."
    return replace(best, notes=(*best.notes, said))


def cancelled_at(best: Registration, starts: int) -> Registration:
    """The best of the rounds before one that was cancelled; one that is trusted stays so."""
    said = f"Cancelled while {starts} starting poses were refined."
    if best:
        return best
    return replace(best, status=Status.CANCELLED, notes=(*best.notes, said))


def more_would_help(best: Registration) -> bool:
    """Not where the radiographs support the result; where the optimiser was stopped there, either."""
    stopped = best.status in (Status.ITERATION_LIMIT, Status.STALLED)
    likely_there = best.probability is not None and best.probability >= TRUSTED
    return not (best or (stopped and likely_there))


SAME_AGAIN = "{} starting poses ended where fewer had: no more were tried."


def came_back(best: Registration, found: Registration, starts: int) -> bool:
    """Whether a round of many starts ended where the best before it did."""
    apart = apart_mm(best.world_from_camera, found.world_from_camera, found.pivot)
    return starts >= MANY and apart < SAME_MM


def rounds_of(settings: RefineSettings) -> list[RefineSettings]:
    """The settings of one round after the other; themselves where they say how many starts.

    What is locked is known, and a spread would move it; where there is one level, every start would
    be refined at the full size: there is one round then.
    """
    if settings.starts:
        return [settings]
    one = settings.locked or len(settings.levels) == 1
    rounds = settings.rounds[:1] if one else settings.rounds
    return [
        replace(
            settings, starts=starts, spread=widened(settings.spread, width_of(number)),
            beside=() if number else settings.beside,
            levels=_first_seen(settings.levels, number),
            given_up=GIVEN_UP if starts < MANY and number < len(rounds) - 1 else 0.0,
        )
        for number, starts in enumerate(rounds)
    ]  # fmt: skip


def widened(spread: Spread, factor: float) -> Spread:
    """A spread `factor` times as wide, but no wider than `WIDEST` times the usual one, unless it was given wider."""
    usual = Spread()

    def along(name: str) -> float:
        given = float(getattr(spread, name))
        return max(given, min(factor * given, WIDEST * float(getattr(usual, name))))

    return Spread(*(along(field.name) for field in fields(Spread)))


def _first_seen(levels: tuple[Level, ...], number: int) -> tuple[Level, ...]:
    """Every other round the first level looks otherwise: where one way leads astray the other often does not."""
    first, *others = levels
    if number % 2 == 0 or first.channels != FAR_OFF:
        return levels
    return (replace(first, channels=FAR_OFF_OTHERWISE), *others)


def worth(found: Registration, settings: RefineSettings) -> tuple[bool, bool, float]:
    """What has come to the last level first, then as `likely`."""
    furthest = max((each.level for each in found.candidates), default=math.inf)
    return (furthest >= len(settings.levels) - 1, *likely(found))


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
