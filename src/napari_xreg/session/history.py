"""The poses of a moment, as a session's file keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from napari_xreg.geometry import Pose


@dataclass(frozen=True, eq=False)
class PoseRecord:
    """The poses of all radiographs at one moment.

    Parameters
    ----------
    poses
        World from camera, by the radiograph's name.
    why
        What led here, in a few words: "drag", "refinement 2 accepted".
    """

    poses: Mapping[str, Pose]
    why: str

    def renamed(self, old: str, new: str) -> "PoseRecord":
        """The same moment, a radiograph called otherwise."""
        return PoseRecord(
            {new if key == old else key: pose for key, pose in self.poses.items()}, self.why
        )

    def without(self, name: str) -> "PoseRecord":
        """The same moment, a radiograph left out."""
        return PoseRecord({key: p for key, p in self.poses.items() if key != name}, self.why)


def same_pose(a: Pose, b: Pose) -> bool:
    """Whether two single poses are equal to the last digit."""
    return a is b or (
        torch.equal(a.rotation, b.rotation) and torch.equal(a.translation, b.translation)
    )
