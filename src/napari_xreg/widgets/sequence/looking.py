"""The files that the radiographs of a session are frames of, looked at in the background."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from napari_xreg.session import SequenceTrack, Session
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence
from napari_xreg.widgets.sequence.controls import UNTRACKED, SequenceControls
from napari_xreg.widgets.sequence.frames import FramesShown
from napari_xreg.widgets.sequence.shown import TrackShown
from napari_xreg.workflows import PATIENT, SequenceFound, find_sequence, track_request


class Looking:
    """Finds the frames of a sequence, so that they can be gone through, tracked or not.

    Parameters
    ----------
    session
        Whose radiographs.
    controls, shown, frames
        What shows them.
    held
        Whether this is no time to look: frames are being tracked.
    show
        Shows a track whose files were found.
    switch
        What can be used may be different now.
    fail
        Says to the user what went wrong.
    """

    def __init__(
        self,
        session: Session,
        controls: SequenceControls,
        shown: TrackShown,
        frames: FramesShown,
        *,
        held: Callable[[], bool],
        show: Callable[[SequenceTrack], None],
        switch: Callable[[], None],
        fail: Callable[[str], None],
    ) -> None:
        self._session, self._controls = session, controls
        self._shown, self._frames = shown, frames
        self._held, self._show, self._switch, self._fail = held, show, switch, fail
        self._lane = Lane(self._opened, find_sequence, on_error=self._not_opened, name="Sequence")

    @property
    def busy(self) -> bool:
        """Whether files are being looked at."""
        return self._lane.busy

    def ahead(self) -> None:
        """Frames can be gone through, and poses kept, before anything is tracked."""
        known = self._shown.known
        if self._held() or (known is not None and known.track.found is not None):
            return
        try:
            request = track_request(
                self._session, self._controls.settings.value(), self._controls.several.bones,
                chosen=self._shown.chosen or PATIENT, known=self._frames.own,
            )  # fmt: skip
        except ValueError:  # Track says it
            return
        self._lane.ask(request)

    def again(self, bones: Mapping[str, tuple[int, ...]]) -> None:
        """The files of a track that the session has: opened from a file, for instance."""
        try:
            request = track_request(
                self._session, self._controls.settings.value(), bones, known=self._frames.own
            )
        except ValueError as error:
            self._not_opened(error)
            return
        self._controls.words.setText("Looking at the files …")
        self._lane.ask(request)

    def show_frames(self, found: SequenceFound) -> None:
        """Of a sequence that was not tracked yet."""
        kept = self._session.sequence.track
        track = found.track if kept is not None else replace(found.track, kept={})
        volume = self._frames.volume = self._session.patient.volume
        track = replace(track, chosen=found.bone_of(volume) or track.chosen)
        self._show(track)
        self._controls.words.setText(UNTRACKED.format(len(track.numbers)))
        self._switch()

    def drop(self) -> None:
        """What is being looked at is no longer wanted."""
        self._lane.drop()

    def close(self) -> None:
        """For good."""
        self._lane.close()

    def _opened(self, found: SequenceFound) -> None:
        """The files of a track that was opened, or is to be made: its frames can be shown."""
        known = self._shown.known
        if self._held():
            return
        if known is None or known.track.found is None:
            if found.sequence.is_in(self._session):
                self._frames.begin(found)
                self.show_frames(found)
            return
        if not (found.is_of(known.track) and found.sequence.is_in(self._session)):
            others = found.track.voxels != known.track.voxels and found.sequence.is_of(known.track)
            voxels = "CT of a bone is" if found.own else "label map is"
            what = voxels if others else "radiographs are"
            self._not_opened(ValueError(f"the {what} no longer what was tracked"))
            return
        self._frames.begin(found)
        self._show(known.track)
        self._switch()

    def _not_opened(self, error: Exception) -> None:
        if self._shown.known is None:  # one picture, for instance: Track says it
            return
        self._controls.words.setText(self._shown.words)
        self._fail(f"Its frames cannot be shown. {sentence(error)}")
