"""The radiographs of a session: coming, going, and what is said about each."""

from dataclasses import replace

from jaxtyping import Bool
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import View
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseRecord, same_pose
from napari_xreg.session.patient import Patient
from napari_xreg.session.source import Source


class Radiographs(Patient):
    """The part of a `Session` that holds the radiographs."""

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

    def named(self, id: str) -> str | None:
        """What a radiograph is called now, by its `Exposure.id`; None: it is gone."""
        return next((e.name for e in self._exposures.values() if e.id == id), None)

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
            Where it stands now, and where "reset" goes back to. None: the file's nominal pose, or,
            where it has none, AP about the isocenter; with `rig_locked` and another radiograph
            that was moved from its start, it stands where the same motion takes it.
        source
            Where it can be read again; None: it exists in memory only.
        truth
            Of a simulated radiograph: see `Exposure`.
        """
        lead = self.active
        given = start is not None
        if start is None:
            start = self.nominal_start(radiograph)
        unique, number = name, 2
        while unique in self._exposures or unique in self._missing:
            unique, number = f"{name} {number}", number + 1
        entry = Exposure(unique, radiograph, start, start, source=source, truth=truth)
        pose = entry.start
        rig = lead if self.rig_locked else None
        pose_in_lead = Pose.identity()
        if rig is not None:
            if not given and not same_pose(rig.world_from_camera, rig.start):
                pose = rig.world_from_camera @ rig.start.inverse() @ pose
                entry = replace(entry, world_from_camera=pose)
            pose_in_lead = rig.world_from_camera.inverse() @ pose

        def stood(record: PoseRecord) -> Pose:
            """Where it would have been in a pose that was kept: the rig is rigid."""
            before = None if rig is None else record.poses.get(rig.name)
            if rig is None or before is None or same_pose(before, rig.world_from_camera):
                return pose
            return before @ pose_in_lead

        by_hand = source is None or bool(source.options)  # in no file, or described in a form
        with self._step(f"add radiograph {unique}", work=by_hand) as say:
            self._exposures[unique] = entry
            self._active = unique
            self._named = {
                key: PoseRecord({**record.poses, unique: stood(record)}, record.why)
                for key, record in self._named.items()
            }
            say(self.radiographs_changed)
            say(self.active_changed)
        return unique

    def remove_radiograph(self, name: str) -> None:
        """Take a radiograph out, with its picks and mask, and the results that used it."""
        self.exposure(name)
        with self._step(f"remove radiograph {name}") as say:
            say(self.radiographs_changed)
            del self._exposures[name]
            if self._drop_results(name):
                say(self.results_changed)
            if self._active == name:
                self._active = next(iter(self._exposures), None)
                say(self.active_changed)
            left = {key: record.without(name) for key, record in self._named.items()}
            self._named = {key: record for key, record in left.items() if record.poses}

    def replace_radiograph(
        self,
        name: str,
        radiograph: Radiograph,
        *,
        source: Source | None = None,
        why: str = "",
    ) -> None:
        """Another image or geometry under the same name (an override, a crop); the pose stays.

        What was painted and picked goes where the number of rows or columns changed.

        Parameters
        ----------
        source
            Where this very image can be read; None: as before, see `Exposure.edited`.
        why
            What undo calls it.
        """
        old = self._exposures[name]
        same = old.radiograph.carm.detector.shape == radiograph.carm.detector.shape
        painted, landmarks = (old.painted, old.landmarks) if same else (None, ())
        # First without: they may not fit the new shape.
        new = replace(old, painted=None, landmarks=()).with_radiograph(radiograph)
        new = replace(new, painted=painted, landmarks=landmarks)
        if source is not None:
            new = replace(new, source=source, edited=False)
        with self._step(why or f"change radiograph {name}") as say:
            self._exposures[name] = new
            say(self.radiographs_changed)
            if old.painted is not None and not same:
                say(self.mask_changed)
            if old.landmarks and not same:
                say(self.landmarks_changed)

    def replace_exposure(self, exposure: Exposure, *, why: str = "") -> None:
        """Everything about a radiograph at once, under the same name (`turned`, `flipped`).

        Where its start was turned, the named poses turn along, and the results that used it go.
        """
        name = exposure.name
        old = self.exposure(name)
        bare = replace(old, painted=None, landmarks=())
        edited = bare.with_radiograph(exposure.radiograph).edited
        with self._step(why or f"change radiograph {name}") as say:
            new = replace(exposure, edited=exposure.edited or edited, id=old.id)
            self._exposures[name] = new
            for signal in (
                self.radiographs_changed,
                self.mask_changed,
                self.landmarks_changed,
                self.pose_changed,
            ):
                say(signal)
            if not same_pose(old.start, exposure.start):
                turn = old.start.inverse() @ exposure.start
                self._named = {
                    key: PoseRecord(
                        {k: p @ turn if k == name else p for k, p in record.poses.items()},
                        record.why,
                    )
                    for key, record in self._named.items()
                }
                if self._drop_results(name):
                    say(self.results_changed)

    def _drop_results(self, radiograph: str) -> bool:
        """Forget the results that used a radiograph; whether there were any."""
        gone = [key for key, result in self._results.items() if radiograph in result.radiographs]
        for key in gone:
            del self._results[key]
        return bool(gone)

    def rename_radiograph(self, name: str, new: str) -> None:
        """Call a radiograph otherwise; it stays the same one (`Exposure.id`), with its results.

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
        with self._step(f"rename {name} to {new}") as say:
            self._exposures = {
                new if key == name else key: replace(entry, name=new) if key == name else entry
                for key, entry in self._exposures.items()
            }
            self._named = {key: record.renamed(name, new) for key, record in self._named.items()}
            for key, result in self._results.items():
                if name in result.radiographs:
                    names = tuple(new if used == name else used for used in result.radiographs)
                    self._results[key] = replace(result, radiographs=names)
                    say(self.results_changed)
            if self._active == name:
                self._active = new
            say(self.radiographs_changed)

    def set_active(self, name: str) -> None:
        """Show and drag this radiograph."""
        self.exposure(name)
        if name != self._active:
            self._active = name
            self.active_changed.emit()

    def set_used(self, name: str, used: bool) -> None:
        """Whether refinement uses it."""
        if self._exposures[name].used == used:
            return
        with self._step(f"use {name}" if used else f"leave {name} out") as say:
            self._exposures[name] = replace(self._exposures[name], used=used)
            say(self.radiographs_changed)

    def set_painted(self, name: str, painted: Bool[Tensor, "rows columns"] | None) -> None:
        """What the user masked by hand; True where a pixel may be used."""
        why = f"clear the mask of {name}" if painted is None else f"mask on {name}"
        with self._step(why) as say:
            self._exposures[name] = replace(self._exposures[name], painted=painted)
            say(self.mask_changed)

    def set_start(self, name: str, start: Pose | None = None) -> None:
        """Where "reset" goes back to; None: the present pose."""
        old = self._exposures[name]
        with self._step(f"start of {name}") as say:
            self._exposures[name] = replace(old, start=start or old.world_from_camera)
            say(self.radiographs_changed)

    def views(self) -> tuple[View, ...]:
        """The used radiographs, masked, at their poses: what `registration.refine` is given."""
        return tuple(
            View(entry.masked, entry.world_from_camera) for entry in self.exposures if entry.used
        )
