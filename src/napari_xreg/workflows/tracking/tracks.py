"""What tracking one body is asked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration import NearBone
from napari_xreg.session import Rendering, TrackedFrame
from napari_xreg.workflows.tracking.frames import Frames
from napari_xreg.workflows.tracking.settings import TrackSettings

CPU = torch.device("cpu")


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


def as_seen_words(frames: Sequence[TrackedFrame]) -> tuple[str, ...]:
    """In how many frames each radiograph alone shows enough of the body, a sentence each."""
    counts = Counter(frame.seen_by for frame in frames if frame.seen_by is not None)
    return tuple(
        f"In {n} of {len(frames)} frames radiograph {view + 1} alone shows enough of it: there it is judged as seen in that one, "
        "and along its rays it may lie farther off, as from one radiograph."
        for view, n in sorted(counts.items())
    )
