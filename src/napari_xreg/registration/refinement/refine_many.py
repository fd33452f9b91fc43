"""Many radiographs of one CT refined for themselves: a study, not a rig that moves together."""

from collections.abc import Generator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import Volume
from napari_xreg.progress import Control, run
from napari_xreg.registration.refinement.batched.backend import Batched
from napari_xreg.registration.refinement.host.view_problem import ViewProblem
from napari_xreg.registration.refinement.refining import refine
from napari_xreg.registration.refinement.result import Registration
from napari_xreg.registration.refinement.second_order.course import refine_cases
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.starts_in_turn import (
    came_back,
    cancelled_at,
    more_would_help,
    rounds_of,
    short_of_memory,
    told,
    worth,
)
from napari_xreg.registration.refinement.views import View, at_pixels, pivot_of, unsaturated
from napari_xreg.registration.verdict.verdict import judged
from napari_xreg.rendering import OutOfMemory, choose_backend, out_of_memory, with_one_blas_thread


@with_one_blas_thread
def refine_many(
    volume: Volume,
    cases: Sequence[View | Sequence[View]],
    *,
    settings: RefineSettings | None = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
) -> Generator[tuple[int, Registration], None, list[Registration]]:
    """Refine every case by itself, as `refine` would.

    On a CUDA device with Triton all starts of all cases whose C-arms are alike advance in the same
    launches, as many cases at a time as its memory holds; anywhere else one case follows the other.

    Parameters
    ----------
    volume
        The CT of all cases.
    cases
        Of each a radiograph with its starting pose, or several that move together.
    settings, isocenter, control
        As for `refine`. Cases refined together keep no trajectory.

    Yields
    ------
    int, Registration
        Number of a case, and its result.

    Returns
    -------
    list
        Results in the order of the cases; those that were reached, if cancelled.

    Raises
    ------
    ValueError
        If a case has no view, or a radiograph has no usable content; the case is named. If poses are
        proposed (`RefineSettings.beside`).
    OutOfMemory
        If the device has too little memory for a single case.
    """
    settings = settings or RefineSettings()
    if settings.beside:
        raise ValueError("a proposed pose belongs to one case: refine its case alone")
    given = [(case,) if isinstance(case, View) else tuple(case) for case in cases]
    for number, views in enumerate(given):
        _check(number, views, settings)
    pivot = pivot_of(volume, isocenter)
    found: dict[int, Registration] = {}
    together = choose_backend(volume, "joseph") == "triton"
    for batch in _alike(given) if together else [[number] for number in range(len(given))]:
        if together:
            some = [given[number] for number in batch]
            results = _rounds_together(
                volume, some, settings=settings, pivot=pivot, control=control
            )
        else:
            events = refine(
                volume, given[batch[0]], settings=settings, isocenter=pivot, control=control
            )
            results = [run(events)]
        for number, registration in zip(batch, results, strict=False):
            found[number] = registration
            yield number, registration
        if control is not None and control.cancelled:
            break
    return [found[number] for number in sorted(found)]


def _rounds_together(
    volume: Volume,
    cases: Sequence[tuple[View, ...]],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
) -> list[Registration]:
    """Cases of one geometry, judged; those that are not trusted again from more starts."""
    found: dict[int, Registration] = {}
    over: set[int] = set()
    poses = dict.fromkeys(range(len(cases)), 0)
    for asked in rounds_of(settings):
        left = [n for n in poses if n not in found or (n not in over and more_would_help(found[n]))]
        if not left:
            break
        some = [cases[n] for n in left]
        try:
            results = _refine_together(volume, some, settings=asked, pivot=pivot, control=control)
        except OutOfMemory:
            if not found:
                raise
            found |= {n: short_of_memory(found[n], asked.starts) for n in left}
            break
        for n, unjudged in zip(left, results, strict=False):
            result = judged(unjudged, volume, cases[n], asked.locked)
            if n in found and came_back(found[n], result, asked.starts):
                over.add(n)
            if n not in found or worth(result, asked) > worth(found[n], asked):
                found[n] = result
        if control is not None and control.cancelled:
            found |= {n: cancelled_at(found[n], asked.starts) for n in left if poses[n]}
            break
        for n in left:
            poses[n] += asked.starts
    # Cancelled in the first round, the last cases have none.
    return [told(found[n], poses[n], settings) for n in sorted(found)]


def _refine_together(
    volume: Volume,
    cases: Sequence[tuple[View, ...]],
    *,
    settings: RefineSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None = None,
) -> list[Registration]:
    """Cases of one geometry, on the device of the volume; in halves where they do not fit it.

    Raises
    ------
    OutOfMemory
        If one case alone does not fit.
    """
    results: list[Registration] = []
    size = len(cases)
    while len(results) < len(cases):
        some = cases[len(results) : len(results) + size]
        try:
            results += run(
                refine_cases(
                    volume, some, settings=settings, pivot=pivot, control=control,
                    backend=Batched(volume.lac.device),
                )
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            if len(some) == 1:
                what = f"a refinement from {settings.starts} starts"
                raise out_of_memory(what, error) from error
            size = (len(some) + 1) // 2
            continue
        if control is not None and control.cancelled:
            break
    return results


def _check(number: int, views: tuple[View, ...], settings: RefineSettings) -> None:
    """Before the first case is begun: a study shall not end at its last one."""
    if not views:
        raise ValueError(f"at least one radiograph is needed: case {number} has none")
    level = settings.levels[-1]
    for view in unsaturated(views):
        try:
            ViewProblem(at_pixels(view.radiograph, level.pixels), level.channels)
        except ValueError as error:
            raise ValueError(f"case {number}: {error}") from error


def _alike(cases: Sequence[tuple[View, ...]]) -> list[list[int]]:
    """Numbers of the cases whose C-arms are the same, view by view."""
    groups: dict[tuple[CArm, ...], list[int]] = {}
    for number, views in enumerate(cases):
        groups.setdefault(tuple(view.radiograph.carm for view in views), []).append(number)
    return list(groups.values())
