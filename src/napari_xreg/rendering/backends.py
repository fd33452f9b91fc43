"""Which backend renders a volume."""

from typing import Literal

import torch

from napari_xreg.images import Volume
from napari_xreg.rendering import cuda

Backend = Literal["auto", "numba", "triton", "torch"]
BACKENDS = ("auto", "numba", "triton", "torch")


def choose_backend(volume: Volume, method: str, backend: str = "auto") -> str:
    """``numba``, ``triton`` or ``torch``.

    Parameters
    ----------
    backend
        ``auto``: numba for float32 on the CPU; triton for float32 on CUDA where it is installed and
        works (`cuda.check`), except for Siddon's method, which it does not know; torch for all
        others.

    Raises
    ------
    ValueError
        If the backend is unknown, or cannot render this volume this way. It says what can.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}: got {backend!r}")
    device = volume.lac.device.type
    if backend == "numba" and device != "cpu":
        raise ValueError(
            f"backend numba renders volumes on the CPU: this one is on {volume.lac.device}; "
            "use backend='auto', or volume.to(device='cpu')"
        )
    if backend == "triton":
        if device != "cuda" and not cuda.interpreted():
            raise ValueError(
                f"backend triton renders volumes on a CUDA device: this one is on "
                f"{volume.lac.device}; use backend='auto', or volume.to(device='cuda')"
            )
        if not cuda.available():
            raise ValueError(
                "backend triton needs the package triton (3.2 or newer), which comes with torch for "
                "CUDA on Linux: install it, or use backend='torch'"
            )
        if method == "siddon":
            raise ValueError(
                "backend triton does not know siddon: use backend='torch', or the method trilinear "
                "or joseph"
            )
    if backend != "auto":
        return backend
    if volume.lac.dtype == torch.float32:
        if device == "cpu":
            return "numba"
        if device == "cuda" and method != "siddon" and cuda.usable(volume.lac.device):
            return "triton"
    return "torch"
