"""`refine` where the CT lies on a CUDA device: one case, every iterate shown."""

import time
from collections.abc import Generator
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.batched.cases import refine_cases
from napari_xreg.registration.refinement.batched.graph import Capture
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.views import View


def refine_on_device(
    volume: Volume,
    views: tuple[View, ...],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
    graphs: Capture | None = None,
) -> Generator[Iterate, None, Registration]:
    """Parameters, yields and result as `refine`, whose device path this is.

    Parameters
    ----------
    graphs
        Records iterations (`device_graph.cuda_graph`); None: operation by operation.
    """
    began = time.perf_counter()
    trajectory: list[Iterate] = []
    turns = refine_cases(
        volume, [views], settings=settings, pivot=pivot, control=control, graphs=graphs
    )
    while True:
        try:
            turn = next(turns)
        except StopIteration as end:
            (registration,) = end.value
            return replace(registration, trajectory=tuple(trajectory))
        for row, tried in enumerate(turn.tried):
            if tried:
                seconds = time.perf_counter() - began
                iterate = turn.iterate(row, index=len(trajectory), seconds=seconds)
                trajectory.append(iterate)
                yield iterate
