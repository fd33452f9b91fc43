"""Several initialisers asked about one radiograph: each may find a pose to start from."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from napari_xreg.files import ReadError
from napari_xreg.progress import Control
from napari_xreg.registration import Hypothesis
from napari_xreg.training import CheckpointError
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose, initialise


@dataclass(frozen=True)
class Asking:
    """An initialiser begins.

    Parameters
    ----------
    method
        Its name in `INITIALISERS`.
    number, of
        From 0; of all that are asked.
    """

    method: str
    number: int
    of: int


@dataclass(frozen=True)
class NothingFound:
    """An initialiser found no pose, or one of several could not read its weights.

    Parameters
    ----------
    method
        Its name in `INITIALISERS`.
    words
        Why, and what to do.
    """

    method: str
    words: str


@dataclass(frozen=True, eq=False)
class Starts:
    """The poses that were found, in the order in which they were asked for.

    Parameters
    ----------
    found
        By the name of the initialiser: at least one.
    nothing
        Of those that found none.
    """

    found: dict[str, StartingPose]
    nothing: tuple[NothingFound, ...] = ()


def find_starts(
    requests: Sequence[InitialiseRequest], *, control: Control | None = None
) -> Generator[Any, None, Starts | None]:
    """Ask every initialiser in turn.

    Yields
    ------
    Asking, NothingFound
        Before each, and where it finds no pose; between them what `initialise` yields.

    Returns
    -------
    Starts or None
        None if cancelled.

    Raises
    ------
    NoStart
        If none of them finds a pose.
    CheckpointError, ReadError
        If there is one only, and its weights cannot be read.
    ValueError
        As `initialise`: something is missing.
    """
    control = control or Control()
    found: dict[str, StartingPose] = {}
    nothing: list[NothingFound] = []
    for number, request in enumerate(requests):
        yield Asking(request.method, number, len(requests))
        try:
            start = yield from initialise(request, control=control)
        except (NoStart, CheckpointError, ReadError) as none:
            if len(requests) == 1 and not isinstance(none, NoStart):
                raise
            nothing.append(NothingFound(request.method, str(none)))
            if len(requests) > 1:
                yield nothing[-1]
            continue
        if start is None or control.cancelled:
            return None
        found[request.method] = start
    if not found:
        raise NoStart(" ".join(each.words for each in nothing))
    return Starts(found, tuple(nothing))


def hypothesis_of(start: StartingPose) -> Hypothesis:
    """The same, to be refined beside another."""
    return Hypothesis(start.pose, start.origin, max(1, start.starts), start.spread)
