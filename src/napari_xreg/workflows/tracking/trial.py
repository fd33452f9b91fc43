"""A trial of Autoscoper as a sequence, and a track as a file that it reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xreg.geometry import Pose
from napari_xreg.images import Cine, Radiograph, read_radiograph, read_trial
from napari_xreg.records import autoscoper_from_world, write_tra
from napari_xreg.session import Track
from napari_xreg.workflows.opening.trials import TrialFiles, trial_frames


def trial_cines(path: Path, options: Sequence[Mapping[str, Any]]) -> tuple[Cine, ...]:
    """The frames of every camera of a trial that all cameras have.

    Parameters
    ----------
    path
        Of ``trial.cfg``.
    options
        Keywords of `read_radiograph` for each camera: those of `trial_files`, and what is said beside.

    Raises
    ------
    ReadError
        If the trial is damaged, or its cameras share no frame.
    """
    trial = read_trial(path)
    numbers = trial_frames(trial)

    def cine(number: int) -> Cine:
        files = trial.cameras[number].frames()

        def read(frame: int) -> Radiograph:
            return read_radiograph(files[frame], **options[number])

        return Cine(numbers, read, source=trial.cameras[number].folder.name)

    return tuple(cine(number) for number in range(len(trial.cameras)))


def write_autoscoper(
    path: Path | str,
    track: Track,
    files: TrialFiles,
    shape: tuple[int, int, int],
    *,
    camera: int = 0,
) -> None:
    """Write the poses of a bone as Autoscoper keeps them, for its folder ``Tracking``.

    A line for each frame of the trial: those that were not tracked, or whose pose is not trusted, are NaN; there
    Autoscoper shows no key frame.

    Parameters
    ----------
    path
        Of the ``.tra`` file.
    track
        Of some or all frames of the trial.
    files
        The trial.
    shape
        Voxels (z, y, x) of the bone's volume as it was read.
    camera
        Place in the trial of the camera that the track's poses are of.

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    spacing = files.volume.options["spacing"]
    world_from_autoscoper = autoscoper_from_world(shape, spacing).inverse()
    found = {frame.number: frame.world_from_camera for frame in track.frames if frame.state.sure}
    lines: list[list[Pose | None]] = []
    for number in files.numbers:
        pose = found.get(number)
        if pose is None:
            lines.append([None])
            continue
        bone = files.rig_from_camera[camera] @ pose.inverse() @ world_from_autoscoper
        lines.append([Pose(bone.rotation, bone.translation / files.unit_mm)])
    write_tra(path, lines)
