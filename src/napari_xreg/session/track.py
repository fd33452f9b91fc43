"""Where bones were in every frame of a sequence."""

from collections import Counter
from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.registration import Smoothed, relative_covariance


class FrameState(Enum):
    """What became of a frame; the value is what a user reads."""

    KEY = "given"
    TRACKED = "tracked"
    DOUBTFUL = "doubtful"
    OPEN = "open"

    @property
    def sure(self) -> bool:
        """Whether a pose was given or is trusted."""
        return self in (FrameState.KEY, FrameState.TRACKED)


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """What became of one frame.

    Parameters
    ----------
    number, time_s
        Of the frame.
    state
        Whether its pose was given, found, found but not trusted, or not found.
    rig_from_camera
        Where the first camera stood.
    world_from_camera
        The pose of the first camera; None where there is none.
    covariance
        As `Registration.covariance_at_scale`.
    probability, loss
        Of the pose being right; what was minimised. None where nothing was refined.
    seconds
        That its own looks took, one after the other; as frames are refined several at once they add up to more
        than has passed.
    words
        Why it is not trusted.
    seen_by
        As of `Registration`: the radiograph that alone shows enough of the body.
    """

    number: int
    time_s: float | None
    state: FrameState
    rig_from_camera: Pose
    world_from_camera: Pose | None = None
    covariance: Float[Tensor, "6 6"] | None = None
    probability: float | None = None
    loss: float | None = None
    seconds: float = 0.0
    words: str = ""
    seen_by: int | None = None

    @property
    def world_from_rig(self) -> Pose | None:
        """How the body has moved since the start, as the rig's motion about it; None: no pose."""
        if self.world_from_camera is None:
            return None
        return self.world_from_camera @ self.rig_from_camera.inverse()


@dataclass(frozen=True, eq=False)
class Track:
    """Where a body was in every frame.

    Parameters
    ----------
    frames
        In their order.
    pivot
        That covariances turn about, world mm.
    carm
        Of the first camera.
    smoothed
        The smooth motion (`world_from_rig`), a pose a frame; None: not asked for, or too few frames.
    simulated
        True if any radiograph was simulated.
    cancelled
        Whether it was ended before the last frame.
    notes
        What the user should know.
    """

    frames: tuple[TrackedFrame, ...]
    pivot: Float[Tensor, "3"]
    carm: CArm
    smoothed: Smoothed | None = None
    simulated: bool = False
    cancelled: bool = False
    notes: tuple[str, ...] = ()

    def smooth_pose(self, place: int) -> Pose | None:
        """``world_from_camera`` of the smooth motion in the frame at a place."""
        if self.smoothed is None:
            return None
        return self.smoothed.poses[place] @ self.frames[place].rig_from_camera

    @property
    def counts(self) -> dict[FrameState, int]:
        """How many frames are in each state."""
        found = Counter(frame.state for frame in self.frames)
        return {state: found[state] for state in FrameState}

    @property
    def complete(self) -> bool:
        """Whether every frame has a pose that was given or is trusted."""
        return all(frame.state.sure for frame in self.frames)

    @property
    def words(self) -> str:
        """How many frames are in each state, in a sentence."""
        said = [f"{n} {state.value}" for state, n in self.counts.items() if n]
        kind = "simulated frames" if self.simulated else "frames"
        return f"{len(self.frames)} {kind}: {', '.join(said)}."


@dataclass(frozen=True, eq=False)
class BodiesTrack:
    """Where several bodies were in every frame.

    Parameters
    ----------
    names, tracks
        Of each body.
    covariances
        Of every frame, of the left twists of all bodies as they were registered, one after the other, each about
        its own pivot: as `BodiesRegistration.covariance`, the CT taken to be as large as it says; None: not known.
    """

    names: tuple[str, ...]
    tracks: tuple[Track, ...]
    covariances: tuple[Float[Tensor, "n n"] | None, ...] = ()

    def __getitem__(self, name: str) -> Track:
        """Of a body, by its name."""
        return self.tracks[self.names.index(name)]

    @property
    def complete(self) -> bool:
        """Whether every body has a pose in every frame that was given or is trusted."""
        return all(track.complete for track in self.tracks)

    @property
    def cancelled(self) -> bool:
        """Whether it was ended before the last frame."""
        return any(track.cancelled for track in self.tracks)

    @property
    def simulated(self) -> bool:
        """True if any radiograph was simulated."""
        return any(track.simulated for track in self.tracks)

    @property
    def words(self) -> str:
        """What became of every body."""
        return "\n".join(f"{n}: {t.words}" for n, t in zip(self.names, self.tracks, strict=True))

    def between(
        self, one: str, other: str, place: int
    ) -> tuple[Pose, Float[Tensor, "6 6"] | None] | None:
        """``one_from_other`` in the frame at a place, and the covariance of its left twist about the pivot of `one`.

        Two bodies in one picture err alike: how they lie to each other is surer than where each is.

        Returns
        -------
        Pose, Tensor
            Rad and mm, in the world axes of `one`; None where a body has no pose, or there is no covariance.
        """
        numbers = [self.names.index(name) for name in (one, other)]
        tracks = [self.tracks[number] for number in numbers]
        here, there = (track.frames[place].world_from_camera for track in tracks)
        if here is None or there is None:
            return None
        pose, covariance = here @ there.inverse(), self.covariances[place]
        if covariance is None:
            return pose, None
        both = torch.cat([torch.arange(6) + 6 * number for number in numbers])
        part = covariance[both[:, None], both].double()
        if bool(part.isnan().any()):
            return pose, None
        pivots = tracks[0].pivot, tracks[1].pivot
        return pose, relative_covariance(pose, pivots, part)
