"""Work that begins before anyone waits for it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


def ahead(work: Callable[[], Answer]) -> Future[Answer]:
    """Begin something now, in a thread of its own; ``result()`` waits for it, or raises what it raised.

    Worth it where the work does not hold Python's lock: reading, hashing, large arrays, compiling. The
    program does not end before it.
    """
    one = ThreadPoolExecutor(1, thread_name_prefix="xreg-ahead")
    begun = one.submit(work)
    one.shutdown(wait=False)
    return begun
