"""How alike radiograph and DRR are: NCC of every picture, and gradient NCC off the main thread."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.images import Radiograph
from napari_xreg.metrics import gradient_ncc, ncc
from napari_xreg.registration import at_pixels
from napari_xreg.session import Preview

PIXELS = 256
"""Longer side at which they are computed, at most."""
PATCH = 11
"""Side of the windows of gradient NCC, as xvr refines with."""


class SmallRadiographs:
    """The radiograph at the sizes of the previews; for one thread."""

    def __init__(self) -> None:
        self._of: Radiograph | None = None
        self._known: dict[int, Radiograph] = {}

    def at(self, radiograph: Radiograph, pixels: int) -> Radiograph:
        """The radiograph with its longer side at most this many pixels."""
        if radiograph is not self._of:
            self._of, self._known = radiograph, {}
        if pixels not in self._known:
            self._known[pixels] = at_pixels(radiograph, pixels)
        return self._known[pixels]


@dataclass(frozen=True, eq=False)
class GradientNcc:
    """Everything that gradient NCC needs, captured.

    Parameters
    ----------
    radiograph
        With its mask.
    preview
        The DRR.
    small
        Where shrunken radiographs are remembered.
    """

    radiograph: Radiograph
    preview: Preview
    small: SmallRadiographs

    def answer(self) -> float | None:
        """Mean over `PATCH` x `PATCH` windows; None where too little is usable."""
        compared = alike(self.radiograph, self.preview, self.small)
        if compared is None or min(compared.shape) < PATCH:
            return None
        try:
            return float(gradient_ncc(compared.x, compared.y, patch=PATCH, mask=compared.mask))
        except ValueError:  # the mask leaves too little
            return None


@dataclass(frozen=True, eq=False)
class Compared:
    """Radiograph and DRR of one size.

    Parameters
    ----------
    x, y
        Line integrals of the radiograph, 0 where it is masked, and of the DRR.
    mask
        Usable pixels; None: all.
    """

    x: Float[Tensor, "rows columns"]
    y: Float[Tensor, "rows columns"]
    mask: Bool[Tensor, "rows columns"] | None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.x.shape
        return rows, columns

    def ncc(self) -> float:
        """Of the whole images.

        Raises
        ------
        ValueError
            If the mask leaves no pixel.
        """
        return float(ncc(self.x, self.y, mask=self.mask))


def alike(radiograph: Radiograph, preview: Preview, small: SmallRadiographs) -> Compared | None:
    """Both at `PIXELS` a side at most; None where the DRR is not of this radiograph."""
    carm = preview.request.carm
    pixels = min(PIXELS, max(carm.detector.shape))
    fixed = small.at(radiograph, pixels)
    moving = at_pixels(Radiograph(torch.from_numpy(preview.image), carm), pixels)
    if fixed.carm.detector.shape != moving.carm.detector.shape:
        return None
    x, y, mask = fixed.line_integrals.float(), moving.line_integrals.float(), fixed.mask
    return Compared(x if mask is None else torch.where(mask, x, 0.0), y, mask)
