"""What the user is doing: the CT, the radiographs, the poses, the landmarks, the results.

One `Session` per viewer holds the truth; layers and widgets show it and ask it to change. It knows
no napari and no Qt: a script uses it in the same way. Every change is announced by a signal after
it was made, in the thread that made it; only the main thread should change a session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from psygnal import Signal
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume
from napari_xreg.registration import Registration, View
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseHistory, PoseRecord
from napari_xreg.session.source import Source


@dataclass(frozen=True, eq=False)
class Result:
    """A registration that was run in this session.

    Parameters
    ----------
    name
        Unique in the session.
    radiographs
        Names of the radiographs it used, in the order of its views.
    registration
        The answer with its whole trajectory.
    settings
        What it was run with, as plain JSON values.
    """

    name: str
    radiographs: tuple[str, ...]
    registration: Registration
    settings: Mapping[str, Any]


class Session:
    """The state of one piece of work; see the module."""

    volume_changed = Signal()
    """The CT, its label map, the structures chosen, or the isocenter."""
    radiographs_changed = Signal()
    """A radiograph was added, removed, replaced, renamed or (un)used."""
    active_changed = Signal()
    """Another radiograph is the one shown and dragged."""
    pose_changed = Signal()
    """Some pose, of whatever radiograph; many times a second while one is dragged."""
    history_changed = Signal()
    """Undo, redo, a new record, or the named poses."""
    landmarks_changed = Signal()
    """Landmarks of the patient or on a radiograph."""
    mask_changed = Signal()
    """What was painted on the active radiograph."""
    results_changed = Signal()

    def __init__(self) -> None:
        self._volume: Volume | None = None
        self._volume_source: Source | None = None
        self._labels: LabelMap | None = None
        self._labels_source: Source | None = None
        self._structures: tuple[int, ...] = ()
        self._shown: Volume | None = None
        self._isocenter: Tensor | None = None
        self._exposures: dict[str, Exposure] = {}
        self._active: str | None = None
        self._landmarks: dict[str, Landmark] = {}
        self._results: dict[str, Result] = {}
        self._named: dict[str, PoseRecord] = {}
        self._history = PoseHistory()
        self.rig_locked = True
        """True: moving one radiograph's pose moves the others with it (a calibrated rig)."""

    # ------------------------------------------------------------------ the patient

    @property
    def volume(self) -> Volume | None:
        """The CT as read."""
        return self._volume

    @property
    def volume_source(self) -> Source | None:
        return self._volume_source

    @property
    def labels(self) -> LabelMap | None:
        return self._labels

    @property
    def labels_source(self) -> Source | None:
        return self._labels_source

    @property
    def structures(self) -> tuple[int, ...]:
        """Label ids that are rendered and registered; empty: the whole CT."""
        return self._structures

    @property
    def rendered_volume(self) -> Volume | None:
        """The CT restricted to `structures`: what is rendered and registered. Remembered."""
        if self._volume is None or self._labels is None or not self._structures:
            return self._volume
        if self._shown is None:
            self._shown = self._volume.restrict(self._labels.mask(self._structures))
        return self._shown

    @property
    def isocenter(self) -> Float[Tensor, "3"]:
        """Pivot of rotations and origin of C-arm terms, world mm: as set, else the CT's middle."""
        if self._isocenter is not None:
            return self._isocenter
        if self._volume is None:
            return torch.zeros(3, dtype=torch.float64)
        return self._volume.center.detach().cpu().double()

    def set_volume(self, volume: Volume | None, source: Source | None = None) -> None:
        """Another CT; its label map, structures, isocenter and results no longer hold and go."""
        self._volume, self._volume_source = volume, source
        self._labels = self._labels_source = self._shown = self._isocenter = None
        self._structures = ()
        had_results = bool(self._results)
        self._results.clear()
        self.volume_changed.emit()
        if had_results:
            self.results_changed.emit()

    def set_labels(self, labels: LabelMap | None, source: Source | None = None) -> None:
        """A label map of the CT; nothing of it is chosen yet.

        Raises
        ------
        ValueError
            If there is no CT yet, or it lies on another grid.
        """
        if labels is not None:
            if self._volume is None:
                raise ValueError("a label map belongs to a CT: load the CT first")
            labels.check_grid(self._volume)
        self._labels, self._labels_source = labels, source
        self._structures, self._shown = (), None
        self.volume_changed.emit()

    def set_structures(self, ids: Sequence[int]) -> None:
        """Render and register only these label ids; none: the whole CT.

        Raises
        ------
        ValueError
            If there is no label map, or none of the ids occurs in it.
        """
        ids = tuple(sorted({int(i) for i in ids}))
        if ids == self._structures:
            return
        if ids:
            if self._labels is None:
                raise ValueError("structures are chosen from a label map: load one first")
            self._labels.mask(ids)  # raises where it would be empty
        self._structures, self._shown = ids, None
        self.volume_changed.emit()

    def set_isocenter(self, isocenter: Float[Tensor, "3"] | None) -> None:
        """Pivot in world mm; None: the middle of the CT. No pose moves."""
        self._isocenter = None if isocenter is None else isocenter.detach().cpu().double()
        self.volume_changed.emit()

    # ------------------------------------------------------------------ the radiographs

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """All radiographs, in the order they came."""
        return tuple(self._exposures.values())

    @property
    def active(self) -> Exposure | None:
        """The radiograph that is shown and dragged."""
        return None if self._active is None else self._exposures[self._active]

    def exposure(self, name: str) -> Exposure:
        """By name.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        return self._exposures[name]

    def add_radiograph(
        self,
        radiograph: Radiograph,
        *,
        name: str = "radiograph",
        start: Pose | None = None,
        source: Source | None = None,
        truth: Pose | None = None,
    ) -> str:
        """Add a radiograph and make it the active one; the name it got (made unique).

        Parameters
        ----------
        start
            None: the file's nominal pose, or, where it has none, AP about the isocenter.
        truth
            Of a simulated radiograph: see `Exposure`.
        """
        if start is None:
            start = self.nominal_start(radiograph)
        unique, number = name, 2
        while unique in self._exposures:
            unique, number = f"{name} {number}", number + 1
        self._exposures[unique] = Exposure(
            unique, radiograph, start, start, source=source, truth=truth
        )
        self._active = unique
        self.radiographs_changed.emit()
        self.active_changed.emit()
        self.record("radiograph added")
        return unique

    def nominal_start(self, radiograph: Radiograph) -> Pose:
        """The pose a radiograph starts from if nobody says otherwise.

        Its file's nominal angles, at its own isocenter if the file gives one other than the
        origin, else at the session's; AP where the file says nothing.
        """
        nominal = radiograph.nominal
        if nominal is None:
            return radiograph.carm.world_from_camera(0.0, 0.0, isocenter=self.isocenter)
        if not any(nominal.isocenter):
            x, y, z = (float(v) for v in self.isocenter)
            nominal = replace(nominal, isocenter=(x, y, z))
        return radiograph.carm.pose_from(nominal)

    def remove_radiograph(self, name: str) -> None:
        """Forget a radiograph and the results that used it."""
        del self._exposures[name]
        gone = [key for key, result in self._results.items() if name in result.radiographs]
        for key in gone:
            del self._results[key]
        if self._active == name:
            self._active = next(iter(self._exposures), None)
            self.active_changed.emit()
        self.radiographs_changed.emit()
        if gone:
            self.results_changed.emit()

    def replace_radiograph(self, name: str, radiograph: Radiograph) -> None:
        """Another image or geometry under the same name (an override, a crop); the pose stays.

        What was painted and picked goes where the number of rows or columns changed.
        """
        old = self._exposures[name]
        same = old.radiograph.carm.detector.shape == radiograph.carm.detector.shape
        self._exposures[name] = replace(
            old,
            radiograph=radiograph,
            painted=old.painted if same else None,
            landmarks=old.landmarks if same else (),
        )
        self.radiographs_changed.emit()

    def replace_exposure(self, exposure: Exposure) -> None:
        """Everything about a radiograph at once, under the same name (`turned`, `flipped`)."""
        self._exposures[self.exposure(exposure.name).name] = exposure
        self.radiographs_changed.emit()
        self.mask_changed.emit()
        self.landmarks_changed.emit()
        self.pose_changed.emit()

    def rename_radiograph(self, name: str, new: str) -> None:
        """Call a radiograph otherwise; its poses in the history and its results go along.

        Raises
        ------
        ValueError
            If the new name is empty or taken.
        """
        new = new.strip()
        if new == name:
            return
        if not new or new in self._exposures:
            raise ValueError(f"a radiograph needs a name of its own: got {new!r}")
        self._exposures = {
            new if key == name else key: replace(entry, name=new) if key == name else entry
            for key, entry in self._exposures.items()
        }
        self._history.rename(name, new)
        self._named = {key: record.renamed(name, new) for key, record in self._named.items()}
        for key, result in self._results.items():
            names = tuple(new if used == name else used for used in result.radiographs)
            self._results[key] = replace(result, radiographs=names)
        if self._active == name:
            self._active = new
        self.radiographs_changed.emit()

    def set_active(self, name: str) -> None:
        """Show and drag this radiograph."""
        self.exposure(name)
        if name != self._active:
            self._active = name
            self.active_changed.emit()

    def set_used(self, name: str, used: bool) -> None:
        """Whether refinement uses it."""
        self._exposures[name] = replace(self._exposures[name], used=used)
        self.radiographs_changed.emit()

    def set_painted(self, name: str, painted: Bool[Tensor, "rows columns"] | None) -> None:
        """What the user masked by hand; True where a pixel may be used."""
        self._exposures[name] = replace(self._exposures[name], painted=painted)
        self.mask_changed.emit()

    def set_start(self, name: str, start: Pose | None = None) -> None:
        """Where "reset" goes back to; None: the present pose."""
        old = self._exposures[name]
        self._exposures[name] = replace(old, start=start or old.world_from_camera)
        self.radiographs_changed.emit()

    def views(self) -> tuple[View, ...]:
        """The used radiographs, masked, at their poses: what `registration.refine` is given."""
        return tuple(
            View(entry.masked, entry.world_from_camera) for entry in self.exposures if entry.used
        )

    # ------------------------------------------------------------------ poses

    @property
    def pose(self) -> Pose | None:
        """Of the active radiograph."""
        return None if self.active is None else self.active.world_from_camera

    def move(self, pose: Pose, *, name: str | None = None) -> None:
        """Another pose, without a record in the history: while something is being dragged.

        With `rig_locked` the other radiographs follow, by the same motion of the world.

        Raises
        ------
        ValueError
            If there is no radiograph.
        """
        name = name or self._active
        if name is None:
            raise ValueError("there is no radiograph to move: load one first")
        old = self._exposures[name].world_from_camera
        motion = pose @ old.inverse()
        for key, entry in self._exposures.items():
            if key == name:
                self._exposures[key] = replace(entry, world_from_camera=pose)
            elif self.rig_locked:
                moved = motion @ entry.world_from_camera
                self._exposures[key] = replace(entry, world_from_camera=moved)
        self.pose_changed.emit()

    def set_pose(self, pose: Pose, why: str, *, name: str | None = None) -> None:
        """Another pose, recorded in the history as `why`."""
        self.move(pose, name=name)
        self.record(why)

    def set_poses(self, poses: Mapping[str, Pose], why: str) -> None:
        """The poses of several radiographs at once, recorded as `why`; no other one moves."""
        for key, pose in poses.items():
            if key in self._exposures:
                self._exposures[key] = replace(self._exposures[key], world_from_camera=pose)
        self.pose_changed.emit()
        self.record(why)

    def record(self, why: str) -> None:
        """Remember the present poses, so that undo comes back here."""
        poses = {key: entry.world_from_camera for key, entry in self._exposures.items()}
        self._history.record(PoseRecord(poses, why))
        self.history_changed.emit()

    @property
    def history(self) -> PoseHistory:
        """To look at; changed through `record`, `undo` and `redo` only."""
        return self._history

    def undo(self) -> str | None:
        """Back to the record before; what is undone, or None."""
        undone = self._history.records[self._history.at].why if self._history.can_undo else None
        self._restore(self._history.undo())
        return undone

    def redo(self) -> str | None:
        """Forth to the record after; what is redone, or None."""
        record = self._history.redo()
        self._restore(record)
        return None if record is None else record.why

    def reset(self) -> None:
        """Every radiograph back to its start."""
        for key, entry in self._exposures.items():
            self._exposures[key] = replace(entry, world_from_camera=entry.start)
        self.pose_changed.emit()
        self.record("reset")

    @property
    def named_poses(self) -> Mapping[str, PoseRecord]:
        """Poses the user gave a name."""
        return dict(self._named)

    def name_pose(self, name: str) -> None:
        """Keep the present poses under a name; one of the same name is replaced."""
        poses = {key: entry.world_from_camera for key, entry in self._exposures.items()}
        self._named[name] = PoseRecord(poses, name)
        self.history_changed.emit()

    def forget_pose(self, name: str) -> None:
        """Drop a named pose."""
        del self._named[name]
        self.history_changed.emit()

    def recall_pose(self, name: str) -> None:
        """Back to a named pose, recorded."""
        self._restore(self._named[name])
        self.record(f"pose {name!r}")

    def _restore(self, record: PoseRecord | None) -> None:
        if record is None:
            return
        for key, pose in record.poses.items():
            if key in self._exposures:
                self._exposures[key] = replace(self._exposures[key], world_from_camera=pose)
        self.pose_changed.emit()
        self.history_changed.emit()

    # ------------------------------------------------------------------ landmarks

    @property
    def landmarks(self) -> tuple[Landmark, ...]:
        """Of the patient: each with a position (LPS mm)."""
        return tuple(self._landmarks.values())

    def set_landmarks(self, landmarks: Sequence[Landmark]) -> None:
        """All landmarks of the patient.

        Raises
        ------
        ValueError
            If one has no position, or two share a name.
        """
        missing = [mark.name for mark in landmarks if mark.position is None]
        if missing:
            raise ValueError(f"landmarks of the patient need a position (mm): {', '.join(missing)}")
        self._landmarks = _by_name(landmarks)
        self.landmarks_changed.emit()

    def set_picked(self, name: str, landmarks: Sequence[Landmark]) -> None:
        """All landmarks picked on a radiograph: each with a pixel.

        Raises
        ------
        ValueError
            If one has no pixel, or two share a name.
        """
        marks = tuple(_by_name(landmarks).values())
        self._exposures[name] = replace(self._exposures[name], landmarks=marks)
        self.landmarks_changed.emit()

    # ------------------------------------------------------------------ results

    @property
    def results(self) -> tuple[Result, ...]:
        """Registrations run here, oldest first."""
        return tuple(self._results.values())

    def add_result(
        self,
        registration: Registration,
        radiographs: Sequence[str],
        settings: Mapping[str, Any],
        *,
        name: str = "refinement",
    ) -> str:
        """Keep a registration; the name it got. It changes no pose: see `accept`."""
        number = 1
        while f"{name} {number}" in self._results:
            number += 1
        key = f"{name} {number}"
        self._results[key] = Result(key, tuple(radiographs), registration, dict(settings))
        self.results_changed.emit()
        return key

    def accept(self, name: str) -> None:
        """Take over the poses of a result, recorded in the history."""
        result = self._results[name]
        poses = result.registration.views or (result.registration.world_from_camera,)
        self.set_poses(dict(zip(result.radiographs, poses, strict=True)), f"{name} accepted")

    def discard(self, name: str) -> None:
        """Forget a result."""
        del self._results[name]
        self.results_changed.emit()


def _by_name(landmarks: Sequence[Landmark]) -> dict[str, Landmark]:
    named = {mark.name: mark for mark in landmarks}
    if len(named) < len(landmarks):
        names = [mark.name for mark in landmarks]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"landmark names must be unique: {', '.join(twice)} came twice")
    return named
