"""The truth of a simulated radiograph: where it was taken, and points to measure errors at."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from torch import Tensor

from napari_xreg.files import TRUTH, Record, read_json
from napari_xreg.records.entries import Matrix, Points


def _some(points: Tensor) -> Tensor:
    if len(points) == 0:
        raise ValueError("holds no fiducials to measure errors on")
    return points


class TruthFile(Record):
    """True pose, and fiducials x, y, z in world mm."""

    SCHEMA = TRUTH
    world_from_camera: Matrix
    fiducials_mm: Annotated[Points, AfterValidator(_some)]


def read_truth(path: Path | str) -> TruthFile:
    """What `napari-xreg simulate` wrote beside a radiograph.

    Raises
    ------
    ReadError
        If it is another kind of file or an entry is missing or damaged.
    """
    return TruthFile.read(read_json(path), Path(path).name)
