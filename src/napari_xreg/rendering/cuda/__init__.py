"""The CUDA backend: Triton kernels with the contract of the CPU ones, a batch of poses a launch.

Nothing here is imported before a volume on a CUDA device is rendered, and Triton only then:
installations without a card need neither. `launch` is the entry; `available` says whether Triton is
there.
"""

import contextlib
import ctypes
import functools
import importlib.util
import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import torch

OLDEST = (3, 2)
"""Versions of Triton before this one cannot unroll a loop by a factor."""

CLOSE = 1e-4
"""Largest difference from float64 over the largest value; the kernels keep within 1e-5 of it."""


@functools.cache
def available() -> bool:
    """Whether a Triton is installed that knows these kernels (torch for CUDA brings one).

    Imports Triton: only to be asked where a CUDA device is, or its interpreter was asked for.
    """
    spec = importlib.util.find_spec("triton")
    if spec is None:
        return False
    _own_symbols_first(spec)
    import triton

    major, minor = (int(part) for part in triton.__version__.split(".")[:2])
    return (major, minor) >= OLDEST


def _own_symbols_first(spec: ModuleSpec) -> None:
    """Load Triton's library so that it finds its own LLVM before any that is there already.

    Mesa's software OpenGL has one of another version, whose symbols everybody sees; bound to them,
    Triton ends the process while it loads (decision 12; seen with Triton 3.9 and Mesa 22.3).
    """
    deep = getattr(os, "RTLD_DEEPBIND", None)
    if deep is None:  # not Linux: symbols are bound to their own library there
        return
    for folder in spec.submodule_search_locations or ():
        for library in Path(folder, "_C").glob("libtriton*.so"):
            with contextlib.suppress(OSError):  # what is wrong with it, its import says better
                ctypes.CDLL(str(library), mode=os.RTLD_NOW | os.RTLD_LOCAL | deep)


def usable(device: torch.device) -> bool:
    """Whether the kernels are there and work on a card; the first call tries them (seconds)."""
    if not available():
        return False
    # Imported here: it imports Triton, which nothing else on this machine may have.
    from napari_xreg.rendering.cuda.check import works

    return works(device)


def trouble(device: torch.device) -> str | None:
    """What is wrong with the kernels there, in a sentence; None if nothing is. Imports Triton."""
    from napari_xreg.rendering.cuda import check

    return check.trouble(device)


def interpreted() -> bool:
    """Whether Triton runs its kernels in Python (``TRITON_INTERPRET=1``), on volumes on the CPU.

    Slow, and the way to check the kernels' numbers without a card.
    """
    return os.environ.get("TRITON_INTERPRET") == "1"
