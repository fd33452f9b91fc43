"""What an encoder sees of a radiograph: shared with the other networks, in `training.framing`."""

from napari_xreg.training.framing import (
    LOCAL_PIXELS,
    Align,
    Framing,
    cells_from_pixels,
    contrast_channels,
    covariance_between,
    pixels_between,
    sample_cells,
)

__all__ = [
    "LOCAL_PIXELS",
    "Align",
    "Framing",
    "cells_from_pixels",
    "contrast_channels",
    "covariance_between",
    "pixels_between",
    "sample_cells",
]
