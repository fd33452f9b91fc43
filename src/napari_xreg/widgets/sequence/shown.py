"""A track in strips, curves and words."""

from typing import Any

from napari_xreg.session import SequenceTrack, TrackedFrame
from napari_xreg.viewer import colours_of
from napari_xreg.widgets.sequence.controls import SequenceControls
from napari_xreg.widgets.sequence.known import Known
from napari_xreg.workflows import PATIENT, bone_words, curves_between, curves_of, smooth_curves


class TrackShown:
    """Shows what is known of a sequence.

    Parameters
    ----------
    controls
        Where.
    """

    def __init__(self, controls: SequenceControls) -> None:
        self._controls = controls
        self.known: Known | None = None
        """None: nothing."""

    def begin(self, track: SequenceTrack) -> Known:
        """Another track, or one that is being made."""
        known = self.known = Known(track)
        names = known.names if known.several else ()
        self._controls.begin(names, colours_of(names, PATIENT), track.numbers, known.chosen)
        for name in known.names:
            for number in {*known.frames[name], *track.keys(name)}:
                self.tell(name, number)
        self.offer_others()
        return known

    def forget(self) -> None:
        """Nothing is known any more."""
        self.known = None
        self._controls.begin((), {}, (), "")
        self.offer_others()
        self._controls.plots.setVisible(False)

    def put(self, frames: tuple[TrackedFrame, ...]) -> None:
        """What became of a frame, of every bone."""
        assert self.known is not None
        self.known.put(frames)
        for name in self.known.names:
            self._controls.strip_of(name).put(self.known.frames[name][frames[0].number])

    def tell(self, name: str, number: int) -> None:
        """What is known of a bone in a frame, again."""
        assert self.known is not None
        strip, frame = self._controls.strip_of(name), self.known.frame(name, number)
        if frame is None:
            strip.forget(number)
        else:
            strip.put(frame)

    def offer_others(self) -> None:
        """The bones that the chosen one may be shown against, once all were tracked."""
        known = self.known
        ended = known is not None and known.track.found is not None
        others = known.names if known is not None and ended else ()
        self._controls.offer_others([name for name in others if name != self.chosen])

    @property
    def chosen(self) -> str:
        """The bone that is chosen."""
        return "" if self.known is None else self.known.chosen

    def draw(self, pivot: Any) -> None:
        """The curves of the chosen bone: of the frames so far, of its track, or against another one.

        Parameters
        ----------
        pivot
            Of the bone while it is tracked, world mm.
        """
        known, plots = self.known, self._controls.plots
        if known is None or not known.frames[known.chosen]:
            plots.setVisible(False)
            return
        track, found, other = known.found, known.track.found, self._controls.against.currentData()
        frames = known.in_order(known.chosen)
        colour = colours_of(known.names, PATIENT)[known.chosen] if known.several else None
        if track is None or found is None:
            plots.draw(frames, curves_of(frames, pivot), None, colour)
        elif other is not None:
            motion = curves_between(found, known.chosen, other)
            plots.draw(frames, motion, motion, colour)
        else:
            plots.draw(frames, curves_of(track.frames, track.pivot), smooth_curves(track), colour)

    def words_of(self, number: int) -> str:
        """What became of the chosen bone in a frame, and why."""
        return self._controls.strip_of(self.chosen).words_of(number)

    def progress(self, frames: tuple[TrackedFrame, ...]) -> str:
        """How far tracking is, with the frame that was done last."""
        known, number = self.known, frames[0].number
        assert known is not None
        done = len(known.frames[known.names[0]])
        words = self.words_of(number).split("\n")[0]
        if known.several:
            states = (
                f"{bone_words(name)} {frame.state.value}"
                for name, frame in zip(known.names, frames, strict=True)
            )
            words = f"frame {number}: {', '.join(states)}"
        return f"{done} of {len(known.track.numbers)}: {words}"

    @property
    def words(self) -> str:
        """What became of the frames of every bone."""
        known = self.known
        if known is None or known.track.found is None:
            return ""
        found = known.track.found
        words = [
            f"{bone_words(name)}: {each.words}" if known.several else each.words
            for name, each in zip(found.names, found.tracks, strict=True)
        ]
        notes = dict.fromkeys(note for each in found.tracks for note in each.notes)
        return " ".join([*words, *notes])
