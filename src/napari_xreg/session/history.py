"""Undo and redo of poses."""

from collections.abc import Mapping
from dataclasses import dataclass

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

    def clear(self) -> None:
        self._records.clear()
        self._at = -1
