"""numpy's linear algebra on one processor, while something is computed here.

Matrices of a registration are long and thin: a second thread of BLAS mostly waits, and it waits
spinning, on the processor that renders (measured in docs/decisions/0004-refinement.md).
"""

import functools
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from threadpoolctl import OpenBLASController, ThreadpoolController

Given = ParamSpec("Given")
Event = TypeVar("Event")
Result = TypeVar("Result")

_turn = threading.Lock()
_users = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread for BLAS, and as many as before when the last of overlapping users has ended.

    BLAS knows one number for the whole process.
    """
    global _users, _limit
    with _turn:
        if not _users:
            _limit = _libraries("scipy.linalg" in sys.modules).limit(limits=1)
        _users += 1
    try:
        yield
    finally:
        with _turn:
            _users -= 1
            if not _users:
                # OpenBLAS would listen to the thread alone that came first.
                OpenBLASController.clear_controlling_thread(force=True)
                _limit.restore_original_limits()
                OpenBLASController.clear_controlling_thread(force=True)


def with_one_blas_thread(
    course: Callable[Given, Generator[Event, None, Result]],
) -> Callable[Given, Generator[Event, None, Result]]:
    """The same course of events, with one thread for BLAS from its first step to its end."""

    @functools.wraps(course)
    def limited(*args: Given.args, **kwargs: Given.kwargs) -> Generator[Event, None, Result]:
        with one_blas_thread():
            return (yield from course(*args, **kwargs))

    return limited


@functools.cache
def _libraries(scipys: bool) -> ThreadpoolController:
    """numpy's, and scipy's own once it is loaded. Looking for them costs milliseconds."""
    return ThreadpoolController().select(user_api="blas")
