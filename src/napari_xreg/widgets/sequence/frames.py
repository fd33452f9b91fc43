"""The frames of a sequence in place of the one that the session shows, and every bone where it was found."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from qtpy.QtCore import QObject, Signal

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.session import Exposure, SequenceTrack
from napari_xreg.viewer import FrameAxis
from napari_xreg.widgets.bones.drawn import BonesDrawn
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.sequence.controls import SequenceControls
from napari_xreg.widgets.sequence.shown import TrackShown
from napari_xreg.workflows import (
    FrameRead,
    OwnBone,
    SequenceFound,
    SessionSequence,
    poses_in,
    read_frame,
    show_frame,
)


class FramesShown(QObject):
    """Shows frames, read off the main thread.

    Parameters
    ----------
    bench
        Whose session and canvas.
    controls
        That say which frame it is.
    track
        Where the bones were found.
    """

    shown = Signal()
    """Another frame is shown."""
    failed = Signal(Exception)
    """A frame could not be read."""

    def __init__(self, bench: Workbench, controls: SequenceControls, track: TrackShown) -> None:
        super().__init__()
        self._session, self._controls, self._track = bench.session, controls, track
        self._marked: int | None = None
        self.showing = False
        """Whether what changes in the session is a frame that is being shown."""
        self.found: SequenceFound | None = None
        """None: no files were looked at."""
        self.volume: Volume | None = None
        """The CT that they were looked at for, as read."""
        self._lane = Lane(
            self._show, lambda asked: read_frame(*asked), on_error=self._not_read, name="Frame"
        )
        self._left: dict[str, Pose] = {}  # where a frame put the cameras
        self._as_read: dict[str, Exposure] = {}
        self._bench = bench
        self._axis = FrameAxis(bench.viewer)
        self._axis.moved.connect(self.go_to)
        self.on_canvas = BonesDrawn(bench)
        self.on_canvas.switched.connect(controls.rows.tick)
        controls.rows.switched.connect(self._see)

    @property
    def sequence(self) -> SessionSequence | None:
        """None: no files were looked at."""
        return None if self.found is None else self.found.sequence

    @property
    def own(self) -> Mapping[str, OwnBone]:
        """Bones of a trial that were read, by their names."""
        return {} if self.found is None else self.found.own

    def is_bone(self, volume: Volume | None) -> bool:
        """Whether a CT is that of a bone of the trial that is shown."""
        return self.found is not None and self.found.bone_of(volume) is not None

    def can_show(self, bone: str) -> bool:
        """Whether the C-arm can stand about a bone: of a trial only about one whose CT was read."""
        known = self._track.known
        return known is None or not known.track.volumes or bone in self.own

    @property
    def said(self) -> bool:
        """Whether the trial's own files have poses that are not kept."""
        known = self._track.known
        track = None if known is None else known.track
        return track is not None and any(
            set(track.numbers) & bone.files.rig_from_bone.keys() - track.keys(name).keys()
            for name, bone in self.own.items()
        )

    @property
    def number(self) -> int | None:
        """Of the frame that the session shows; None: another picture, or none."""
        return None if self.sequence is None else self.sequence.shown_in(self._session)

    @property
    def marked(self) -> int | None:
        """Of the frame that is shown, or will be once it was read."""
        return self._marked

    def begin(self, found: SequenceFound) -> None:
        """Other files; of several bones those that are drawn from now on."""
        self.found, self._left, self._as_read = found, {}, self._used()
        self._axis.show(found.sequence.frames.numbers)
        if found.bodies:
            self.on_canvas.put(found.bodies)
        else:
            self.on_canvas.forget()
        self.mark(self.number)

    def forget(self) -> None:
        """No sequence any more."""
        self._lane.drop()
        self.found, self._marked, self._left = None, None, {}
        self._axis.show(())
        self.on_canvas.forget()

    def go_to(self, number: int) -> None:
        """Show a frame: its radiographs, and the chosen bone where it was found."""
        if self.sequence is None:
            return
        near = self.sequence.frames.nearest(number, standing_at=self._marked)
        self.mark(near)
        if near == self.number:
            self._lane.drop()
            if self._track.known is not None:
                self.look()
                self.place()
            self.shown.emit()
        else:
            self._lane.ask((self.sequence, near))

    def mark(self, number: int | None) -> None:
        """Say which frame is shown."""
        self._marked = number
        for strip in self._controls.strips:
            strip.show_frame(number)
        self._controls.plots.mark(number)
        if self.sequence is not None and number is not None:
            numbers = self.sequence.frames.numbers
            self._controls.show_number(number, numbers[0], numbers[-1])
            self._axis.go(number)

    def pose(self, why: str, track: SequenceTrack) -> None:
        """A step of work: another track, and the C-arm where it stands about the chosen bone in the frame that is shown."""
        self._bring(self._session.one_step(why), track)

    def look(self, track: SequenceTrack | None = None) -> None:
        """Bring the C-arm to where it stands about the chosen bone in the frame that is shown; a step where the user had moved it.

        Parameters
        ----------
        track
            With another bone that is chosen; None: as it was.
        """
        session, there = self._session, self._there()
        by_hand = bool(there) and not _same(there, self.rig()) and self._by_hand()
        # Another CT takes what belongs to this one along.
        lost = self._other_bone(track) is not None and session.patient.goes_with_bone
        why = f"frame {self.number}" if by_hand else "choose a bone"
        step = session.one_step(why, work=False) if by_hand or lost else session.look()
        self._bring(step, track)

    def _other_bone(self, track: SequenceTrack | None) -> OwnBone | None:
        """The bone of a trial that is to be the CT in place of another; None: it stays."""
        bone = None if track is None else self.own.get(track.chosen)
        return None if bone is None or bone.volume is self._session.patient.volume else bone

    def _bring(self, step: AbstractContextManager[None], track: SequenceTrack | None) -> None:
        poses, bone = self._there(), self._other_bone(track)
        self.showing = True
        try:
            with step:
                if bone is not None:
                    assert track is not None and self.found is not None
                    before = self.found.bone_of(self._session.patient.volume)
                    self._session.patient.show_bone(
                        bone.volume, bone.source, bone.starts(),
                        name=track.chosen, before=before, shown=self._shown(),
                    )  # fmt: skip
                    self.volume = bone.volume
                if track is not None:
                    self._session.sequence.set(track, "")
                if poses:
                    self._session.poses.set_several(poses, "")
        finally:
            self.showing = False
        if poses:
            self._left = self.rig()

    def _shown(self) -> dict[str, int]:
        """Number of the frame that each camera's radiograph shows, by `Exposure.id`."""
        number, sequence = self.number, self.sequence
        return {} if sequence is None or number is None else dict.fromkeys(sequence.ids, number)

    def _there(self) -> dict[str, Pose]:
        """Where the cameras stand about the chosen bone in the frame that is shown; empty: it has no pose there."""
        known, number = self._track.known, self.number
        if known is None or number is None:
            return {}
        return self._poses(known.chosen, number, self.rig())

    def _by_hand(self) -> bool:
        """Whether the cameras stand where no frame had put them, nor any bone was found in the shown one."""
        known, number, rig = self._track.known, self.number, self.rig()
        if known is None or number is None or _same(self._left, rig):
            return not _same(self._left, rig)
        return not any(_same(self._poses(name, number, rig), rig) for name in known.names)

    def of_another(self) -> str | None:
        """The bone that the C-arm stands about exactly as it was found, while the chosen one was not found in this frame."""
        known, number = self._track.known, self.number
        if known is None or number is None or self._there():
            return None
        rig = self.rig()
        lead = next(iter(rig))

        def stands(name: str) -> bool:
            found = self._poses(name, number, rig).get(lead)
            return found is not None and _close(found, rig[lead])

        return next((name for name in known.names if stands(name)), None)

    def rig(self) -> dict[str, Pose]:
        """Where the cameras stand in the session."""
        exposures = self._session.exposures
        ids = () if self.sequence is None else self.sequence.ids
        return {id: exposures[id].world_from_camera for id in ids}

    def fits(self) -> bool:
        """Whether the files were looked at for the radiographs that are used now, as they are: in the same geometry, uncropped."""
        used, before = self._used(), self._as_read
        return (
            self.number is not None
            and used.keys() == before.keys()
            and not any(each.edited for each in used.values())
            and all(_same_camera(each, before[id]) for id, each in used.items())
        )

    def _used(self) -> dict[str, Exposure]:
        return {each.id: each for each in self._session.exposures.all if each.used}

    def place(self) -> None:
        """Draw every bone where it was found in the frame that is shown."""
        known, number, layers = self._track.known, self.number, self.on_canvas.layers
        if known is None or layers is None or number is None:
            return
        rig = self.rig()
        for name, on in self._controls.rows.ticked.items():
            layers.switch(name, on)
        self.on_canvas.place({name: self._poses(name, number, rig) for name in known.names})
        if self.nowhere:  # or it would not be seen at all
            self.on_canvas.show_drr()

    @property
    def nowhere(self) -> bool:
        """Whether nobody has said yet where the chosen bone of a trial is in the frame that is shown."""
        known, number = self._track.known, self.number
        if known is None or number is None or known.chosen not in self.own:
            return False
        return number not in known.frames[known.chosen] and not self._there()

    def close(self) -> None:
        """For good."""
        self._lane.close()
        self._axis.close(remove_layers=not self._bench.closed)
        self.on_canvas.close()

    def _show(self, frame: FrameRead) -> None:
        sequence, known = self.sequence, self._track.known
        if sequence is None or known is None or not sequence.is_in(self._session):
            return
        rig = dict(zip(sequence.ids, frame.cameras, strict=True))
        poses, moved = self._poses(known.chosen, frame.number, rig), self._by_hand()
        self.showing = True
        try:
            show_frame(self._session, sequence, frame, poses, moved=moved)
        finally:
            self.showing = False
        self._as_read = self._used()
        if poses:
            self._left = self.rig()
        if not self._lane.busy:  # else the user is further already
            self.mark(frame.number)
        self.place()
        self.shown.emit()

    def _poses(self, bone: str, number: int, rig: dict[str, Pose]) -> dict[str, Pose]:
        known = self._track.known
        assert known is not None
        own = self.own.get(bone)
        said = None if own is None else own.said(number, known.track.radiographs[0])
        return poses_in(known.track, known.frames[bone].get(number), bone, number, rig, said)

    def _see(self, name: str, on: bool) -> None:
        if self.on_canvas.layers is not None:
            self.on_canvas.layers.switch(name, on)

    def _not_read(self, error: Exception) -> None:
        self.mark(self.number)
        self.failed.emit(error)


def _same_camera(one: Exposure, other: Exposure) -> bool:
    """Another frame may have been taken at other angles of the C-arm, the same one may not."""
    angles = one.radiograph.nominal == other.radiograph.nominal
    return one.radiograph.carm == other.radiograph.carm and (angles or one.source != other.source)


def _same(one: Mapping[str, Pose], other: Mapping[str, Pose]) -> bool:
    """Whether these are all there, and alike but for rounding."""
    return one.keys() == other.keys() and all(_close(one[id], other[id]) for id in one)


def _close(one: Pose, other: Pose) -> bool:
    return torch.allclose(one.matrix().double(), other.matrix().double(), rtol=0, atol=1e-9)
