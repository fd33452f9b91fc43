"""The truth of a simulated radiograph: where it was taken, and points to measure errors at."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from torch import Tensor

from napari_xreg.files import TRUTH, Record, Whole, read_json
from napari_xreg.geometry import Pose
from napari_xreg.records.entries import Matrix, Points


def _some(points: Tensor) -> Tensor:
    if len(points) == 0:
        raise ValueError("holds no fiducials to measure errors on")
    return points


class MovedBoneEntry(Record):
    """A bone that had moved since the CT: its label there, the camera about it, and voxels of it that the picture shows (none of
    a bone beyond it).
    """

    label: Whole
    world_from_camera: Matrix
    fiducials_mm: Points


class TruthFile(Record):
    """True pose, and fiducials x, y, z in world mm; bones that had moved, by name (older files do not say them)."""

    SCHEMA = TRUTH
    world_from_camera: Matrix
    fiducials_mm: Annotated[Points, AfterValidator(_some)]
    bones: dict[str, MovedBoneEntry] = Field(default_factory=dict)

    def true_of(self, labels: Collection[int]) -> tuple[Pose, Tensor | None] | None:
        """The true pose of some structures (none: of the patient), and fiducials of them, None where the file has none of their own.

        None where one of several has moved by itself: no one pose is that of all.
        """
        moved = [bone for bone in self.bones.values() if bone.label in labels]
        if moved and len(set(labels)) > 1:
            return None
        if moved:
            return moved[0].world_from_camera, moved[0].fiducials_mm
        return self.world_from_camera, None


def read_truth(path: Path | str) -> TruthFile:
    """What `napari-xreg simulate` wrote beside a radiograph.

    Raises
    ------
    ReadError
        If it is another kind of file or an entry is missing or damaged.
    """
    return TruthFile.read(read_json(path), Path(path).name)
