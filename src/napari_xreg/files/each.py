"""The files of a run one by one: one that cannot be written costs the others nothing."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

_log = logging.getLogger(__name__)


class EachFile:
    """Writes the files of a run; whatever is wrong with one of them, the others are tried too.

    Parameters
    ----------
    folder
        Where they stand, or one that becomes that (`written_folder`).

    Attributes
    ----------
    files
        What was written: name to what it is.
    missing
        What could not be, and why.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._first: Exception | None = None
        self.files: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    @contextlib.contextmanager
    def file(self, name: str, what: str = "") -> Iterator[Path]:
        """The path of one of them; the block writes it, and its failure is kept in mind.

        An older file of that name stays, and `missing` says so: part of a new one does not.
        """
        path = self._folder / name
        older = path.is_file()
        try:
            yield path
        except BrokenPipeError:  # of what is said meanwhile, to `head`
            raise
        except Exception as error:
            if not older:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            # One sentence is for the user; where a defect of the program lies, only this says.
            _log.debug("%s could not be written", name, exc_info=error)
            self._first = self._first or error
            self.missing[name] = _why(error) + ("; an older one stands there" if older else "")
        else:
            self.files[name] = what

    def check(self) -> None:
        """Raise what was wrong with the first file, if none was written."""
        if self._first is not None and not self.files:
            raise self._first


def missing_words(missing: Mapping[str, str]) -> str:
    """What could not be written and why, as a sentence without its end; empty: nothing."""
    if not missing:
        return ""
    return "could not be written: " + "; ".join(f"{name} ({why})" for name, why in missing.items())


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
