"""The preset of xReg: CMA-ES on patches of gradients at a coarse level, then BOBYQA at a finer one.

Grupp et al., "Automatic annotation of hip anatomy in fluoroscopy for robust and efficient 2D/3D
registration", IJCARS 2020, and the constants of the released single-view registration of the
pelvis. Kept: levels at an eighth and a quarter of a detector of 0.194 mm pixels, patches, standard
deviations, population, penalty, bounds, tolerances. Otherwise here: rotations are taken about the
isocenter, the delta of the penalty is a rotation vector, levels are 1.55 and 0.78 mm on any
detector, the blur is a Gaussian of 1.1 pixels on 7 pixels, and scipy's COBYQA stands in for
BOBYQA where nlopt is not installed.
"""

import functools
import importlib.util
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.metrics import Similarity, gradient_ncc
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.gradient_free.asking import questions
from napari_xreg.registration.refinement.gradient_free.cma_es import cma_es
from napari_xreg.registration.refinement.gradient_free.course import (
    Search,
    SearchLevel,
    search_levels,
)
from napari_xreg.registration.refinement.gradient_free.objective import Values
from napari_xreg.registration.refinement.result import Iterate, Registration, Status
from napari_xreg.registration.refinement.solver import Solver, Wanted
from napari_xreg.registration.refinement.views import View

FULL_PIXEL_MM = 0.194
"""Of the detector that the preset is for."""
SHRUNK = (8, 4)
RADIUS_PX = 41.0
"""Of a patch, at full size."""
SIGMA = np.array([*np.deg2rad([15.0, 15.0, 30.0]), 50.0, 50.0, 100.0])
PENALTY_SIGMA = np.array([*np.deg2rad([15.0, 15.0, 10.0]), 30.0, 30.0, 150.0])
PENALTY_SHARE = 0.1
BOUNDS = np.array([*np.deg2rad([2.5, 2.5, 2.5]), 5.0, 5.0, 10.0])
BLUR_PX = 1.1
_LEAST_PIXELS = 24


@dataclass(frozen=True)
class XregSettings:
    """The preset, as far as it can be changed.

    Parameters
    ----------
    pixels
        Longer side of the radiograph at both levels; none: 1.55 and 0.78 mm on the detector.
    population, generations, evaluations
        Of CMA-ES: so many poses at once, so often at most; of BOBYQA, losses at most.
    seed
        Of CMA-ES.
    keep_images
        Put the DRR of every iterate into the trajectory.
    """

    pixels: tuple[int, ...] = ()
    population: int = 100
    generations: int = 100
    evaluations: int = 400
    seed: int = 0
    keep_images: bool = True

    def __post_init__(self) -> None:
        if len(self.pixels) not in (0, 1, 2) or any(p < _LEAST_PIXELS for p in self.pixels):
            raise ValueError(
                f"xReg's preset has two levels (or the last alone) of {_LEAST_PIXELS} pixels or more: got "
                f"{self.pixels}"
            )
        if self.population < 8:
            raise ValueError(f"a generation is of 8 poses or more: got {self.population}")


def bobyqa_name() -> str:
    """Which package searches at the finer level."""
    return "BOBYQA of nlopt" if importlib.util.find_spec("nlopt") else "COBYQA of scipy"


