"""What is looked at at one level: the CT and the radiographs, as fine as they are there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration.refinement.second_order.levels import Level, volume_at
from napari_xreg.registration.refinement.views import View, at_pixels

Field = npt.NDArray[np.float32]
"""An image [rows, columns] of one radiograph, on the processor."""


@dataclass(frozen=True, eq=False)
class Look:
    """One level of the pyramid.

    Parameters
    ----------
    level
        How it is compared.
    volume
        The CT, as coarse as there.
    cases
        Of every case its radiographs, as coarse as there. The first radiographs of all cases share
        one `CArm`, and so on.
    pivot
        Point that twists are taken about, world mm.
    scatter
        Of every radiograph (`Beams`); None: not judged.
    """

    level: Level
    volume: Volume
    cases: tuple[tuple[Radiograph, ...], ...]
    pivot: Float[Tensor, "3"]
    scatter: "tuple[tuple[Field | None, ...], ...] | None" = None

    @property
    def scattered(self) -> "tuple[tuple[Field | None, ...], ...]":
        """Of every case, of every radiograph, its scatter; None where none is known."""
        if self.scatter is not None:
            return self.scatter
        return tuple((None,) * len(radiographs) for radiographs in self.cases)

    def below(self, scatter: "tuple[tuple[Field | None, ...], ...]") -> "Look":
        """With this scatter over the radiographs (`Beams`), which may have been judged in fewer pixels: it is smooth."""

        def fine(field: Field | None, radiograph: Radiograph) -> Field | None:
            rows, columns = radiograph.carm.detector.shape
            if field is None or field.shape == (rows, columns):
                return field
            return np.asarray(cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR))

        return replace(
            self,
            scatter=tuple(
                tuple(fine(field, radiograph) for field, radiograph in zip(*each, strict=True))
                for each in zip(scatter, self.cases, strict=True)
            ),
        )

    @property
    def pixel_at_pivot_mm(self) -> float:
        """Size of a pixel of the first radiograph, demagnified to the isocenter."""
        carm = self.cases[0][0].carm
        return max(carm.detector.spacing) * carm.source_to_isocenter / carm.source_to_detector


def look_at(
    volume: Volume, cases: Sequence[Sequence[View]], level: Level, pivot: Float[Tensor, "3"]
) -> Look:
    """Volume and radiographs, averaged to the size of a level."""
    coarse = volume_at(volume, level)
    smaller = tuple(
        tuple(at_pixels(view.radiograph, level.pixels) for view in views) for views in cases
    )
    return Look(level, coarse, smaller, pivot)
