"""One iteration of the refinement recorded as a CUDA graph, and sent to the card as a whole.

An iteration is some hundred small operations whose shapes stay the same over a level: sending them
one by one takes the processor longer than they take the card.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from napari_xreg.registration.refinement.second_order.damped_steps import Advance, Round, Starts

Capture = Callable[[Callable[[], None]], Callable[[], None]]


def cuda_graph(record: Callable[[], None]) -> Callable[[], None]:
    """Record what a function asks of the card; what is returned asks for all of it again."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        record()
    return graph.replay


class RecordedStep:
    """`lm.step` at fixed shapes: call it to advance.

    What a call returns is written over by the next one.

    Parameters
    ----------
    advance
        One iteration, that asks the device for nothing.
    state
        Where to begin; it is left as it is.
    capture
        Records a function and returns how to replay it.
    """

    def __init__(
        self, advance: Advance[Any], state: Starts[Any], capture: Capture = cuda_graph
    ) -> None:
        self._state: Starts[Any] = refilled(state, iter([t.clone() for t in tensors_of(state)]))
        self._round: Round | None = None

        def record() -> None:
            tried, after = advance(self._state)
            # First apart from the state: some of it is the state's own.
            self._round = refilled(tried, iter([t.clone() for t in tensors_of(tried)]))
            # All that is new is there before anything old is written over.
            new = [t.clone() for t in tensors_of(after)]
            for old, value in zip(tensors_of(self._state), new, strict=True):
                old.copy_(value)

        # Once without recording: kernels are compiled, constants sent, libraries opened.
        advance(self._state)
        self._replay = capture(record)

    def __call__(self) -> tuple[Round, Starts[Any]]:
        """One iteration."""
        self._replay()
        assert self._round is not None
        return self._round, self._state


def tensors_of(tree: Any) -> list[Tensor]:
    """All tensors of nested dataclasses and tuples, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, tuple):
        return [t for part in tree for t in tensors_of(part)]
    if is_dataclass(tree):
        return [t for field in fields(tree) for t in tensors_of(getattr(tree, field.name))]
    return []


def refilled(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """The same nest with other tensors, in the order of `tensors_of`."""
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, tuple):
        return tuple(refilled(part, tensors) for part in tree)
    if is_dataclass(tree) and not isinstance(tree, type):
        parts = {f.name: refilled(getattr(tree, f.name), tensors) for f in fields(tree)}
        return replace(tree, **parts)
    return tree
