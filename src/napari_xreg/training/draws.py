"""Networks that draw from a generator of their own, and not from torch's one for the whole program.

torch's layers and dropout know only the global generator. Whoever seeds it changes what every other
thread draws, and another thread's draws change what was seeded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional, init
from torch.overrides import TorchFunctionMode

# torch's own initialisers are handed over whole: what they call is not seen any more.
_IN_PLACE = {
    Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.random_, Tensor.exponential_,
    init.uniform_, init.normal_, init.trunc_normal_, init.kaiming_uniform_, init.kaiming_normal_,
    init.xavier_uniform_, init.xavier_normal_,
}  # fmt: skip
# How many leading dimensions of the input have a mask of their own.
_DROPOUT = {
    functional.dropout: None, functional.dropout1d: 2, functional.dropout2d: 2,
    functional.dropout3d: 2,
}  # fmt: skip


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Within, the first weights of layers and the masks of dropout come from the generator.

    For this thread alone; torch's global generator is neither used nor changed. Masks are drawn
    where the generator is and moved to the images, so that one on the CPU gives the same masks on
    every device. Inputs of dropout have their batch and their channels first.

    Parameters
    ----------
    generator
        Moves on, as always.
    """
    with _Drawn(generator):
        yield


class _Drawn(TorchFunctionMode):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _IN_PLACE and given.get("generator") is None:
            return self._in_place(func, *args, **given)
        if func in _DROPOUT:
            return self._dropout(_DROPOUT[func], *args, **given)
        return func(*args, **given)

    def _in_place(
        self, func: Callable[..., Tensor], tensor: Tensor, *args: Any, **given: Any
    ) -> Tensor:
        given["generator"] = self.generator
        if tensor.device == self.generator.device:
            return func(tensor, *args, **given)
        drawn = torch.empty(tensor.shape, dtype=tensor.dtype, device=self.generator.device)
        return tensor.copy_(func(drawn, *args, **given))

    def _dropout(
        self,
        leading: int | None,
        input: Tensor,
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        if not 0 <= p <= 1:
            raise ValueError(f"dropout is a chance between 0 and 1: got {p}")
        if not training or p == 0:
            return input
        shape = input.shape
        if leading is not None:
            shape = torch.Size([*shape[:leading], *(1 for _ in shape[leading:])])
        kept = torch.rand(shape, generator=self.generator, device=self.generator.device) >= p
        scale = kept.to(input) / (1 - p) if p < 1 else kept.to(input)
        return input.mul_(scale) if inplace else input * scale
