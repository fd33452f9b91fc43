"""How many of the machine's processors this process may use, and is told to."""

import os

MOST_THREADS = 1024
"""More than any machine runs at once; the libraries below take larger numbers for negative ones."""

_count: int | None = None


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count() -> int:
    """Threads a render or a simulation uses when it is not told: `set_thread_count`, else every usable processor."""
    return _count or usable_cpus()


def set_thread_count(count: int | None) -> None:
    """Limit the threads of every later render and simulation; None: every usable processor.

    Raises
    ------
    ValueError
        If the count is less than 1 or more than `MOST_THREADS`.
    """
    global _count
    if count is not None and count < 1:
        raise ValueError(f"a render needs at least one thread: got {count}")
    if count is not None and count > MOST_THREADS:
        raise ValueError(f"at most {MOST_THREADS} threads can be used: got {count}")
    _count = count
