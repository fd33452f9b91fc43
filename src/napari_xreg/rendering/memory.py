"""When a device's memory does not suffice: smaller parts first, then a sentence."""

from collections.abc import Callable

import torch
from torch import Tensor


class OutOfMemory(ValueError):
    """A device has too little memory even for the smallest part of the work.

    A ValueError, because another value helps: fewer pixels, a coarser CT, another device.
    """


def in_smaller_parts(work: Callable[[int, int], Tensor], size: int, what: str) -> Tensor:
    """``work(0, size)``, or its parts concatenated where the whole does not fit the device.

    Parameters
    ----------
    work
        Does items ``start`` to ``stop`` of `size`; the first axis of its result is theirs.
    what
        Names the items in the error.

    Raises
    ------
    OutOfMemory
        If one item alone does not fit. It says what to do.
    """
    part, parts, start = max(size, 1), [], 0
    while True:
        stop = min(start + part, size)
        try:
            parts.append(work(start, stop))
        except torch.OutOfMemoryError as error:
            if part == 1:
                raise out_of_memory(what, error) from error
            part = (part + 1) // 2
            continue
        start = stop
        if start >= size:
            return parts[0] if len(parts) == 1 else torch.cat(parts)


def out_of_memory(what: str, error: BaseException) -> OutOfMemory:
    """The sentence for it, with torch's own account of the device's memory."""
    account = str(error).splitlines()[0] if str(error) else "no account given"
    return OutOfMemory(
        f"the device has too little memory for {what}: use a coarser CT or fewer pixels, end other "
        f"programs that use the device, or choose the device cpu ({account})"
    )
