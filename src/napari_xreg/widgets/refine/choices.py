"""What the Refine widget offers, and the settings of the library that it stands for."""

import re
from dataclasses import dataclass, field
from typing import Any

from napari_xreg.registration import SOLVERS, Spread, Wanted

COARSE, FINEST, OWN = "coarse to fine", "finest only", "custom"
SCALES = {
    COARSE: "The levels of the optimiser: radiograph and CT coarser first.",
    FINEST: "The last level alone: for a start that is nearly right.",
    OWN: "Longer side of the radiograph in pixels, level by level.",
}
"""What the levels are, in words."""

STARTS = {"auto": 0, "1": 1, "16": 16, "64": 64, "128": 128}
"""What the user chooses, and what `Wanted.starts` is then."""


@dataclass(frozen=True)
class RefineChoices:
    """What the user chose.

    Parameters
    ----------
    optimiser
        A key of `SOLVERS`.
    metric
        What it compares; None: its default.
    scales
        One of `SCALES`.
    pixels
        Longer side of the radiograph level by level, for "custom".
    iterations
        At most, a level.
    starts, spread, locked
        As in `Wanted`.
    """

    optimiser: str = next(iter(SOLVERS))
    metric: str | None = None
    scales: str = next(iter(SCALES))
    pixels: tuple[int, ...] = (64, 128, 256)
    iterations: int | None = None
    starts: int = 0
    spread: Spread = field(default_factory=Spread)
    locked: tuple[str, ...] = ()

    def settings(self) -> Any:
        """What to call the library with: the settings of the solver.

        Raises
        ------
        ValueError
            If a choice makes no sense, in words for the user.
        """
        return SOLVERS[self.optimiser].settings_for(
            Wanted(
                compare=self.metric,
                pixels=self.pixels if self.scales == OWN else None,
                finest_only=self.scales == FINEST,
                iterations=self.iterations,
                starts=self.starts,
                spread=self.spread,
                locked=self.locked,
            )
        )

    def as_json(self) -> dict[str, object]:
        """As plain values, for a session's file."""
        solver = SOLVERS[self.optimiser]
        return {
            "optimiser": self.optimiser,
            "metric": self.metric or next(iter(solver.compares())),
            "scales": self.scales,
            "pixels": list(self.pixels),
            "iterations": solver.iterations if self.iterations is None else self.iterations,
            "starts": self.starts or "auto",
            "spread": {
                "rotation_deg": self.spread.rotation_deg,
                "in_plane_mm": self.spread.in_plane_mm,
                "depth_mm": self.spread.depth_mm,
            },
            "locked": list(self.locked),
        }


def pixels_of(text: str) -> tuple[int, ...]:
    """The numbers of "64, 128 256".

    Raises
    ------
    ValueError
        If it is something else, or a number is below 8.
    """
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    if not words or not all(re.fullmatch(r"\d{1,5}", word) for word in words):
        raise ValueError(
            "custom resolution: write the pixels of each level, coarse to fine, for example "
            f"64, 128, 256: got {text!r}"
        )
    counts = tuple(int(word) for word in words)
    if min(counts) < 8:
        raise ValueError(f"custom resolution: a level needs at least 8 pixels: got {text!r}")
    return counts
