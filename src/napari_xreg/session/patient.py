"""The CT of a session: its labels, the structures chosen, the isocenter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter, is_not

import torch
from jaxtyping import Float
from psygnal import Signal
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Radiograph, Volume, attenuation_seen
from napari_xreg.session.named_poses import same_pose
from napari_xreg.session.picks_of_bones import exchanged
from napari_xreg.session.rendering import Rendering
from napari_xreg.session.source import Source
from napari_xreg.session.state import OfBone, SessionState
from napari_xreg.session.store import Store

_parts = attrgetter("volume", "volume_source", "labels", "labels_source", "isocenter")


class Patient:
    """The CT and what belongs to it."""

    changed = Signal()
    """The CT, its label map, the structures chosen, or the isocenter."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rendering: Rendering | None = None
        store.tell(self.changed, _differs)

    @property
    def volume(self) -> Volume | None:
        """The CT as read."""
        return self._store.state.volume

    @property
    def volume_source(self) -> Source | None:
        return self._store.state.volume_source

    @property
    def labels(self) -> LabelMap | None:
        return self._store.state.labels

    @property
    def labels_source(self) -> Source | None:
        return self._store.state.labels_source

    @property
    def structures(self) -> tuple[int, ...]:
        """Label ids that are rendered and registered; empty: the whole CT."""
        return self._store.state.structures

    @property
    def isocenter(self) -> Float[Tensor, "3"]:
        """Pivot of rotations and origin of C-arm terms, world mm: as set, else the `middle`."""
        return self._store.state.pivot

    @property
    def middle(self) -> Float[Tensor, "3"]:
        """Of the chosen structures, else of the CT; world mm."""
        return self._store.state.middle

    @property
    def rendered_volume(self) -> Volume | None:
        """The CT restricted to `structures`: what is rendered and registered. Remembered.

        Seconds for a large CT, the first time: see `rendering`.
        """
        return None if self.rendering is None else self.rendering.volume()

    @property
    def rendering(self) -> Rendering | None:
        """What is rendered and registered, not yet computed; the same while it is the same."""
        state = self._store.state
        if state.volume is None:
            return None
        parts = (state.volume, state.labels, state.structures)
        seen = attenuation_seen([entry.radiograph.subtracted for entry in state.exposures])
        same = self._rendering is not None and self._rendering.attenuation == seen
        if self._rendering is None or not same or not self._rendering.is_of(*parts):
            self._rendering = Rendering(*parts, seen)
        return self._rendering

    @property
    def in_use(self) -> bool:
        """Whether there is a CT with anything that belongs to it: labels, radiographs, landmarks."""
        state = self._store.state
        belongs = (state.labels, state.exposures, state.landmarks, state.results, state.track)
        return state.volume is not None and any(belongs)

    def set_volume(self, volume: Volume | None, source: Source | None = None) -> None:
        """Another CT; its label map, structures, isocenter, results and track no longer hold and go.

        Poses stay: another reconstruction of the patient has the same world. But as long as no
        radiograph was moved from a start that was only assumed (`nominal_start`), all go where
        they would have started with this CT, so it does not matter which file is opened first.
        """
        why = "remove the CT" if volume is None else "load CT"
        self._store.change(why, lambda s: _with_ct(s, volume, source), work=source is None)

    def replace(self, volume: Volume, source: Source | None = None) -> None:
        """The CT of somebody else: landmarks go too, and every radiograph starts where it would.

        What was picked and painted on the radiographs stays with them.
        """

        def other(state: SessionState) -> SessionState:
            return _started_again(replace(_with_ct(state, volume, source), landmarks=()))

        self._store.change("replace the patient", other, work=source is None)

    def show_bone(
        self,
        volume: Volume,
        source: Source | None,
        starts: Mapping[str, Pose],
        *,
        name: str,
        before: str | None,
        shown: Mapping[str, int],
    ) -> None:
        """Another bone of the trial that the CT is one of; the track of the sequence, which is of all of them, stays.

        Landmarks, those picked on radiographs too, and isocenter of the bone before are kept until that is shown again; its label map and results
        go. No radiograph moves.

        Parameters
        ----------
        starts
            Where each radiograph starts about this bone, by `Exposure.id`.
        name, before
            Of this bone, and of the one that the CT is now; None: of none that is known, what was picked stays.
        shown
            Number of the frame that a radiograph shows, by `Exposure.id`.
        """

        def other(state: SessionState) -> SessionState:
            kept = {bone: of for bone, of in state.of_bones.items() if bone not in (name, before)}
            own = state.of_bones.get(name, OfBone())
            if before is not None:
                picked = state.of_bones.get(before, OfBone()).picked
                exposures, picked, left = exchanged(state.exposures, picked, own.picked, shown)
                state = replace(state, exposures=exposures)
                if state.landmarks or state.isocenter is not None or picked:
                    kept[before] = OfBone(state.landmarks, state.isocenter, picked)
                if left:
                    kept[name] = OfBone(picked=left)
            bare = replace(
                _with_bare_ct(state, volume, source),
                landmarks=own.landmarks, isocenter=own.isocenter, track=state.track, of_bones=kept,
            )  # fmt: skip
            return bare.with_exposures(
                replace(entry, start=starts[entry.id])
                for entry in bare.exposures
                if entry.id in starts
            )

        self._store.change("choose a bone", other)

    @property
    def goes_with_bone(self) -> bool:
        """Whether something is nowhere else, and goes where another bone is shown: results, a label map."""
        state = self._store.state
        return state.labels is not None or bool(state.results)

    def nominal_start(self, radiograph: Radiograph) -> Pose:
        """The pose a radiograph starts from if nobody says otherwise; see the function."""
        return nominal_start(radiograph, self.isocenter)

    def set_labels(self, labels: LabelMap | None, source: Source | None = None) -> None:
        """A label map of the CT; nothing of it is chosen yet.

        Raises
        ------
        ValueError
            If there is no CT yet, or it lies on another grid.
        """
        if labels is not None:
            if self.volume is None:
                raise ValueError("a label map belongs to a CT: load the CT first")
            labels = labels.onto(self.volume)

        def with_labels(state: SessionState) -> SessionState:
            missing = tuple(gone for gone in state.missing if gone.name != "labels")
            new = replace(
                state, labels=labels, labels_source=source, structures=(), missing=missing
            )
            return _recentred(state, new)

        why = "remove the label map" if labels is None else "load label map"
        self._store.change(why, with_labels, work=source is None)

    def set_structures(self, ids: Sequence[int]) -> None:
        """Render and register only these label ids; none: the whole CT.

        As with `set_volume`, radiographs that nobody moved from an assumed start go where they would
        have started: about the middle of what is chosen.

        Raises
        ------
        ValueError
            If there is no label map, or none of the ids occurs in it.
        """
        ids = tuple(sorted({int(i) for i in ids}))
        if ids == self.structures:
            return
        if ids:
            if self.labels is None:
                raise ValueError("structures are chosen from a label map: load one first")
            present = self.labels.present()
            if not set(ids) & set(present):
                raise ValueError(f"none of the labels {list(ids)} occurs; present are {present}")
        why = "choose structures" if ids else "use the whole CT"
        self._store.change(why, lambda s: _recentred(s, replace(s, structures=ids)))

    def set_isocenter(self, isocenter: Float[Tensor, "3"] | None) -> None:
        """Pivot in world mm; None: the `middle`. No pose moves.

        Raises
        ------
        ValueError
            If it is not three finite numbers.
        """
        new = None if isocenter is None else isocenter.detach().cpu().double().clone()
        if new is not None and not (new.shape == (3,) and torch.isfinite(new).all()):
            raise ValueError(f"the isocenter is three finite numbers in mm: got {new.tolist()}")
        self._store.change("move the isocenter", lambda s: replace(s, isocenter=new))


