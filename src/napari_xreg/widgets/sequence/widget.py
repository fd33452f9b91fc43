"""Sequence: track a bone through the frames that the radiographs belong to, and look at each."""

from pathlib import Path
from typing import Any

import torch
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout

from napari_xreg.session import Rendering
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job, without_events
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence, show_info, show_warning, tell_written
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.file_dialogs import choose_folder
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.sequence.controls import HINT, SequenceControls
from napari_xreg.workflows import (
    FrameRead,
    FrameState,
    KeptPoses,
    SequenceFound,
    SessionSequence,
    Track,
    TrackedFrame,
    TrackExport,
    TrackRequest,
    TrackSessionRequest,
    curves_of,
    export_track,
    read_frame,
    sequence_request,
    show_frame,
    smooth_curves,
    track_session,
)

DRAW_MS = 400
"""Shortest time between two drawings of the curves."""

_OTHERWISE = "Tracked before structures, labels or isocenter were changed."


class SequenceWidget(Docked):
    """Tracks what is rendered of the CT through the frames of the used radiographs.

    Parameters
    ----------
    napari_viewer
        Whose session it is.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._job: Job | None = None
        self._request: TrackRequest | None = None
        self._kept = KeptPoses()
        self._volume: Any = None  # the CT that was tracked in, as read
        self._marked: int | None = None
        self._showing = False
        self.sequence: SessionSequence | None = None
        """That was found; None before."""
        self.track: Track | None = None
        """The last answer."""
        self._frames: dict[int, TrackedFrame] = {}
        self._lane = Lane(
            self._show_read, lambda asked: read_frame(*asked), on_error=self._not_read, name="Frame"
        )
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(DRAW_MS)
        self._drawing.timeout.connect(self._draw)
        self.controls = SequenceControls()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(self.controls))
        self._connect()
        session = self._session
        self.listen(session.patient.changed, self._follow_patient)
        self.listen(session.exposures.changed, self._follow)
        self.listen(session.exposures.active_changed, self._follow)
        self._follow()

    @property
    def running(self) -> bool:
        """Whether frames are being tracked."""
        return self._job is not None and self._job.running

    def _connect(self) -> None:
        controls = self.controls
        for pressed, slot in (
            (controls.go, self.toggle),
            (controls.export_button, self.ask_where_to_export),
            (controls.key_button, self.keep_pose),
            (controls.forget_button, self.forget_pose),
        ):
            pressed.clicked.connect(lambda _=False, slot=slot: slot())
        for chosen in (controls.strip.chosen, controls.number.valueChanged, controls.plots.chosen):
            chosen.connect(self.go_to)

    # ------------------------------------------------------------------ tracking

    def toggle(self) -> None:
        """Track; while it runs, end it with the frames so far."""
        if self._job is not None and self._job.running:
            self.controls.words.setText("Cancelling …")
            self._job.cancel()
            return
        self.start()

    def start(self) -> None:
        """Track from the frame that is shown."""
        volume = self._session.patient.rendering
        if volume is None:
            show_warning("Tracking needs a CT: load one in the Data widget.")
            return
        try:
            asked = sequence_request(self._session)
            settings = self.controls.settings.value()
        except ValueError as error:
            self.keep_words(sentence(error), error=True)
            return
        request = TrackSessionRequest(asked, volume, settings, self._kept, preferred_device())
        self._volume = self._session.patient.volume
        self.controls.words.setText("Looking at the files …")
        self._job = self.workbench.jobs.start(
            "Tracking",
            lambda control: track_session(request, control=control),
            on_event=lambda _, events: self._take(events),
            on_result=self._end,
            on_error=self._failed,
            description="Tracking frames",
        )
        self._job.finished.connect(self._switch)
        self._switch()

    def _take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, SequenceFound):
                if not event.sequence.is_in(self._session):  # taken out while files were looked at
                    self._forget()
                    return
                self._begin(event)
            else:
                self._frames[event.number] = event
                self.controls.strip.put(event)
        assert self._request is not None and self._job is not None
        last = events[-1]
        total = len(self._request.frames.numbers)
        if isinstance(last, TrackedFrame):
            words = self.controls.strip.words_of(last.number).split("\n")[0]
            if not self._job.control.cancelled:
                self.controls.words.setText(f"{len(self._frames)} of {total}: {words}")
            if not self._drawing.isActive():
                self._drawing.start()

    def _draw(self) -> None:
        """The curves of the frames so far."""
        frames = tuple(self._frames[number] for number in sorted(self._frames))
        if frames and self._request is not None:
            self.controls.plots.draw(frames, curves_of(frames, self._pivot()), None)

    def _begin(self, found: SequenceFound) -> None:
        self.sequence, self._request, self.track = found.sequence, found.request, None
        self._frames, self._kept = {}, found.kept
        self.controls.strip.begin(found.sequence.frames.numbers)
        for number in self._kept.numbers:
            self._put_key(number)
        self._mark(found.sequence.number)

    def _end(self, found: Track) -> None:
        self._drawing.stop()
        self.track = found
        self._frames = {frame.number: frame for frame in found.frames}
        for frame in found.frames:
            self.controls.strip.put(frame)
        self.controls.plots.draw(
            found.frames, curves_of(found.frames, found.pivot), smooth_curves(found)
        )
        cancelled = " Cancelled: these are the frames so far." if found.cancelled else ""
        self.controls.words.setText(
            " ".join([found.words, *found.notes]) + cancelled + self._since()
        )
        self._mark(self._shown())
        self._switch()

    def _failed(self, error: Exception) -> None:
        self.controls.words.setText("")
        self.keep_words(sentence(error), error=True)

    def _pivot(self) -> Any:
        assert self._request is not None
        pivot = self._request.isocenter
        return self._session.patient.isocenter if pivot is None else pivot

    # ------------------------------------------------------------------ looking

    def go_to(self, number: int) -> None:
        """Show a frame: its radiographs, and the bone where it was found."""
        if self.sequence is None:
            return
        near = self.sequence.frames.nearest(number, standing_at=self._marked)
        self._mark(near)
        if near == self._shown():
            self._lane.drop()
        else:
            self._lane.ask((self.sequence, near))

    def _show_read(self, frame: FrameRead) -> None:
        sequence = self.sequence
        if sequence is None or self.torn_down or not sequence.is_in(self._session):
            return
        active = self._session.exposures.active
        moved = self._kept.rig_at(frame, None if active is None else active.id)
        if moved is None and frame.number in self._frames:
            moved = self._frames[frame.number].world_from_rig
        self._showing = True
        try:
            show_frame(self._session, sequence, frame, moved)
        finally:
            self._showing = False
        self.controls.words.setText(self.controls.strip.words_of(frame.number))
        self._mark(frame.number)
        self._switch()

    def _not_read(self, error: Exception) -> None:
        self._mark(self._shown())
        self.keep_words(sentence(error), error=True)

    def _shown(self) -> int | None:
        return None if self.sequence is None else self.sequence.shown_in(self._session)

    def _mark(self, number: int | None) -> None:
        self._marked = number
        self.controls.strip.show_frame(number)
        self.controls.plots.mark(number)
        if self.sequence is not None and number is not None:
            numbers = self.sequence.frames.numbers
            self.controls.show_number(number, numbers[0], numbers[-1])

    # ------------------------------------------------------------------ key frames

    def keep_pose(self) -> None:
        """The current pose of the frame that is shown is a key frame of the next tracking."""
        number, pose = self._shown(), self._session.poses.current
        if number is None or pose is None or self.sequence is None:
            return
        exposures = self._session.exposures
        self._kept = self._kept.keep(
            number, {id: exposures[id].world_from_camera for id in self.sequence.ids}
        )
        self._put_key(number)
        show_info(f"The pose of frame {number} is kept. Track again to go on from it.")
        self._switch()

    def forget_pose(self) -> None:
        """The frame that is shown is no key frame any more."""
        number = self._shown()
        if number is not None and number in self._kept.poses:
            self._kept = self._kept.forget(number)
            tracked = self._frames.get(number)
            if tracked is None:
                self.controls.strip.forget(number)
            else:
                self.controls.strip.put(tracked)
        self._switch()

    def _put_key(self, number: int) -> None:
        """Into the strip; the track stays as it was found."""
        pose = next(iter(self._kept.poses[number].values()))
        self.controls.strip.put(TrackedFrame(number, None, FrameState.KEY, pose, pose))

    @property
    def keys(self) -> tuple[int, ...]:
        """Numbers of the frames whose poses are kept."""
        return self._kept.numbers

    # ------------------------------------------------------------------ writing

    def ask_where_to_export(self) -> None:
        """Choose a folder and write the track there."""
        choose_folder(self, "Write the track into a folder", self.export)

    def export(self, folder: str | Path) -> None:
        """Write the track into a folder."""
        found, request = self.track, self._request
        if found is None or request is None:
            return
        asked = TrackExport(Path(folder), found, request.frames, request.volume)
        self.workbench.jobs.start(
            "Export of the track",
            without_events(lambda: export_track(asked)),
            on_result=lambda done: tell_written(
                f"Written to {folder}: {', '.join(done.files)}", done.missing
            ),
            on_error=lambda error: self.keep_words(sentence(error), error=True),
        )

    # ------------------------------------------------------------------ following

    def _follow(self) -> None:
        """Other radiographs: those that are gone take what was tracked along."""
        if self._showing:
            return
        if self.sequence is not None and not self.sequence.is_in(self._session):
            self._forget()
            return
        if self.sequence is None and not self.running:
            self.controls.words.setText(HINT)
        before, shown = self._marked, self._shown()
        if shown is not None and shown != before and not self.running:  # undo, for instance
            self.controls.words.setText(self.controls.strip.words_of(shown))
        self._mark(shown)
        self._switch()

    def _follow_patient(self) -> None:
        """Another CT: what was tracked no longer holds. Else it holds for what was rendered then."""
        if self._session.patient.volume is not self._volume:
            self._forget()
        elif self.track is not None:
            self.controls.words.setText(self.track.words + self._since())
        self._switch()

    def _since(self) -> str:
        """What was changed since it was asked for; empty: nothing."""
        patient, request = self._session.patient, self._request
        volume = patient.volume
        if request is None or volume is None or not isinstance(request.volume, Rendering):
            return ""
        same = request.volume.is_of(volume, patient.labels, patient.structures)
        return "" if same and torch.equal(self._pivot(), patient.isocenter) else f" {_OTHERWISE}"

    def _forget(self) -> None:
        """Another CT, or radiographs that are gone: what was tracked no longer holds."""
        if self._job is not None and self._job.running:
            self._job.abandon()
            self._job = None
        self._drawing.stop()
        self._lane.drop()
        self.sequence, self.track, self._request = None, None, None
        self._frames, self._kept = {}, KeptPoses()
        self._volume, self._marked = None, None
        self.controls.strip.begin(())
        self.controls.plots.setVisible(False)
        self.controls.words.setText(HINT)
        self._switch()

    def _switch(self) -> None:
        session, number = self._session, self._shown()
        self.controls.follow(
            running=self.running,
            ready=session.exposures.active is not None and session.patient.volume is not None,
            shown=number is not None,
            kept=number in self._kept.poses,
            tracked=self.track is not None,
        )

    def teardown(self) -> None:
        """Stop tracking."""
        self._lane.close()
        self._drawing.stop()
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = None
