"""Track a body through a sequence: each frame from where the ones before it lead to expect it."""

from collections.abc import Generator

from napari_xreg.progress import CancelOnly, Control
from napari_xreg.session import Track, TrackedFrame
from napari_xreg.workflows.tracking.sought import OneBody
from napari_xreg.workflows.tracking.tracks import TrackRequest
from napari_xreg.workflows.tracking.walk import Walk


def track(
    request: TrackRequest, *, control: Control | None = None
) -> Generator[TrackedFrame, None, Track]:
    """Where the body was in every frame: from the start forward, then back.

    Each frame is refined from where constant velocity leads to expect the body (`moved_on`), coarsely and then
    finely, and judged; meanwhile those that follow are begun, as if it ended where its coarse look did. Where it is
    not trusted it is refined again from several starts about where it was expected. What lies too far from
    there is no result: the frame is left open rather than guessed.

    Parameters
    ----------
    request
        What, from where, how.
    control
        Cancel, pause, step: once a frame. Cancelled, it ends with the frames so far.

    Yields
    ------
    TrackedFrame
        As each is done, the start first; a frame comes twice where a later key frame mends it.

    Raises
    ------
    ValueError
        If the start or a key frame is none of the frames.
    """
    control = control or Control()
    walk = Walk(
        OneBody(request, CancelOnly(control)), request.frames, request.start,
        {number: (pose,) for number, pose in request.keys.items()}, request.settings, control,
    )  # fmt: skip
    for (frame,) in walk.through():
        yield frame
    (found,) = walk.tracks()
    return found