def nominal_start(radiograph: Radiograph, isocenter: Float[Tensor, "3"]) -> Pose:
    """The pose a radiograph starts from if nobody says otherwise.

    Its file's 4 x 4 pose in the patient, or its nominal angles, at its own isocenter if the file gives
    one other than the origin, else at this one (world mm); AP where the file says nothing.
    """
    nominal = radiograph.nominal
    if nominal is None:
        return radiograph.carm.world_from_camera(0.0, 0.0, isocenter=isocenter)
    geometry = radiograph.geometry
    placed = geometry is not None and geometry.world_from_camera is not None
    if not placed and not any(nominal.isocenter):
        x, y, z = (float(v) for v in isocenter)
        nominal = replace(nominal, isocenter=(x, y, z))
    return radiograph.carm.pose_from(nominal)


def _recentred(old: SessionState, new: SessionState) -> SessionState:
    """The new state, its radiographs at their starts again if all were at assumed ones before."""
    untouched = all(
        same_pose(entry.world_from_camera, entry.start)
        and same_pose(entry.start, nominal_start(entry.radiograph, old.pivot))
        for entry in old.exposures
    )
    return _started_again(new) if untouched else new


def _with_ct(state: SessionState, volume: Volume | None, source: Source | None) -> SessionState:
    return _recentred(state, _with_bare_ct(state, volume, source))


def _with_bare_ct(
    state: SessionState, volume: Volume | None, source: Source | None
) -> SessionState:
    """Another CT, and nothing that belonged to the one before; radiographs stay where they are."""
    return replace(
        state,
        volume=volume,
        volume_source=source,
        labels=None,
        labels_source=None,
        structures=(),
        isocenter=None,
        results=(),
        track=None,
        of_bones={},
        missing=tuple(gone for gone in state.missing if gone.name not in ("CT", "labels")),
    )


def _started_again(state: SessionState) -> SessionState:
    """Radiographs go to their start about the present isocenter."""
    starts = {e.id: nominal_start(e.radiograph, state.pivot) for e in state.exposures}
    return state.with_exposures(
        replace(entry, world_from_camera=start, start=start)
        for entry in state.exposures
        if (start := starts[entry.id])
        and not (same_pose(start, entry.start) and same_pose(start, entry.world_from_camera))
    )


def _differs(old: SessionState, new: SessionState) -> bool:
    return any(map(is_not, _parts(old), _parts(new))) or old.structures != new.structures
