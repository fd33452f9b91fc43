"""The pictures of a folder, one for each frame, by their numbers."""

import re
from collections.abc import Mapping
from pathlib import Path

from napari_xreg.images.errors import ReadError

_NUMBERED = re.compile(r"(\d{1,9})$", re.ASCII)


def numbered_files(folder: Path, suffixes: tuple[str, ...], what: str) -> Mapping[int, Path]:
    """The file of each frame, in order.

    Frames are called by the number at the end of their file names; where those are not all
    different, by their place, from 1.

    Parameters
    ----------
    suffixes
        Of the files that count, in lower case.
    what
        Is in the folder, for messages.

    Raises
    ------
    ReadError
        If the folder is absent or holds no such file.
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
    matches = [_NUMBERED.search(path.stem) for path in found]
    numbers = [int(match[1]) for match in matches if match is not None]
    if len(set(numbers)) != len(found):
        numbers = list(range(1, len(found) + 1))
    return dict(sorted(zip(numbers, found, strict=True)))
