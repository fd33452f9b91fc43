"""All that a session holds at one moment, as a value: what a session file says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Volume
from napari_xreg.session.exposure import Exposure, Picked, new_id
from napari_xreg.session.named_poses import NamedPose, PoseRecord, same_pose
from napari_xreg.session.result import Result
from napari_xreg.session.sequence_track import SequenceTrack
from napari_xreg.session.source import Source


@dataclass(frozen=True, eq=False)
class Missing:
    """Something a session file names that could not be read; nothing said about it is lost.

    Parameters
    ----------
    role
        What it is.
    name
        "CT", "labels", or the radiograph's name.
    source
        Where it was looked for.
    why
        One sentence for the user: which file, what is wrong, what to do.
    entry
        What the session file says about it; written back when the session is saved.
    id
        `Exposure.id` of the radiograph, once it is found.
    """

    role: Literal["ct", "labels", "radiograph"]
    name: str
    source: Source | None
    why: str
    entry: Mapping[str, Any] = field(repr=False)
    id: str = field(default_factory=new_id)


PickedOn: TypeAlias = tuple[str, int | None]
"""`Exposure.id` and number of the frame; None: of a radiograph that is of no sequence."""


@dataclass(frozen=True, eq=False)
class OfBone:
    """What was said of a bone of a trial while it was the CT.

    Parameters
    ----------
    landmarks, isocenter
        As of `SessionState`.
    picked
        What was picked on radiographs for this bone.
    """

    landmarks: tuple[Landmark, ...] = ()
    isocenter: Float[Tensor, "3"] | None = None
    picked: Mapping[PickedOn, Picked] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SessionState:
    """The CT, the radiographs, the poses, the landmarks, the results.

    Parameters
    ----------
    volume, volume_source, labels, labels_source, structures
        The CT as read, its label map, the label ids that are rendered and registered.
    isocenter
        As set, world mm; None: the middle of the chosen structures, else of the CT.
    exposures
        The radiographs, in the order they came.
    active
        `Exposure.id` of the one that is shown and dragged.
    rig_locked
        Whether moving one radiograph's pose moves the others with it (a calibrated rig).
    landmarks
        Of the patient.
    records, at
        For the session's file: the poses that can be gone back to, and which of them holds.
    named
        Poses the user gave a name.
    results
        Registrations, oldest first.
    missing, problems
        What the session's file names and could not be read; what was amiss, in sentences.
    track
        The sequence that radiographs are a frame of, as it was tracked.
    of_bones
        Of the trial that the CT is a bone of: what belongs to its other bones, by their names.
    """

    volume: Volume | None = None
    volume_source: Source | None = None
    labels: LabelMap | None = None
    labels_source: Source | None = None
    structures: tuple[int, ...] = ()
    isocenter: Float[Tensor, "3"] | None = None
    exposures: tuple[Exposure, ...] = ()
    active: str | None = None
    rig_locked: bool = True
    landmarks: tuple[Landmark, ...] = ()
    records: tuple[PoseRecord, ...] = ()
    at: int = -1
    named: tuple[NamedPose, ...] = ()
    results: tuple[Result, ...] = ()
    missing: tuple[Missing, ...] = ()
    problems: tuple[str, ...] = ()
    track: SequenceTrack | None = None
    of_bones: Mapping[str, OfBone] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names, ids = {e.name for e in self.exposures}, {e.id for e in self.exposures}
        if len(names) < len(self.exposures):
            taken = ", ".join(entry.name for entry in self.exposures)
            raise ValueError(f"the names of radiographs must be unique: got {taken}")
        if len(ids) < len(self.exposures):
            raise ValueError("two radiographs of a session have the same id")
        if self.active is not None and self.active not in ids:
            raise ValueError(f"there is no radiograph {self.active!r} to show")
        if not -1 <= self.at < max(len(self.records), 1) or (self.records and self.at < 0):
            raise ValueError(
                f"the history holds {len(self.records)} records, there is no record {self.at}"
            )

    def exposure(self, id: str) -> Exposure:
        """The radiograph of that `Exposure.id`; KeyError if there is none."""
        found = self.find(id)
        if found is None:
            raise KeyError(f"the session has no radiograph of the id {id!r}")
        return found

    def find(self, id: str | None) -> Exposure | None:
        """The radiograph of that `Exposure.id`; None: it is gone."""
        for entry in self.exposures:  # several times for every pose of a drag
            if entry.id == id:
                return entry
        return None

    @property
    def poses(self) -> dict[str, Pose]:
        """World from camera, by `Exposure.id`."""
        return {entry.id: entry.world_from_camera for entry in self.exposures}

    @property
    def names(self) -> dict[str, str]:
        """What each radiograph is called, by `Exposure.id`; also of those that are missing."""
        there = {entry.id: entry.name for entry in self.exposures}
        return there | {gone.id: gone.name for gone in self.missing if gone.role == "radiograph"}

    @property
    def pivot(self) -> Float[Tensor, "3"]:
        """The isocenter as set, else the `middle`; world mm."""
        return self.middle if self.isocenter is None else self.isocenter

    @property
    def middle(self) -> Float[Tensor, "3"]:
        """Of the chosen structures, else of the CT; world mm."""
        if self.volume is None:
            return torch.zeros(3, dtype=torch.float64)
        if self.structures and self.labels is not None:
            return self.labels.middle(self.structures)
        return self.volume.center.detach().cpu().double()

    def with_exposures(self, changed: Iterable[Exposure]) -> "SessionState":
        """Some radiographs are these now, by their id."""
        new = {entry.id: entry for entry in changed}
        return replace(self, exposures=tuple(new.get(entry.id, entry) for entry in self.exposures))

    def placed(self, poses: Mapping[str, Pose]) -> "SessionState":
        """Radiographs at other poses, by `Exposure.id`; those that are gone are passed over."""
        there = (
            replace(entry, world_from_camera=poses[entry.id]) if entry.id in poses else entry
            for entry in self.exposures
        )
        return replace(self, exposures=tuple(there))


def alike(a: SessionState, b: SessionState) -> bool:
    """Whether nothing that an undo would bring back differs.

    Which radiograph is shown and whether the rig is locked are settings of now: no undo changes
    them.
    """
    return a is b or (
        all(_one(getattr(a, key), getattr(b, key)) for key in _VALUES)
        and len(a.exposures) == len(b.exposures)
        and all(map(_alike_exposures, a.exposures, b.exposures))
    )


_POSES = ("world_from_camera", "start", "truth")
_VALUES = (
    *("volume", "volume_source", "labels", "labels_source", "structures", "isocenter"),
    *("landmarks", "named", "results", "missing", "track", "of_bones"),
)
_OF_EXPOSURE = tuple(f.name for f in fields(Exposure) if f.name not in _POSES)


def _alike_exposures(a: Exposure, b: Exposure) -> bool:
    if a is b:
        return True
    poses = ((getattr(a, key), getattr(b, key)) for key in _POSES)
    return all(_one(getattr(a, key), getattr(b, key)) for key in _OF_EXPOSURE) and all(
        one is other or (one is not None and other is not None and same_pose(one, other))
        for one, other in poses
    )


def _one(a: Any, b: Any) -> bool:
    """The same object, or plain values that are equal; what holds tensors is compared by identity."""
    if a is b:
        return True
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return False
    return type(a) is type(b) and bool(a == b)