def refine_xreg(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: XregSettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve`; there is no covariance, and a note says which package was used."""
    sizes = settings.pixels or _sizes(views[0])
    levels = [
        SearchLevel(
            sizes[0], patches_of(SHRUNK[0]), functools.partial(_cloud, settings=settings), penalty,
            1.0 - PENALTY_SHARE,
        ),
        SearchLevel(sizes[-1], patches_of(SHRUNK[1]), functools.partial(_box, settings=settings)),
    ]  # fmt: skip
    chosen = levels[-len(sizes) :]
    found = yield from search_levels(
        volume, views, chosen, pivot=pivot, control=control, keep_images=settings.keep_images
    )
    if found.status is Status.CANCELLED:  # perhaps before it came to that
        return found
    return replace(found, notes=(*found.notes, f"The finer level was searched by {bobyqa_name()}."))


def patches_of(shrunk: int) -> Similarity:
    """NCC of gradients in patches, at a size."""
    patch = 2 * round(RADIUS_PX / shrunk) + 1

    def similarity(fixed: Tensor, moving: Tensor, *, mask: Tensor) -> Tensor:
        return gradient_ncc(fixed, moving, patch=patch, sigma=BLUR_PX, mask=mask)

    return similarity


def penalty(values: Values) -> Values:
    """Of being far from the start: minus the logarithm of a normal, as it weighs."""
    found: Values = PENALTY_SHARE * 0.5 * ((values / PENALTY_SIGMA) ** 2).sum(1)
    return found


def _sizes(view: View) -> tuple[int, ...]:
    """Levels for a detector: pixels of 1.55 and 0.78 mm, no more than it has."""
    detector = view.radiograph.carm.detector
    longer = max(n * s for n, s in zip(detector.shape, detector.spacing, strict=True))
    return tuple(
        max(_LEAST_PIXELS, min(max(detector.shape), round(longer / (FULL_PIXEL_MM * each))))
        for each in SHRUNK
    )


def _cloud(start: Values, *, settings: XregSettings) -> Search:
    return cma_es(
        start, SIGMA, population=settings.population, generations=settings.generations,
        tolerance_x=0.01, tolerance_loss=0.01 * PENALTY_SHARE, seed=settings.seed,
    )  # fmt: skip


def _box(start: Values, *, settings: XregSettings) -> Search:
    """Within bounds about where the first level ended."""
    asking = questions(lambda function: _bounded(function, settings.evaluations))
    try:
        asked = next(asking)
        while True:
            losses = yield (start + BOUNDS * asked)[None]
            asked = asking.send(min(losses[0], 1e6))
    except StopIteration as end:
        return None, bool(end.value)
    finally:
        asking.close()


def _bounded(function: Any, evaluations: int) -> bool:
    """Minimise within -1 to 1; whether it ended by itself."""
    if importlib.util.find_spec("nlopt"):
        import nlopt

        search = nlopt.opt(nlopt.LN_BOBYQA, 6)
        search.set_min_objective(lambda x, gradient: function(x))
        search.set_lower_bounds(-np.ones(6))
        search.set_upper_bounds(np.ones(6))
        search.set_xtol_rel(1e-4)
        search.set_ftol_rel(1e-4)
        search.set_maxeval(evaluations)
        search.optimize(np.zeros(6))
        return bool(search.last_optimize_result() != nlopt.MAXEVAL_REACHED)
    from scipy.optimize import minimize

    found = minimize(
        function, np.zeros(6), method="COBYQA", bounds=[(-1.0, 1.0)] * 6,
        options={"maxfev": evaluations, "initial_tr_radius": 0.5, "final_tr_radius": 1e-3},
    )  # fmt: skip
    return bool(found.success)


def _configured(wanted: Wanted) -> XregSettings:
    default = XregSettings()
    pixels = wanted.pixels or ()
    return XregSettings(
        pixels=pixels[-1:] if wanted.finest_only else pixels,
        generations=default.generations if wanted.iterations is None else wanted.iterations,
        evaluations=default.evaluations
        if wanted.iterations is None
        else max(40, 8 * wanted.iterations),
        seed=wanted.seed,
        keep_images=wanted.keep_images,
    )


XREG = Solver(
    name="xreg",
    title="xReg",
    about=(
        "CMA-ES on patches of gradients, then BOBYQA (COBYQA where nlopt is not installed): the preset "
        "of xReg (Grupp et al. 2020), for comparison. Up to some minutes; no locks, no covariance."
    ),
    settings=XregSettings,
    compares=lambda: {"patch gradient NCC": "NCC of gradients in patches of 11 and 21 pixels."},
    iterations=XregSettings().generations,
    several_starts=False,
    locks=False,
    covariance=False,
    configure=_configured,
    level_pixels=lambda settings: settings.pixels or (192, 384),
    most_iterates=lambda settings: (
        settings.population * settings.generations + settings.evaluations
    ),
    solve=refine_xreg,
)
