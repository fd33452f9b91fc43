"""Open: a trial of Autoscoper, as the files to read and what to say about each when it is read.

What the layout leaves open is decided here, once for the window and the command line: radiographs are
intensities with bone dark, whole numbers from 0 in a volume are Hounsfield units + 1024, and the origin of
the rig is put where the central rays meet, so that a bone without a pose starts in view of all cameras.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import (
    GeometryRecord,
    ReadError,
    RigCamera,
    TrialFile,
    TrialVolume,
    calibration_record,
    read_calibration,
    read_stored_image,
    read_trial,
)
from napari_xreg.records import autoscoper_from_world
from napari_xreg.workflows.opening.trial_poses import OwnPoses, kept_poses, own_poses
from napari_xreg.workflows.opening.trial_rig import TrialRig, rig_from_camera_of
from napari_xreg.workflows.opening.trial_volumes import facts_of_volume

_PARALLEL = 1e-3


@dataclass(frozen=True)
class TrialRequest:
    """Which part of a trial.

    Parameters
    ----------
    path
        Of ``trial.cfg``.
    frame
        By its number (`TrialCamera.frames`); None: the only one.
    volume
        Name of the bone; None: the only one.
    values
        What the numbers of the volume mean, as of `read_volume`; None: HU, or HU + 1024.
    poses
        A ``.tra`` file; None: of the bone in the trial's own folder of poses, where there is one.
    """

    path: Path
    frame: int | None = None
    volume: str | None = None
    values: str | None = None
    poses: Path | None = None


@dataclass(frozen=True, eq=False)
class FileToRead:
    """A file, and the keywords that its reader is to be given.

    Parameters
    ----------
    path
        Of the volume (`read_volume`) or radiograph (`read_radiograph`).
    options
        Keywords.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrialFiles:
    """One bone in one frame of a trial.

    Parameters
    ----------
    volume
        The bone.
    radiographs
        Of every camera, in the order of the trial.
    frame
        Number of the frame.
    numbers
        Of all frames of the trial.
    rig_from_camera
        Of every camera, as calibrated, mm.
    unit_mm
        Of the lengths in the trial.
    posed
        Where the pose that the radiographs start from was found; "" where there is none.
    rig_from_bone
        Of every frame in which the same file has the bone, mm: how its volume lies among the cameras.
    notes
        What was assumed.
    """

    volume: FileToRead
    radiographs: tuple[FileToRead, ...]
    frame: int
    numbers: tuple[int, ...]
    rig_from_camera: tuple[Pose, ...]
    unit_mm: float
    posed: str = ""
    rig_from_bone: Mapping[int, Pose] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class SeveralVolumes(ReadError):
    """A trial holds several bones and none was chosen.

    Parameters
    ----------
    message
        As of any `ReadError`.
    names
        Of the bones.
    """

    def __init__(self, message: str, names: tuple[str, ...]) -> None:
        super().__init__(message)
        self.names = names


class SeveralTrialFrames(ReadError):
    """A trial holds several frames and none was chosen.

    Parameters
    ----------
    message
        As of any `ReadError`.
    numbers
        Of the frames.
    """

    def __init__(self, message: str, numbers: tuple[int, ...]) -> None:
        super().__init__(message)
        self.numbers = numbers


def trial_files(request: TrialRequest) -> TrialFiles:
    """Which files of a trial to read, and how.

    Raises
    ------
    SeveralTrialFrames, SeveralVolumes
        If it was not said which, and there are several.
    ReadError
        If the trial or a file of it is absent or damaged, or its calibrations are in different units.
    UnknownValues
        If nobody can say what the numbers of the volume mean.
    """
    trial = read_trial(request.path)
    frame, numbers = _frame(trial, request.frame)
    volume = _volume(trial, request.volume)
    cameras = [read_calibration(camera.calibration) for camera in trial.cameras]
    if len({camera.in_cm for camera in cameras}) > 1:
        raise ReadError(f"{trial.path.name}: some of its calibrations are in mm and some in cm")
    unit = 10.0 if cameras[0].in_cm else 1.0
    x, y, z = (unit * size for size in volume.voxel_size)
    options: dict[str, Any] = {"spacing": (x, y, z), "flip": volume.flip}
    notes = list(trial.notes)
    seen = facts_of_volume(volume.path, (x, y, z), volume.flip, request.values)
    if seen.values is not None:
        options["values"] = seen.values
        if request.values is None:
            notes.append(
                f"{volume.path.name}: whole numbers from 0 were taken for Hounsfield units + 1024"
            )
    records = [
        calibration_record(camera, each.calibration.name)
        for camera, each in zip(cameras, trial.cameras, strict=True)
    ]
    bone: dict[int, Pose] = {}
    posed = ""
    there = () if request.poses is not None else kept_poses(trial)
    poses = own_poses(there, [each.name for each in trial.volumes], volume.name)
    if request.poses is not None:
        poses = OwnPoses(request.poses)
    if poses is None and there:
        notes.append(
            f"none of {', '.join(file.name for file in there)} in {trial.tracking.name} is called after "
            f"{volume.name} alone: its poses were not used"
        )
    if poses is not None:
        rig = TrialRig(trial, volume, records, unit)
        try:
            bone = rig.bone_in(poses, frame, numbers, autoscoper_from_world(seen.shape, (x, y, z)))
            posed = f"{poses.path.name}, line {numbers.index(frame) + 1}" if frame in bone else ""
        except ReadError as error:
            if request.poses is not None:
                raise
            notes.append(f"its poses were not used: {error}")
        if posed and there and poses.path.stem.lower() != volume.name.lower():
            whose = "holds all bones side by side" if poses.together else "is not called exactly so"
            notes.append(f"the pose of {volume.name} is that of {poses.path.name}, which {whose}")
    placed = [_placed(r, bone[frame], posed) for r in records] if posed else _centred(records)
    notes.append("its radiographs were taken for intensities with bone dark")
    radiographs = []
    for each, record, camera in zip(trial.cameras, placed, cameras, strict=True):
        path = each.frames()[frame]
        _check_size(path, each.calibration, camera)
        said = {"geometry": record, "read_as": "intensity", "bone": "dark"}
        radiographs.append(FileToRead(path, said))
    return TrialFiles(
        FileToRead(volume.path, options),
        tuple(radiographs),
        frame,
        numbers,
        tuple(map(rig_from_camera_of, records)),
        unit,
        posed,
        bone,
        tuple(notes),
    )


