"""The CUDA backend: Triton kernels with the contract of the CPU ones, a batch of poses a launch.

Nothing here is imported before a volume on a CUDA device is rendered, and Triton only then:
installations without a card need neither. `launch` is the entry; `available` says whether Triton is
there.
"""

import functools
import importlib.util
import os

OLDEST = (3, 2)
"""Versions of Triton before this one cannot unroll a loop by a factor."""


@functools.cache
def available() -> bool:
    """Whether a Triton is installed that knows these kernels (torch for CUDA brings one)."""
    if importlib.util.find_spec("triton") is None:
        return False
    import triton

    major, minor = (int(part) for part in triton.__version__.split(".")[:2])
    return (major, minor) >= OLDEST


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python (``TRITON_INTERPRET=1``), on volumes on the CPU.

    Slow, and the way to check the kernels' numbers without a card.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"
