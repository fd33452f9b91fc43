"""The radiographs of a session: coming, going, and what is said about each."""

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter, is_not
from typing import Any

from jaxtyping import Bool
from psygnal import Signal
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import View
from napari_xreg.session.exposure import Exposure, Picked
from napari_xreg.session.named_poses import NamedPose, same_pose
from napari_xreg.session.patient import nominal_start
from napari_xreg.session.source import Source
from napari_xreg.session.state import SessionState
from napari_xreg.session.store import Store

_shown = attrgetter("name", "radiograph", "used", "start", "source", "edited", "truth")
_painted = attrgetter("painted", "id")


class Exposures:
    """The radiographs; each is held on to by its `Exposure.id`, its name is for people."""

    changed = Signal()
    """A radiograph was added, removed, replaced, renamed or (un)used."""
    active_changed = Signal()
    """Another radiograph is the one shown and dragged."""
    mask_changed = Signal()
    """What was painted on a radiograph."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.tell(self.changed, _differ)
        store.tell(self.active_changed, lambda old, new: old.active != new.active)
        store.tell(self.mask_changed, lambda old, new: some_differ(old, new, _painted))

    @property
    def all(self) -> tuple[Exposure, ...]:
        """All of them, in the order they came."""
        return self._store.state.exposures

    @property
    def active(self) -> Exposure | None:
        """The one that is shown and dragged."""
        return self._store.state.find(self._store.state.active)

    def __getitem__(self, id: str) -> Exposure:
        """By id; KeyError if it is gone."""
        return self._store.state.exposure(id)

    def find(self, id: str | None) -> Exposure | None:
        """By id; None: it is gone."""
        return self._store.state.find(id)

    def named(self, name: str) -> Exposure:
        """What is called so now.

        Raises
        ------
        KeyError
            If nothing is.
        """
        for entry in self.all:
            if entry.name == name:
                return entry
        raise KeyError(f"no radiograph of the session is called {name!r}")

    def add(
        self,
        radiograph: Radiograph,
        *,
        name: str = "radiograph",
        start: Pose | None = None,
        source: Source | None = None,
        truth: Pose | None = None,
        edited: bool = False,
    ) -> str:
        """Add a radiograph and make it the active one; its id.

        Parameters
        ----------
        name
            What it is called; a number is added where the name is taken.
        start
            Where it stands now, and where "reset" goes back to. None: the file's nominal pose, or,
            where it has none, AP about the isocenter; with `Poses.rig_locked` and another
            radiograph that was moved from its start, it stands where the same motion takes it.
        source
            Where it can be read again; None: it exists in memory only.
        truth
            Of a simulated radiograph: see `Exposure`.
        edited
            Its pixels are no longer those of `source`.
        """
        state = self._store.state
        given = start is not None
        if start is None:
            start = nominal_start(radiograph, state.pivot)
        taken = {entry.name for entry in state.exposures} | {gone.name for gone in state.missing}
        entry = Exposure(
            unlike(name, taken), radiograph, start, start,
            source=source, truth=truth, edited=edited and source is not None,
        )  # fmt: skip
        rig = self.active if state.rig_locked else None
        if rig is not None and not given and not same_pose(rig.world_from_camera, rig.start):
            pose = rig.world_from_camera @ rig.start.inverse() @ entry.start
            entry = replace(entry, world_from_camera=pose)
        # In no file, or described in a form.
        by_hand = source is None or entry.edited or bool(source.options)
        self._store.change(
            f"add radiograph {entry.name}", lambda s: _with(s, entry, rig), work=by_hand
        )
        return entry.id

    def remove(self, id: str) -> None:
        """Take a radiograph out, with its picks and mask, the results that used it and the track of its sequence."""
        self._store.change(f"remove radiograph {self[id].name}", lambda s: _without(s, id))

    def replace_image(
        self, id: str, radiograph: Radiograph, *, source: Source | None = None, why: str = ""
    ) -> None:
        """Another image or geometry of a radiograph (an override, a crop); the pose stays.

        What was painted and picked goes where the number of rows or columns changed.

        Parameters
        ----------
        source
            Where this very image can be read; None: as before, see `Exposure.edited`.
        why
            What undo calls it.
        """
        old = self[id]
        same = old.radiograph.carm.detector.shape == radiograph.carm.detector.shape
        painted, landmarks = (old.painted, old.landmarks) if same else (None, ())
        # First without: they may not fit the new shape.
        new = replace(old, painted=None, landmarks=()).with_radiograph(radiograph)
        new = replace(new, painted=painted, landmarks=landmarks)
        if source is not None:
            new = replace(new, source=source, edited=False)
        self._put(new, why or f"change radiograph {old.name}")

    def show_frame(
        self, id: str, radiograph: Radiograph, source: Source, *, left: int | None, number: int
    ) -> None:
        """Another frame by the same camera; the pose and, where it fits, what was painted stay.

        What was picked on the frame before is kept until that is shown again (`Exposure.picks_stay`); its true pose and the results that used
        it go.

        Parameters
        ----------
        source
            Where this very frame can be read.
        left, number
            Numbers of the frame that is shown before and of this one; None: another picture.
        """
        old = self[id]
        picked = {n: each for n, each in old.of_frames.items() if n != left}
        here = Picked(old.landmarks, old.left_out)
        if left is not None and here != Picked() and old.picks_stay(radiograph):
            picked[left] = here
        back = picked.pop(number, Picked())
        with self._store.step(f"another picture of {old.name}", work=False):
            bare = replace(old, landmarks=(), left_out=(), truth=None, of_frames=picked)
            self._store.change("", lambda s: _without_results(s.with_exposures([bare]), id))
            self.replace_image(id, radiograph, source=source)
            shown = replace(self[id], landmarks=back.landmarks, left_out=back.left_out)
            self._store.change("", lambda s: s.with_exposures([shown]))

    def replace(self, exposure: Exposure, *, why: str = "") -> None:
        """Everything about a radiograph at once (`rotate_exposure`, `flip_exposure`).

        Where its start was turned, the named poses turn along, and the results that used it go.
        """
        old = self[exposure.id]
        bare = replace(old, painted=None, landmarks=())
        edited = bare.with_radiograph(exposure.radiograph).edited
        new = replace(exposure, edited=exposure.edited or edited)

        def replaced(state: SessionState) -> SessionState:
            state = state.with_exposures([new])
            if same_pose(old.start, new.start):
                return state
            turn = old.start.inverse() @ new.start
            named = tuple(
                replace(
                    kept, poses={k: p @ turn if k == new.id else p for k, p in kept.poses.items()}
                )
                for kept in state.named
            )
            return replace(_without_results(state, new.id), named=named)

        self._store.change(why or f"change radiograph {old.name}", replaced)

    def rename(self, id: str, name: str) -> None:
        """Call a radiograph otherwise.

        Raises
        ------
        ValueError
            If the new name is empty or taken.
        """
        old, name = self[id], name.strip()
        if name == old.name:
            return
        if not name or name in {entry.name for entry in self.all}:
            raise ValueError(f"a radiograph needs a name of its own: got {name!r}")
        self._put(replace(old, name=name), f"rename {old.name} to {name}")

    def activate(self, id: str) -> None:
        """Show and drag this one."""
        self._store.hold(lambda s: replace(s, active=s.exposure(id).id))

    def set_used(self, id: str, used: bool) -> None:
        """Whether refinement uses it."""
        old = self[id]
        if old.used != used:
            why = f"use {old.name}" if used else f"leave {old.name} out"
            self._put(replace(old, used=used), why)

    def set_painted(self, id: str, painted: Bool[Tensor, "rows columns"] | None) -> None:
        """What the user masked by hand; True where a pixel may be used."""
        old = self[id]
        why = f"clear the mask of {old.name}" if painted is None else f"mask on {old.name}"
        self._put(replace(old, painted=painted), why)

    def set_start(self, id: str, start: Pose | None = None) -> None:
        """Where "reset" goes back to; None: the current pose."""
        old = self[id]
        self._put(replace(old, start=start or old.world_from_camera), f"start of {old.name}")

    def views(self) -> tuple[View, ...]:
        """Those used, masked, at their poses: what `registration.refine` is given."""
        return tuple(
            View(entry.masked, entry.world_from_camera) for entry in self.all if entry.used
        )

    def _put(self, exposure: Exposure, why: str) -> None:
        self._store.change(why, lambda s: s.with_exposures([exposure]))


def unlike(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken."""
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name} {number}", number + 1
    return unique


