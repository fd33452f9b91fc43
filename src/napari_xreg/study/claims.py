"""Who is doing a case: a file beside the results, so that two runners of one folder share the work.

A claim saves time, nothing hangs on it: where two do the same case, both write the same numbers,
each file whole.
"""

import json
import os
import platform
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # napari depends on it; no stubs

from napari_xreg.files import ReadError, read_json

STALE_S = 3600.0
"""A claim of another machine that is older than this is of somebody who ended without a word."""


class Claims:
    """Claims in a folder.

    Parameters
    ----------
    folder
        It must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: set[str] = set()

    def take(self, name: str) -> bool:
        """Whether a case is ours from now on; False: somebody who is alive has it."""
        file = self._folder / f"{name}.claim"
        me = {"host": platform.node(), "pid": os.getpid(), "born": _born(os.getpid())}
        for _ in range(2):
            try:
                with file.open("x", encoding="utf-8") as stream:
                    stream.write(json.dumps(me))
                self._own.add(name)
                return True
            except FileExistsError:
                if self._held(file):
                    return False
                file.unlink(missing_ok=True)
        return False

    def held(self, name: str) -> bool:
        """Whether somebody who is alive has a case."""
        return self._held(self._folder / f"{name}.claim")

    def give_back(self, name: str) -> None:
        """The case is done, or not going to be."""
        self._own.discard(name)
        (self._folder / f"{name}.claim").unlink(missing_ok=True)

    def give_all_back(self) -> None:
        """Whatever is still ours."""
        for name in tuple(self._own):
            self.give_back(name)

    def _held(self, file: Path) -> bool:
        try:
            written = file.stat().st_mtime
            said = read_json(file)
            host, pid, born = said["host"], int(said["pid"]), float(said["born"])
        except FileNotFoundError:
            return False
        except (OSError, ReadError, ValueError, KeyError, TypeError):
            # Just being written, or damaged: time will tell.
            return _young(file)
        if host == platform.node():
            return abs(_born(pid) - born) < 2.0
        return time.time() - written < STALE_S


def _young(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime < 10.0
    except OSError:
        return False


def _born(pid: int) -> float:
    """When a process began; -1e9 where there is none: numbers of processes are used again."""
    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, ValueError):
        return -1e9
