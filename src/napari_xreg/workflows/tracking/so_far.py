"""A tracking that was cancelled: frames that it did not reach are as they were tracked before."""

from dataclasses import replace

import torch

from napari_xreg.session import BodiesTrack, FrameState, Track, TrackedFrame
from napari_xreg.workflows.tracking.smooth_motion import smooth_motion
from napari_xreg.workflows.tracking.tracks import as_seen_words
from napari_xreg.workflows.tracking.walk import CANCELLED


def with_earlier(found: BodiesTrack, before: BodiesTrack, start: int, smooth: bool) -> BodiesTrack:
    """What was found, and in frames that were not reached what was found before.

    Parameters
    ----------
    found
        That was cancelled.
    before
        Of the same bodies by the same first camera; where frames, pivots or the camera are others, `found` stays.
    start
        Number of the frame that `found` was started from.
    smooth
        Whether a smooth motion is asked for.
    """
    pairs = list(zip(found.tracks, before.tracks, strict=True))
    if not all(_alike(now, was) for now, was in pairs):
        return found
    tracks = tuple(_joined(now, was, start, smooth) for now, was in pairs)
    reached = [
        any(_reached(track.frames[place]) for track in found.tracks)
        for place in range(len(found.tracks[0].frames))
    ]
    covariances = found.covariances
    if len(covariances) == len(before.covariances) == len(reached):
        covariances = tuple(
            now if there else was
            for now, was, there in zip(covariances, before.covariances, reached, strict=True)
        )
    return BodiesTrack(found.names, tracks, covariances)


def reached_any(found: BodiesTrack) -> bool:
    """Whether a frame was done before it was cancelled."""
    return any(_reached(frame) for track in found.tracks for frame in track.frames)


def _reached(frame: TrackedFrame) -> bool:
    return not (frame.state is FrameState.OPEN and frame.words == CANCELLED)


def _alike(now: Track, was: Track) -> bool:
    numbers = [[frame.number for frame in track.frames] for track in (now, was)]
    same = numbers[0] == numbers[1] and now.carm == was.carm
    return same and torch.equal(now.pivot.double(), was.pivot.double())


def _joined(now: Track, was: Track, start: int, smooth: bool) -> Track:
    # The rig is said by where it stood in the frame that was started from: another one now.
    place = [frame.number for frame in now.frames].index(start)
    rig = now.frames[place].rig_from_camera @ was.frames[place].rig_from_camera.inverse()
    frames = tuple(
        new if _reached(new) else replace(old, rig_from_camera=rig @ old.rig_from_camera)
        for new, old in zip(now.frames, was.frames, strict=True)
    )
    motion, notes = smooth_motion(frames, now.pivot) if smooth else (None, ())
    return replace(
        now, frames=frames, smoothed=motion, simulated=now.simulated or was.simulated,
        cancelled=not all(map(_reached, frames)), notes=(*as_seen_words(frames), *notes),
    )  # fmt: skip
