"""A subtracted angiogram: what is not vessel has one value, the commonest, and vessels are darker."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import StoredImage

_WORDS = (
    "a subtracted angiogram: line integrals are its commonest value less its values, up to a factor"
)


def subtracted(stored: StoredImage) -> tuple[StoredImage, str]:
    """The image with that meaning, and what was assumed."""
    background = commonest(stored.pixels)
    unit = float(stored.pixels.abs().max()) or 1.0
    said = replace(
        stored,
        pixels=(background - stored.pixels) / unit,  # of the background exactly zero
        meaning="line_integral",
        bone=None,
        value_range=None,
        scale=None,
        subtracted=True,
        notes=(),
    )
    return said, _WORDS


def commonest(pixels: Float[Tensor, "rows columns"]) -> float:
    """The value that most pixels have."""
    values, counts = torch.unique(pixels, return_counts=True)
    return float(values[counts.argmax()])
