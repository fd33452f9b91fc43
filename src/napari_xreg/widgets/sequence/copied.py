"""The pose of a bone, taken from one frame to another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from napari_xreg.geometry import Pose
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import show_info
from napari_xreg.widgets.sequence.frames import FramesShown
from napari_xreg.workflows import carried_poses


@dataclass(frozen=True, eq=False)
class _Pasted:
    number: int
    poses: Mapping[str, Pose]
    why: str


class CopiedPose:
    """Copies where the cameras stand in the frame that is shown, and puts them there in another.

    Where headers say that the C-arm moved in between, it is the bone that lies as it did (`carried_poses`), for which both frames are
    read off the main thread.

    Parameters
    ----------
    frames
        That are shown.
    bone
        The bone of a trial that the cameras stand about now: its pose says nothing of another, which has a CT of its own.
    place
        Brings the cameras to poses by `Exposure.id`, as one step of undo with these words.
    failed
        Called where a frame cannot be read.
    """

    def __init__(
        self,
        frames: FramesShown,
        bone: Callable[[], str],
        place: Callable[[Mapping[str, Pose], str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._frames, self._bone, self._place = frames, bone, place
        self._number: int | None = None
        self._poses: dict[str, Pose] = {}
        self._of = self._of_bone = ""
        self._lane = Lane(self._put, _carried, on_error=failed, name="Paste")

    @property
    def there(self) -> bool:
        """Whether there is one that fits the radiographs and the bone."""
        sequence = self._frames.sequence
        fits = sequence is not None and self._poses.keys() == set(sequence.ids)
        return fits and self._of_bone == self._bone()

    def copy(self, of: str) -> None:
        """Take the pose of the frame that is shown; `of` says whose it is."""
        number = self._frames.number
        if number is not None:
            self._number, self._poses, self._of = number, self._frames.rig(), of
            self._of_bone = self._bone()
            show_info(f"The pose{of} in frame {number} is copied.")

    def paste(self) -> None:
        """Bring the bone to the copied pose in the frame that is shown; one undo takes it back."""
        sequence, number = self._frames.sequence, self._frames.number
        if sequence is not None and number is not None and self._number is not None and self.there:
            why = f"paste the pose{self._of} of frame {self._number}"
            self._lane.ask((sequence, self._number, number, self._poses, why))

    def forget(self) -> None:
        """Nothing is copied any more."""
        self._lane.drop()
        self._number, self._poses = None, {}

    def close(self) -> None:
        """For good."""
        self._lane.close()

    def _put(self, pasted: _Pasted) -> None:
        if self.there and pasted.number == self._frames.number:  # else the user is further already
            self._place(pasted.poses, pasted.why)


def _carried(asked: tuple) -> _Pasted:  # type: ignore[type-arg]
    sequence, copied, number, poses, why = asked
    return _Pasted(number, carried_poses(sequence, poses, copied, number), why)
