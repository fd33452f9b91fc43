"""The losses of a refinement, iteration by iteration."""

import math
from collections.abc import Sequence

import numpy as np
from qtpy.QtWidgets import QWidget

from napari_xreg.registration import Iterate
from napari_xreg.widgets.refine.iteration_plot import (
    COLOURS,
    NOTHING_YET,
    IterationPlot,
    cycle,
    joined,
)


class LossPlot(IterationPlot):
    """One line per loss term, or, with several starts, one per start; starts of one colour are one curve.

    Steps that were taken back are crosses: they are not part of a line. Losses of two levels are
    measured on different images and do not compare, so each level is drawn from where the one
    before it ended: a step up would only be the change of image.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("loss, levels joined", parent, log=True, empty=NOTHING_YET)
        self.setToolTip(
            "Loss against iteration, dimensionless, logarithmic; lower is better.\n"
            "“loss” is what is minimised: a weighted sum of 1 − NCC of the image and of its "
            "derivatives\n(Levenberg–Marquardt), or 1 − similarity (Adam). Losses of different "
            "levels do not compare:\neach level, between two vertical lines, is scaled to begin where "
            "the one before ended.\n× are steps that were taken back. Click or drag to look at "
            "an iteration."
        )
        self._iterates: list[Iterate] = []

    def clear(self) -> None:
        """Nothing is shown."""
        self._iterates = []
        super().clear()

    @property
    def iterates(self) -> Sequence[Iterate]:
        """All that are shown, in order."""
        return tuple(self._iterates)

    def append(self, iterates: Sequence[Iterate]) -> None:
        """Add iterates; draw what they change."""
        if not iterates:
            return
        had_many = self._several
        self._iterates.extend(iterates)
        for iterate in iterates:
            self.mark_level(iterate.level, iterate.index)
        if self._several != had_many:  # the second start has come: other lines from now on
            every = self._iterates
            super().clear()
            self._iterates = every
            for iterate in every:
                self.mark_level(iterate.level, iterate.index)
            iterates = every
        taken = [it for it in self._iterates if it.accepted]
        if self._several:
            # A curve of its own for each of 64 starts would take the window a third of a second.
            for colour in sorted({it.start % len(COLOURS) for it in iterates}):
                track = [it for it in taken if it.start % len(COLOURS) == colour]
                track.sort(key=lambda it: it.start)  # stable: one line after the other
                self._draw(f"start {colour + 1}", track, "loss", cycle(colour), 1.5)
            starts = 1 + max(it.start for it in self._iterates)
            few, first = starts <= len(COLOURS), len(COLOURS) + 1
            self.and_more("" if few else f"starts {first} to {starts} use the same colours again")
        else:
            names = list(dict.fromkeys(name for it in self._iterates for name in it.losses))
            names = [name for name in names if name not in ("loss", "similarity")]
            for index, name in enumerate(names):
                self._draw(name.replace("_", " along "), taken, name, cycle(index), 1.0)
            self._draw("loss", taken, "loss", None, 2.0)
        back = [it for it in self._iterates if not it.accepted]
        scales = level_scales(taken, "loss")
        if back:
            self.set_curve(
                "_taken back",
                [it.index for it in back],
                [it.loss * scales.get((it.start, it.level), 1.0) for it in back],
                colour="#999999",
                points=True,
                width=1.0,
            )

    @property
    def _several(self) -> bool:
        return any(iterate.start for iterate in self._iterates)

    def _draw(
        self, title: str, track: Sequence[Iterate], term: str, colour: str | None, width: float
    ) -> None:
        scales = level_scales(track, term)
        values = np.array(
            [it.losses.get(term, np.nan) * scales[it.start, it.level] for it in track], np.float64
        )
        together = joined([it.start for it in track], [it.level for it in track])
        x = [it.index for it in track]
        self.set_curve(title, x, values, colour=colour, connect=together, width=width)


def level_scales(track: Sequence[Iterate], term: str) -> dict[tuple[int, int], float]:
    """What a term is multiplied by, by start and level, so that each level begins where the last ended.

    1 for the first level of a start, and where a value is missing or not above zero.
    """
    scales: dict[tuple[int, int], float] = {}
    ended: dict[int, float] = {}  # by start: the last value drawn
    for it in track:
        value, key = it.losses.get(term, math.nan), (it.start, it.level)
        if key not in scales:
            before = ended.get(it.start, math.nan)
            scales[key] = before / value if value > 0 and before > 0 else 1.0
        ended[it.start] = value * scales[key]
    return scales
