"""How many processors torch may use in a worker."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Answer = TypeVar("Answer")

_turn = threading.Lock()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many processors in this thread, and as many as before afterwards.

    Other threads keep theirs, and so do those to come, in whatever order overlapping users end.
    """
    before = torch.get_num_threads()
    _only_here(count)
    try:
        yield
    finally:
        _only_here(before)


def _only_here(count: int) -> None:
    """torch's number is one for each thread, and one that a new thread begins with.

    Setting it sets both; the second is put back from a thread of its own.
    """
    with _turn:
        usual = _elsewhere(torch.get_num_threads)
        torch.set_num_threads(count)
        _elsewhere(lambda: torch.set_num_threads(usual))


def _elsewhere(ask: Callable[[], Answer]) -> Answer:
    answers: list[Answer] = []
    other = threading.Thread(target=lambda: answers.append(ask()), name="xreg-threads")
    other.start()
    other.join()
    return answers[0]
