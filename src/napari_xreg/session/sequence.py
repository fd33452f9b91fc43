"""The sequence that the radiographs of a session are a frame of, as it was tracked."""

from dataclasses import replace

from psygnal import Signal

from napari_xreg.session.sequence_track import SequenceTrack
from napari_xreg.session.store import Store


class Sequence:
    """The sequence of a session."""

    changed = Signal()
    """It was tracked, or a pose of it is kept, or not any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.tell(self.changed, lambda old, new: old.track is not new.track)

    @property
    def track(self) -> SequenceTrack | None:
        """What is known of it; None: nothing."""
        return self._store.state.track

    def set(self, track: SequenceTrack, why: str) -> None:
        """Know this of it.

        Parameters
        ----------
        why
            What undo calls it.

        Raises
        ------
        KeyError
            If a radiograph is not there.
        """
        for radiograph in track.radiographs:
            self._store.state.exposure(radiograph)
        self._store.change(why, lambda state: replace(state, track=track))
