"""Which of the images in one file are meant."""

from collections.abc import Sequence
from typing import Literal

from napari_xreg.images.errors import ReadError, SeveralFrames

Frame = int | Literal["mean"] | Sequence[int] | None
"""One of several, counted from 1; some or all of them, averaged; or not said."""


def chosen_frames(file: str, count: int, frame: Frame) -> Sequence[int]:
    """Numbers, from 1, of the frames that are read; several are averaged.

    Raises
    ------
    SeveralFrames
        If there are several and none was chosen.
    ReadError
        If there is no such frame.
    """
    if frame is None and count > 1:
        raise SeveralFrames(
            f"{file}: holds {count} frames: choose one of the frames 1..{count}, or their mean",
            count,
        )
    if frame == "mean":
        return range(1, count + 1)
    numbers = [1] if frame is None else [frame] if isinstance(frame, int) else list(frame)
    for number in numbers:
        if not 1 <= number <= count:
            raise ReadError(f"{file}: holds {count} frame(s), there is no frame {number}")
    if not numbers:
        raise ReadError(f"{file}: no frame was named")
    return numbers
