"""Whether a second look at a frame is wanted, and whether it is worth more than the first."""

from collections.abc import Sequence

from napari_xreg.session import FrameState, TrackedFrame

_ORDER = (FrameState.OPEN, FrameState.DOUBTFUL, FrameState.TRACKED, FrameState.KEY)


def sure(frames: Sequence[TrackedFrame]) -> bool:
    """Whether every body has a pose that was given or is trusted."""
    return all(frame.state.sure for frame in frames)


def better(frames: Sequence[TrackedFrame], before: Sequence[TrackedFrame]) -> bool:
    """Whether what a second look finds of every body is worth more than what was known before."""
    ranks = [
        (sum(_ORDER.index(f.state) for f in each), sum(f.probability or 0.0 for f in each))
        for each in (frames, before)
    ]
    return ranks[0] > ranks[1]
