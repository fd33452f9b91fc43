"""What a reader raises when a file is not what it should be, or leaves a choice to the user."""

from collections.abc import Mapping

from napari_xreg.files import ReadError, TooLarge

__all__ = ["FrameUnknown", "ReadError", "SeveralFrames", "SeveralSeries", "TooLarge"]


class FrameUnknown(ReadError):
    """A file does not say in which axes its numbers are, and nobody else has.

    Parameters
    ----------
    message
        As of any `ReadError`.
    frames
        What it may be.
    """

    def __init__(self, message: str, frames: tuple[str, ...]) -> None:
        super().__init__(message)
        self.frames = frames


class UnknownValues(ReadError):
    """Nobody can say what the numbers of a volume mean, and nobody did.

    Parameters
    ----------
    message
        As of any `ReadError`.
    lowest, highest
        Of the values.
    shape
        Numbers of voxels (x, y, z).
    """

    def __init__(
        self, message: str, lowest: float, highest: float, shape: tuple[int, int, int]
    ) -> None:
        super().__init__(message)
        self.lowest, self.highest, self.shape = lowest, highest, shape


class UnknownSpacing(UnknownValues):
    """Nobody can say how far apart the voxels of a volume are, and nobody did; nor what they mean."""


class SeveralFrames(ReadError):
    """A file holds several images and none was chosen.

    Parameters
    ----------
    message
        As of any `ReadError`.
    frames
        How many.
    """

    def __init__(self, message: str, frames: int) -> None:
        super().__init__(message)
        self.frames = frames


class SeveralSeries(ReadError):
    """A folder holds several CT series and none was chosen.

    Parameters
    ----------
    message
        As of any `ReadError`.
    series
        SeriesInstanceUID to what its files say about it.
    """

    def __init__(self, message: str, series: Mapping[str, str]) -> None:
        super().__init__(message)
        self.series = dict(series)
