"""From a camera and stored pixels to the view of a case: what every layout does in the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import GeometryRecord, Landmark, Radiograph, geometry_of

# A C-arm's isocenter is some 0.7 to 0.8 of the way from source to detector.
_DETECTOR_BEHIND = 1.3


def assumed_isocenter(source_to_detector: float) -> float:
    """Source to isocenter, mm, of a layout that does not say it; no pose depends on it."""
    return source_to_detector / _DETECTOR_BEHIND


def record_of(carm: CArm, origin: str) -> GeometryRecord:
    """The geometry of an image as a file said it, but for the isocenter, which no layout says.

    Raises
    ------
    ReadError
        If a value is of no room.
    """
    try:
        record = geometry_of(carm, None, origin)
    except ValueError as error:
        raise ReadError(f"{origin}: {error}") from error
    words = "assumed: the data set does not say what the C-arm turned about; no pose depends on it"
    return replace(record, provenance={**record.provenance, "source_to_isocenter": words})


def turned(
    radiograph: Radiograph, truths: Mapping[str, Pose], landmarks: Sequence[Landmark]
) -> tuple[Radiograph, dict[str, Pose], tuple[Landmark, ...]]:
    """Radiograph, poses and picked pixels upside down: the camera turns with its image."""
    rows, columns = radiograph.carm.detector.shape
    half = Pose(
        torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)),
        torch.zeros(3, dtype=torch.float64),
    )
    marks = [
        replace(mark, pixel=(rows - 1 - mark.pixel[0], columns - 1 - mark.pixel[1]))
        for mark in landmarks
        if mark.pixel is not None
    ]
    return (
        radiograph.rotate180(),
        {name: pose @ half for name, pose in truths.items()},
        tuple(marks),
    )


def cropped(
    radiograph: Radiograph, edge: tuple[int, int], landmarks: Sequence[Landmark]
) -> tuple[Radiograph, tuple[Landmark, ...]]:
    """Radiograph and picked pixels without so many rows and columns at each edge."""
    rows, columns = radiograph.carm.detector.shape
    row, column = edge
    marks = [
        replace(mark, pixel=(mark.pixel[0] - row, mark.pixel[1] - column))
        for mark in landmarks
        if mark.pixel is not None
    ]
    return radiograph.crop(row, column, rows - 2 * row, columns - 2 * column), tuple(marks)
