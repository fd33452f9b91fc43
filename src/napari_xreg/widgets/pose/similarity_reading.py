"""How alike radiograph and DRR are: NCC of every picture, and gradient NCC off the main thread."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_xreg.images import Radiograph
from napari_xreg.metrics import gradient_ncc, ncc
from napari_xreg.registration import at_pixels
from napari_xreg.session import Preview

LINE_PIXELS = 128
"""Longer side at which NCC is computed, at most: that of a drag's coarser DRRs, so that a value does not jump
when more pixels are rendered."""
PIXELS = 256
"""That of gradient NCC."""
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


def ncc_of(radiograph: Radiograph, preview: Preview, small: SmallRadiographs) -> float | None:
    """NCC of the whole images inside the mask; None where the DRR is of another detector, or all is masked.

    Under a millisecond, for the main thread, with every picture: the radiograph is averaged over the
    area of each larger pixel, once, and the DRR, which has no noise, is read at their centres.
    """
    pixels = min(LINE_PIXELS, max(preview.image.shape))
    fixed = small.at(radiograph, pixels)
    if not np.allclose(fixed.carm.detector.size_mm, preview.request.carm.detector.size_mm):
        return None
    y = torch.from_numpy(read_at_centres(preview.image, fixed.carm.detector.shape))
    x, mask = fixed.line_integrals.float(), fixed.mask
    try:
        return float(ncc(x if mask is None else torch.where(mask, x, 0.0), y, mask=mask))
    except ValueError:  # the mask leaves nothing
        return None


def read_at_centres(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """An image between its pixels, at the centres of fewer pixels over the same area."""
    (r, down), (c, right) = (_centres(*sizes) for sizes in zip(image.shape, shape, strict=True))
    upper = image[r[:, None], c] * (1 - right) + image[r[:, None], c + 1] * right
    lower = image[r[:, None] + 1, c] * (1 - right) + image[r[:, None] + 1, c + 1] * right
    seen = upper * (1 - down)[:, None] + lower * down[:, None]
    return np.asarray(seen, np.float32)


def _centres(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Index of the pixel before each centre, never the last, and the share of the next one."""
    at = ((np.arange(new) + 0.5) * old / new - 0.5).clip(0, old - 1)
    first = np.minimum(at.astype(np.int64), max(old - 2, 0))
    return first, (at - first).astype(np.float32)


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
        """Mean over `PATCH` x `PATCH` windows; None where too little is usable, or the DRR is of another radiograph."""
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
            return float(gradient_ncc(x, y, patch=PATCH, mask=mask))
        except ValueError:  # the mask leaves too little
            return None
