"""As many starts as it takes: one first, more where the radiographs do not support its result."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from napari_xreg.progress import Control
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.settings import RefineSettings

WIDER = 1.5
"""Each further round spreads its starts this much wider than the round before."""

Once = Callable[[Any], Generator[Iterate, None, Registration]]


def until_trusted(
    once: Once, settings: Any, control: Control | None
) -> Generator[Iterate, None, Registration]:
    """Refine; and again from each of ``settings.further`` starts until a result is trusted.

    Parameters
    ----------
    once
        A refinement with given settings, its result judged.
    settings
        Of a solver; those without `further` are used once.
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
    if not isinstance(settings, RefineSettings) or not settings.further:
        return (yield from once(settings))
    trajectory: list[Iterate] = []
    best: Registration | None = None
    used, poses, spread = 0, 0, settings.spread
    for starts in (settings.starts, *settings.further):
        began = trajectory[-1].seconds if trajectory else 0.0

        def after(event: Iterate, used: int = used, began: float = began) -> Iterate:
            return replace(event, start=event.start + used, seconds=event.seconds + began)

        round_settings = replace(settings, starts=starts, spread=spread, further=())
        found = yield from renumbered(once(round_settings), trajectory, after)
        moved = [replace(each, start=each.start + used) for each in found.candidates]
        found = replace(found, candidates=tuple(moved))
        # Antipodes are numbered on.
        used = max([used + starts, *(each.start + 1 for each in moved)])
        poses += starts
        if best is None or _likely(found) > _likely(best):
            best = found
        if best or (control is not None and control.cancelled):
            break
        spread = spread.scaled(WIDER)
    assert best is not None  # there is at least one round
    if poses == settings.starts:
        return best
    said = f"Refined from {poses} starting poses: the first result was not sure."
    return replace(best, trajectory=tuple(trajectory), notes=(*best.notes, said))


def _likely(registration: Registration) -> tuple[bool, float]:
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
