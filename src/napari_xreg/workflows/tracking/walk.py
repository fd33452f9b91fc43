"""The way through a sequence: frame after frame, several in flight, each judged before it counts."""

import math
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import ReadError
from napari_xreg.progress import Control, ahead
from napari_xreg.registration import (
    Registration,
    Status,
    View,
    moved_on,
    step_between,
)
from napari_xreg.session import FrameState, Track, TrackedFrame
from napari_xreg.workflows.tracking.frames import Frames
from napari_xreg.workflows.tracking.in_flight import (
    Begun,
    Looked,
    as_given,
    ended,
    moved,
    rig_of,
    taking,
    timed,
)
from napari_xreg.workflows.tracking.second_look import better, sure
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.smooth_motion import smooth_motion
from napari_xreg.workflows.tracking.sought import Found, Seen, Sought
from napari_xreg.workflows.tracking.tracks import as_seen_words

LOST = "Lost before this frame."
CANCELLED = "Cancelled before this frame was done."
TOO_FAR = "What fits best lies too far from where it was expected."
STEADY = 5
"""Frames; what lay farther back says nothing of the velocity, and after so many looks in vain no wider one is
taken: it would cost far more than all that is found."""
IN_FLIGHT = 3
"""Frames that are refined at once: always so many, so that what is found is the same on every machine."""

Places = Sequence[tuple[int, Pose]]
"""Where a body was, ``world_from_rig``, in the last frames that it has a pose of."""


