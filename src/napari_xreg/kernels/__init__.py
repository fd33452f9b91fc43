"""How what runs on the CPU is compiled: one decorator for renderer and simulator."""

from napari_xreg.kernels.compiled import jit

__all__ = ["jit"]
