"""What is made of a volume once and kept with it: one cache for all that renders need.

Kept as long as the volume lives, and made anew when its attenuation or its place was changed in
place by torch. (A change behind torch's back, through the memory of a numpy array or of a tensor
made in inference mode, is not seen: make another `Volume`.)
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor

from napari_xreg.images import Volume

Made = TypeVar("Made")


class _Entry:
    """One thing made of one volume, and of which version of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version: tuple[int, int] | None = None
        self.value: Any = None


_entries: "WeakKeyDictionary[Volume, dict[Hashable, _Entry]]" = WeakKeyDictionary()
_lock = threading.Lock()


def derived(volume: Volume, key: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` returns: made once for a key, by one thread while others wait for it.

    Parameters
    ----------
    key
        Names what is made, with everything that it depends on beside the volume.
    make
        Called without the volume; what it returns must not hold the volume, or neither ever goes.
    """
    with _lock:
        entry = _entries.setdefault(volume, {}).setdefault(key, _Entry())
    version = _version(volume.lac), _version(volume.world_from_index)
    with entry.lock:
        if entry.version != version:
            # The stale one goes first: both at once may not fit the memory.
            entry.version = entry.value = None
            entry.value = make()
            entry.version = version
        value: Made = entry.value
        return value


def _version(tensor: Tensor) -> int:
    """How often a tensor was changed in place; torch does not count that in inference mode."""
    return 0 if tensor.is_inference() else tensor._version
