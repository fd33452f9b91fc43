"""The smooth motion of a body through the frames of a sequence."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

from napari_xreg.registration import Smoothed, smoothed
from napari_xreg.session import FrameState, TrackedFrame


def smooth_motion(
    frames: Sequence[TrackedFrame], pivot: Float[Tensor, "3"]
) -> tuple[Smoothed | None, tuple[str, ...]]:
    """Over all frames, and what the user should know; None: too few were tracked.

    Parameters
    ----------
    frames
        Of one body, in their order.
    pivot
        That their covariances turn about, world mm.
    """
    covariances = _covariances(frames)
    if sum(each is not None for each in covariances) < 3:
        return None, ("Too few frames were tracked to work out a smooth motion.",)
    apart = [after.number - before.number for before, after in pairwise(frames)]
    steps = [1.0, *(each / statistics.median(apart) for each in apart)]
    return smoothed([frame.world_from_rig for frame in frames], covariances, pivot, steps), ()


def _covariances(frames: Sequence[TrackedFrame]) -> list[Float[Tensor, "6 6"] | None]:
    """Of what counts as measured: what is trusted; a pose that was given is as sure as the least unsure."""
    trusted = [f.covariance if f.state is FrameState.TRACKED else None for f in frames]
    sure = [each for each in trusted if each is not None]
    best = min(sure, key=lambda each: float(each.trace()), default=None)
    return [
        best if frame.state is FrameState.KEY else own
        for frame, own in zip(frames, trusted, strict=True)
    ]
