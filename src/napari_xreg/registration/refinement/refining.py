"""Refine: the pose that explains the radiographs, by whichever solver the settings belong to."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.solvers import solver_of
from napari_xreg.registration.refinement.starts_in_turn import until_trusted
from napari_xreg.registration.refinement.views import View, pivot_of
from napari_xreg.registration.verdict.verdict import judged
from napari_xreg.rendering import with_one_blas_thread


@with_one_blas_thread
def refine(
    volume: Volume,
    views: View | Sequence[View],
    *,
    settings: Any = None,
    isocenter: Float[Tensor, "3"] | None = None,
    control: Control | None = None,
    judge: bool = True,
) -> Generator[Iterate, None, Registration]:
    """Find the pose under which the CT explains the radiographs.

    By the solver that the settings belong to (`SOLVERS`): `RefineSettings` is Levenberg-Marquardt.
    What it found is then judged by the radiographs, alike for all solvers (`Verdict`).

    Parameters
    ----------
    volume
        The CT; restrict it to some structures with `Volume.restrict`. On a CUDA device with
        Triton the refinement runs there, all starts of a level at once; anywhere else on the CPU.
    views
        One or several radiographs with their starting poses; several move together.
    settings
        Of a solver; None: ``RefineSettings()``.
    isocenter
        Point about which rotations are taken, world mm; None: the middle of the volume.
    control
        Cancel, pause, step.
    judge
        False: leave out the verdict.

    Yields
    ------
    Iterate
        Every pose tried, with its losses.

    Returns
    -------
    Registration
        False where it should not be trusted.

    Raises
    ------
    ValueError
        If there is no view, a radiograph has no usable content, or the isocenter is not finite.
    OutOfMemory
        If the device of the volume has too little memory.

    Examples
    --------
    ``registration = run(refine(ct, View(radiograph, start)))`` runs to the end; a loop over
    ``refine(...)`` sees each iterate.
    """
    settings = RefineSettings() if settings is None else settings
    views = (views,) if isinstance(views, View) else tuple(views)
    if not views:
        raise ValueError("at least one radiograph is needed")
    pivot = pivot_of(volume, isocenter)
    solve = solver_of(settings).solve

    def once(how: Any) -> Generator[Iterate, None, Registration]:
        if not judge and isinstance(how, RefineSettings):
            how = replace(how, given_up=0.0)  # without a verdict the first round is the last
        found = yield from solve(volume, views, settings=how, pivot=pivot, control=control)
        return judged(found, volume, views, getattr(how, "locked", ())) if judge else found

    return (yield from until_trusted(once, settings, control))
