"""How good probabilities are (areas under curves, whether they mean what they say), and how far off a pose is seen."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks import report
from napari_xreg.registration import View

BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
"""Limits of the rows of `reliability`."""


def area_under_roc(probability: Sequence[float], right: Sequence[bool]) -> float:
    """Chance that a right result has the higher probability than a wrong one (ties count half).

    NaN where there is none of one kind.
    """
    values, good = np.asarray(probability, np.float64), np.asarray(right, bool)
    if good.all() or not good.any():
        return float("nan")
    wins = values[good][:, None] - values[~good]
    return float((wins > 0).mean() + 0.5 * (wins == 0).mean())


def area_under_precision(probability: Sequence[float], right: Sequence[bool]) -> float:
    """Area under precision over recall, as steps (average precision); NaN where nothing is right."""
    values, good = np.asarray(probability, np.float64), np.asarray(right, bool)
    if not good.any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    values, found = values[order], good[order].cumsum()
    last = np.r_[values[1:] != values[:-1], True]  # equal ones are taken or left together
    precision = found[last] / (np.flatnonzero(last) + 1)
    return float((precision * np.diff(found[last], prepend=0)).sum() / found[-1])


def share(part: int, of: int) -> str:
    """In per cent; a dash of nothing."""
    return f"{100 * part / of:.1f} %" if of else "–"


def binned(probability: Sequence[float], right: Sequence[bool]) -> list[tuple[int, float, int]]:
    """In each of `BINS`: results, their mean probability (0 of none), how many were right."""
    values: npt.NDArray[np.float64] = np.asarray(probability, np.float64)
    good, found = np.asarray(right, bool), []
    for low, high in itertools.pairwise(BINS):
        of = (values >= low) & ((values < high) | (high == BINS[-1]))
        mean = float(values[of].mean()) if of.any() else 0.0
        found.append((int(of.sum()), mean, int(good[of].sum())))
    return found


def reliability(probability: Sequence[float], right: Sequence[bool]) -> str:
    """A table: of results that were said to be so likely, how many were right."""
    rows = [
        (f"{low:g} to {high:g}", count, report.number(mean) if count else "-", share(good, count))
        for (low, high), (count, mean, good) in zip(
            itertools.pairwise(BINS), binned(probability, right), strict=True
        )
    ]
    return report.table(("probability", "results", "mean", "right"), rows)


def seen_mm(found: View, taken: View, points: Tensor) -> float:
    """Mean distance of the points' projections under two geometries and poses, mm at the patient."""
    arm = taken.radiograph.carm
    pixels = found.radiograph.carm.project(points, found.world_from_camera)
    apart = (pixels - arm.project(points, taken.world_from_camera)).nan_to_num(nan=1e6)
    depth = taken.world_from_camera.inverse().apply(points)[:, 2:]
    spacing = torch.tensor(arm.detector.spacing, dtype=torch.float64)
    return float((apart * spacing * depth / arm.source_to_detector).norm(dim=1).mean())
