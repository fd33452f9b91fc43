"""The frames of one or several cameras on one time base, and where each camera stood."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Cine, Radiograph, ReadError
from napari_xreg.registration import View
from napari_xreg.workflows.opening.radiographs import header_pose


@dataclass(frozen=True, eq=False)
class Frames:
    """A sequence of radiographs of one or several cameras; none is kept.

    Parameters
    ----------
    numbers
        What the frames are called, rising; every camera has them.
    views
        Of a number: the radiograph of each camera, and where it stands in the rig, whose frame is that
        of the patient at the start; may be called in any thread.
    times_s
        Seconds since the first frame; None: not known.
    source
        Where they came from.
    """

    numbers: tuple[int, ...]
    views: Callable[[int], tuple[View, ...]]
    times_s: tuple[float, ...] | None = None
    source: str = ""

    def nearest(self, number: int, *, standing_at: int | None = None) -> int:
        """The frame of a number, or the nearest; in a gap of the numbers, one further than it stood.

        Examples
        --------
        >>> frames = Frames((1, 2, 10), views=lambda number: ())
        >>> frames.nearest(4), frames.nearest(3, standing_at=2), frames.nearest(9, standing_at=10)
        (2, 10, 2)
        """
        near = min(self.numbers, key=lambda each: abs(each - number))
        if standing_at is None or not near == standing_at != number:
            return near
        beyond = (n for n in self.numbers if (n < number if number < near else n > number))
        return min(beyond, key=lambda each: abs(each - number), default=near)


def frames_of(
    cines: Sequence[Cine],
    rig: Sequence[Pose],
    start: int,
    isocenter: Float[Tensor, "3"],
    prepare: Callable[[Radiograph, int], Radiograph] = lambda radiograph, camera: radiograph,
) -> Frames:
    """The frames that all cameras have.

    A camera stays where it stands unless headers say that it moved since the start: then it is moved
    by as much as they say.

    Parameters
    ----------
    cines
        Of each camera.
    rig
        ``world_from_camera`` of each camera at the start.
    start
        Number of the frame that `rig` is of.
    isocenter
        That a moving C-arm turns about where headers do not say it, world mm.
    prepare
        What is done to a radiograph of the camera of a number: a mask, for instance.

    Raises
    ------
    ReadError
        If the cameras share no frame, or not the one that is started from.
    ValueError
        If there are more or fewer poses than cameras.
    """
    if len(cines) != len(rig) or not cines:
        raise ValueError(f"each camera has a pose: got {len(cines)} cameras and {len(rig)} poses")
    shared = set(cines[0].numbers).intersection(*(cine.numbers for cine in cines))
    numbers = tuple(sorted(shared))
    source = ", ".join(cine.source for cine in cines)
    if not numbers:
        raise ReadError(f"{source}: these share no frame: their numbers differ")
    if start not in shared:
        raise ReadError(f"{source}: has no frame {start}: there are {numbers[0]} to {numbers[-1]}")
    stood = [_nominal(cine.read(start), isocenter) for cine in cines]

    def views(number: int) -> tuple[View, ...]:
        found = []
        for camera, (cine, pose, before) in enumerate(zip(cines, rig, stood, strict=True)):
            radiograph = prepare(cine.read(number), camera)
            now = _nominal(radiograph, isocenter)
            if before is not None and now is not None:
                pose = pose @ (before.inverse() @ now)
            found.append(View(radiograph, pose))
        return tuple(found)

    return Frames(numbers, views, _times(cines[0], numbers), source)


def _nominal(radiograph: Radiograph, isocenter: Float[Tensor, "3"]) -> Pose | None:
    """Where a header says that the C-arm stood."""
    if radiograph.nominal is None:
        return None
    return header_pose(radiograph, isocenter).pose


def _times(cine: Cine, numbers: Sequence[int]) -> tuple[float, ...] | None:
    """Of the shared frames, the first at zero."""
    if cine.times_s is None:
        return None
    at = dict(zip(cine.numbers, cine.times_s, strict=True))
    return tuple(at[number] - at[numbers[0]] for number in numbers)


def only(
    frames: Frames, first: int | None = None, last: int | None = None, every: int = 1
) -> Frames:
    """Some of the frames: from one number to another, every so many.

    Raises
    ------
    ValueError
        If none is left, or `every` is below 1.
    """
    if every < 1:
        raise ValueError(f"every so many frames means 1 or more: got {every}")
    places = [
        place
        for place, number in enumerate(frames.numbers)
        if (first is None or number >= first) and (last is None or number <= last)
    ][::every]
    if not places:
        raise ValueError(
            f"no frame is left from {first} to {last}: there are {frames.numbers[0]} to "
            f"{frames.numbers[-1]}"
        )
    times = frames.times_s
    return replace(
        frames,
        numbers=tuple(frames.numbers[place] for place in places),
        times_s=None if times is None else tuple(times[place] for place in places),
    )
