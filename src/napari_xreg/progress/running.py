"""A long computation, run to its end."""

from collections.abc import Callable, Generator
from typing import TypeVar

Event = TypeVar("Event")
Answer = TypeVar("Answer")


def run(
    events: Generator[Event, None, Answer], seen: Callable[[Event], object] | None = None
) -> Answer:
    """Exhaust a refinement (or another computation of this kind) and give its result.

    Parameters
    ----------
    events
        What `refine` and its like return.
    seen
        Called with every event.
    """
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            result: Answer = end.value
            return result
        if seen is not None:
            seen(event)
