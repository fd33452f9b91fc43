"""Whether a path names a file that can be read from beginning to end."""

import stat
from pathlib import Path

from napari_xreg.files.errors import ReadError


def check_file(path: Path, *, may_be_empty: bool = False) -> None:
    """Refuse what cannot be read as a file, without opening it: a pipe would wait for ever.

    Raises
    ------
    ReadError
        If nothing is there, or a folder, a device, a pipe, or an empty file is.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        # ValueError: a zero byte in the name.
        raise ReadError(f"{path}: there is no such file or folder: check the path") from error
    if stat.S_ISDIR(found.st_mode):
        raise ReadError(f"{path}: this is a folder; expected a file")
    if not stat.S_ISREG(found.st_mode):
        raise ReadError(f"{path}: this is a device or a pipe, not a file: choose a file on a disk")
    if found.st_size == 0 and not may_be_empty:
        raise ReadError(f"{path}: the file is empty (0 bytes): copy or export it again")
