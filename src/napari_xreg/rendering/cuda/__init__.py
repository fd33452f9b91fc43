"""The CUDA backend: Triton kernels with the contract of the CPU ones, a batch of poses a launch.

Nothing here is imported before a volume on a CUDA device is rendered, and Triton only then:
installations without a card need neither. `launch` is the entry; `available` says whether Triton is
there.
"""

import functools
import importlib.util
import os

import torch

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


def usable(device: torch.device) -> bool:
    """Whether the kernels are there and work on a card; the first call tries them (seconds)."""
    if not available():
        return False
    # Imported here: it imports Triton, which nothing else on this machine may have.
    from napari_xreg.rendering.cuda.check import works

    return works(device)


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python (``TRITON_INTERPRET=1``), on volumes on the CPU.

    Slow, and the way to check the kernels' numbers without a card.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"
