"""A structure of a whole CT: all of the CT finds where the patient is, and from there the structure moves by itself.

Alone in a picture full of other bones it takes their edges for its own: a vertebra ends at its neighbour.
"""

import time
from collections.abc import Generator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg import registration
from napari_xreg.images import is_bone_only
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
)
from napari_xreg.session import Rendering
from napari_xreg.workflows.bodies import FAINTEST, PATIENT

ROUNDS = 2
"""Of starts in turn of the CT as a whole (`RefineSettings.rounds`), at most: where other bones have moved too it is never sure."""

WHOLE_FIRST = "The whole CT was registered first; from there the structures by themselves, what the rest of it shows taken off"


def has_a_rest(what: Rendering) -> bool:
    """Whether what is rendered are bones of a CT that holds the rest of the patient too."""
    return bool(what.structures) and what.above_water and not is_bone_only(what.whole)


def refine_whole_first(
    what: Rendering,
    views: Sequence[View],
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    device: torch.device,
    control: Control | None,
    *,
    judge: bool = True,
) -> Generator[Iterate, None, Registration]:
    """Find the pose of structures of a CT of which `has_a_rest` is true.

    Parameters
    ----------
    what
        The structures, and the CT.
    views, settings, control, judge
        As of `registration.refine`.
    pivot
        World, mm.
    device
        Where the CT as a whole is refined; the rest runs on the processor.

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
        what.whole.to(device=device), views, settings=how, isocenter=pivot, control=control
    )
    if whole.status in (Status.CANCELLED, Status.NO_OVERLAP):
        return whole
    rest, part = cut_bodies(what.whole, labels, [what.structures])
    if not bool((part.lac > FAINTEST).any()):
        return whole  # as dense as what lies beside it: nothing tells it from the rest
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
            return replace(found, trajectory=tuple(trajectory), candidates=whole.candidates)
        each = event.iterate if isinstance(event, BodyIterate) else event.of(1)
        seconds = time.perf_counter() - began
        each = replace(each, index=len(trajectory), start=0, seconds=seconds)
        trajectory.append(each)
        yield each
