"""The poses of a session: where each C-arm is thought to stand, and the poses a user saved."""

from collections.abc import Mapping
from dataclasses import replace

from psygnal import Signal

from napari_xreg.geometry import Pose
from napari_xreg.session.exposure import kept_pose
from napari_xreg.session.named_poses import NamedPose, same_pose
from napari_xreg.session.state import SessionState
from napari_xreg.session.store import Store


class Poses:
    """Poses by `Exposure.id`; of the active radiograph where none is said."""

    changed = Signal()
    """Some pose, of whatever radiograph; many times a second while one is dragged."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.tell(self.changed, _differ)

    @property
    def current(self) -> Pose | None:
        """Of the active radiograph."""
        active = self._store.state.find(self._store.state.active)
        return None if active is None else active.world_from_camera

    @property
    def rig_locked(self) -> bool:
        """True: moving one radiograph's pose moves the others with it (a calibrated rig)."""
        return self._store.state.rig_locked

    @rig_locked.setter
    def rig_locked(self, locked: bool) -> None:
        self._store.hold(lambda s: replace(s, rig_locked=locked))

    def move(self, pose: Pose, *, exposure: str | None = None) -> None:
        """Another pose, without a record in the history: while something is being dragged.

        With `rig_locked` the other radiographs follow, by the same motion of the world.

        Raises
        ------
        ValueError
            If there is no radiograph.
        """
        id = self._one(exposure)
        self._store.hold(lambda s: moved(s, {id: pose}))

    def set(self, pose: Pose, why: str, *, exposure: str | None = None) -> None:
        """Another pose, recorded in the history as `why`; others follow as with `move`."""
        id = self._one(exposure)
        self._store.change(why, lambda s: moved(s, {id: pose}), settle=False)

    def set_several(self, poses: Mapping[str, Pose], why: str) -> None:
        """The poses of several radiographs at once, recorded as `why`; no other one moves."""
        self._store.change(why, lambda s: s.placed(poses), settle=False)

    def record(self, why: str) -> None:
        """Remember the current poses, so that undo comes back here.

        Where nothing moved since the last record there is nothing to remember.
        """
        self._store.record(why)

    def reset(self) -> None:
        """Every radiograph back to its start."""
        self._store.change(
            "reset", lambda s: s.placed({e.id: e.start for e in s.exposures}), settle=False
        )

    # ------------------------------------------------------------------ those with a name

    @property
    def named(self) -> tuple[NamedPose, ...]:
        """Poses the user gave a name."""
        return self._store.state.named

    def save(self, name: str) -> str:
        """Keep the current poses under a name; its id. One of the same name is replaced.

        Raises
        ------
        ValueError
            If the name is empty or there is no radiograph.
        """
        poses = self._store.state.poses
        if not name.strip() or not poses:
            raise ValueError("a named pose needs a name, and a radiograph whose pose it is")
        old = next((kept for kept in self.named if kept.name == name), None)
        new = NamedPose(name, poses) if old is None else replace(old, poses=poses)

        def kept(state: SessionState) -> SessionState:
            others = tuple(new if one is old else one for one in state.named)
            return replace(state, named=others if old is not None else (*others, new))

        self._store.change(f"save pose {name!r}", kept)
        return new.id

    def load(self, id: str) -> None:
        """Back to a named pose, recorded."""
        kept = self._kept(id)
        self.set_several(kept.poses, f"pose {kept.name!r}")

    def delete(self, id: str) -> None:
        """Drop a named pose."""
        gone = self._kept(id)
        self._store.change(
            f"delete pose {gone.name!r}",
            lambda s: replace(s, named=tuple(one for one in s.named if one.id != id)),
        )

    def _kept(self, id: str) -> NamedPose:
        for kept in self.named:
            if kept.id == id:
                return kept
        raise KeyError(f"the session has no named pose of the id {id!r}")

    def _one(self, exposure: str | None) -> str:
        id = exposure or self._store.state.active
        if id is None:
            raise ValueError("there is no radiograph to move: load one first")
        return id


def moved(state: SessionState, poses: Mapping[str, Pose]) -> SessionState:
    """Radiographs at other poses; with `rig_locked` all others follow the first of them."""
    first = next(iter(poses))
    old, new = state.exposure(first).world_from_camera, kept_pose(poses[first])
    if not state.rig_locked or same_pose(new, old):  # rounding is no motion
        return state.placed(poses)
    # A drag is a thousand small motions, of which the others take each.
    motion = new.orthonormal() @ old.orthonormal().inverse()
    follow = (entry for entry in state.exposures if entry.id not in poses)
    return state.placed({e.id: motion @ e.world_from_camera for e in follow} | dict(poses))


def _differ(old: SessionState, new: SessionState) -> bool:
    for now in new.exposures:
        was = old.find(now.id)
        if was is not None and not same_pose(was.world_from_camera, now.world_from_camera):
            return True
    return False
