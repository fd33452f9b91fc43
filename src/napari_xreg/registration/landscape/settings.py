"""Where the loss around a pose is sampled, and which loss."""

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated

import numpy as np
import numpy.typing as npt

from napari_xreg.geometry import CARM_PARAMETERS
from napari_xreg.metrics import SIMILARITIES, similarity_words
from napari_xreg.options import Choice, Option
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE, Level

Values = npt.NDArray[np.float64]
REFINEMENT = "refinement"
"""The loss of the refinement, beside `SIMILARITIES`."""
LEARNED = "learned similarity"
"""What a network says (`loss_landscape`'s `learned`), beside these."""

_MEASURES: dict[str, Choice] = {
    REFINEMENT: Choice(
        "same metric as Refine", "tone and robust weights fitted at every sample, scatter left out."
    ),
    **{
        name: Choice(f"1 − {name}", similarity_words(function))
        for name, function in SIMILARITIES.items()
    },
    LEARNED: Choice(
        LEARNED,
        "How far off a pose of the whole CT looks to a network that was trained for that (Train).",
    ),
}
_BESIDE: dict[str | None, Choice] = {None: Choice("nothing")}
_BESIDE.update(_MEASURES)


def _level_title(level: Level) -> str:
    voxels = "full CT" if level.voxel_mm is None else f"{level.voxel_mm:g} mm CT"
    return f"{level.pixels} px image, {voxels}"


_LEVELS = {level: Choice(_level_title(level)) for level in COARSE_TO_FINE}
_PAIRS: dict[tuple[str, str] | None, Choice] = {
    None: Choice("no map"),
    **{pair: Choice(" × ".join(pair)) for pair in combinations(CARM_PARAMETERS, 2)},
}


@dataclass(frozen=True)
class LandscapeSettings:
    """Where the loss is sampled, and which loss.

    Parameters
    ----------
    range_deg, range_mm, range_depth_mm
        Sections reach this far to either side: angles, x and y, depth.
    samples
        Along each section; made odd, so that the pose itself is one of them.
    parameters
        Which sections: of ``("primary", "secondary", "roll", "x", "y", "depth")``.
    pair
        Two parameters whose plane is mapped; None: no map.
    pair_samples
        Along each side of the map; made odd.
    measure
        ``refinement``: the loss that `refine` minimises at this level, with the tone and robust
        weights fitted anew at every sample, over its total weight; or 1 - a similarity of
        `SIMILARITIES`, by its name. Lower is better; an image that has nothing to do with the
        radiograph scores about 1, and so does one that the patient has left. ``learned similarity``:
        how far off a network thinks the pose is, radians; it has a resolution of its own.
    beside
        A second measure, sampled at the same places; None: none.
    level
        How finely radiograph and CT are looked at.
    threads
        Rendering threads; None: all processors.
    """

    measure: Annotated[
        str, Option("Loss", "What is drawn; lower is better.", choices=_MEASURES)
    ] = REFINEMENT
    beside: Annotated[
        str | None,
        Option("Compare with", "A second loss, drawn on the same axes.", choices=_BESIDE),
    ] = None
    level: Annotated[
        Level,
        Option(
            "Resolution",
            "Longer side of the radiograph, and voxels: the levels of Refine. The coarse ones have "
            "wider basins.",
            choices=_LEVELS,
        ),
    ] = COARSE_TO_FINE[1]
    range_deg: Annotated[
        float, Option("Angles ±", "Primary, secondary and roll, to either side.", "°", 0.5, 90.0)
    ] = 20.0
    range_mm: Annotated[
        float, Option("x, y ±", "To either side, in camera axes.", "mm", 1.0, 400.0, decimals=0)
    ] = 40.0
    range_depth_mm: Annotated[
        float,
        Option(
            "Depth ±",
            "Along the central ray, to either side; from one view it needs a wide range.",
            "mm", 1.0, 600.0, decimals=0,
        ),
    ] = 120.0  # fmt: skip
    samples: Annotated[
        int,
        Option("Samples", "Along each section (made odd: the pose itself is one).", "", 3, 201, 2),
    ] = 25
    parameters: tuple[str, ...] = CARM_PARAMETERS
    pair: Annotated[
        tuple[str, str] | None,
        Option(
            "Map of",
            "The loss over two parameters at once shows oblique valleys. First: vertical axis; "
            "second: horizontal.",
            choices=_PAIRS,
        ),
    ] = ("primary", "x")
    # Steps of 1.7 degrees and 3.3 mm at the usual ranges: a valley of a few degrees is seen.
    pair_samples: Annotated[
        int, Option("Samples of map", "Along each side of the map.", "", 3, 101, 2)
    ] = 25
    threads: int | None = None

    def __post_init__(self) -> None:
        if not all(
            0 < r < float("inf") for r in (self.range_deg, self.range_mm, self.range_depth_mm)
        ):
            raise ValueError(
                "the ranges of a landscape must be positive: got "
                f"{self.range_deg} degrees, {self.range_mm} mm, depth {self.range_depth_mm} mm"
            )
        if self.samples < 3 or self.pair_samples < 3:
            raise ValueError(
                "a section needs at least 3 samples: got "
                f"samples={self.samples}, pair_samples={self.pair_samples}"
            )
        named = (*self.parameters, *(self.pair or ()))
        unknown = [name for name in named if name not in CARM_PARAMETERS]
        if unknown or not named:
            raise ValueError(
                f"unknown parameters {', '.join(unknown) or '(none given)'}: they are "
                f"{', '.join(CARM_PARAMETERS)}"
            )
        if self.pair is not None and self.pair[0] == self.pair[1]:
            raise ValueError(f"a map needs two different parameters: got {self.pair[0]} twice")
        for measure in (self.measure, self.beside or self.measure):
            if measure not in _MEASURES:
                raise ValueError(f"the measure is one of {', '.join(_MEASURES)}: got {measure!r}")
        if self.beside == self.measure:
            raise ValueError(f"two different losses are compared: got {self.measure!r} twice")

    def offsets(self, parameter: str, *, mapped: bool = False) -> Values:
        """Where a section is sampled, relative to the pose: degrees or mm, ascending, 0 in the middle."""
        count = self.pair_samples if mapped else self.samples
        half = count // 2
        reach = {"depth": self.range_depth_mm, "x": self.range_mm, "y": self.range_mm}
        step = reach.get(parameter, self.range_deg) / half
        return np.arange(-half, half + 1, dtype=np.float64) * step

    @property
    def total(self) -> int:
        """Number of samples: a render of each radiograph each."""
        places = sum(self.offsets(name).size for name in self.parameters)
        if self.pair is not None:
            first, second = (self.offsets(name, mapped=True).size for name in self.pair)
            places += first * second
        return places if self.beside is None else 2 * places

    @property
    def learned(self) -> bool:
        """Whether a network has to be given."""
        return LEARNED in (self.measure, self.beside)

    @property
    def each(self) -> tuple["LandscapeSettings", ...]:
        """The same of every measure by itself."""
        alone = replace(self, beside=None)
        return (alone,) if self.beside is None else (alone, replace(alone, measure=self.beside))

    @property
    def title(self) -> str:
        """What the measure is called."""
        return _MEASURES[self.measure].title