def _with(state: SessionState, entry: Exposure, rig: Exposure | None) -> SessionState:
    """One more, shown; in the poses that were kept it stood where the rigid `rig` took it."""
    pose = entry.world_from_camera
    in_lead = None if rig is None else rig.world_from_camera.inverse() @ pose

    def stood(kept: NamedPose) -> Pose:
        before = None if rig is None else kept.poses.get(rig.id)
        if rig is None or in_lead is None or before is None:
            return pose
        return pose if same_pose(before, rig.world_from_camera) else before @ in_lead

    named = tuple(
        replace(kept, poses={**kept.poses, entry.id: stood(kept)}) for kept in state.named
    )
    return replace(state, exposures=(*state.exposures, entry), active=entry.id, named=named)


def _without(state: SessionState, id: str) -> SessionState:
    left = tuple(entry for entry in state.exposures if entry.id != id)
    active = state.active
    if active == id:
        active = left[0].id if left else None
    kept = (
        replace(named, poses={key: pose for key, pose in named.poses.items() if key != id})
        for named in state.named
    )
    named = tuple(named for named in kept if named.poses)
    state = _without_results(state, id)
    track = state.track
    if track is not None and id in track.radiographs:
        track = None
    return replace(state, exposures=left, active=active, named=named, track=track)


def _without_results(state: SessionState, id: str) -> SessionState:
    """Forget the results that used a radiograph."""
    left = tuple(result for result in state.results if id not in result.radiographs)
    return replace(state, results=left)


def some_differ(
    old: SessionState, new: SessionState, values: Callable[[Exposure], tuple[Any, ...]]
) -> bool:
    """Whether, of any radiograph that was there before and still is, one of these is another."""
    for now in new.exposures:
        was = old.find(now.id)
        if was is not None and was is not now and any(map(is_not, values(was), values(now))):
            return True
    return False


def _differ(old: SessionState, new: SessionState) -> bool:
    order = [entry.id for entry in old.exposures] != [entry.id for entry in new.exposures]
    return order or old.missing != new.missing or some_differ(old, new, _shown)
