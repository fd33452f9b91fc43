"""Powell's directions and Nelder and Mead's simplex, of scipy: what users of ITK know.

Powell, "An efficient method for finding the minimum of a function of several variables without
calculating derivatives", Computer Journal 1964; Nelder and Mead, "A simplex method for function
minimization", Computer Journal 1965. Both look about the start alone and know no image.
"""

import functools
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.metrics import SIMILARITIES, ncc, similarity_words
from napari_xreg.progress import Control
from napari_xreg.registration.refinement.by_similarity import SimilaritySettings
from napari_xreg.registration.refinement.gradient_free.asking import questions
from napari_xreg.registration.refinement.gradient_free.course import (
    Search,
    SearchLevel,
    search_levels,
)
from napari_xreg.registration.refinement.gradient_free.objective import Values
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.solver import Solver
from napari_xreg.registration.refinement.views import View

UNIT = np.array([*np.deg2rad([2.0, 2.0, 2.0]), 5.0, 5.0, 10.0])
"""First step along each variable, rad and mm; halved from level to level."""
TOLERANCE = 2e-3
"""Of a search, in units of `UNIT`: 0.004 degrees, 0.01 mm in the plane."""


class PowellSettings(SimilaritySettings):
    """Of Powell's method."""


class NelderMeadSettings(SimilaritySettings):
    """Of the simplex."""


def _refined(
    volume: Volume,
    views: Sequence[View],
    *,
    settings: SimilaritySettings,
    pivot: Float[Tensor, "3"],
    control: Control | None,
) -> Generator[Iterate, None, Registration]:
    """`Solver.solve`; there is no covariance."""
    levels = []
    for number, pixels in enumerate(settings.pixels):
        search = functools.partial(_search, unit=UNIT / 2.0**number, settings=settings)
        levels.append(SearchLevel(pixels, settings.similarity, search))
    return search_levels(
        volume, views, levels, pivot=pivot, control=control, keep_images=settings.keep_images
    )


def _search(start: Values, *, unit: Values, settings: SimilaritySettings) -> Search:
    from scipy.optimize import minimize  # a fifth of a second, for whoever asks for it

    options: dict[str, Any]
    if isinstance(settings, PowellSettings):
        method, options = "Powell", {"xtol": TOLERANCE, "ftol": 1e-6}
    else:
        simplex = np.vstack([np.zeros(6), np.eye(6)])
        method = "Nelder-Mead"
        options = {"xatol": TOLERANCE, "fatol": 1e-6, "initial_simplex": simplex, "adaptive": True}
    asking = questions(
        lambda function: minimize(
            function, np.zeros(6), method=method, options={"maxfev": settings.iterations, **options}
        )
    )
    try:
        asked = next(asking)
        while True:
            losses = yield (start + unit * asked)[None]
            # A loss that is no number (a pose that shows nothing) is as bad as none.
            asked = asking.send(min(losses[0], 1e6))
    except StopIteration as end:
        # Stopped at the limit its x is not the best pose that it saw: that one is kept for it.
        return None, bool(end.value.success)
    finally:
        asking.close()


def _solver(name: str, title: str, about: str, settings: type[SimilaritySettings]) -> Solver:
    return Solver(
        name=name,
        title=title,
        about=about,
        settings=settings,
        compares=lambda: (
            {"NCC": similarity_words(ncc)}
            | {key: similarity_words(function) for key, function in SIMILARITIES.items()}
        ),
        iterations=settings().iterations,
        several_starts=False,
        locks=False,
        covariance=False,
        configure=settings.configured,
        level_pixels=lambda chosen: chosen.pixels,
        most_iterates=lambda chosen: len(chosen.pixels) * (chosen.iterations + 12),
        solve=_refined,
    )


POWELL = _solver(
    "powell",
    "Powell",
    "Without derivatives, line by line (scipy): what users of ITK know, for comparison. One start, no "
    "locks, no covariance.",
    PowellSettings,
)
NELDER_MEAD = _solver(
    "nelder-mead",
    "Nelder–Mead",
    "Without derivatives, a simplex (scipy): what users of ITK know, for comparison. One start, no locks, "
    "no covariance.",
    NelderMeadSettings,
)
