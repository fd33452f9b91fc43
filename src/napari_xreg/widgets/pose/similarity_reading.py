"""How alike radiograph and DRR are now: two numbers, computed off the main thread."""

from dataclasses import dataclass

import torch

from napari_xreg.images import Radiograph
from napari_xreg.metrics import gradient_ncc, ncc
from napari_xreg.registration import at_pixels
from napari_xreg.session import Preview

PIXELS = 256
"""Longer side at which they are computed, at most."""
PATCH = 11
"""Side of the windows of gradient NCC, as xvr refines with."""


@dataclass(frozen=True, eq=False)
class Similarity:
    """The answer.

    Parameters
    ----------
    ncc
        Of the whole images, in [-1, 1].
    gradient_ncc
        Mean over `PATCH` x `PATCH` windows of the Sobel images.
    shape
        Rows and columns they were computed at.
    """

    ncc: float
    gradient_ncc: float
    shape: tuple[int, int]


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
class SimilarityRequest:
    """Everything the two numbers need, captured.

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

    def answer(self) -> Similarity | None:
        """Compute; None where the DRR is not of this radiograph, or too little is usable."""
        carm = self.preview.request.carm
        pixels = min(PIXELS, max(carm.detector.shape))
        fixed = self.small.at(self.radiograph, pixels)
        drr = Radiograph(torch.from_numpy(self.preview.image), carm)
        moving = at_pixels(drr, pixels)
        shape = fixed.carm.detector.shape
        if shape != moving.carm.detector.shape or min(shape) < PATCH:
            return None
        x, y, mask = fixed.line_integrals.float(), moving.line_integrals.float(), fixed.mask
        if mask is not None:
            x = torch.where(mask, x, 0.0)
        try:
            sharp = gradient_ncc(x, y, patch=PATCH, mask=mask)
            return Similarity(float(ncc(x, y, mask=mask)), float(sharp), shape)
        except ValueError:  # the mask leaves too little
            return None
