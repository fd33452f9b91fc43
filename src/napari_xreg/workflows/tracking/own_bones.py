"""Bones of a trial of Autoscoper in a session: each has a CT of its own, and may have poses of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import ReadError, UnknownValues, Volume, read_trial
from napari_xreg.session import Rendering, SequenceTrack, Source, file_source, read_ct
from napari_xreg.workflows.opening.trials import TrialFiles, TrialRequest, trial_files
from napari_xreg.workflows.refining import rig_poses


@dataclass(frozen=True, eq=False)
class TrialOfSession:
    """The trial that the CT of a session is a bone of.

    Parameters
    ----------
    names
        Of all its bones, in its order.
    present
        The bone that is the CT.
    """

    names: tuple[str, ...]
    present: str


@dataclass(frozen=True, eq=False)
class OwnBone:
    """A bone of a trial.

    Parameters
    ----------
    rendering
        Its CT.
    source
        Where that can be read again.
    files
        What the trial says of it.
    cameras
        Place in the trial of the camera of each radiograph of the session, by `Exposure.id`; of others, none.
    """

    rendering: Rendering
    source: Source
    files: TrialFiles
    cameras: Mapping[str, int]

    @property
    def volume(self) -> Volume:
        """As read."""
        return self.rendering.whole

    def said(self, number: int, radiograph: str) -> Pose | None:
        """``world_from_camera`` of a radiograph where the trial's own file of poses has the bone in a frame; None: it has not."""
        bone, camera = self.files.rig_from_bone.get(number), self.cameras.get(radiograph)
        if bone is None or camera is None:
            return None
        return bone.inverse() @ self.files.rig_from_camera[camera]

    def starts(self) -> dict[str, Pose]:
        """Where the radiographs stand as the trial is opened with this bone, in the frame of `files`."""
        records = [each.options["geometry"] for each in self.files.radiographs]
        rows = [record.world_from_camera or record.rig_from_camera for record in records]
        return {
            id: Pose.from_matrix(torch.tensor(rows[camera], dtype=torch.float64))
            for id, camera in self.cameras.items()
        }


def trial_of(source: Source | None) -> TrialOfSession | None:
    """The trial of a CT; None: it is of none. Reads one small file.

    Raises
    ------
    ReadError
        If the trial is gone or damaged, or no longer names this CT.
    """
    if source is None or not source.trial:
        return None
    trial = read_trial(Path(source.trial))
    present = [each.name for each in trial.volumes if same_file(each.path, source.path)]
    if not present:
        raise ReadError(f"{trial.path.name}: {Path(source.path).name} is none of its volumes")
    return TrialOfSession(tuple(each.name for each in trial.volumes), present[0])


@dataclass(frozen=True, eq=False)
class OwnBonesRequest:
    """Which bones of a trial, for the radiographs of a session.

    Parameters
    ----------
    present
        The bone that is the CT of the session.
    what, source
        That CT.
    radiographs
        Of the session in the frame that is shown, by `Exposure.id`.
    frame
        Number of that frame.
    known
        Bones that were read before, by their names.
    """

    present: str
    what: Rendering
    source: Source
    radiographs: Mapping[str, Source]
    frame: int
    known: Mapping[str, OwnBone] = field(default_factory=dict)


def own_bone(name: str, asked: OwnBonesRequest) -> OwnBone:
    """A bone of a trial; its CT is read where it is not known yet.

    Raises
    ------
    ReadError
        If a file is absent or damaged, or no radiograph is of the trial.
    UnknownValues
        If nobody can say what the numbers of its volume mean.
    """
    here, known = name == asked.present, asked.known.get(name)
    trial, opened = Path(asked.source.trial), asked.source.options.get("values")
    before = opened if here else known.source.options.get("values") if known else None
    try:
        files = trial_files(TrialRequest(trial, asked.frame, name, before))
    except UnknownValues:  # what the user has said of the one that was opened
        if opened is None:
            raise
        files = trial_files(TrialRequest(trial, asked.frame, name, opened))
    cameras = {
        id: place
        for id, source in asked.radiographs.items()
        for place, each in enumerate(files.radiographs)
        if same_file(each.path, source.path)
    }
    if not cameras:
        raise ReadError(
            f"{trial.name}: the radiographs are none of its frame {asked.frame}: open them by the trial"
        )
    if here:
        what = asked.what
        parts = (what.whole, what.labels, what.structures)
        if known is not None and known.rendering.is_of(*parts):
            what = known.rendering
        return OwnBone(what, asked.source, files, cameras)
    path = files.volume.path
    if known is not None and same_file(known.source.path, path):
        return replace(known, files=files, cameras=cameras)
    source = replace(file_source(path, **files.volume.options), trial=asked.source.trial)
    return OwnBone(Rendering(read_ct(source), None), source, files, cameras)


def with_said(
    track: SequenceTrack, own: Mapping[str, OwnBone], rig: Mapping[str, Pose]
) -> tuple[SequenceTrack, int]:
    """A track with the poses that a trial's own files have, as if its user had kept each; and how many are new.

    Those that were kept before stay.

    Parameters
    ----------
    own
        The bones, by their names in the track.
    rig
        How the cameras stand to each other, by `Exposure.id`.
    """
    lead, count = track.radiographs[0], 0
    ids = (lead, *(id for id in rig if id != lead))
    kept = {name: track.keys(name) for name in track.bones}
    for name, frames in kept.items():
        for number in track.numbers:
            said = own[name].said(number, lead) if name in own else None
            if said is not None and number not in frames:
                frames[number] = rig_poses(ids, [rig[id] for id in ids], said)
                count += 1
    return replace(track, kept={**track.kept, **kept}), count


def same_file(one: Path | str, other: Path | str) -> bool:
    """Whether both name one file that is there."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
