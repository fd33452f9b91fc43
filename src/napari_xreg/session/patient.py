"""The CT of a session: its labels, the structures chosen, the isocenter."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.held import Held
from napari_xreg.session.history import same_pose
from napari_xreg.session.rendering import Rendering
from napari_xreg.session.source import Source


class Patient(Held):
    """The part of a `Session` that holds the CT."""

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
        """The CT restricted to `structures`: what is rendered and registered. Remembered.

        Seconds for a large CT, the first time: see `rendering`.
        """
        return None if self.rendering is None else self.rendering.volume()

    @property
    def rendering(self) -> Rendering | None:
        """What is rendered and registered, not yet computed; the same while it is the same."""
        if self._volume is None:
            return None
        parts = (self._volume, self._labels, self._structures)
        if self._rendering is None or not self._rendering.is_of(*parts):
            self._rendering = Rendering(*parts)
        return self._rendering

    @property
    def isocenter(self) -> Float[Tensor, "3"]:
        """Pivot of rotations and origin of C-arm terms, world mm: as set, else the CT's middle."""
        if self._isocenter is not None:
            return self._isocenter
        if self._volume is None:
            return torch.zeros(3, dtype=torch.float64)
        return self._volume.center.detach().cpu().double()

    def set_volume(self, volume: Volume | None, source: Source | None = None) -> None:
        """Another CT; its label map, structures, isocenter and results no longer hold and go.

        Poses stay: another reconstruction of the patient has the same world. But as long as no
        radiograph was moved from a start that was only assumed (`nominal_start`), all go where
        they would have started with this CT, so it does not matter which file is opened first.
        """
        entries = tuple(self._exposures.values())
        untouched = bool(entries) and all(
            same_pose(entry.world_from_camera, entry.start)
            and same_pose(entry.start, self.nominal_start(entry.radiograph))
            for entry in entries
        )
        with self._step(
            "remove the CT" if volume is None else "load CT", work=source is None
        ) as say:
            say(self.volume_changed)
            if self._results:
                self._results.clear()
                say(self.results_changed)
            self._volume, self._volume_source = volume, source
            self._labels = self._labels_source = self._isocenter = None
            self._structures = ()
            for key in ("CT", "labels"):
                self._missing.pop(key, None)
            if untouched and self._start_again(entries):
                say(self.pose_changed)

    def replace_patient(self, volume: Volume, source: Source | None = None) -> None:
        """The CT of somebody else: landmarks go too, and every radiograph starts where it would.

        What was picked and painted on the radiographs stays with them.
        """
        with self._step("replace the patient", work=source is None) as say:
            self.set_volume(volume, source)
            self._landmarks = {}
            self._start_again(tuple(self._exposures.values()))
            say(self.landmarks_changed)
            say(self.pose_changed)

    @property
    def has_patient(self) -> bool:
        """Whether there is a CT with anything that belongs to it: labels, radiographs, landmarks."""
        belongs = (self._labels, self._exposures, self._landmarks, self._results)
        return self._volume is not None and any(belongs)

    def _start_again(self, entries: Sequence[Exposure]) -> bool:
        """Radiographs go to their start about the present isocenter; whether any moved."""
        moved = False
        for entry in entries:
            start = self.nominal_start(entry.radiograph)
            if not (same_pose(start, entry.start) and same_pose(start, entry.world_from_camera)):
                self._exposures[entry.name] = replace(entry, world_from_camera=start, start=start)
                moved = True
        return moved

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
            labels = labels.onto(self._volume)
        why = "remove the label map" if labels is None else "load label map"
        with self._step(why, work=source is None) as say:
            self._missing.pop("labels", None)
            self._labels, self._labels_source = labels, source
            self._structures = ()
            say(self.volume_changed)

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
            present = self._labels.present()
            if not set(ids) & set(present):
                raise ValueError(f"none of the labels {list(ids)} occurs; present are {present}")
        with self._step("choose structures" if ids else "use the whole CT") as say:
            self._structures = ids
            say(self.volume_changed)

    def set_isocenter(self, isocenter: Float[Tensor, "3"] | None) -> None:
        """Pivot in world mm; None: the middle of the CT. No pose moves.

        Raises
        ------
        ValueError
            If it is not three finite numbers.
        """
        new = None if isocenter is None else isocenter.detach().cpu().double().clone()
        if new is not None and not (new.shape == (3,) and torch.isfinite(new).all()):
            raise ValueError(f"the isocenter is three finite numbers in mm: got {new.tolist()}")
        with self._step("move the isocenter") as say:
            self._isocenter = new
            say(self.volume_changed)
