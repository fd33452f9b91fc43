"""Sequence: track a bone through the frames that the radiographs belong to, and look at each."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import torch
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QSpinBox, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.session import Rendering
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job, Lane, sentence
from napari_xreg.widgets.jobs.telling import show_info, show_warning
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.form import SettingsForm
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.sequence.curves import MotionPlots
from napari_xreg.widgets.sequence.strip import LEGEND, FrameStrip
from napari_xreg.workflows import (
    FrameRead,
    FrameState,
    SessionSequence,
    Track,
    TrackedFrame,
    TrackExport,
    TrackRequest,
    TrackSettings,
    curves_of,
    export_track,
    read_frame,
    sequence_of,
    sequence_request,
    show_frame,
    smooth_curves,
    track,
)

DRAW_MS = 400
"""Shortest time between two drawings of the curves."""

_OTHERWISE = "Tracked before structures, labels or isocenter were changed."

HINT = (
    "Open one frame of a sequence (a file of several frames, a folder with a file for each, a trial of "
    "Autoscoper), register it, and track from there: forward to the end, back to the beginning."
)


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
        self._keys: dict[int, Mapping[str, Pose]] = {}  # by number, then by `Exposure.id`
        self._keys_of: SessionSequence | None = None
        self._volume: Any = None  # the CT that was tracked in, as read
        self._marked: int | None = None
        self._showing = False
        self.sequence: SessionSequence | None = None
        """That was found; None before."""
        self.track: Track | None = None
        """The last answer."""
        self._frames: dict[int, TrackedFrame] = {}
        self._lane = Lane(self._show_read, _read, on_error=self._not_read, name="Frame")
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(DRAW_MS)
        self._drawing.timeout.connect(self._draw)
        self._make_controls()
        self._lay_out()
        session = self._session
        self.listen(session.patient.changed, self._follow_patient)
        self.listen(session.exposures.changed, self._follow)
        self.listen(session.exposures.active_changed, self._follow)
        self._follow()

    @property
    def running(self) -> bool:
        """Whether frames are being tracked."""
        return self._job is not None and self._job.running

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.settings = SettingsForm(TrackSettings())
        self.go = button(
            "Track",
            "From the frame that is shown, at its present pose: refine every frame from where those before "
            "lead to expect the bone, and judge it.",
            self.toggle,
        )
        self.export_button = button(
            "Export …",
            "A folder with a table of all poses and a film.",
            self.ask_where_to_export,
        )
        self.key_button = button(
            "Keep this pose",
            "The present pose of the frame that is shown is right: tracking takes it as it is, and goes on "
            "from it.",
            self.keep_pose,
        )
        self.forget_button = button(
            "Forget it", "The frame that is shown is tracked like others again.", self.forget_pose
        )
        self.strip = FrameStrip()
        self.strip.chosen.connect(self.go_to)
        self.number = QSpinBox()
        self.number.setPrefix("frame ")
        self.number.setToolTip("The frame that is shown. Arrow keys go through the sequence.")
        self.number.setKeyboardTracking(False)
        self.number.valueChanged.connect(self.go_to)
        self.plots = MotionPlots()
        self.plots.chosen.connect(self.go_to)
        self.words = SmallPrint(lines=3)
        self.legend = SmallPrint(LEGEND)

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row([self.go, self.export_button]))
        layout.addWidget(self.words)
        layout.addWidget(self.strip)
        layout.addWidget(self.legend)
        layout.addWidget(self.number)
        layout.addLayout(row([self.key_button, self.forget_button]))
        layout.addWidget(self.plots)
        more = QCollapsible("How")
        more.addWidget(self.settings)
        layout.addWidget(more)
        layout.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(inside))

    # ------------------------------------------------------------------ tracking

    def toggle(self) -> None:
        """Track; while it runs, end it with the frames so far."""
        if self._job is not None and self._job.running:
            self.words.setText("Cancelling …")
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
            settings = self.settings.value()
        except ValueError as error:
            self.keep_words(sentence(error), error=True)
            return
        keys, keys_of, device = dict(self._keys), self._keys_of, preferred_device()
        pivot = self._session.patient.isocenter
        self._volume = self._session.patient.volume

        def work(control: Control) -> Generator[Any, None, Track]:
            found = sequence_of(asked)
            held = keys if keys_of is not None and found.goes_on(keys_of) else {}
            held = {n: poses for n, poses in held.items() if n in found.frames.numbers}
            given = {number: poses[found.ids[0]] for number, poses in held.items()}
            request = TrackRequest(
                volume, found.frames, found.number, given, settings, pivot, device
            )
            yield _Begun(found, request, held)
            return (yield from track(request, control=control))

        self.words.setText("Looking at the files …")
        self._job = self.workbench.jobs.start(
            "Tracking",
            work,
            on_event=lambda _, events: self._take(events),
            on_result=self._end,
            on_error=self._failed,
            description="Tracking frames",
        )
        self._job.finished.connect(self._switch)
        self._switch()

    def _take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, _Begun):
                if not self._there(event.sequence):  # taken out while files were looked at
                    self._forget()
                    return
                self._begin(event)
            else:
                self._frames[event.number] = event
                self.strip.put(event)
        assert self._request is not None and self._job is not None
        last = events[-1]
        total = len(self._request.frames.numbers)
        if isinstance(last, TrackedFrame):
            words = self.strip.words_of(last.number).split("\n")[0]
            if not self._job.control.cancelled:
                self.words.setText(f"{len(self._frames)} of {total}: {words}")
            if not self._drawing.isActive():
                self._drawing.start()

    def _draw(self) -> None:
        """The curves of the frames so far."""
        frames = tuple(self._frames[number] for number in sorted(self._frames))
        if frames and self._request is not None:
            self.plots.draw(frames, curves_of(frames, self._pivot()), None)

    def _begin(self, begun: "_Begun") -> None:
        self.sequence, self._request, self.track = begun.sequence, begun.request, None
        self._frames = {}
        self._keys, self._keys_of = dict(begun.keys), begun.sequence
        numbers = begun.sequence.frames.numbers
        self.strip.begin(numbers)
        for number in self._keys:
            self._put_key(number)
        self._mark(begun.sequence.number)

    def _end(self, found: Track) -> None:
        self._drawing.stop()
        self.track = found
        self._frames = {frame.number: frame for frame in found.frames}
        for frame in found.frames:
            self.strip.put(frame)
        self.plots.draw(found.frames, curves_of(found.frames, found.pivot), smooth_curves(found))
        cancelled = " Cancelled: these are the frames so far." if found.cancelled else ""
        self.words.setText(" ".join([found.words, *found.notes]) + cancelled + self._since())
        self._mark(self._shown())
        self._switch()

    def _failed(self, error: Exception) -> None:
        self.words.setText("")
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
        numbers, at = self.sequence.frames.numbers, self._marked
        near = min(numbers, key=lambda each: abs(each - number))
        if near == at != number and at is not None:  # an arrow key, into a gap of the numbers
            beyond = numbers[::-1] if number < at else numbers
            near = next((n for n in beyond if (n < number if number < at else n > number)), at)
        self._mark(near)
        if near == self._shown():
            self._lane.drop()
        else:
            self._lane.ask(_Asked(self.sequence, near))

    def _show_read(self, frame: FrameRead) -> None:
        sequence = self.sequence
        if sequence is None or self.torn_down or not self._there(sequence):
            return
        moved = self._moved(sequence, frame)
        self._showing = True
        try:
            show_frame(self._session, sequence, frame, moved)
        finally:
            self._showing = False
        self.words.setText(self.strip.words_of(frame.number))
        self._mark(frame.number)
        self._switch()

    def _moved(self, sequence: SessionSequence, frame: FrameRead) -> Pose | None:
        """Of a frame: as it was kept, else as it was tracked."""
        kept, active = self._keys.get(frame.number), self._session.exposures.active
        if kept is None:
            tracked = self._frames.get(frame.number)
            return None if tracked is None else tracked.world_from_rig
        lead = sequence.ids[0] if active is None or active.id not in kept else active.id
        return kept[lead] @ frame.cameras[sequence.ids.index(lead)].inverse()

    def _not_read(self, error: Exception) -> None:
        self._mark(self._shown())
        self.keep_words(sentence(error), error=True)

    def _there(self, sequence: SessionSequence) -> bool:
        return all(self._session.exposures.find(id) is not None for id in sequence.ids)

    def _shown(self) -> int | None:
        """The number of the frame that the session shows."""
        if self.sequence is None:
            return None
        entry = self._session.exposures.find(self.sequence.ids[0])
        return None if entry is None else self.sequence.number_of(entry)

    def _mark(self, number: int | None) -> None:
        self._marked = number
        self.strip.show_frame(number)
        self.plots.mark(number)
        if self.sequence is not None and number is not None:
            numbers = self.sequence.frames.numbers
            self.number.blockSignals(True)
            self.number.setRange(numbers[0], numbers[-1])
            self.number.setValue(number)
            self.number.blockSignals(False)

    # ------------------------------------------------------------------ key frames

    def keep_pose(self) -> None:
        """The present pose of the frame that is shown is a key frame of the next tracking."""
        number, pose = self._shown(), self._session.poses.current
        if number is None or pose is None or self.sequence is None:
            return
        exposures = self._session.exposures
        self._keys[number] = {id: exposures[id].world_from_camera for id in self.sequence.ids}
        self._put_key(number)
        show_info(f"The pose of frame {number} is kept. Track again to go on from it.")
        self._switch()

    def forget_pose(self) -> None:
        """The frame that is shown is no key frame any more."""
        number = self._shown()
        if number is not None and self._keys.pop(number, None) is not None:
            tracked = self._frames.get(number)
            if tracked is None:
                self.strip.forget(number)
            else:
                self.strip.put(tracked)
        self._switch()

    def _put_key(self, number: int) -> None:
        """Into the strip; the track stays as it was found."""
        pose = next(iter(self._keys[number].values()))
        self.strip.put(TrackedFrame(number, None, FrameState.KEY, pose, pose))

    @property
    def keys(self) -> tuple[int, ...]:
        """Numbers of the frames whose poses are kept."""
        return tuple(sorted(self._keys))

    # ------------------------------------------------------------------ writing

    def ask_where_to_export(self) -> None:
        """Choose a folder and write the track there."""
        folder = QFileDialog.getExistingDirectory(self, "Write the track into a folder")
        if folder:
            self.export(folder)

    def export(self, folder: str | Path) -> None:
        """Write the track into a folder."""
        found, request = self.track, self._request
        if found is None or request is None:
            return
        asked = TrackExport(Path(folder), found, request.frames, request.volume)
        self.workbench.jobs.start(
            "Export of the track",
            lambda control: _nothing_but(export_track, asked),
            on_result=lambda names: show_info(f"Written to {folder}: {', '.join(names)}"),
            on_error=lambda error: self.keep_words(sentence(error), error=True),
        )

    # ------------------------------------------------------------------ following

    def _follow(self) -> None:
        """Other radiographs: those that are gone take what was tracked along."""
        if self._showing:
            return
        if self.sequence is not None and not self._there(self.sequence):
            self._forget()
            return
        if self.sequence is None and not self.running:
            self.words.setText(HINT)
        before, shown = self._marked, self._shown()
        if shown is not None and shown != before and not self.running:  # undo, for instance
            self.words.setText(self.strip.words_of(shown))
        self._mark(shown)
        self._switch()

    def _follow_patient(self) -> None:
        """Another CT: what was tracked no longer holds. Else it holds for what was rendered then."""
        if self._session.patient.volume is not self._volume:
            self._forget()
        elif self.track is not None:
            self.words.setText(self.track.words + self._since())
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
        self._frames, self._keys, self._keys_of = {}, {}, None
        self._volume, self._marked = None, None
        self.strip.begin(())
        self.plots.setVisible(False)
        self.words.setText(HINT)
        self._switch()

    def _switch(self) -> None:
        running = self.running
        self.go.setText("Cancel" if running else "Track")
        session = self._session
        ready = session.exposures.active is not None and session.patient.volume is not None
        self.go.setEnabled(running or ready)
        number = self._shown()
        for each in (self.number, self.key_button):
            each.setEnabled(number is not None and not running)
        self.forget_button.setEnabled(number in self._keys and not running)
        self.export_button.setEnabled(self.track is not None and not running)

    def teardown(self) -> None:
        """Stop tracking."""
        self._lane.close()
        self._drawing.stop()
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = None


class _Begun:
    """The files were looked at."""

    def __init__(
        self, sequence: SessionSequence, request: TrackRequest, keys: dict[int, Mapping[str, Pose]]
    ) -> None:
        self.sequence, self.request, self.keys = sequence, request, keys


class _Asked:
    """A frame that is to be read."""

    def __init__(self, sequence: SessionSequence, number: int) -> None:
        self.sequence, self.number = sequence, number


def _read(asked: _Asked) -> FrameRead:
    return read_frame(asked.sequence, asked.number)


def _nothing_but(work: Any, request: Any) -> Generator[Any, None, Any]:
    """A plain function as a job that has no events."""
    yield from ()
    return work(request)
