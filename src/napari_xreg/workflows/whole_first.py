"""A structure of a whole CT: all of the CT finds where the patient is, and from there the structure moves by itself.

Alone in a picture full of other bones it takes their edges for its own: a vertebra ends at its neighbour.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from napari_xreg import registration
from napari_xreg.images import Volume, is_bone_only
from napari_xreg.progress import Control
from napari_xreg.registration import (
    Body,
    BodyIterate,
    Iterate,
    RefineSettings,
    Registration,
    Status,
    View,
    cut_bodies,
    is_verdict,
)
from napari_xreg.session import Rendering
from napari_xreg.workflows.bodies import FAINTEST, PATIENT
from napari_xreg.workflows.why_refused import APART_MM, apart_mm, likelier

ROUNDS = 2
"""Of starts in turn of the CT as a whole (`RefineSettings.rounds`), at most: where other bones have moved too it is never sure."""

WHOLE_FIRST = "The whole CT was registered first; from there the structures by themselves, what the rest of it shows taken off"
STAYS_FIRST = "Registered alone too; the result is the one with the rest of the CT"
STAYS_ALONE = (
    "The result is that of the structures alone: with the rest of the CT nothing was trusted"
)
UPON = (
    "The whole CT, from which the structures were registered and with which the rest was taken off, was not trusted itself{}: "
    "neither is this, however well it fits."
)
AGREED = "The whole CT was not trusted, but alone the structures are found in the same place, and trusted there."
STOPPED = "Cancelled while the structures were registered alone, since what was found with the rest of the CT was not trusted."
OF_THE_WHOLE = "This is where the whole CT was, not the structures by themselves: {}."
LIKE_THE_REST = "they are no denser than what lies around them, and nothing tells them from it"
ENDED = {
    Status.CANCELLED: "it was cancelled before they were registered",
    Status.NO_OVERLAP: "it does not appear in the radiograph",
}


@dataclass(frozen=True, eq=False)
class WithTheRest:
    """What `refine_whole_first` found: of the CT as a whole, and of the structures from there."""

    whole: Registration
    found: Registration

    @property
    def settled(self) -> bool:
        """Whether there is no need for a second look: both are trusted, or it was cancelled."""
        cancelled = self.found.status is Status.CANCELLED
        return cancelled or (bool(self.found) and self.whole.status is not Status.NOT_TRUSTED)

    def beside(self, alone: Registration, views: Sequence[View]) -> tuple[Registration, bool]:
        """The result where the structures were looked for `alone` too, and whether it is that.

        What rests on a whole CT that was not trusted is not trusted either, unless that look finds it in the same place.

        Parameters
        ----------
        alone
            As judged.
        views
            What was registered.
        """
        found = self.found
        if alone.status is Status.CANCELLED:
            return replace(found, status=alone.status, notes=(*found.notes, STOPPED)), False
        if self.whole.status is Status.NOT_TRUSTED and found.status is not Status.NOT_TRUSTED:
            if alone and found and _same_place(found, alone, views):
                return replace(found, notes=(*found.notes, AGREED)), False
            why = () if found else (found.status.value,)
            upon = UPON.format(_chance(self.whole))
            found = replace(found, status=Status.NOT_TRUSTED, notes=(*found.notes, *why, upon))
        return (alone, True) if alone or likelier(alone, found) else (found, False)


def _chance(found: Registration) -> str:
    return "" if found.probability is None else f" ({100 * found.probability:.0f} % likely)"


def _same_place(one: Registration, other: Registration, views: Sequence[View]) -> bool:
    """As seen in the radiographs that they are judged by."""
    by = range(len(views)) if one.seen_by is None else (one.seen_by,)
    off = (
        apart_mm(
            views[n].radiograph, one.views[n], replace(other, world_from_camera=other.views[n])
        )
        for n in by
    )
    return max(off) <= APART_MM


def has_a_rest(what: Rendering) -> bool:
    """Whether what is rendered are bones of a CT that holds the rest of the patient too."""
    return bool(what.structures) and what.above_water and not is_bone_only(what.whole)


def refine_whole_first(
    what: Rendering,
    whole_ct: Volume,
    views: Sequence[View],
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
    *,
    judge: bool = True,
) -> Generator[Iterate, None, WithTheRest]:
    """Find the pose of structures of a CT of which `has_a_rest` is true.

    Parameters
    ----------
    what
        The structures, and the CT.
    whole_ct
        The CT, on the device where it is refined as a whole; the rest runs on the processor.
    views, settings, control, judge
        As of `registration.refine`.
    pivot
        World, mm.

    Yields
    ------
    Iterate
        Of the CT as a whole, then of the structures.

    Raises
    ------
    ValueError
        As `registration.refine` and `cut_bodies`.
    """
    labels = what.labels
    assert labels is not None
    how = settings if settings.starts else replace(settings, rounds=settings.rounds[:ROUNDS])
    whole = yield from registration.refine(
        whole_ct, views, settings=how, isocenter=pivot, control=control
    )
    if whole.status in ENDED:
        said = OF_THE_WHOLE.format(ENDED[whole.status])
        return WithTheRest(whole, replace(whole, notes=(*whole.notes, said)))
    rest, part = cut_bodies(what.whole, labels, [what.structures])
    if not bool((part.lac > FAINTEST).any()):
        like = (*_notes_of(whole), OF_THE_WHOLE.format(LIKE_THE_REST))
        return WithTheRest(
            whole, replace(whole, status=Status.NOT_TRUSTED, notes=like, probability=None)
        )
    bodies = (
        Body(PATIENT, rest, whole.views, pivot, rest=True),
        Body("structures", part, whole.views, pivot, 0.0),
    )
    # One orientation: where the other side has moved too, more find the bone on that one's picture.
    events = registration.refine_bodies(
        bodies, [view.radiograph for view in views],
        settings=replace(settings, starts=1, beside=()), judge=judge, control=control,
    )  # fmt: skip
    trajectory = list(whole.trajectory)
    began = time.perf_counter() - (trajectory[-1].seconds if trajectory else 0.0)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            found: Registration = end.value["structures"]
            before = (note for note in _notes_of(whole) if note not in found.notes)
            notes = (*(f"Of the whole CT: {note}" for note in before), *found.notes)
            return WithTheRest(whole, replace(found, trajectory=tuple(trajectory), notes=notes))
        each = event.iterate if isinstance(event, BodyIterate) else event.of(1)
        seconds = time.perf_counter() - began
        each = replace(each, index=len(trajectory), start=0, seconds=seconds)
        trajectory.append(each)
        yield each


def _notes_of(whole: Registration) -> tuple[str, ...]:
    """But for the verdict, which is not that of the structures."""
    return tuple(note for note in whole.notes if not is_verdict(note))
