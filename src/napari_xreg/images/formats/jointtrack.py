"""Calibrations of JointTrack for one camera (``JT_INTCALIB``): how far the source is, where its ray meets the image.

The offsets are those of the central ray from the middle of the image, mm, to the right and up: where JointTrack
Machine Learning's viewer puts it.
"""

import math

from napari_xreg.files import ReadError, number
from napari_xreg.images.known_geometry.record import GeometryRecord

_HEADS, _TWO = ("JT_INTCALIB", "JTA_INTCALIB"), "JTA_INTCALIB_BIPLANE"


def is_jointtrack(text: str) -> bool:
    """Whether a text is one of its calibrations."""
    return text.split(maxsplit=1)[:1] in ([head] for head in (*_HEADS, _TWO))


def jointtrack_record(text: str, source: str, shape: tuple[int, int] | None) -> GeometryRecord:
    """What it says; where the central ray meets an image that is not known (`shape`), nobody can say.

    Raises
    ------
    ReadError
        If it is of two cameras, or a number is missing or impossible.
    """
    head, *words = text.replace(",", " ").split()
    if head == _TWO:
        raise ReadError(
            f"{source}: is a calibration of JointTrack for two cameras: write what it says of each as a geometry in JSON"
        )
    try:
        distance, right, up, pixel = map(number, words)
    except ValueError:
        distance = pixel = 0.0
    if not (distance > 0 and pixel > 0 and all(map(math.isfinite, (distance, right, up, pixel)))):
        raise ReadError(
            f"{source}: is no calibration of JointTrack: after {head} should stand four numbers, principal distance, "
            f"offset in x and in y, pixel size, all in mm: got {' '.join(words)[:60]!r}"
        )
    values: dict[str, float | tuple[float, float]] = {
        "source_to_detector": distance, "pixel_spacing": (pixel, pixel),
    }  # fmt: skip
    if shape is not None:
        rows, columns = shape
        values["principal_point"] = ((rows - 1) / 2 - up / pixel, (columns - 1) / 2 + right / pixel)
    return GeometryRecord(**values, provenance=dict.fromkeys(values, source))  # type: ignore[arg-type]
