"""The pictures of a folder, one for each frame, by their numbers."""

import re
from collections.abc import Mapping
from pathlib import Path

from napari_xreg.images.errors import ReadError

_NUMBERED = re.compile(r"(.*?)(\d{1,9})$", re.ASCII)


def numbered_files(
    folder: Path, suffixes: tuple[str, ...], what: str, *, like: Path | None = None
) -> Mapping[int, Path]:
    """The file of each frame, in order.

    Frames are called by the number at the end of their file names; files without one are left out.
    Where no file has one, frames are called by their place, from 1.

    Parameters
    ----------
    suffixes
        Of the files that count, in lower case.
    what
        Is in the folder, for messages.
    like
        Only files that are called as this one is, but for the number.

    Raises
    ------
    ReadError
        If the folder is absent or holds no such file, `like` has no number, or two files have the same
        number: they are of several sequences.
    """
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.name.lower().endswith(suffixes) and not path.name.startswith(".")
        )
    except OSError as error:
        raise ReadError(
            f"{folder}: the folder of {what} cannot be read ({error.strerror})"
        ) from error
    if not found:
        raise ReadError(f"{folder}: holds no radiograph ({', '.join(suffixes)})")
    named = [
        (match[1], int(match[2]), path) for path in found if (match := _NUMBERED.match(path.stem))
    ]
    if like is not None:
        own = _NUMBERED.match(like.stem)
        if own is None:
            raise ReadError(f"{like.name}: has no number at the end of its name, as a frame has")
        named = [each for each in named if each[0] == own[1]]
    if not named:
        return dict(enumerate(found, start=1))
    numbers = {number: path for _, number, path in named}
    if len(numbers) < len(named):
        kinds = ", ".join(sorted({f"{stem}*" for stem, _, _ in named}))
        raise ReadError(
            f"{folder}: holds frames of several sequences, some with the same number ({kinds}): give each "
            "a folder of its own"
        )
    return dict(sorted(numbers.items()))
