"""Cases of an Autoscoper trial: every bone, in single cameras or several that move together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_xreg.images import TrialFile, read_radiograph, read_trial
from napari_xreg.records import TrialCases
from napari_xreg.session import file_source
from napari_xreg.study.case import Prepared, StudyCase, content, fiducials_of, middle_of
from napari_xreg.workflows import (
    TrialRequest,
    header_pose,
    kept_poses,
    open_patient,
    trial_files,
    trial_frames,
)


@dataclass(frozen=True)
class BoneOfTrial:
    """A bone of a trial, in some of its cameras (none: all)."""

    path: Path
    volume: str
    cameras: tuple[int, ...]
    frame: int | None
    poses: Path | None
    values: str | None

    def described(self) -> dict[str, Any]:
        """See `Described`."""
        return {
            "kind": "trial",
            "volume": self.volume,
            "cameras": list(self.cameras),
            "frame": self.frame,
            "values": self.values,
            "files": _contents(self.path, self.volume, self.frame),
            "poses": "" if self.poses is None else content(self.poses),
        }

    def prepare(self) -> Prepared:
        """See `Described`."""
        files = trial_files(
            TrialRequest(self.path, self.frame, self.volume, self.values, self.poses)
        )
        options = dict(files.volume.options)
        patient = open_patient(files.volume.path, **options)
        numbers = self.cameras or tuple(range(1, len(files.radiographs) + 1))
        if max(numbers) > len(files.radiographs):
            raise ValueError(
                f"the trial has {len(files.radiographs)} cameras: got number {max(numbers)}"
            )
        chosen = [files.radiographs[number - 1] for number in numbers]
        radiographs = tuple(read_radiograph(each.path, **each.options) for each in chosen)
        sources = {
            str(number): file_source(each.path, **each.options)
            for number, each in enumerate(chosen)
        }
        sources["ct"] = file_source(files.volume.path, **options)
        middle = middle_of(patient)
        truth = points = None
        if files.posed:
            truth = header_pose(radiographs[0], middle).pose.to(dtype=torch.float64)
            points = fiducials_of(patient, radiographs[0], truth, 0)
        notes = files.notes + ((f"the truth is the pose of {files.posed}",) if files.posed else ())
        return Prepared(patient, radiographs, middle, truth, points, None, sources, notes)


def expand(entry: TrialCases, folder: Path) -> Iterator[StudyCase]:
    """The cases of an entry of a manifest in a folder.

    Raises
    ------
    ReadError
        If the trial cannot be read.
    """
    path = folder / entry.path
    trial = read_trial(path)
    count, posed = len(trial.cameras), entry.poses is not None or has_poses(trial)
    poses = None if entry.poses is None else folder / entry.poses
    rigs = entry.cameras or (tuple(range(1, count + 1)),)
    for volume in entry.volumes:
        for rig in rigs:
            bone = BoneOfTrial(path, volume, rig, entry.frame, poses, entry.ct_values)
            words = "camera " + "+".join(map(str, rig))
            when = "" if entry.frame is None else f" frame {entry.frame}"
            name = f"{path.stem} {volume}{when} {words}"
            # Bones are as different as severities are: a table of all of them says little of each.
            bone_words = f"{volume}, {words}" if len(entry.volumes) > 1 else words
            subject, group = entry.subject or path.stem, entry.group or bone_words
            yield StudyCase(name, subject, bone, group, truth_known=posed)


def has_poses(trial: TrialFile) -> bool:
    """Whether Autoscoper kept poses in it."""
    return bool(kept_poses(trial))


def _contents(path: Path, volume: str, frame: int | None) -> list[object]:
    """What is read of a trial, which may hold thousands of frames, and the study itself."""
    trial = read_trial(path)
    bones = [each for each in trial.volumes if each.name.lower().startswith(volume.lower())]
    numbers = trial_frames(trial)
    read = [path, *(camera.calibration for camera in trial.cameras), *(bone.path for bone in bones)]
    for camera in trial.cameras:
        read += [file for number, file in camera.frames().items() if frame in (None, number)]
    # Poses that Autoscoper kept, a line for each of all frames: the names say whose they are.
    kept = [[file.name, content(file)] for file in kept_poses(trial)]
    return [list(numbers), *map(content, read), kept]
