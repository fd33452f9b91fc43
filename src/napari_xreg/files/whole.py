"""A file is written whole: whoever opens it sees the old one or the new one, never a part."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path


class WriteError(OSError):
    """A file could not be written; what stood there before is untouched.

    ``filename`` is the path as the caller named it and ``strerror`` the reason.
    """


@contextlib.contextmanager
def written(path: Path | str, *, failures: tuple[type[Exception], ...] = ()) -> Iterator[Path]:
    """A path to write to, beside `path`; the file there becomes `path` when the block ends well.

    The written file has the same name behind a prefix, so a library that looks at the suffix
    sees the same one. It is flushed to the disk and renamed over `path`, whose permissions stay;
    a symbolic link stays one and its target is replaced. A device or a pipe is written to directly.
    If the block fails, nothing is left behind.

    Parameters
    ----------
    path
        Where the file shall be. Its folder must exist.
    failures
        What the library that writes raises beside OSError when the disk is full or gone
        (SafetensorError, torch's RuntimeError).

    Raises
    ------
    WriteError
        If the file could not be written, with the path and the reason.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "pose.json"
    >>> with written(target) as beside:
    ...     _ = beside.write_text("{}")
    >>> target.read_text(), [file.name for file in target.parent.iterdir()]
    ('{}', ['pose.json'])
    """
    named = Path(path)
    target = Path(os.path.realpath(named))
    if target.exists() and not target.is_file() and not target.is_dir():
        yield named
        return
    beside = target.with_name(f".part-{secrets.token_hex(4)}-{target.name}")
    try:
        yield beside
        _flush(beside)
        if target.is_file():
            beside.chmod(stat.S_IMODE(target.stat().st_mode))
        beside.replace(target)
    except OSError as error:
        # An error that speaks of another file is that file's, not this one's.
        about = error.filename
        if about is not None and Path(about) not in (beside, target):
            raise
        raise WriteError(error.errno, error.strerror or str(error), str(named)) from error
    except failures as error:
        raise WriteError(None, f"could not be written: {error}", str(named)) from error
    finally:
        beside.unlink(missing_ok=True)


def _flush(file: Path) -> None:
    """Ask the disk to hold the contents before the name points at them."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
