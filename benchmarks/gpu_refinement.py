"""Refinement on a card: the cases of `refinement`, and a study of many starts in one go."""

import time
from typing import Any

import numpy as np
import torch

from benchmarks import cases
from napari_xreg.images import Volume
from napari_xreg.progress import run
from napari_xreg.registration import RefineSettings, View, refine, refine_many
from napari_xreg.registration.refinement.batched.backend import Batched
from napari_xreg.registration.refinement.batched.graph import cuda_graph
from napari_xreg.registration.refinement.second_order.lm_solver import refine_second_order
from napari_xreg.rendering import volume_on


def wait(device: torch.device) -> None:
    """Until the card has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def refined(
    name: str,
    device: torch.device,
    count: int,
    settings: RefineSettings,
    budget_s: float,
    *,
    graphs: bool = False,
) -> list[dict[str, float]]:
    """Wall seconds and final error of as many cases as the budget allows.

    Parameters
    ----------
    graphs
        Send each iteration to the card as one recorded graph.
    """
    volume: Volume = volume_on(cases.volume_of(name), device)
    records: list[dict[str, float]] = []
    began = time.perf_counter()
    for number, case in enumerate(cases.cases(name, count + 1)):
        view = View(case.radiograph, case.start)
        wait(device)
        started = time.perf_counter()
        if graphs:
            events = refine_second_order(
                volume, (view,), settings=settings, pivot=case.isocenter,
                backend=Batched(device, cuda_graph),
            )  # fmt: skip
        else:
            events = refine(volume, view, settings=settings, isocenter=case.isocenter)
        registration = run(events)
        wait(device)
        seconds = time.perf_counter() - started
        if number > 0:  # the first compiles and prepares
            records.append(
                {
                    "seed": case.seed,
                    "seconds": seconds,
                    "start_mm": case.mtre(case.start),
                    "final_mm": case.mtre(registration.world_from_camera),
                    "iterates": len(registration.trajectory),
                }
            )
        if time.perf_counter() - began > budget_s and records:
            break
    return records


def together(
    name: str, device: torch.device, count: int, settings: RefineSettings
) -> list[dict[str, float]]:
    """As many cases at once; of each the share of the time that all took.

    All cases of a CT have one C-arm and one isocenter.
    """
    volume: Volume = volume_on(cases.volume_of(name), device)
    some = list(cases.cases(name, count))
    views = [View(case.radiograph, case.start) for case in some]
    how = {"settings": settings, "isocenter": some[0].isocenter}
    run(refine_many(volume, views[:1], **how))  # compiles and prepares
    wait(device)
    started = time.perf_counter()
    found = run(refine_many(volume, views, **how))
    wait(device)
    seconds = (time.perf_counter() - started) / count
    return [
        {
            "seed": case.seed,
            "seconds": seconds,
            "start_mm": case.mtre(case.start),
            "final_mm": case.mtre(registration.world_from_camera),
            "iterates": float("nan"),
        }
        for case, registration in zip(some, found, strict=True)
    ]


def summary(records: list[dict[str, float]]) -> dict[str, Any]:
    """Medians and the share that ended within 1 mm."""
    seconds = [r["seconds"] for r in records]
    final = np.array([r["final_mm"] for r in records])
    return {
        "cases": len(records),
        "median_ms": 1000 * float(np.median(seconds)),
        "p90_ms": 1000 * float(np.quantile(seconds, 0.9)),
        "start_mm": float(np.median([r["start_mm"] for r in records])),
        "final_mm": float(np.median(final)),
        "within_1mm": int((final < 1).sum()),
        "iterates": float(np.median([r["iterates"] for r in records])),
    }
