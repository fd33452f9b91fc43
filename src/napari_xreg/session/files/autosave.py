"""A copy of the work, kept by itself in the user's data folder, and offered again after a crash.

Every process has folders of its own and holds a lock in each for as long as it lives: the lock goes
with the process, however that ends. A folder that nobody holds was left behind. Each copy is whole:
data first, under names of their own, then the file that names them, in one stroke.
"""

import contextlib
import datetime as dt
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from platformdirs import user_data_path

from napari_xreg.files import written
from napari_xreg.progress import run
from napari_xreg.session.files.session_writer import SESSION_ENDING, Beside, Write, saving_state
from napari_xreg.session.files.sources import content_hash
from napari_xreg.session.source import Source
from napari_xreg.session.state import SessionState

AUTOSAVE_VARIABLE = "NAPARI_XREG_AUTOSAVE"
"""Environment variable: ``off``, or the folder where the copies are kept."""
KEPT = 5
"""Of the sessions left behind, the newest this many are kept."""
_FILE = f"session{SESSION_ENDING}"
_LOCK = "lock"
_HOUR = 3600.0


def autosave_folder() -> Path | None:
    """Where the copies of all processes are kept; None: switched off by `AUTOSAVE_VARIABLE`."""
    named = os.environ.get(AUTOSAVE_VARIABLE, "").strip()
    if named.lower() in ("off", "0", "no", "false"):
        return None
    return Path(named) if named else user_data_path("napari-xreg") / "autosave"


class Autosave(Beside):
    """The copy of one session; used by one thread at a time.

    Parameters
    ----------
    root
        `autosave_folder`. A folder in it is made when there is something to keep.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / f"{os.getpid()}-{secrets.token_hex(4)}"
        super().__init__(self.folder / _FILE)
        self._lock: IO[bytes] | None = None
        self._files: dict[int, tuple[object, Source]] = {}
        self._used: set[int] = set()
        self._number = 0

    def write(self, state: SessionState) -> None:
        """Keep this state; an array in memory that did not change is not written again.

        Raises
        ------
        OSError
            If it cannot be written; the copy before is untouched.
        """
        if self._lock is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.folder / _LOCK)
        self._used = set()
        run(saving_state(self.folder / _FILE, state, self))
        for key in self._files.keys() - self._used:
            _, source = self._files.pop(key)
            Path(source.path).unlink(missing_ok=True)

    def keep(self, what: str, value: object, write: Write) -> Source:
        """The file of this very value, written when it is first seen."""
        held = self._files.get(id(value))
        if held is None:
            self._number += 1
            file = self.folder / f"{self._number}.npz"
            with written(file) as part:
                write(part)
            # The value is kept too: its id is then nobody else's.
            held = self._files[id(value)] = value, Source(str(file), sha256=content_hash(file))
        self._used.add(id(value))
        return held[1]

    def clear(self) -> None:
        """There is nothing to be kept: the work was saved or discarded."""
        lock, self._lock = self._lock, None
        self._files.clear()
        if lock is not None:
            _remove(self.folder, lock)


@dataclass(frozen=True)
class LeftBehind:
    """A session whose process ended without saving it.

    Parameters
    ----------
    folder
        Of its copy.
    saved
        When the copy was made, local time.
    """

    folder: Path
    saved: dt.datetime

    @property
    def file(self) -> Path:
        """The session's file, to be opened like any other."""
        return self.folder / _FILE

    @property
    def words(self) -> str:
        """When it was: "14:32", with the date where it was not today."""
        today = dt.datetime.now(self.saved.tzinfo).date()
        form = "%H:%M" if self.saved.date() == today else "%H:%M on %d %B %Y"
        return self.saved.strftime(form)

    def claim(self) -> Callable[[], None] | None:
        """Keep others from it, and get what removes it; None: another napari was quicker."""
        lock = locked(self.folder / _LOCK) if self.folder.is_dir() else None
        return None if lock is None else lambda: _remove(self.folder, lock)


def left_behind(root: Path) -> tuple[LeftBehind, ...]:
    """Sessions whose process is gone, the newest first; what is too old or empty is removed."""
    found = []
    for folder in root.iterdir() if root.is_dir() else ():
        lock = locked(folder / _LOCK) if folder.is_dir() else None
        if lock is None:
            continue
        try:
            changed = (folder / _FILE).stat().st_mtime
        except OSError:
            if time.time() - folder.stat().st_mtime > _HOUR:  # else it may be about to be written
                _remove(folder, lock)
        else:
            saved = dt.datetime.fromtimestamp(changed).astimezone()
            found.append(LeftBehind(folder, saved))
        lock.close()
    found.sort(key=lambda left: left.saved, reverse=True)
    for old in found[KEPT:]:
        remove = old.claim()
        if remove is not None:
            remove()
    return tuple(found[:KEPT])


def in_memory(state: SessionState, folder: Path) -> SessionState:
    """A state read from a copy: what lies in the copy's folder will not stay there."""

    def kept(source: Source | None) -> Source | None:
        inside = source is not None and Path(source.path).parent == folder
        return None if inside else source

    exposures = tuple(replace(e, source=kept(e.source)) for e in state.exposures)
    return replace(
        state,
        volume_source=kept(state.volume_source),
        labels_source=kept(state.labels_source),
        exposures=exposures,
    )


def locked(file: Path) -> IO[bytes] | None:
    """Hold a file until it is closed or the process ends, however; None: it is held already."""
    try:
        stream = file.open("ab")
    except OSError:
        return None
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream


def _remove(folder: Path, lock: IO[bytes]) -> None:
    """The session's file first: half a folder is nothing that could be opened."""
    with contextlib.suppress(OSError):
        (folder / _FILE).unlink(missing_ok=True)
    lock.close()
    shutil.rmtree(folder, ignore_errors=True)
