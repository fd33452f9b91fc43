"""What the pixels of a radiograph mean, as a user reads it."""

from napari_xreg.images import Radiograph

_MEANINGS = {
    "intensity": "detector intensity (bone dark)",
    "line_integral": "line integrals (bone bright)",
}


def pixel_values(radiograph: Radiograph) -> str:
    """Of the file it was read from."""
    return f"pixel values: {_MEANINGS[radiograph.read_as]}"
