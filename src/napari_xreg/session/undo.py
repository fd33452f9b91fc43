"""Undo of everything: a line of moments, each the whole session as a value.

A moment costs little: values are immutable, and two moments share all that did not change between
them. What can grow is what was replaced, a CT or an image, which is why it is counted in bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from napari_xreg.session.named_poses import PoseRecord
from napari_xreg.session.state import SessionState, alike

MOMENTS = 1000
"""The oldest moments beyond this many are forgotten."""
SPARE_BYTES = 2 * 1024**3
"""Voxels and pixels that only the past holds may take this much; then the oldest moments go.

The last step can be undone whatever it takes: a wrong CT of 3 GB gives the right one back.
"""


@dataclass(frozen=True, eq=False)
class Moment:
    """The session after a step.

    Parameters
    ----------
    why
        The step that led here, in a few words: "remove radiograph lateral"; empty at the beginning.
    state
        All that the session held.
    absent
        Poses, also of radiographs that the session's file speaks of and that could not be read.
    work
        Number of the last step that cannot simply be made again by loading the same files.
    """

    why: str
    state: SessionState
    absent: PoseRecord | None = None
    work: int = 0


class History:
    """A line of moments with a place in it; recording after an undo drops what was undone.

    Parameters
    ----------
    state
        The first moment, before which there is nothing.
    limit, spare_bytes
        See `MOMENTS` and `SPARE_BYTES`.
    """

    def __init__(
        self, state: SessionState, *, limit: int = MOMENTS, spare_bytes: int = SPARE_BYTES
    ) -> None:
        self._moments = [Moment("", state)]
        self._at = 0
        self._works = 0
        self._limit, self._spare_bytes = limit, spare_bytes

    def __len__(self) -> int:
        return len(self._moments)

    @property
    def records(self) -> tuple[Moment, ...]:
        """All of them, oldest first."""
        return tuple(self._moments)

    @property
    def at(self) -> int:
        """Index of the moment that holds now."""
        return self._at

    @property
    def now(self) -> Moment:
        """The moment that holds now."""
        return self._moments[self._at]

    @property
    def can_undo(self) -> bool:
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        return self._at < len(self._moments) - 1

    @property
    def undoes(self) -> str:
        """What an undo would undo, in words; empty where there is nothing."""
        return self.now.why if self.can_undo else ""

    @property
    def redoes(self) -> str:
        """What a redo would do again, in words; empty where there is nothing."""
        return self._moments[self._at + 1].why if self.can_redo else ""

    def record(self, why: str, state: SessionState, *, work: bool = True) -> None:
        """Append, after the present place; `work`: see `Moment.work`."""
        del self._moments[self._at + 1 :]
        self._works += work
        number = self._works if work else self.now.work
        self._moments.append(Moment(why, state, work=number))
        del self._moments[: -self._limit]
        while len(self._moments) > 2 and spare_bytes(self._moments) > self._spare_bytes:
            del self._moments[0]
        self._at = len(self._moments) - 1

    def amend(self, state: SessionState) -> None:
        """The present moment is this one after all: what followed by itself from its step."""
        self._moments[self._at] = replace(self.now, state=state)

    def undo(self) -> Moment | None:
        """The moment before, which now holds; None at the beginning."""
        if not self.can_undo:
            return None
        self._at -= 1
        return self.now

    def redo(self) -> Moment | None:
        """The moment after, which now holds; None at the end."""
        if not self.can_redo:
            return None
        self._at += 1
        return self.now

    def begin(self, state: SessionState) -> None:
        """Begin anew with what a session's file says: its poses before and after the present."""
        self._moments = [Moment(r.why, bare(state).placed(r.poses), r) for r in state.records]
        self._at = max(state.at, 0)
        if not self._moments:
            self._moments = [Moment("", bare(state))]
        elif alike(self.now.state, state):
            self.amend(bare(state))
        else:
            self.record("move", bare(state))

    def rewrite(self, change: Callable[[Moment], Moment]) -> None:
        """Every moment becomes another: what was there all along was found."""
        self._moments = [change(moment) for moment in self._moments]


def bare(state: SessionState) -> SessionState:
    """A state without a past of its own."""
    return replace(state, records=(), at=-1) if state.records else state


def spare_bytes(moments: list[Moment]) -> int:
    """Bytes of voxels and pixels that some moment holds and the last one does not."""
    held = _storages(moments)
    present = _storages(moments[-1:])
    return sum(size for key, size in held.items() if key not in present)


def _storages(moments: list[Moment]) -> dict[int, int]:
    """Memory of the tensors, each piece once, by its address."""
    values = {id(value): value for moment in moments for value in _large(moment.state)}
    tensors = (tensor for value in values.values() for tensor in _tensors(value))
    storages = (tensor.untyped_storage() for tensor in tensors)
    return {storage.data_ptr(): storage.nbytes() for storage in storages}


def _large(state: SessionState) -> Iterator[Any]:
    yield from (value for value in (state.volume, state.labels) if value is not None)
    for entry in state.exposures:
        yield entry.radiograph
        if entry.painted is not None:
            yield entry.painted


def _tensors(value: Any) -> Iterator[Tensor]:
    parts = (value,) if isinstance(value, Tensor) else vars(value).values()
    yield from (part for part in parts if isinstance(part, Tensor))
