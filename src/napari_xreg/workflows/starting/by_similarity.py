"""A starting pose down a learned similarity, from a pose that is given."""

import math
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from napari_xreg.geometry import LENGTH_MM
from napari_xreg.progress import Control
from napari_xreg.similarity import Comparison, Descended, descend, load_similarity
from napari_xreg.workflows.preparing import WeightsRead
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.little_seen import little_seen
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[WeightsRead | Descended, None, StartingPose | None]:
    """Read the weights and descend: see `INITIALISERS`."""
    assert request.weights is not None and request.given is not None
    network, about = load_similarity(request.weights)
    yield WeightsRead(request.weights.name, about)
    given = request.given
    try:
        comparison = Comparison(network, request.volume, request.radiograph, given.isocenter)
    except ValueError as error:
        raise NoStart(f"The learned similarity gives no start: {error}") from error
    began = comparison.distance(given.pose)
    found = yield from descend(comparison, given.pose, control=control)
    if control is not None and control.cancelled:
        return None
    if found.iterations == 0:
        raise NoStart(
            "The learned similarity gives no start: around the pose that is given the network sees no change, the CT is "
            "out of its view. Move the pose nearer."
        )
    said = f"learned similarity: the pose that was given looks {_words(began)} off, the one found {_words(found.distance)}"
    evidence = {
        "method": "similarity", "weights": dict(about), "began_rad": began,
        "distance_rad": found.distance, "iterations": found.iterations,
    }  # fmt: skip
    return StartingPose(
        found.world_from_camera, given.isocenter, f"a learned similarity, from {given.origin}",
        (*given.notes, *_notes(request, comparison, about)), said, {"init": evidence},
        spread=given.spread,
    )  # fmt: skip


def _notes(
    request: InitialiseRequest, comparison: Comparison, about: Mapping[str, Any]
) -> Iterator[str]:
    """What was assumed, and warnings."""
    yield from little_seen(comparison.seen_share)
    if about.get("request", {}).get("on") == "one CT":
        yield (
            f"the learned similarity was trained on one CT ({about.get('trained_on')}) and says nothing of another: this "
            "CT is taken for that"
        )
    if request.beside:
        yield "the learned similarity looks at the first radiograph alone"


def _words(distance: float) -> str:
    """A distance of poses as the turn and the shift that it would be, either alone."""
    return f"{math.degrees(distance):.1f}° or {distance * LENGTH_MM:.0f} mm"
