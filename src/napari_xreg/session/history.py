"""Undo and redo of poses."""

from collections.abc import Callable, Mapping, Sequence
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


class PoseHistory:
    """A line of records with a place in it; recording after an undo drops what was undone.

    Parameters
    ----------
    limit
        The oldest records beyond this many are forgotten.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._records: list[PoseRecord] = []
        self._at = -1
        self._limit = limit

    def __len__(self) -> int:
        return len(self._records)

    @property
    def records(self) -> tuple[PoseRecord, ...]:
        """All of them, oldest first."""
        return tuple(self._records)

    @property
    def at(self) -> int:
        """Index of the record that holds now; -1 where nothing was recorded."""
        return self._at

    @property
    def can_undo(self) -> bool:
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        return self._at < len(self._records) - 1

    def record(self, record: PoseRecord) -> None:
        """Append, after the present place."""
        del self._records[self._at + 1 :]
        self._records.append(record)
        del self._records[: -self._limit]
        self._at = len(self._records) - 1

    def undo(self) -> PoseRecord | None:
        """The record before, which now holds; None at the beginning."""
        if not self.can_undo:
            return None
        self._at -= 1
        return self._records[self._at]

    def redo(self) -> PoseRecord | None:
        """The record after, which now holds; None at the end."""
        if not self.can_redo:
            return None
        self._at += 1
        return self._records[self._at]

    def rename(self, old: str, new: str) -> None:
        """A radiograph is called otherwise."""
        self._records = [record.renamed(old, new) for record in self._records]

    def holds(self, poses: Mapping[str, Pose]) -> bool:
        """Whether the record that holds now has these poses."""
        if self._at < 0:
            return not poses
        kept = self._records[self._at].poses
        return all(key in kept and same_pose(pose, kept[key]) for key, pose in poses.items())

    def introduce(self, name: str, pose_in: Callable[[PoseRecord], Pose]) -> None:
        """A radiograph has come: every record learns where it would have stood."""
        self._records = [
            PoseRecord({**record.poses, name: pose_in(record)}, record.why)
            for record in self._records
        ]

    def change(self, name: str, changed: Callable[[Pose], Pose]) -> None:
        """Every pose of one radiograph becomes another."""
        self._records = [
            PoseRecord({**record.poses, name: changed(record.poses[name])}, record.why)
            if name in record.poses
            else record
            for record in self._records
        ]

    def settle(self, name: str, pose: Pose) -> None:
        """The record that holds now has this pose of one radiograph."""
        if self._at >= 0:
            record = self._records[self._at]
            self._records[self._at] = PoseRecord({**record.poses, name: pose}, record.why)

    def forget(self, name: str) -> None:
        """A radiograph has gone; records that differed in its pose alone go with it."""
        present = self._at
        kept: list[PoseRecord] = []
        for number, record in enumerate(self._records):
            left = {key: pose for key, pose in record.poses.items() if key != name}
            before = kept[-1].poses if kept else {}
            alike = before.keys() == left.keys() and all(
                same_pose(pose, before[key]) for key, pose in left.items()
            )
            if not alike:
                kept.append(PoseRecord(left, record.why))
            if number == present:
                self._at = len(kept) - 1
        self._records = kept

    def restore(self, records: Sequence[PoseRecord], at: int) -> None:
        """Begin with these, `at` being the index of the one that holds."""
        self._records, self._at = list(records), at

    def clear(self) -> None:
        self._records.clear()
        self._at = -1


def same_pose(a: Pose, b: Pose) -> bool:
    """Whether two single poses are equal to the last digit."""
    return a is b or (
        torch.equal(a.rotation, b.rotation) and torch.equal(a.translation, b.translation)
    )
