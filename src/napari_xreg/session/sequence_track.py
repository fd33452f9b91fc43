"""A sequence that was tracked in a session, and the poses of it that its user keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.session.source import Source
from napari_xreg.session.track import BodiesTrack, FrameState

ALONE = ""
"""The name of the bone where one alone is tracked: what is rendered of the CT."""

Kept = Mapping[str, Mapping[int, Mapping[str, Pose]]]
"""``world_from_camera`` by bone, by the number of the frame, by `Exposure.id`."""


@dataclass(frozen=True, eq=False)
class SequenceTrack:
    """What is known of a sequence that the radiographs of a session are one frame of.

    Parameters
    ----------
    radiographs
        `Exposure.id` of each camera; in a session's file their names.
    sources
        Where the picture of each camera in the frame `start` can be read: which sequence it is.
    start
        Number of the frame that it was tracked from.
    numbers
        Of all frames.
    bones
        By the name of each body the ids of its structures, in the order of `found`; `ALONE` where one was tracked as it was rendered. The
        rest of the CT has none.
    found
        Where they were found; None: not tracked to an end.
    kept
        Poses that the user says are right: tracking takes them as they are.
    chosen
        The bone that the poses of the radiographs are about; `ALONE`: one alone is tracked, or the first.
    voxels
        Digest of which voxels are those of each of several bones; empty: not known.
    volumes
        Where the CT of each bone can be read, by its name, where each has one of its own: bones of a trial; none: all are in one CT.
    """

    radiographs: tuple[str, ...]
    sources: tuple[Source, ...]
    start: int
    numbers: tuple[int, ...]
    bones: Mapping[str, tuple[int, ...]]
    found: BodiesTrack | None = None
    kept: Kept = field(default_factory=dict)
    chosen: str = ALONE
    voxels: str = ""
    volumes: Mapping[str, Source] = field(default_factory=dict)

    @property
    def behind(self) -> bool:
        """Whether poses were kept, or kept no more, since it was tracked: in `found` they are not."""
        if self.found is None:
            return False
        for bone, track in zip(self.found.names, self.found.tracks, strict=True):
            given = {
                f.number: f.world_from_camera for f in track.frames if f.state is FrameState.KEY
            }
            kept = {n: poses.get(self.radiographs[0]) for n, poses in self.keys(bone).items()}
            if given.keys() != kept.keys():
                return True
            if any(not _close(pose, given[number]) for number, pose in kept.items()):
                return True
        return False

    def keys(self, bone: str) -> dict[int, Mapping[str, Pose]]:
        """The poses of a bone that were kept, by the number of the frame."""
        return dict(self.kept.get(bone, {}))

    def keep(self, bone: str, number: int, poses: Mapping[str, Pose]) -> "SequenceTrack":
        """With the poses of a bone in another frame."""
        return replace(self, kept={**self.kept, bone: {**self.keys(bone), number: poses}})

    def forget(self, bone: str, number: int) -> "SequenceTrack":
        """Without those of a bone in a frame."""
        left = {n: poses for n, poses in self.keys(bone).items() if n != number}
        return replace(self, kept={**self.kept, bone: left})

    def keyed(self, keys: Mapping[str, str]) -> "SequenceTrack":
        """The same with other keys of its radiographs: names of ids, ids of names."""
        kept = {
            bone: {
                number: {keys.get(key, key): pose for key, pose in poses.items()}
                for number, poses in frames.items()
            }
            for bone, frames in self.kept.items()
        }
        radiographs = tuple(keys.get(key, key) for key in self.radiographs)
        return replace(self, radiographs=radiographs, kept=kept)


def _close(one: Pose | None, other: Pose | None) -> bool:
    """Whether these are one pose, but for rounding."""
    if one is None or other is None:
        return one is other
    return torch.allclose(one.matrix().double(), other.matrix().double(), rtol=0, atol=1e-6)
