"""Tracking from the frame that a session shows, with the poses that its user has kept."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.session import Rendering
from napari_xreg.workflows.tracking.of_session import (
    FrameRead,
    SequenceRequest,
    SessionSequence,
    sequence_of,
)
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.tracking import track
from napari_xreg.workflows.tracking.tracks import CPU, Track, TrackedFrame, TrackRequest


@dataclass(frozen=True, eq=False)
class KeptPoses:
    """Poses of frames that a user says are right.

    Parameters
    ----------
    poses
        ``world_from_camera`` by the number of the frame, then by `Exposure.id`.
    of
        The sequence that the numbers are of.
    """

    poses: Mapping[int, Mapping[str, Pose]] = field(default_factory=dict)
    of: SessionSequence | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of their frames."""
        return tuple(sorted(self.poses))

    def keep(self, number: int, poses: Mapping[str, Pose]) -> "KeptPoses":
        """With those of another frame."""
        return replace(self, poses={**self.poses, number: poses})

    def forget(self, number: int) -> "KeptPoses":
        """Without those of a frame."""
        return replace(self, poses={n: kept for n, kept in self.poses.items() if n != number})

    def held_in(self, sequence: SessionSequence) -> "KeptPoses":
        """What still holds there: nothing where it is of other files."""
        there = self.poses if self.of is not None and sequence.goes_on(self.of) else {}
        numbers = sequence.frames.numbers
        return KeptPoses({n: kept for n, kept in there.items() if n in numbers}, sequence)

    def rig_at(self, frame: FrameRead, lead: str | None) -> Pose | None:
        """Where the body had moved in a frame that was kept; None: it was not.

        Parameters
        ----------
        lead
            The `Exposure.id` whose pose counts, if it was kept; else that of the first camera.
        """
        kept = self.poses.get(frame.number)
        if kept is None or self.of is None:
            return None
        id = lead if lead in kept else self.of.ids[0]
        assert id is not None
        return kept[id] @ frame.cameras[self.of.ids.index(id)].inverse()


@dataclass(frozen=True, eq=False)
class TrackSessionRequest:
    """What a session is tracked with, captured.

    Parameters
    ----------
    radiographs
        One frame of the sequence; its pivot is that of the body.
    volume
        The body.
    settings
        How.
    kept
        Poses to take as they are, where they are of the same sequence.
    device
        Where to refine.
    """

    radiographs: SequenceRequest
    volume: Volume | Rendering
    settings: TrackSettings
    kept: KeptPoses = field(default_factory=KeptPoses)
    device: torch.device = CPU


@dataclass(frozen=True, eq=False)
class SequenceFound:
    """The files were looked at: what is tracked, and which of the kept poses hold there."""

    sequence: SessionSequence
    request: TrackRequest
    kept: KeptPoses


def track_session(
    request: TrackSessionRequest, *, control: Control | None = None
) -> Generator[SequenceFound | TrackedFrame, None, Track]:
    """Find the frames that go with the radiographs of a session, and track through them.

    Yields
    ------
    SequenceFound, then TrackedFrame
        As of `track`.

    Raises
    ------
    ReadError, ValueError
        As `sequence_of` and `track`.
    """
    found = sequence_of(request.radiographs)
    kept = request.kept.held_in(found)
    given = {number: poses[found.ids[0]] for number, poses in kept.poses.items()}
    asked = TrackRequest(
        request.volume,
        found.frames,
        found.number,
        given,
        request.settings,
        request.radiographs.pivot,
        request.device,
    )
    yield SequenceFound(found, asked, kept)
    return (yield from track(asked, control=control))
