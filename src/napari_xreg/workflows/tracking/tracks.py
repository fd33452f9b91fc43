"""What tracking is asked, what it says of each frame, and its answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.registration import NearBone, Smoothed
from napari_xreg.session import Rendering
from napari_xreg.workflows.tracking.frames import Frames
from napari_xreg.workflows.tracking.settings import TrackSettings

CPU = torch.device("cpu")


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
class TrackRequest:
    """Everything that tracking needs, captured.

    Parameters
    ----------
    volume
        The body: its frame is the world.
    frames
        The radiographs.
    start
        Number of the frame that the poses of `frames` are of: tracked from there, both ways.
    keys
        ``world_from_camera`` of the first camera in frames that a user has checked: taken as they are.
    settings
        How.
    isocenter
        Pivot, world mm; None: the middle of the volume.
    device
        Where to refine.
    near
        As of `RefineRequest`.
    """

    volume: Volume | Rendering
    frames: Frames
    start: int
    keys: Mapping[int, Pose] = field(default_factory=dict)
    settings: TrackSettings = field(default_factory=TrackSettings)
    isocenter: Float[Tensor, "3"] | None = None
    device: torch.device = CPU
    near: NearBone | None = field(default_factory=NearBone)


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


def as_seen_words(frames: Sequence[TrackedFrame]) -> tuple[str, ...]:
    """In how many frames each radiograph alone shows enough of the body, a sentence each."""
    counts = Counter(frame.seen_by for frame in frames if frame.seen_by is not None)
    return tuple(
        f"In {n} of {len(frames)} frames radiograph {view + 1} alone shows enough of it: there it is judged as seen in that one, "
        "and along its rays it may lie farther off, as from one radiograph."
        for view, n in sorted(counts.items())
    )


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
