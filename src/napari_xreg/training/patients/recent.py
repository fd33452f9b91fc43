"""The last few of a sequence of things that are dear to make."""

from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Recent(Generic[Item]):
    """Items that are made one after the other and kept for a while.

    The k-th is the same whatever happened before, so that a resumed run has the items of the
    interrupted one without storing them.

    Parameters
    ----------
    make
        Of a number, counted from 0; depends on nothing else.
    first
        Items to begin with.
    renew_every
        Steps after which the oldest gives way to a new one.
    kept
        Items in memory.
    """

    def __init__(
        self, make: Callable[[int], Item], *, first: int, renew_every: int, kept: int
    ) -> None:
        self.make, self.first, self.renew_every, self.kept = make, first, renew_every, kept
        self.made = 0
        self.steps = 0
        self._items: list[Item] = []

    def step(self) -> list[Item]:
        """The items there are; every few steps a new one has come in."""
        wanted = self.first + self.steps // self.renew_every
        self.steps += 1
        self._make_until(wanted)
        return self._items

    def state(self) -> dict[str, int]:
        """Counts, from which the items can be made again."""
        return {"made": self.made, "steps": self.steps}

    def restore(self, state: dict[str, int]) -> None:
        """Make the items of a `state` again.

        Raises
        ------
        ValueError
            If its counts are none. How many were made follows from the steps.
        """
        steps = state["steps"]
        if not isinstance(steps, int) or isinstance(steps, bool) or not 0 <= steps < 2**40:
            raise ValueError(f"steps are a count: got {steps!r}")
        made = self.first + (steps - 1) // self.renew_every if steps else 0
        self._items = []
        self.made = max(0, made - self.kept)
        self.steps = steps
        self._make_until(made)

    def _make_until(self, count: int) -> None:
        while self.made < count:
            self._items.append(self.make(self.made))
            self.made += 1
            del self._items[: -self.kept]