class Walk:
    """Tracking under way.

    Parameters
    ----------
    sought
        What is looked for.
    frames, start, keys, settings
        As of `TrackRequest`; keys have the pose of every body, or None of one that is looked for while the others stay.
    control
        As of `track`: paused and stepped here, once a frame. What is sought is only cancelled with it (`CancelOnly`).
    """

    _first: View
    """The first camera in the frame that is started from."""

    def __init__(
        self,
        sought: Sought,
        frames: Frames,
        start: int,
        keys: Mapping[int, Sequence[Pose | None]],
        settings: TrackSettings,
        control: Control,
    ) -> None:
        missing = sorted({start, *keys} - set(frames.numbers))
        if missing:
            raise ValueError(
                f"there is no frame {missing[0]}: the frames are {frames.numbers[0]} to "
                f"{frames.numbers[-1]}"
            )
        self._sought, self._frames, self._keys = sought, frames, keys
        self._settings, self._control = settings, control
        self._start = frames.numbers.index(start)
        self._done: dict[int, tuple[TrackedFrame, ...]] = {}
        self._together: dict[int, Float[Tensor, "n n"] | None] = {}
        self._reading: Future[Looked] | None = None
        self._simulated = False

    def through(self) -> Generator[tuple[TrackedFrame, ...], None, None]:
        """From the start forward, then back, then from key frames into what could not be found."""
        yield self._begin()
        keys = [self._frames.numbers.index(number) for number in sorted(self._keys)]
        for key in keys:
            if key != self._start and not self._held(self._frames.numbers[key]):
                yield self._given(key)
        yield from self._go(self._start, +1)
        yield from self._go(self._start, -1)
        for key in keys:
            yield from self._go(key, +1, mending=True)
            yield from self._go(key, -1, mending=True)

    def tracks(self) -> tuple[Track, ...]:
        """Of every body; frames that were not reached are open."""
        words = CANCELLED if self._control.cancelled else LOST
        return tuple(self._track(body, words) for body in range(len(self._sought.pivots)))

    def together(self) -> tuple[Float[Tensor, "n n"] | None, ...]:
        """Of every frame, `Found.covariance`."""
        return tuple(self._together.get(place) for place in range(len(self._frames.numbers)))

    def _begin(self) -> tuple[TrackedFrame, ...]:
        """The frame that is started from; where that is not trusted, from some starts about it."""
        looked = self._read(self._start)
        if not looked.views:
            raise ReadError(looked.error)
        self._first = looked.views[0]
        held = self._held(looked.number)
        if looked.number in self._keys and not held:
            return self._given(self._start)
        frames, covariance, seconds = self._open(looked, CANCELLED), None, 0.0
        if self._control.proceed():
            starts = list(self._sought.starts(looked.views[0]))
            for body, pose in held.items():
                starts[body] = rig_of(looked, pose)
            seen = moved(looked.views, starts)
            sought = self._sought.holding(held) if held else self._sought
            found, seconds = timed(lambda: sought.first(seen))
            if not self._control.cancelled:
                frames, covariance = self._tracked(looked, found), found.covariance
        return self._keep(
            self._start, self._with_given(looked, taking(frames, seconds)), covariance
        )

    def _held(self, number: int) -> dict[int, Pose]:
        """The poses of those bodies that are given in a frame where others are looked for; none: of all, or of none."""
        poses = self._keys.get(number, ())
        given = {body: pose for body, pose in enumerate(poses) if pose is not None}
        return given if len(given) < len(poses) else {}

    def _with_given(
        self, looked: Looked, frames: Sequence[TrackedFrame]
    ) -> tuple[TrackedFrame, ...]:
        """With what the user has said of some of the bodies in place of what was found of them."""
        held = self._held(looked.number)
        return tuple(
            as_given(each, held[body]) if body in held else frame
            for body, (frame, each) in enumerate(zip(frames, self._open(looked), strict=True))
        )

    def _given(self, place: int) -> tuple[TrackedFrame, ...]:
        """A frame whose poses the user has checked: they hold whether its picture can be read or not."""
        looked = self._read(place)
        frames = tuple(
            as_given(frame, pose)
            for frame, pose in zip(self._open(looked), self._keys[looked.number], strict=True)
            if pose is not None
        )
        return self._keep(place, frames)

    def _go(
        self, start: int, way: int, mending: bool = False
    ) -> Generator[tuple[TrackedFrame, ...], None, None]:
        """From a frame with poses, forward (+1) or back (-1), to the end, or until every body is lost.

        Parameters
        ----------
        mending
            Only as far as frames have no pose that is trusted.
        """
        bodies = range(len(self._sought.pivots))
        known = [self._known(body, start) for body in bodies]
        if not all(known):
            return
        places = range(start + way, len(self._frames.numbers) if way > 0 else -1, way)
        lost, vain = 0, [0 for _ in bodies]
        begun: deque[Begun] = deque()
        try:
            for place in places:
                before = self._done.get(place)
                if mending and before is not None and sure(before):
                    return
                if before is not None and all(f.state is FrameState.KEY for f in before):
                    # A correction is no motion: the velocity begins anew.
                    lost, vain = 0, [0 for _ in bodies]
                    known = [self._known(body, place) for body in bodies]
                    begun = ended(begun)
                    continue
                if not self._control.proceed():
                    return
                if not begun:
                    begun.append(self._begun(place, known, None, places))
                self._further(begun, known, places)
                if self._control.cancelled:
                    return
                frames, covariance, again = self._finished(begun[0], vain)
                if self._control.cancelled:
                    return
                lost = lost + 1 if all(f.world_from_camera is None for f in frames) else 0
                vain = [0 if f.state.sure else n + 1 for n, f in zip(vain, frames, strict=True)]
                kept = frames if before is None or better(frames, before) else before
                for body, frame in enumerate(kept):
                    if frame.state is FrameState.KEY:  # of this body alone: no motion either
                        known[body] = self._known_of(place, frame)
                    elif frame.world_from_rig is not None:
                        known[body] = [*known[body], (place, frame.world_from_rig)][-2:]
                begun.popleft()
                if again or kept is before:
                    # Those that follow were begun from where it did not end.
                    begun = ended(begun)
                if kept is frames:
                    yield self._keep(place, frames, covariance)
                if lost >= self._settings.lost_after:
                    return
        finally:
            ended(begun)

    def _known(self, body: int, place: int) -> list[tuple[int, Pose]]:
        # A key frame of some bodies that was not come to says nothing of the others.
        return self._known_of(place, self._done[place][body]) if place in self._done else []

    def _known_of(self, place: int, frame: TrackedFrame) -> list[tuple[int, Pose]]:
        return [] if frame.world_from_rig is None else [(place, frame.world_from_rig)]

    def _further(self, begun: deque[Begun], known: Sequence[Places], places: range) -> None:
        """Begin the frames after one, as if each ended where its coarse look did."""
        while len(begun) < IN_FLIGHT and (last := begun[-1]).rough is not None:
            place = last.looked.place + places.step
            if place not in places or place in self._done:
                return
            expected = []
            for body, before in enumerate(known):
                passed = [
                    (each.looked.place, self._rough_rig(each, body))
                    for each in begun
                    if each.near[body]
                ]
                expected.append([*before, *passed][-2:])
            begun.append(self._begun(place, expected, last.rough, places))

    def _rough_rig(self, begun: Begun, body: int) -> Pose:
        """``world_from_rig`` where the coarse look ended."""
        assert begun.rough is not None
        return rig_of(begun.looked, begun.rough.bodies[body].world_from_camera)

    def _begun(
        self, place: int, known: Sequence[Places], before: Found | None, places: range
    ) -> Begun:
        """Look at a frame coarsely, here, and let it be looked at finely."""
        onward = place + places.step
        looked = self._read(place, ahead_of=onward if onward in places else None)
        if not looked.views:
            return Begun(looked, error=looked.error)
        held = self._held(looked.number)
        sought = self._sought.holding(held) if held else self._sought
        expected = [
            rig_of(looked, held[body]) if body in held else self._expected(body, place, each)
            for body, each in enumerate(known)
        ]
        seen = moved(looked.views, expected)
        try:
            rough, seconds = timed(lambda: sought.rough(seen, before))
        except ValueError as nothing:  # a picture without content: black, or all masked
            return Begun(looked, error=str(nothing))
        near = self._near(rough, seen)
        if not any(near):
            return Begun(looked, seconds, seen)
        # A body that went astray takes nothing from the others: it is looked at from where it is expected.
        from_here = [
            tuple(
                replace(view, world_from_camera=pose.to(dtype=torch.float64))
                for view, pose in zip(views, body.views, strict=True)
            )
            if there
            else views
            for views, body, there in zip(seen, rough.bodies, near, strict=True)
        ]
        fine = ahead(lambda: timed(lambda: sought.fine(from_here, rough)))
        return Begun(looked, seconds, seen, rough, near, fine)

    def _finished(
        self, begun: Begun, vain: Sequence[int]
    ) -> tuple[tuple[TrackedFrame, ...], Float[Tensor, "n n"] | None, bool]:
        """What became of a frame, and whether a body did not end where those that follow were begun from.

        Parameters
        ----------
        vain
            For so many frames each body was not trusted.
        """
        looked, seen, seconds = begun.looked, begun.seen, begun.seconds
        held = self._held(looked.number)
        if begun.error:
            return self._with_given(looked, self._open(looked, begun.error)), None, True
        found, wide = None, None
        try:
            if begun.fine is not None:
                found, took = begun.fine.result()
                seconds += took
            trusted = [False for _ in vain] if found is None else self._trusted(found, seen)
            doubted = [
                n
                for body, (n, there) in enumerate(zip(vain, trusted, strict=True))
                if not there and body not in held
            ]
            if self._settings.retry_starts and any(n < STEADY for n in doubted):
                sought = self._sought.holding(held) if held else self._sought
                wide, took = timed(lambda: sought.wide(seen))
                seconds += took
        except ValueError as nothing:
            missed = self._with_given(looked, self._open(looked, str(nothing)))
            return taking(missed, seconds), None, True
        if found is None or (
            wide is not None and self._worth(wide, seen) >= self._worth(found, seen)
        ):
            found = wide
        if found is None:
            missed = self._with_given(looked, self._open(looked, TOO_FAR))
            return taking(missed, seconds), None, True
        near = self._near(found, seen)
        frames = tuple(
            frame if there else missed
            for frame, missed, there in zip(
                self._tracked(looked, found), self._open(looked, TOO_FAR), near, strict=True
            )
        )
        again = found is wide or near != begun.near or bool(held)
        return taking(self._with_given(looked, frames), seconds), found.covariance, again

    def _worth(self, found: Found, seen: Seen) -> tuple[int, int]:
        """How many bodies are near where they were expected, and of those how many are trusted."""
        return sum(self._near(found, seen)), sum(self._trusted(found, seen))

    def _trusted(self, found: Found, seen: Seen) -> list[bool]:
        near = self._near(found, seen)
        return [there and bool(body) for there, body in zip(near, found.bodies, strict=True)]

    def _near(self, found: Found, seen: Seen) -> tuple[bool, ...]:
        """Whether each body shows, and lies no farther from where it was expected than a body moves."""
        return tuple(
            body.status is not Status.NO_OVERLAP and self._close(body, views[0], pivot)
            for body, views, pivot in zip(found.bodies, seen, self._sought.pivots, strict=True)
        )

    def _close(self, found: Registration, view: View, pivot: Float[Tensor, "3"]) -> bool:
        expected = view.world_from_camera.to(dtype=torch.float64)
        beside = step_between(expected, found.world_from_camera.to(dtype=torch.float64), pivot)
        ray = expected.rotation[:, 2]
        across = beside[3:] - (beside[3:] @ ray) * ray
        turn, shift = math.degrees(float(beside[:3].norm())), float(across.norm())
        return turn <= self._settings.jump_deg and shift <= self._settings.jump_mm

    def _read(self, place: int, ahead_of: int | None = None) -> Looked:
        """A frame; the next one is read meanwhile."""
        begun, self._reading = self._reading, None
        looked = begun.result() if begun is not None else None
        if looked is None or looked.place != place:
            looked = self._look(place)
        if ahead_of is not None:
            self._reading = ahead(lambda: self._look(ahead_of))
        self._simulated |= any(view.radiograph.simulated for view in looked.views)
        return looked

    def _look(self, place: int) -> Looked:
        number = self._frames.numbers[place]
        try:
            return Looked(place, number, self._frames.views(number))
        except ReadError as error:
            return Looked(place, number, error=str(error))

    def _expected(self, body: int, place: int, known: Places) -> Pose:
        """``world_from_rig`` as constant velocity leads to expect it."""
        numbers = self._frames.numbers
        at, last = known[-1]
        if len(known) < 2:
            return last
        earlier, before = known[-2]
        if max(abs(at - earlier), abs(place - at)) > STEADY:
            return last
        onward = (numbers[place] - numbers[at]) / (numbers[at] - numbers[earlier])
        return moved_on(before, last, onward, self._sought.pivots[body])

    def _open(self, looked: Looked, words: str = "") -> tuple[TrackedFrame, ...]:
        camera = (looked.views or (self._first,))[0].world_from_camera.to(dtype=torch.float64)
        frame = TrackedFrame(
            looked.number, self._time(looked.place), FrameState.OPEN, camera, words=words
        )
        return (frame,) * len(self._sought.pivots)

    def _tracked(self, looked: Looked, found: Found) -> tuple[TrackedFrame, ...]:
        return tuple(
            replace(
                frame,
                state=FrameState.TRACKED if body else FrameState.DOUBTFUL,
                world_from_camera=body.world_from_camera.to(dtype=torch.float64).orthonormal(),
                covariance=body.covariance_at_scale,  # the CT is as large in every frame
                probability=body.probability,
                loss=float(body.losses["loss"]),
                words="" if body else body.status.value,
                seen_by=body.seen_by,
            )
            for frame, body in zip(self._open(looked), found.bodies, strict=True)
        )

    def _keep(
        self,
        place: int,
        frames: tuple[TrackedFrame, ...],
        covariance: Float[Tensor, "n n"] | None = None,
    ) -> tuple[TrackedFrame, ...]:
        if covariance is not None:
            for body, frame in enumerate(frames):
                if frame.state is FrameState.KEY:  # how a user errs is not known
                    covariance = covariance.clone()
                    covariance[6 * body : 6 * body + 6] = torch.nan
                    covariance[:, 6 * body : 6 * body + 6] = torch.nan
        self._done[place], self._together[place] = frames, covariance
        return frames

    def _time(self, place: int) -> float | None:
        times = self._frames.times_s
        return None if times is None else times[place]

    def _track(self, body: int, words: str) -> Track:
        """Of a body, with its smooth motion."""
        numbers, pivot = self._frames.numbers, self._sought.pivots[body]
        camera = self._first.world_from_camera
        frames = tuple(
            self._done[place][body]
            if place in self._done
            else TrackedFrame(number, self._time(place), FrameState.OPEN, camera, words=words)
            for place, number in enumerate(numbers)
        )
        notes: tuple[str, ...] = ()
        smooth = None
        if self._settings.smooth:
            smooth, notes = smooth_motion(frames, pivot)
        notes = (*as_seen_words(frames), *notes)
        return Track(
            frames, pivot, self._first.radiograph.carm, smooth, self._simulated,
            self._control.cancelled, notes,
        )  # fmt: skip
