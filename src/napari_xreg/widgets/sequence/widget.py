"""Sequence: track bones through the frames that the radiographs belong to, and look at each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout

from napari_xreg.session import ALONE, SequenceTrack, Track, TrackedFrame
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job, without_events
from napari_xreg.widgets.jobs.telling import sentence, show_info, show_warning, tell_written
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.file_dialogs import choose_folder
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.sequence.autoscoper_keys import AutoscoperKeys
from napari_xreg.widgets.sequence.controls import BEHIND, HINT, NOWHERE, SequenceControls
from napari_xreg.widgets.sequence.copied import CopiedPose
from napari_xreg.widgets.sequence.frames import FramesShown
from napari_xreg.widgets.sequence.keys import COPY, KEEP, PASTE, SequenceKeys
from napari_xreg.widgets.sequence.known import Known
from napari_xreg.widgets.sequence.looking import Looking
from napari_xreg.widgets.sequence.several import FINDING
from napari_xreg.widgets.sequence.shown import TrackShown
from napari_xreg.widgets.sequence.since import AS_BEFORE, NOTHING, SO_FAR, since
from napari_xreg.workflows import (
    PATIENT,
    SequenceExport,
    SequenceFound,
    SessionSequence,
    bone_words,
    export_sequence,
    track_request,
    track_session,
    with_said,
)

DRAW_MS = 400
"""Shortest time between two drawings of the curves."""


class SequenceWidget(Docked):
    """Tracks what is rendered of the CT, or several bones of it, through the frames of the used radiographs.

    Parameters
    ----------
    napari_viewer
        Whose session it is.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._job: Job | None = None
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.setInterval(DRAW_MS)
        self._drawing.timeout.connect(self._draw)
        self.controls = SequenceControls()
        self.shown = TrackShown(self.controls)
        self.frames = FramesShown(self.workbench, self.controls, self.shown)
        self.looking = Looking(
            self._session, self.controls, self.shown, self.frames,
            held=lambda: self.running or self.torn_down, show=self._show, switch=self._switch,
            fail=lambda words: self.keep_words(words, error=True),
        )  # fmt: skip
        self.copied = CopiedPose(
            self.frames,
            self._own_bone,
            self._session.poses.set_several,
            lambda error: self.keep_words(sentence(error), error=True),
        )
        controls = self.controls
        self._keys = SequenceKeys(
            self.workbench,
            {COPY: controls.copy_button, PASTE: controls.paste_button, KEEP: controls.key_button},
        )
        viewer = self.workbench.viewer
        self._autoscoper = AutoscoperKeys(
            self.workbench, keep=controls.key_button.click, copy=controls.copy_button.click,
            paste=controls.paste_button.click, say=lambda words: setattr(viewer, "status", words),
        )  # fmt: skip
        controls.autoscoper.toggled.connect(self._autoscoper.switch)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(self.controls))
        self._connect()
        session = self._session
        self.listen(session.patient.changed, self._follow_patient)
        self.listen(session.exposures.changed, self._follow)
        self.listen(session.exposures.active_changed, self._follow)
        self.listen(session.sequence.changed, self._follow_track)
        self.listen(session.poses.changed, self._moved)
        self.controls.several.follow(session.patient.labels, session.patient.volume_source)
        self._follow_track()
        self._follow()
        self.controls.several.changed.connect(self.looking.ahead)

    @property
    def running(self) -> bool:
        """Whether frames are being tracked."""
        return self._job is not None and self._job.running

    @property
    def sequence(self) -> SessionSequence | None:
        """That was found; None before."""
        return self.frames.sequence

    @property
    def track(self) -> Track | None:
        """The last answer, of the chosen bone."""
        return None if self.shown.known is None else self.shown.known.found

    @property
    def keys(self) -> tuple[int, ...]:
        """Numbers of the frames whose poses are kept, of the chosen bone."""
        return () if self.shown.known is None else self.shown.known.keys

    def _connect(self) -> None:
        controls, rows = self.controls, self.controls.rows
        for pressed, slot in (
            (controls.go, self.toggle),
            (controls.export_button, self.ask_where_to_export),
            (controls.key_button, self.keep_pose),
            (controls.forget_button, self.forget_pose),
            (controls.copy_button, self.copy_pose),
            (controls.paste_button, self.copied.paste),
            (controls.trial_button, self.keep_said),
        ):
            pressed.clicked.connect(lambda _=False, slot=slot: slot())
        for chosen in (
            controls.strip.chosen, rows.frame_chosen, controls.number.valueChanged,
            controls.plots.chosen,
        ):  # fmt: skip
            chosen.connect(self.go_to)
        rows.bone_chosen.connect(self.choose)
        controls.against.currentIndexChanged.connect(lambda _: self._draw())
        self.frames.shown.connect(self._say_frame)
        self.frames.failed.connect(lambda error: self.keep_words(sentence(error), error=True))

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
        session = self._session
        if session.patient.rendering is None:
            show_warning("Tracking needs a CT: load one in the Data widget.")
            return
        if self.controls.several.finding:  # else one body would be tracked
            self.keep_words(FINDING, error=True)
            return
        try:
            request = track_request(
                session, self.controls.settings.value(), self.controls.several.bones,
                chosen=self.shown.chosen or PATIENT, device=preferred_device(),
                known=self.frames.own,
            )  # fmt: skip
        except ValueError as error:
            self.keep_words(sentence(error), error=True)
            return
        self.frames.volume = session.patient.volume
        self.looking.drop()
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
        if self.torn_down:
            for event in events:
                if isinstance(event, SequenceFound):
                    self.frames.found = event
            return
        last: tuple[TrackedFrame, ...] | None = None
        for event in events:
            if isinstance(event, SequenceFound):
                if not event.sequence.is_in(self._session):  # taken out while files were looked at
                    self._forget()
                    return
                # Another row may have been chosen while files were looked at.
                row = self.shown.chosen
                chosen = row if row in event.track.bones else event.track.chosen
                self.shown.begin(replace(event.track, chosen=chosen))
                self.frames.begin(event)
            else:
                last = event
                self.shown.put(event)
        assert self._job is not None
        if last is not None:
            if not self._job.control.cancelled:
                self.controls.words.setText(self.shown.progress(last))
            if not self._drawing.isActive():
                self._drawing.start()

    def _draw(self) -> None:
        self.shown.draw(self._pivot())
        self.controls.plots.mark(self.frames.marked)

    def _end(self, track: SequenceTrack) -> None:
        nothing = track is self._session.sequence.track  # cancelled before a frame was done
        if self.torn_down:
            self.shown.known = Known(track)
            if not nothing:
                self._keep(track)
            return
        if nothing:
            self._follow_track()
            self.controls.words.setText(f"{self.shown.words} {NOTHING}{self._since()}")
            return
        if self.shown.known is not None:  # another row, meanwhile
            track = replace(track, chosen=self.shown.known.chosen)
        assert track.found is not None
        self._show(track)
        if self._job is not None and self._job.control.cancelled:
            so_far = SO_FAR if track.found.cancelled else AS_BEFORE
            self.controls.words.setText(f"{self.shown.words} {so_far}{self._since()}")
        self._keep(track)
        self._switch()

    def _show(self, track: SequenceTrack) -> None:
        """A track that has ended, of the files that were looked at."""
        self._drawing.stop()
        self.shown.begin(track)
        self._draw()
        self.controls.words.setText(self.shown.words + self._since())
        self.frames.mark(self.frames.number)
        self.frames.place()

    def _keep(self, track: SequenceTrack) -> None:
        """In the session, where undo, closing and a saved file have it; the C-arm where the chosen bone was found."""
        if all(self._session.exposures.find(id) is not None for id in track.radiographs):
            self.frames.pose("track the sequence", track)

    def _failed(self, error: Exception) -> None:
        if self.torn_down:
            return
        self._follow_track()
        self.controls.words.setText(self.shown.words)
        self.keep_words(sentence(error), error=True)

    def _pivot(self) -> Any:
        found = self.frames.found
        if found is None:
            return self._session.patient.isocenter
        return next(
            (body.pivot for body in found.bodies if body.name == self.shown.chosen), found.pivot
        )

    # ------------------------------------------------------------------ looking

    def go_to(self, number: int) -> None:
        """Show a frame: its radiographs, and the chosen bone where it was found."""
        self.frames.go_to(number)

    def choose(self, name: str) -> None:
        """Another bone is the one that frames, curves and kept poses are of; the C-arm goes to where it stands about it."""
        known = self.shown.known
        if known is None or name not in known.names or name == known.chosen:
            return
        known.chosen = name
        self.shown.offer_others()
        self._draw()
        if not self.running and self.frames.can_show(name):  # else once it has ended
            known.track = replace(known.track, chosen=name)
            self.frames.look(known.track)
            if self.frames.own:  # one of a trial that nobody has placed is seen as the DRR alone
                self.frames.place()
        self._say_frame()

    def _say_frame(self) -> None:
        number = self.frames.number
        if number is not None and not self.running:
            words = NOWHERE.format(number) if self.frames.nowhere else self.shown.words_of(number)
            self.controls.words.setText(words)
        self._switch()

    def _moved(self) -> None:
        if not self.frames.showing:
            self.frames.on_canvas.show_drr()

    # ------------------------------------------------------------------ key frames

    def keep_pose(self) -> None:
        """The current pose of the frame that is shown is a key frame of the chosen bone in the next tracking."""
        known, number = self.shown.known, self.frames.number
        if known is None or number is None or self._session.poses.current is None:
            return
        other = self.frames.of_another()
        if other is not None:
            self.keep_words(
                f"The C-arm stands where {bone_words(other)} was found: move it to where {bone_words(known.chosen)} "
                "is, then keep that.",
                error=True,
            )
            return
        kept = known.track.keep(known.chosen, number, self.frames.rig())
        self._put_track(kept, f"keep the pose of frame {number}")
        show_info(f"The pose{self._of()} in frame {number} is kept. Track again to go on from it.")

    def copy_pose(self) -> None:
        """Remember the current pose of the frame that is shown, to be pasted into another."""
        self.copied.copy(self._of())
        self._switch()

    def _own_bone(self) -> str:
        """The bone that is chosen, where each has a CT of its own."""
        known = self.shown.known
        return known.chosen if known is not None and known.track.volumes else ""

    def _of(self) -> str:
        known = self.shown.known
        return f" of {bone_words(known.chosen)}" if known is not None and known.several else ""

    def forget_pose(self) -> None:
        """The frame that is shown is no key frame of the chosen bone any more."""
        known, number = self.shown.known, self.frames.number
        if known is not None and number is not None and number in known.keys:
            left = known.track.forget(known.chosen, number)
            self._put_track(left, f"do not keep the pose of frame {number}")

    def keep_said(self) -> None:
        """The poses that a trial's own files have of its bones are key frames."""
        known = self.shown.known
        if known is not None:
            track, count = with_said(known.track, self.frames.own, self.frames.rig())
            self._session.sequence.set(track, "keep the trial's poses")
            show_info(f"Poses of the trial that are kept: {count}. Track goes on from them.")

    def _put_track(self, track: SequenceTrack, why: str) -> None:
        """With other poses that are kept; what was tracked stays as it was found."""
        known, number = self.shown.known, self.frames.number
        assert known is not None and number is not None
        known.track = track
        self.shown.tell(known.chosen, number)
        self._session.sequence.set(track, why)
        self.frames.place()
        self._say_frame()

    # ------------------------------------------------------------------ writing

    def ask_where_to_export(self) -> None:
        """Choose a folder and write the track there."""
        choose_folder(self, "Write the track into a folder", self.export)

    def export(self, folder: str | Path) -> None:
        """Write the track into a folder; of several bones one for each."""
        known, found = self.shown.known, self.frames.found
        if known is None or known.track.found is None:
            return
        behind = "" if found is not None else ". No film: the frames cannot be read"
        behind += f". {BEHIND}" if known.track.behind else ""
        lead = known.track.radiographs[0]
        asked = SequenceExport(Path(folder), found, known.track.found, lead)
        self.workbench.jobs.start(
            "Export of the track",
            without_events(lambda: export_sequence(asked)),
            on_result=lambda done: tell_written(
                f"Written to {folder}: {', '.join(done.files)}{behind}", done.missing
            ),
            on_error=lambda error: self.keep_words(sentence(error), error=True),
        )

    # ------------------------------------------------------------------ following

    def _follow_track(self) -> None:
        """What the session knows of the sequence: undone, done again, or opened from a file."""
        track, known, found = self._session.sequence.track, self.shown.known, self.frames.found
        if self.running or (known is not None and track is known.track):
            return
        if track is None:
            self._not_tracked()
            return
        self.frames.volume = self._session.patient.volume
        bones = {} if ALONE in track.bones else dict(track.bones)
        if not track.volumes:  # the rest of a CT has no ids
            bones = {name: ids for name, ids in bones.items() if ids}
        self.controls.several.choose_of(track)
        if found is None or not found.is_of(track):
            self.frames.forget()
        self._show(track)
        self._switch()
        if self.frames.found is None:
            self.looking.again(bones)

    def _not_tracked(self) -> None:
        """Nothing is known of the sequence, undone for instance: its frames can be gone through as before."""
        found = self.frames.found
        if found is None or self.frames.volume is None or not found.sequence.is_in(self._session):
            self._forget()
            self.looking.ahead()
            return
        self.looking.show_frames(found)

    def _follow(self) -> None:
        """Other radiographs: those that are gone take what was tracked along; before, the files are looked at again for others."""
        if self.frames.showing:
            return
        untracked = self.track is None and not self.running
        if self.sequence is not None and (
            not self.sequence.is_in(self._session) or (untracked and not self.frames.fits())
        ):
            self._forget()
        if self.shown.known is None and not self.running:
            self.controls.words.setText(HINT)
            self.looking.ahead()
        before, number = self.frames.marked, self.frames.number
        self.frames.mark(number)
        self.frames.place()
        if number is not None and number != before:  # undo, for instance
            self._say_frame()
        self._switch()

    def _follow_patient(self) -> None:
        """Another CT: what was tracked no longer holds. Else it holds for what was rendered then, or for another bone of the trial."""
        patient = self._session.patient
        if self.frames.is_bone(patient.volume):
            self.frames.volume = patient.volume
        if patient.volume is not self.frames.volume:
            self._forget()
        elif self.track is not None:
            self.controls.words.setText(self.shown.words + self._since())
        self.controls.several.follow(patient.labels, patient.volume_source)
        if self.shown.known is None:
            self.looking.ahead()
        self._switch()

    def _since(self) -> str:
        return since(self._session, self.frames.found)

    def _forget(self) -> None:
        """Another CT, or radiographs that are gone: what was tracked no longer holds."""
        if self._job is not None and self._job.running:
            self._job.abandon()
            self._job = None
        self._drawing.stop()
        self.looking.drop()
        self.frames.volume = None
        self.frames.forget()
        self.copied.forget()
        self.shown.forget()
        self.controls.words.setText(HINT)
        self._switch()

    def _switch(self) -> None:
        session, number = self._session, self.frames.number
        self.controls.follow(
            running=self.running,
            ready=session.exposures.active is not None and session.patient.volume is not None,
            shown=number is not None,
            kept=number in self.keys,
            behind=self.shown.known is not None and self.shown.known.track.behind,
            tracked=self.track is not None,
            copied=self.copied.there,
            said=self.frames.said,
        )

    def teardown(self) -> None:
        """Cancel what runs: the frames so far still reach the session. The layers go with the widget."""
        if self._job is not None:
            self._job.finished.disconnect(self._switch)
            self._job.cancel()
        self.looking.close()
        self.controls.several.close_lane()
        self._drawing.stop()
        self._keys.close()
        self._autoscoper.switch(False)
        self.copied.close()
        self.frames.close()
