"""What the Sequence widget knows of a sequence: a track, or the frames so far of one that is being made."""

from dataclasses import replace

from napari_xreg.geometry import Pose
from napari_xreg.session import (
    ALONE,
    FrameState,
    SequenceTrack,
    Track,
    TrackedFrame,
)


class Known:
    """The frames of every bone, and which bone is chosen.

    Parameters
    ----------
    track
        Its bones, what of them was found or kept, and which of them is chosen.
    """

    def __init__(self, track: SequenceTrack) -> None:
        self.track = track
        self.chosen = track.chosen if track.chosen in track.bones else next(iter(track.bones))
        found = track.found
        self.frames: dict[str, dict[int, TrackedFrame]] = {
            name: {} if found is None else {f.number: f for f in found[name].frames}
            for name in track.bones
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Of all bones."""
        return tuple(self.track.bones)

    @property
    def several(self) -> bool:
        """Whether there is more than one, each drawn in its own colour."""
        return ALONE not in self.track.bones

    @property
    def found(self) -> Track | None:
        """The track of the chosen bone, if it came to an end."""
        return None if self.track.found is None else self.track.found[self.chosen]

    @property
    def keys(self) -> tuple[int, ...]:
        """Numbers of the frames in which the chosen bone's pose is kept."""
        return tuple(sorted(self.track.keys(self.chosen)))

    def put(self, frames: tuple[TrackedFrame, ...]) -> None:
        """What became of a frame, of every bone."""
        for name, frame in zip(self.names, frames, strict=True):
            self.frames[name][frame.number] = frame

    def frame(self, name: str, number: int) -> TrackedFrame | None:
        """What is shown of a bone in a frame: a pose that is kept is given, whatever was found there."""
        kept = self.track.keys(name).get(number)
        tracked = self.frames[name].get(number)
        if kept is None:
            return tracked
        pose: Pose = next(iter(kept.values()))
        if tracked is None:
            return TrackedFrame(number, None, FrameState.KEY, pose, pose)
        return replace(tracked, state=FrameState.KEY, probability=None, words="")

    def in_order(self, name: str) -> tuple[TrackedFrame, ...]:
        """Of a bone the frames so far."""
        return tuple(self.frames[name][number] for number in sorted(self.frames[name]))
