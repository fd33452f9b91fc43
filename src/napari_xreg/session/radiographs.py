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
            """Where it would have been at another moment: the rig is rigid."""
            before = None if rig is None else record.poses.get(rig.name)
            if rig is None or before is None or same_pose(before, rig.world_from_camera):
                return pose
            return before @ pose_in_lead

        self._exposures[unique] = entry
        self._active = unique
        if len(self._history):
            self._history.introduce(unique, stood)
            self._named = {
                key: PoseRecord({**record.poses, unique: stood(record)}, record.why)
                for key, record in self._named.items()
            }
        if not self._history.holds(self._poses()):
            self._history.record(PoseRecord(self._poses(), f"{unique} added"))
        self.radiographs_changed.emit()
        self.active_changed.emit()
        self.history_changed.emit()
        return unique

    def remove_radiograph(self, name: str) -> None:
        """Forget a radiograph, its poses in the history, and the results that used it."""
        del self._exposures[name]
        gone = self._drop_results(name)
        was_active = self._active == name
        if was_active:
            self._active = next(iter(self._exposures), None)
        self._history.forget(name)
        left = {key: record.without(name) for key, record in self._named.items()}
        self._named = {key: record for key, record in left.items() if record.poses}
        self.radiographs_changed.emit()
        if was_active:
            self.active_changed.emit()
        self.history_changed.emit()
        if gone:
            self.results_changed.emit()

    def replace_radiograph(
        self, name: str, radiograph: Radiograph, *, source: Source | None = None
    ) -> None:
        """Another image or geometry under the same name (an override, a crop); the pose stays.

        What was painted and picked goes where the number of rows or columns changed.

        Parameters
        ----------
        source
            Where this very image can be read; None: as before, see `Exposure.edited`.
        """
        old = self._exposures[name]
        same = old.radiograph.carm.detector.shape == radiograph.carm.detector.shape
        painted, landmarks = (old.painted, old.landmarks) if same else (None, ())
        # First without: they may not fit the new shape.
        new = replace(old, painted=None, landmarks=()).with_radiograph(radiograph)
        new = replace(new, painted=painted, landmarks=landmarks)
        if source is not None:
            new = replace(new, source=source, edited=False)
        self._exposures[name] = new
        self.radiographs_changed.emit()
        if old.painted is not None and not same:
            self.mask_changed.emit()
        if old.landmarks and not same:
            self.landmarks_changed.emit()

    def replace_exposure(self, exposure: Exposure) -> None:
        """Everything about a radiograph at once, under the same name (`turned`, `flipped`).

        Where its start was turned, its poses in the history turn along, and the results that used
        it go.
        """
        name = exposure.name
        old = self.exposure(name)
        bare = replace(old, painted=None, landmarks=())
        edited = bare.with_radiograph(exposure.radiograph).edited
        recorded = self._history.holds(self._poses())
        self._exposures[name] = replace(exposure, edited=exposure.edited or edited)
        gone = False
        turned = not same_pose(old.start, exposure.start)
        if turned:
            turn = old.start.inverse() @ exposure.start
            self._history.change(name, lambda pose: pose @ turn)
            self._named = {
                key: PoseRecord(
                    {k: p @ turn if k == name else p for k, p in record.poses.items()}, record.why
                )
                for key, record in self._named.items()
            }
            if recorded:
                self._history.settle(name, exposure.world_from_camera)
            gone = self._drop_results(name)
        self.radiographs_changed.emit()
        self.mask_changed.emit()
        self.landmarks_changed.emit()
        self.pose_changed.emit()
        if turned:
            self.history_changed.emit()
        if gone:
            self.results_changed.emit()

    def _drop_results(self, radiograph: str) -> bool:
        """Forget the results that used a radiograph; whether there were any."""
        gone = [key for key, result in self._results.items() if radiograph in result.radiographs]
        for key in gone:
            del self._results[key]
        return bool(gone)

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
        self.history_changed.emit()
        if any(new in result.radiographs for result in self._results.values()):
            self.results_changed.emit()

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
