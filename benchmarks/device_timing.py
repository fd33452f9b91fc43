"""Timing a job on a device: events of the card where there is one, the clock elsewhere."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

Job = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Medians of some repetitions, after a warm-up.

    Attributes
    ----------
    ms
        Between two events on the card (or by the clock, on the CPU).
    wall_ms
        By the clock, from the call to the end of the work on the card.
    peak_mb
        Memory allocated on the card beyond what was there before; NaN on the CPU.
    """

    ms: float
    wall_ms: float
    peak_mb: float
    repetitions: int


def timed(job: Job, device: torch.device, *, seconds: float = 1.0, most: int = 50) -> Timing:
    """One job; repeated for about so many seconds, at least three times."""
    job()
    job()  # the first compiles
    on_card = device.type == "cuda"
    if on_card:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device) if on_card else 0
    inside, outside = [], []
    began = time.perf_counter()
    while len(inside) < 3 or (time.perf_counter() - began < seconds and len(inside) < most):
        start = time.perf_counter()
        if on_card:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            job()
            last.record()
            last.synchronize()
            inside.append(first.elapsed_time(last))
        else:
            job()
            inside.append(1000 * (time.perf_counter() - start))
        outside.append(1000 * (time.perf_counter() - start))
    peak = (torch.cuda.max_memory_allocated(device) - before) / 1e6 if on_card else float("nan")
    return Timing(float(np.median(inside)), float(np.median(outside)), peak, len(inside))
