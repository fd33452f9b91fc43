"""Compile the kernels ahead of the first picture."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering.cpu.march import METHODS, Method, march_view
from napari_xreg.rendering.prepared import prepare


@dataclass(frozen=True)
class KernelReady:
    """One kernel can now be used without waiting.

    Attributes
    ----------
    method
        Whose kernel.
    seconds
        How long it took; seconds the first time on a machine, then hundredths.
    done, total
        Progress.
    """

    method: Method
    seconds: float
    done: int
    total: int


def warm_up(methods: tuple[Method, ...] = ("joseph", "trilinear")) -> Iterator[KernelReady]:
    """Compile (or load from numba's cache on disk) the CPU kernels, one by one.

    A cold compilation is 4 to 5 seconds of CPU each: run this in a worker, with a message, before
    the first drag. Closing the generator early leaves the rest to the first render.

    Raises
    ------
    ValueError
        If a method is unknown.
    """
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    volume = Volume(torch.full((2, 2, 2), 0.02), torch.eye(4, dtype=torch.float64))
    carm = CArm(100.0, 60.0, Detector(shape=(2, 2), spacing=(1.0, 1.0)))
    pose = carm.world_from_camera(0.0, 0.0, isocenter=(0.5, 0.5, 0.5))
    for number, method in enumerate(methods, 1):
        started = time.perf_counter()
        march_view(prepare(volume), carm, pose, pivot=np.zeros(3), method=method)
        yield KernelReady(method, time.perf_counter() - started, number, len(methods))
