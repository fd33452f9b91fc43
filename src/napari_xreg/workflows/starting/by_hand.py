"""The pose that a user gives: by numbers, from a file, or where the C-arm stands now."""

from collections.abc import Generator

from napari_xreg.progress import Control
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[object, None, StartingPose | None]:
    """What was given: see `INITIALISERS`."""
    yield from ()
    return request.given
