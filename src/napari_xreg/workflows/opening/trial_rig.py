"""A bone of a trial among its cameras, where a file of poses has it in every frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import GeometryRecord, ReadError, TrialFile, TrialVolume
from napari_xreg.records import read_tra
from napari_xreg.workflows.opening.trial_poses import OwnPoses


@dataclass(frozen=True)
class TrialRig:
    """A bone of a trial among its cameras.

    Parameters
    ----------
    trial, volume
        The bone.
    records
        Of the cameras, as calibrated.
    unit_mm
        Of the lengths in the trial.
    """

    trial: TrialFile
    volume: TrialVolume
    records: Sequence[GeometryRecord]
    unit_mm: float

    def bone_in(
        self, poses: OwnPoses, frame: int, numbers: Sequence[int], autoscoper_from_bone: Pose
    ) -> dict[int, Pose]:
        """``rig_from_world`` of the bone by the number of the frame, mm, where it was tracked and all cameras see it.

        Parameters
        ----------
        poses
            Where they are.
        frame
            That is opened: there all cameras have to see the bone.
        numbers
            Of the trial's frames.
        autoscoper_from_bone
            From the axes of the volume as it is read to those of the file (`autoscoper_from_world`).

        Raises
        ------
        ReadError
            If the file is damaged or belongs to another trial.
        """
        lines = self._lines(poses, len(numbers))
        if all(line is None for line in lines):
            return {}
        found = {
            number: Pose(line.rotation, self.unit_mm * line.translation) @ autoscoper_from_bone
            for number, line in zip(numbers, lines, strict=True)
            if line is not None
        }
        seen = {number: pose for number, pose in found.items() if self._in_view(pose)}
        if frame in found and frame not in seen:
            raise ReadError(
                f"{poses.path.name}: line {numbers.index(frame) + 1} puts the volume where not all cameras see it: it "
                "belongs to another trial, or its lengths are not in the unit of the calibration"
            )
        return seen

    def _lines(self, poses: OwnPoses, count: int) -> list[Pose | None]:
        """What the file has of the bone, frame by frame."""
        several, path = len(self.trial.volumes), poses.path
        beside = several if poses.together else 1
        try:
            frames = read_tra(path, beside)
        except ReadError:
            if beside == several:
                raise
            frames, beside = read_tra(path, several), several
        column = self.trial.volumes.index(self.volume) if beside > 1 else 0
        if len(frames) != count:
            raise ReadError(
                f"{path.name}: holds poses of {len(frames)} frames, the trial has {count}: it belongs to "
                "another"
            )
        return [line[column] for line in frames]

    def _in_view(self, rig_from_world: Pose) -> bool:
        return all(_sees(record, rig_from_world) for record in self.records)


def rig_from_camera_of(record: GeometryRecord) -> Pose:
    """Where a calibration has its camera."""
    return Pose.from_matrix(torch.tensor(record.rig_from_camera, dtype=torch.float64))


def _sees(record: GeometryRecord, rig_from_world: Pose) -> bool:
    """Whether a camera sees the middle of the volume: not farther beside its image than that is wide."""
    x, y, z = (rig_from_camera_of(record).inverse() @ rig_from_world).translation.tolist()
    if z <= 0 or record.focal_length is None or record.principal_point is None:
        return False
    row = record.principal_point[0] + record.focal_length[0] * y / z
    column = record.principal_point[1] + record.focal_length[1] * x / z
    size = 2 * max(*record.principal_point, 1.0)
    return -size / 2 < row < 1.5 * size and -size / 2 < column < 1.5 * size and math.isfinite(z)
