"""What has to be known of a trial's volume before it is read for good: its size, and what its numbers mean.

Both take reading all of it. A trial is looked at again whenever one of its bones or frames is shown, so what was
seen is remembered as long as the file stays as it is.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.images import ReadError, UnknownValues, read_volume

_RAW = "hu 1 -1024"
_LARGEST_RAW = 32_767
_REMEMBERED = 64  # bones of a foot and a hand are 26 and 27


@dataclass(frozen=True)
class TrialVolumeFacts:
    """Of a volume.

    Parameters
    ----------
    shape
        Voxels, [z, y, x].
    values
        What was taken for the meaning of its numbers, as of `read_volume`; None: the file says it.
    """

    shape: tuple[int, int, int]
    values: str | None


def facts_of_volume(
    path: Path,
    spacing: tuple[float, float, float],
    flip: tuple[int, int, int],
    values: str | None,
) -> TrialVolumeFacts:
    """Look at a volume, or remember it.

    Parameters
    ----------
    spacing, flip, values
        As of `read_volume`; values None: HU, or HU + 1024.

    Raises
    ------
    ReadError
        If it cannot be read.
    UnknownValues
        If its numbers are neither.
    """
    try:
        about = path.stat()
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened ({error.strerror})") from error
    return _looked_at(path, about.st_mtime_ns, about.st_size, spacing, flip, values)


@functools.lru_cache(maxsize=_REMEMBERED)
def _looked_at(
    path: Path,
    _changed_ns: int,
    _size: int,
    spacing: tuple[float, float, float],
    flip: tuple[int, int, int],
    values: str | None,
) -> TrialVolumeFacts:
    try:
        volume = read_volume(path, spacing=spacing, flip=flip, values=values)
    except UnknownValues as unknown:
        if values is not None or unknown.lowest < 0 or not 1024 < unknown.highest <= _LARGEST_RAW:
            raise
        values = _RAW
        volume = read_volume(path, spacing=spacing, flip=flip, values=values)
    z, y, x = volume.shape
    return TrialVolumeFacts((z, y, x), values)
