"""Poses of all radiographs at one moment: those a user named, those a session's file keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from napari_xreg.geometry import Pose
from napari_xreg.session.exposure import new_id


@dataclass(frozen=True, eq=False)
class PoseRecord:
    """The poses of all radiographs at one moment.

    Parameters
    ----------
    poses
        World from camera, by `Exposure.id`; in a session's file by the radiograph's name.
    why
        What led here, in a few words: "drag", "result 2 accepted".
    """

    poses: Mapping[str, Pose]
    why: str

    def keyed(self, keys: Mapping[str, str]) -> "PoseRecord":
        """The same by other keys: names of ids, ids of names."""
        return PoseRecord({keys.get(k, k): pose for k, pose in self.poses.items()}, self.why)


@dataclass(frozen=True, eq=False)
class NamedPose:
    """Poses that the user gave a name.

    Parameters
    ----------
    name
        Unique in the session; what the user sees.
    poses
        World from camera, by `Exposure.id`.
    id
        The same for as long as it is this pose, whatever it is called.
    """

    name: str
    poses: Mapping[str, Pose]
    id: str = field(default_factory=new_id)


def same_pose(a: Pose, b: Pose) -> bool:
    """Whether two single poses are equal to the last digit."""
    return a is b or (
        torch.equal(a.rotation, b.rotation) and torch.equal(a.translation, b.translation)
    )
