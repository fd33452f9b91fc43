"""What a registration left behind, written and said."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from napari_xreg.cli.console import Console
from napari_xreg.files import missing_words
from napari_xreg.progress import run
from napari_xreg.records import carm_words
from napari_xreg.registration import CAUTION, Registration, View, likelihood_of, weakest_direction
from napari_xreg.workflows import Drawn, Exported, ExportRequest, export


def export_shown(request: ExportRequest, console: Console) -> Exported:
    """The folder, with its progress."""

    def show(event: Drawn) -> None:
        if event.what == "film":
            console.progress(event.done / event.of, f"film: frame {event.done}")

    console.step("drawing")
    exported = run(export(request), show)
    console.progress(1.0, "drawn", last=True)
    return exported


@contextlib.contextmanager
def said_anyway(say: Callable[[], object]) -> Iterator[None]:
    """What was found is said even where nothing of it can be written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception:
        say()
        raise


def say_missing(missing: Mapping[str, str], console: Console) -> bool:
    """What of the files could not be written; whether there is any."""
    if missing:
        console.error(f"{missing_words(missing)}; everything else was")
    return bool(missing)


def short_verdict(registration: Registration) -> str:
    """The word, the probability, and as seen in which radiograph it is meant where that is one of several."""
    likelihood = likelihood_of(registration)
    return (
        f"{likelihood.short}, {likelihood.measured}"
        if registration.seen_by is not None
        else likelihood.short
    )


def say_result(view: View, registration: Registration, console: Console) -> None:
    """How it ended, the pose, and what is least constrained in it: once the files are there."""
    carm, pivot = view.radiograph.carm, registration.pivot
    terms = carm.carm_pose(registration.world_from_camera, pivot)
    if registration.probability is not None:
        console.say(f"verdict: {short_verdict(registration)}")
    left = tuple(note for note in registration.notes if note not in console.noted)
    console.say(replace(registration, notes=left).words)
    console.say(f"pose: {carm_words(terms)}")
    if registration.covariance is not None:
        weakest = weakest_direction(
            carm, registration.world_from_camera, registration.covariance, pivot
        )
        console.say(f"least constrained: {weakest}")
        if not registration:
            console.say(CAUTION)
