"""What the user is doing: the CT, the radiographs, the poses, the landmarks, the results.

One `Session` per viewer holds the truth; layers and widgets show it and ask it to change. It knows
no napari and no Qt: a script uses it in the same way. Every change is announced by a signal after
it was made, in the thread that made it; only the main thread should change a session.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark
from napari_xreg.registration import Registration
from napari_xreg.session.history import PoseRecord, same_pose
from napari_xreg.session.landmark_words import landmark_words
from napari_xreg.session.pose_records import pose_records
from napari_xreg.session.radiographs import Radiographs
from napari_xreg.session.result import Result
from napari_xreg.session.state import Missing, SessionState, alike
from napari_xreg.session.undo import History, Moment


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
        with self._moving(why):
            self._place({name: pose})

    def set_poses(self, poses: Mapping[str, Pose], why: str) -> None:
        """The poses of several radiographs at once, recorded as `why`; no other one moves."""
        with self._moving(why):
            for key, pose in poses.items():
                if key in self._exposures:
                    self._exposures[key] = replace(self._exposures[key], world_from_camera=pose)

    @contextmanager
    def _moving(self, why: str) -> Iterator[None]:
        """A step that ends a drag: what was moved before and not recorded belongs to it."""
        with self._step(why, settle=False) as say:
            yield
            say(self.pose_changed)

    def record(self, why: str) -> None:
        """Remember the present poses, so that undo comes back here.

        Where nothing moved since the last record there is nothing to remember.
        """
        if self._record(why):
            self.history_changed.emit()

    @property
    def history(self) -> History:
        """To look at; changed by what changes the session, by `record`, `undo` and `redo` only."""
        return self._history

    def undo(self) -> str | None:
        """Back to before the last step, whatever it changed; what is undone, or None.

        What was moved and not recorded is recorded first, so that redo brings it back.
        """
        if self._depth:
            return None  # in the middle of a step
        self._record("move")
        undone = self._history.undoes
        return self._return_to(self._history.undo(), undone)

    def redo(self) -> str | None:
        """Forth by a step that was undone; what is done again, or None."""
        if self._depth:
            return None
        if not alike(self._history.now.state, self._snapshot()):
            self._settle()  # something was moved since: there is nothing to do again
        again = self._history.redoes
        return self._return_to(self._history.redo(), again)

    def _return_to(self, moment: Moment | None, why: str) -> str | None:
        if moment is None:
            return None
        for signal in (*self._become(moment.state), self.history_changed):
            signal.emit()
        return why

    def reset(self) -> None:
        """Every radiograph back to its start."""
        with self._moving("reset"):
            for key, entry in self._exposures.items():
                self._exposures[key] = replace(entry, world_from_camera=entry.start)

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
        with self._step(f"save pose {name!r}"):
            self._named[name] = PoseRecord(self._poses(), name)

    def forget_pose(self, name: str) -> None:
        """Drop a named pose."""
        with self._step(f"delete pose {name!r}"):
            del self._named[name]

    def recall_pose(self, name: str) -> None:
        """Back to a named pose, recorded."""
        self.set_poses(self._named[name].poses, f"pose {name!r}")

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
        new = _by_name(landmarks)
        with self._step(landmark_words(self._landmarks, new)) as say:
            self._landmarks = new
            say(self.landmarks_changed)

    def set_picked(self, name: str, landmarks: Sequence[Landmark]) -> None:
        """All landmarks picked on a radiograph: each with a pixel.

        Raises
        ------
        ValueError
            If one has no pixel, or two share a name.
        """
        old, new = self._exposures[name], _by_name(landmarks)
        picked = replace(old, landmarks=tuple(new.values()))
        with self._step(landmark_words(_by_name(old.landmarks), new, on=name)) as say:
            self._exposures[name] = picked
            say(self.landmarks_changed)

    def set_left_out(self, name: str, landmarks: Sequence[str]) -> None:
        """Names of the landmarks that a pose of this radiograph is not to use."""
        with self._step(f"landmarks used on {name}") as say:
            self._exposures[name] = replace(self._exposures[name], left_out=tuple(landmarks))
            say(self.landmarks_changed)

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
        with self._step(key) as say:
            self._results[key] = Result(key, tuple(radiographs), registration, dict(settings))
            say(self.results_changed)
        return key

    def accept(self, name: str) -> None:
        """Take over the poses of a result, recorded in the history.

        With `rig_locked` radiographs that it did not use follow.
        """
        poses = {k: p for k, p in self._results[name].poses.items() if k in self._exposures}
        if poses:
            with self._moving(f"{name} accepted"):
                self._place(poses)

    def discard(self, name: str) -> None:
        """Forget a result."""
        with self._step(f"discard {name}") as say:
            del self._results[name]
            say(self.results_changed)

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
        """All of it at this moment, as a value, with the poses that can be gone back to."""
        return self.capture()()

    def capture(self) -> Callable[[], SessionState]:
        """`state` of this moment, to be made in any thread: the poses of a long history take time."""
        now, moments, at = self._snapshot(), self._history.records, self._history.at

        def made() -> SessionState:
            records, index = pose_records(moments, at)
            return replace(now, records=records, at=index)

        return made

    @property
    def unsaved(self) -> bool:
        """Whether there is work that no file holds; what was merely loaded is none."""
        moment = self._history.now
        return moment.work != self._saved or not alike(moment.state, self._snapshot())

    def mark(self) -> int:
        """A mark of the present, to be given to `saved` once a file holds it."""
        self._settle()
        return self._history.now.work

    def saved(self, mark: int) -> None:
        """A file holds what was there at that mark."""
        self._saved = mark
        self.history_changed.emit()

    def restore(
        self, state: SessionState, why: str = "open session", *, saved: bool = True
    ) -> None:
        """Become this state, whatever was here before; every signal is emitted once.

        In place of other work it is a step, and undo brings that work back. In an empty session
        undo goes through the poses that the state remembers.
        """
        self._settle()
        empty = self.empty
        self._become(state)
        self._active = state.active
        self.rig_locked = state.rig_locked
        if empty:
            self._history.begin(state)
        else:
            self._history.record(why, replace(self._snapshot(), records=state.records, at=state.at))
        self._saved = self._history.now.work if saved else -1
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

    def complete(self, found: Callable[[SessionState, Moment], SessionState]) -> None:
        """What the session's file names was found: it was there all along, at every moment.

        Parameters
        ----------
        found
            A state with it, made of one that lacks it.
        """
        self._settle()
        self._history.rewrite(lambda moment: replace(moment, state=found(moment.state, moment)))
        for signal in (*self._become(self._history.now.state), self.history_changed):
            signal.emit()

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that could be lost."""
        return alike(self._snapshot(), SessionState())


def _by_name(landmarks: Sequence[Landmark]) -> dict[str, Landmark]:
    named = {mark.name: mark for mark in landmarks}
    if len(named) < len(landmarks):
        names = [mark.name for mark in landmarks]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"landmark names must be unique: {', '.join(twice)} came twice")
    return named
