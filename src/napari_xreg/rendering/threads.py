"""Our own threads: kernels are serial and release the GIL, rays are split over a pool.

numba's ``parallel=True`` aborts the process when two threads call it at once on its workqueue
layer (seen); a preview beside a refinement does exactly that.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from napari_xreg.files import set_thread_count, thread_count, usable_cpus

__all__ = ["set_thread_count", "side_by_side", "split", "thread_count", "usable_cpus"]

Made = TypeVar("Made")

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def split(work: Callable[[int, int], None], size: int, *, threads: int, smallest: int) -> None:
    """Call ``work(start, stop)`` over chunks of ``range(size)`` and wait for all of them.

    The caller works too, so callers inside pool threads or beside each other cannot lock up.
    Which thread does which chunk does not change any number: a ray belongs to one chunk.

    Parameters
    ----------
    threads
        At most this many at once, the caller included.
    smallest
        Chunks are not made smaller than this: handing one over costs about 50 microseconds.
    """
    threads = max(1, min(threads, size // max(1, smallest)))
    if threads == 1:
        work(0, size)
        return
    # Several chunks per thread, because rays through air are done sooner.
    chunk = max(smallest, -(-size // (4 * threads)))
    starts = iter(range(0, size, chunk))
    next_start = threading.Lock()

    def take() -> None:
        while True:
            with next_start:
                start = next(starts, None)
            if start is None:
                return
            work(start, min(start + chunk, size))

    helpers = [_executor().submit(take) for _ in range(threads - 1)]
    take()
    for helper in helpers:
        # One that never began (the pool is busy elsewhere) has nothing left to do.
        if not helper.cancel():
            helper.result()


def side_by_side(*work: Callable[[], Made], threads: int | None = None) -> list[Made]:
    """What each call returns, in order; made by several of our threads.

    Parameters
    ----------
    threads
        At most this many at once, the caller included; None: `thread_count`.
    """
    made: dict[int, Made] = {}

    def some(start: int, stop: int) -> None:
        for number in range(start, stop):
            made[number] = work[number]()

    split(some, len(work), threads=threads or thread_count(), smallest=1)
    return [made[number] for number in range(len(work))]


def _executor() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(1, usable_cpus()), thread_name_prefix="xreg-render")
        return _pool


def _forget_pool() -> None:
    """A forked child has the pool's object but none of its threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