def trial_frames(trial: TrialFile) -> tuple[int, ...]:
    """Numbers of the frames that every camera has."""
    each = [camera.frames() for camera in trial.cameras]
    return tuple(number for number in each[0] if all(number in frames for frames in each))


def _frame(trial: TrialFile, wanted: int | None) -> tuple[int, tuple[int, ...]]:
    numbers = trial_frames(trial)
    if not numbers:
        raise ReadError(
            f"{trial.path.name}: its cameras share no frame: the numbers at the end of their "
            "radiographs' names differ"
        )
    shown = f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    if wanted is None and len(numbers) > 1:
        raise SeveralTrialFrames(
            f"{trial.path.name}: holds {len(numbers)} frames, {shown}: choose one", numbers
        )
    if wanted is not None and wanted not in numbers:
        raise ReadError(f"{trial.path.name}: has no frame {wanted}: its frames are {shown}")
    return (numbers[0] if wanted is None else wanted), numbers


def _volume(trial: TrialFile, wanted: str | None) -> TrialVolume:
    names = tuple(volume.name for volume in trial.volumes)
    if wanted is None:
        if len(names) > 1:
            raise SeveralVolumes(
                f"{trial.path.name}: holds {len(names)} volumes: choose one of {', '.join(names)}",
                names,
            )
        return trial.volumes[0]
    found = [v for v in trial.volumes if v.name == wanted]
    # The beginning of a name is enough where only one begins so.
    found = found or [v for v in trial.volumes if v.name.lower().startswith(wanted.lower())]
    if len(found) != 1:
        raise ReadError(f"{trial.path.name}: its volumes are {', '.join(names)}: got {wanted!r}")
    return found[0]


def _check_size(radiograph: Path, calibration: Path, camera: RigCamera) -> None:
    rows, columns = read_stored_image(radiograph).pixels.shape
    if (rows, columns) not in (camera.pixels, camera.pixels[::-1]):
        raise ReadError(
            f"{radiograph.name}: has {rows} x {columns} pixels, its calibration {calibration.name} is "
            f"of {camera.pixels[0]} x {camera.pixels[1]}: take the undistorted images in full size"
        )


def _centred(records: Sequence[GeometryRecord]) -> list[GeometryRecord]:
    """The same rig with its origin where the central rays are nearest to each other."""
    poses = [rig_from_camera_of(record) for record in records]
    middle = nearest_to_rays(poses)
    moved = []
    for record, pose in zip(records, poses, strict=True):
        rows = _rows(Pose(pose.rotation, pose.translation - middle))
        origin = f"{record.provenance['rig_from_camera']}, its origin moved to where the rays meet"
        provenance = {**record.provenance, "rig_from_camera": origin}
        moved.append(replace(record, rig_from_camera=rows, provenance=provenance))
    return moved


def nearest_to_rays(poses: Sequence[Pose]) -> Float[Tensor, "3"]:
    """The point nearest to the central rays of several cameras; the origin where they are parallel."""
    eye = torch.eye(3, dtype=torch.float64)
    across = [eye - torch.outer(pose.rotation[:, 2], pose.rotation[:, 2]) for pose in poses]
    total = torch.stack(across).sum(0)
    if float(torch.linalg.eigvalsh(total)[0]) < _PARALLEL:
        return torch.zeros(3, dtype=torch.float64)
    pulled = sum(a @ pose.translation for a, pose in zip(across, poses, strict=True))
    found: Tensor = torch.linalg.solve(total, torch.as_tensor(pulled))
    return found


def _placed(record: GeometryRecord, rig_from_world: Pose, origin: str) -> GeometryRecord:
    """A camera where it stands about a bone: the middle of its volume is what a C-arm would turn about."""
    world_from_camera = rig_from_world.inverse() @ rig_from_camera_of(record)
    depth = float(world_from_camera.inverse().translation[2])
    kept = {k: v for k, v in record.provenance.items() if k != "rig_from_camera"}
    return replace(
        record,
        rig_from_camera=None,
        world_from_camera=_rows(world_from_camera),
        isocenter=(0.0, 0.0, 0.0),
        source_to_isocenter=depth,
        provenance={
            **kept,
            "world_from_camera": origin,
            "isocenter": "the middle of the volume",
            "source_to_isocenter": f"{origin}: depth of the middle of the volume",
        },
    )


def _rows(pose: Pose) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, pose.matrix().tolist()))
