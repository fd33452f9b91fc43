"""Python's garbage collection, put off for a moment."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEVER = 1_000_000


class FullCollection:
    """Postpones full collections while something must move smoothly.

    With torch and napari loaded a full collection holds every thread for 0.3 to 0.4 s, the longest
    stop of a drag by far. The young generations are collected all the while. Several may postpone
    at once; the threshold the program had comes back with the last of them.
    """

    _holders = 0
    _before = 0

    def __init__(self) -> None:
        self._postponing = False

    def postpone(self) -> None:
        """No full collection from now on; harmless when repeated."""
        if self._postponing:
            return
        self._postponing = True
        if FullCollection._holders == 0:
            young, middle, FullCollection._before = gc.get_threshold()
            gc.set_threshold(young, middle, _NEVER)
        FullCollection._holders += 1

    def resume(self) -> None:
        """As before; harmless when nothing was postponed."""
        if not self._postponing:
            return
        self._postponing = False
        FullCollection._holders -= 1
        if FullCollection._holders == 0:
            young, middle, _ = gc.get_threshold()
            gc.set_threshold(young, middle, FullCollection._before)


@contextmanager
def no_collection() -> Iterator[None]:
    """No collection at all while modules are imported, which make no garbage worth looking for.

    It is a fifth of the time that torch and what stands on it take to import.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
