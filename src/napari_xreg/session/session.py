"""What the user is doing: the CT, the radiographs, the poses, the landmarks, the results.

One `Session` per viewer holds the truth; layers and widgets show it and ask it to change. It knows
no napari and no Qt: a script uses it in the same way. Every change is announced by a signal after
it was made, in the thread that made it; only the main thread should change a session.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.registration import Registration
from napari_xreg.session.history import PoseHistory, PoseRecord, same_pose
from napari_xreg.session.radiographs import Radiographs
from napari_xreg.session.result import Result
from napari_xreg.session.state import Missing, SessionState


class Session(Radiographs):
    """The state of one piece of work; see the module."""

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
        self._place({name: pose})
        self.pose_changed.emit()

    def _place(self, poses: Mapping[str, Pose]) -> None:
        """Put radiographs at poses; with `rig_locked` the others follow the first of them."""
        first = next(iter(poses))
        old = self._exposures[first].world_from_camera
        placed = replace(self._exposures[first], world_from_camera=poses[first])
        motion = placed.world_from_camera @ old.inverse()
        still = same_pose(placed.world_from_camera, old)  # rounding is no motion
        for key, entry in self._exposures.items():
            if key in poses:
                self._exposures[key] = replace(entry, world_from_camera=poses[key])
            elif self.rig_locked and not still:
                moved = motion @ entry.world_from_camera
                self._exposures[key] = replace(entry, world_from_camera=moved)

    def set_pose(self, pose: Pose, why: str, *, name: str | None = None) -> None:
        """Another pose, recorded in the history as `why`."""
        name = name or self._active
        if name is None:
            raise ValueError("there is no radiograph to move: load one first")
        self._place({name: pose})
        self._moved(why)

    def set_poses(self, poses: Mapping[str, Pose], why: str) -> None:
        """The poses of several radiographs at once, recorded as `why`; no other one moves."""
        for key, pose in poses.items():
            if key in self._exposures:
                self._exposures[key] = replace(self._exposures[key], world_from_camera=pose)
        self._moved(why)

    def _moved(self, why: str) -> None:
        """Record a change of poses that is complete, and announce it."""
        recorded = not self._history.holds(self._poses())
        if recorded:
            self._history.record(PoseRecord(self._poses(), why))
        self.pose_changed.emit()
        if recorded:
            self.history_changed.emit()

    def record(self, why: str) -> None:
        """Remember the present poses, so that undo comes back here.

        Where nothing moved since the last record there is nothing to remember.
        """
        if not self._history.holds(self._poses()):
            self._history.record(PoseRecord(self._poses(), why))
            self.history_changed.emit()

    @property
    def history(self) -> PoseHistory:
        """To look at; changed through `record`, `undo` and `redo` only."""
        return self._history

    def undo(self) -> str | None:
        """Back to the record before; what is undone, or None.

        What was moved and not recorded is recorded first, so that redo brings it back.
        """
        if self._exposures and not self._history.holds(self._poses()):
            self._history.record(PoseRecord(self._poses(), "move"))
        if not self._history.can_undo:
            return None
        undone = self._history.records[self._history.at].why
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
        self._moved("reset")

    @property
    def named_poses(self) -> Mapping[str, PoseRecord]:
        """Poses the user gave a name."""
        return dict(self._named)

    def name_pose(self, name: str) -> None:
        """Keep the present poses under a name; one of the same name is replaced.

        Raises
        ------
        ValueError
            If the name is empty or there is no radiograph.
        """
        if not name.strip() or not self._exposures:
            raise ValueError("a named pose needs a name, and a radiograph whose pose it is")
        self._named[name] = PoseRecord(self._poses(), name)
        self.history_changed.emit()

    def forget_pose(self, name: str) -> None:
        """Drop a named pose."""
        del self._named[name]
        self.history_changed.emit()

    def recall_pose(self, name: str) -> None:
        """Back to a named pose, recorded."""
        self.set_poses(self._named[name].poses, f"pose {name!r}")

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

    def set_left_out(self, name: str, landmarks: Sequence[str]) -> None:
        """Names of the landmarks that a pose of this radiograph is not to use."""
        self._exposures[name] = replace(self._exposures[name], left_out=tuple(landmarks))
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
        """Take over the poses of a result, recorded in the history.

        With `rig_locked` radiographs that it did not use follow.
        """
        poses = {k: p for k, p in self._results[name].poses.items() if k in self._exposures}
        if poses:
            self._place(poses)
            self._moved(f"{name} accepted")

    def discard(self, name: str) -> None:
        """Forget a result."""
        del self._results[name]
        self.results_changed.emit()

    # ------------------------------------------------------------------ as a whole

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the session file names and could not be read; `supply` brings it."""
        return tuple(self._missing.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What was amiss when the session file was read: sentences for the user."""
        return self._problems

    def state(self) -> SessionState:
        """All of it at this moment, as a value."""
        return SessionState(
            self._volume,
            self._volume_source,
            self._labels,
            self._labels_source,
            self._structures,
            self._isocenter,
            self.exposures,
            self._active,
            self.rig_locked,
            self.landmarks,
            self._history.records,
            self._history.at,
            self.named_poses,
            self.results,
            self.missing,
            self._problems,
        )

    def restore(self, state: SessionState) -> None:
        """Become this state, whatever was here before; every signal is emitted once."""
        self._volume, self._volume_source = state.volume, state.volume_source
        self._labels, self._labels_source = state.labels, state.labels_source
        self._structures, self._shown = state.structures, None
        self._isocenter = state.isocenter
        self._exposures = {entry.name: entry for entry in state.exposures}
        self._active = state.active
        self.rig_locked = state.rig_locked
        self._landmarks = _by_name(state.landmarks)
        self._history.restore(state.records, state.at)
        self._named = dict(state.named)
        self._results = {result.name: result for result in state.results}
        self._missing = {gone.name: gone for gone in state.missing}
        self._problems = state.problems
        for signal in (
            self.volume_changed,
            self.landmarks_changed,
            self.radiographs_changed,
            self.active_changed,
            self.mask_changed,
            self.pose_changed,
            self.history_changed,
            self.results_changed,
        ):
            signal.emit()


def _by_name(landmarks: Sequence[Landmark]) -> dict[str, Landmark]:
    named = {mark.name: mark for mark in landmarks}
    if len(named) < len(landmarks):
        names = [mark.name for mark in landmarks]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"landmark names must be unique: {', '.join(twice)} came twice")
    return named
