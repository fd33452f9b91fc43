"""The CUDA backend: Triton kernels with the contract of the CPU ones, a batch of poses a launch.

Nothing here is imported before a volume on a CUDA device is rendered, and Triton only then:
installations without a card need neither. `launch` is the entry; `available` says whether Triton is
there.
"""

import functools
import importlib.util
import os


@functools.cache
def available() -> bool:
    """Whether Triton is installed (Linux and Windows builds of torch with CUDA bring it)."""
    return importlib.util.find_spec("triton") is not None


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python (``TRITON_INTERPRET=1``), on volumes on the CPU.

    Slow, and the way to check the kernels' numbers without a card.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"
