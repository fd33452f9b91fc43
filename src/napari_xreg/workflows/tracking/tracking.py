"""Track a body through a sequence: each frame from where the ones before it lead to expect it."""

import math
import statistics
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import ReadError
from napari_xreg.progress import Control, ahead, run
from napari_xreg.registration import (
    NearBone,
    RefineSettings,
    Registration,
    Spread,
    Status,
    View,
    levels_at,
    moved_on,
    pivot_of,
    smoothed,
    step_between,
)
from napari_xreg.session import Rendering
from napari_xreg.workflows.refining import RefineRequest, refine
from napari_xreg.workflows.tracking.tracks import FrameState, Track, TrackedFrame, TrackRequest

FIRST_REACH_MM = 8.0
"""Near a bone: how far the expected pose may be off in a frame (`NearBone.first_mm`)."""
START_ROUNDS = (1, 16)
"""Starts in turn of the first frame (`RefineSettings.rounds`): whoever tracks has a pose to start from."""
LOST = "The body was lost before this frame."
CANCELLED = "Cancelled before this frame was done."
TOO_FAR = "What fits best lies too far from where the body was expected."
STEADY = 5
"""Frames; what lay farther back says nothing of the velocity."""


def track(
    request: TrackRequest, *, control: Control | None = None
) -> Generator[TrackedFrame, None, Track]:
    """Where the body was in every frame: from the start forward, then back.

    Each frame is refined from where constant velocity leads to expect the body (`moved_on`), and judged.
    Where that is not trusted it is refined again from several starts about it. What lies too far from
    where it was expected is no result: the frame is left open rather than guessed.

    Parameters
    ----------
    request
        What, from where, how.
    control
        Cancel, pause, step: once a frame. Cancelled, it ends with the frames so far.

    Yields
    ------
    TrackedFrame
        As each is done, the start first; a frame comes twice where a later key frame mends it.

    Raises
    ------
    ValueError
        If the start or a key frame is none of the frames.
    """
    missing = sorted({request.start, *request.keys} - set(request.frames.numbers))
    if missing:
        numbers = request.frames.numbers
        raise ValueError(
            f"there is no frame {missing[0]}: the frames are {numbers[0]} to {numbers[-1]}"
        )
    walk = _Walk(request, control or Control())
    start = request.frames.numbers.index(request.start)
    yield walk.begin(start)
    keys = [request.frames.numbers.index(number) for number in sorted(request.keys)]
    for key in keys:
        if key != start:
            yield walk.given(key)
    yield from walk.go(start, +1)
    yield from walk.go(start, -1)
    for key in keys:
        yield from walk.go(key, +1, mending=True)
        yield from walk.go(key, -1, mending=True)
    return walk.answer()


@dataclass(frozen=True, eq=False)
class _Looked:
    """A frame as it was read; without views where it could not be, and why."""

    place: int
    number: int
    views: tuple[View, ...] = ()
    error: str = ""


class _Walk:
    """Tracking under way; private to this file."""

    _first: View
    """The first camera in the frame that is started from."""

    def __init__(self, request: TrackRequest, control: Control) -> None:
        self._request, self._control = request, control
        what = request.volume
        self._rendering = what if isinstance(what, Rendering) else Rendering(what, None)
        self._pivot = pivot_of(self._rendering.volume(), request.isocenter)
        self._done: dict[int, TrackedFrame] = {}
        self._reading: Future[_Looked] | None = None
        self._simulated = False
        settings = request.settings
        self._quick = RefineSettings(
            levels=levels_at((settings.pixels,)), starts=1, antipode=False, keep_images=False,
            spread=Spread(0.0, 0.0, 0.0),  # near a bone nothing is looked for
        )  # fmt: skip
        near = request.near
        if near is not None:
            near = replace(near, first_mm=min(near.first_mm, FIRST_REACH_MM))
        self._near = near

    def begin(self, place: int) -> TrackedFrame:
        """The frame that is started from; where that is not trusted, from some starts about it."""
        looked = self._read(place)
        if not looked.views:
            raise ReadError(looked.error)
        self._first = looked.views[0]
        if looked.number in self._request.keys:
            return self.given(place)
        began = time.perf_counter()
        frame = self._open(looked, CANCELLED)
        if self._control.proceed():
            found = self._refined(
                looked.views,
                RefineSettings(keep_images=False, rounds=START_ROUNDS),
                near=self._request.near,
            )
            if not self._control.cancelled:
                frame = self._tracked(looked, found)
        return self._keep(place, replace(frame, seconds=time.perf_counter() - began))

    def given(self, place: int) -> TrackedFrame:
        """A frame whose pose the user has checked: it holds whether its picture can be read or not."""
        looked = self._read(place)
        pose = self._request.keys[looked.number].to(dtype=torch.float64)
        frame = replace(self._open(looked), state=FrameState.KEY, world_from_camera=pose)
        return self._keep(place, frame)

    def go(
        self, start: int, way: int, mending: bool = False
    ) -> Generator[TrackedFrame, None, None]:
        """From a frame with a pose, forward (+1) or back (-1), to the end, or until the body is lost.

        Parameters
        ----------
        mending
            Only as far as frames have no pose that is trusted.
        """
        if self._done[start].world_from_camera is None:
            return
        known = [start]
        places = range(start + way, len(self._request.frames.numbers) if way > 0 else -1, way)
        lost = 0
        for place in places:
            before = self._done.get(place)
            if mending and before is not None and before.state.sure:
                return
            if before is not None and before.state is FrameState.KEY:
                # A correction is no motion: the velocity begins anew.
                lost, known = 0, [place]
                continue
            if not self._control.proceed():
                return
            looked = self._read(place, ahead_of=place + way if place + way in places else None)
            frame = self._found(looked, known, lost)
            if self._control.cancelled:
                return
            if frame.world_from_camera is None:
                lost += 1
            else:
                lost, known = 0, [*known, place][-2:]
            if before is None or _better(frame, before):
                yield self._keep(place, frame)
            if lost >= self._request.settings.lost_after:
                return

    def answer(self) -> Track:
        """Every frame; those that were not reached are open."""
        request = self._request
        numbers = request.frames.numbers
        words = CANCELLED if self._control.cancelled else LOST
        frames = tuple(
            self._done.get(place)
            or TrackedFrame(
                number, self._time(place), FrameState.OPEN, self._first.world_from_camera, words=words
            )
            for place, number in enumerate(numbers)
        )  # fmt: skip
        notes = []
        smooth = None
        if request.settings.smooth:
            covariances = _covariances(frames)
            if sum(each is not None for each in covariances) >= 3:
                apart = [b - a for a, b in pairwise(numbers)]
                steps = [1.0, *(each / statistics.median(apart) for each in apart)]
                poses = [frame.world_from_rig for frame in frames]
                smooth = smoothed(poses, covariances, self._pivot, steps)
            else:
                notes.append("Too few frames were tracked to work out a smooth motion.")
        return Track(
            frames,
            self._pivot,
            self._first.radiograph.carm,
            smooth,
            self._simulated,
            self._control.cancelled,
            tuple(notes),
        )

    def _read(self, place: int, ahead_of: int | None = None) -> _Looked:
        """A frame; the next one is read meanwhile."""
        begun, self._reading = self._reading, None
        looked = begun.result() if begun is not None else None
        if looked is None or looked.place != place:
            looked = self._look(place)
        if ahead_of is not None:
            self._reading = ahead(lambda: self._look(ahead_of))
        self._simulated |= any(view.radiograph.simulated for view in looked.views)
        return looked

    def _look(self, place: int) -> _Looked:
        frames = self._request.frames
        number = frames.numbers[place]
        try:
            return _Looked(place, number, frames.views(number))
        except ReadError as error:
            return _Looked(place, number, error=str(error))

    def _found(self, looked: _Looked, known: Sequence[int], lost: int) -> TrackedFrame:
        began = time.perf_counter()
        if not looked.views:
            return self._open(looked, looked.error)
        try:
            return replace(self._sought(looked, known, lost), seconds=time.perf_counter() - began)
        except ValueError as nothing:  # a picture without content: black, or all masked
            return self._open(looked, str(nothing))

    def _sought(self, looked: _Looked, known: Sequence[int], lost: int) -> TrackedFrame:
        expected = self._expected(looked.place, known)
        views = _moved(looked.views, expected)
        found = self._refined(views, self._quick, near=self._near)
        settings = self._request.settings
        # Where the body was lost, a wider look each time would cost far more than all that is found.
        if not (found and self._close(found, views)) and settings.retry_starts and lost < STEADY:
            again = self._refined(views, self._wide(), near=self._request.near)
            if (self._close(again, views), bool(again)) >= (self._close(found, views), bool(found)):
                found = again
        if not self._close(found, views) or found.status is Status.NO_OVERLAP:
            return self._open(looked, TOO_FAR)
        return self._tracked(looked, found)

    def _wide(self) -> RefineSettings:
        settings = self._request.settings
        spread = Spread(settings.jump_deg / 3, settings.jump_mm / 3, settings.jump_mm)
        return RefineSettings(
            starts=settings.retry_starts, spread=spread, antipode=False, keep_images=False
        )

    def _expected(self, place: int, known: Sequence[int]) -> Pose:
        """``world_from_rig`` as constant velocity leads to expect it."""
        numbers = self._request.frames.numbers
        last = self._done[known[-1]].world_from_rig
        assert last is not None
        if len(known) < 2:
            return last
        gap = numbers[known[-1]] - numbers[known[-2]]
        onward = numbers[place] - numbers[known[-1]]
        before = self._done[known[-2]].world_from_rig
        far = max(abs(known[-1] - known[-2]), abs(place - known[-1]))
        if before is None or far > STEADY:
            return last
        return moved_on(before, last, onward / gap, self._pivot)

    def _close(self, found: Registration, views: Sequence[View]) -> bool:
        """Whether a pose lies no farther from where it was expected than a body moves."""
        expected = views[0].world_from_camera.to(dtype=torch.float64)
        beside = step_between(
            expected, found.world_from_camera.to(dtype=torch.float64), self._pivot
        )
        ray = expected.rotation[:, 2]
        across = beside[3:] - (beside[3:] @ ray) * ray
        turn, shift = math.degrees(float(beside[:3].norm())), float(across.norm())
        return turn <= self._request.settings.jump_deg and shift <= self._request.settings.jump_mm

    def _refined(
        self, views: Sequence[View], settings: RefineSettings, near: NearBone | None
    ) -> Registration:
        request = RefineRequest(
            self._rendering, tuple(views), settings, self._pivot, self._request.device, near=near
        )
        return run(refine(request, control=self._control))

    def _open(self, looked: _Looked, words: str = "") -> TrackedFrame:
        return TrackedFrame(
            looked.number,
            self._time(looked.place),
            FrameState.OPEN,
            (looked.views or (self._first,))[0].world_from_camera.to(dtype=torch.float64),
            words=words,
        )

    def _tracked(self, looked: _Looked, found: Registration) -> TrackedFrame:
        return replace(
            self._open(looked),
            state=FrameState.TRACKED if found else FrameState.DOUBTFUL,
            world_from_camera=found.world_from_camera.to(dtype=torch.float64).orthonormal(),
            covariance=found.covariance_at_scale,  # the CT is as large in every frame
            probability=found.probability,
            loss=float(found.losses["loss"]),
            words="" if found else found.status.value,
        )

    def _keep(self, place: int, frame: TrackedFrame) -> TrackedFrame:
        self._done[place] = frame
        return frame

    def _time(self, place: int) -> float | None:
        times = self._request.frames.times_s
        return None if times is None else times[place]


_ORDER = (FrameState.OPEN, FrameState.DOUBTFUL, FrameState.TRACKED, FrameState.KEY)


def _better(frame: TrackedFrame, before: TrackedFrame) -> bool:
    """Whether a second look at a frame is worth more than the first."""
    ranks = [(_ORDER.index(each.state), each.probability or 0.0) for each in (frame, before)]
    return ranks[0] > ranks[1]


def _moved(views: Sequence[View], world_from_rig: Pose) -> tuple[View, ...]:
    """The cameras where they stand about a body that has moved."""
    return tuple(
        replace(
            view, world_from_camera=world_from_rig @ view.world_from_camera.to(dtype=torch.float64)
        )
        for view in views
    )


def _covariances(frames: Sequence[TrackedFrame]) -> list[Float[Tensor, "6 6"] | None]:
    """Of what counts as measured: what is trusted; a pose that was given is as sure as the least unsure."""
    trusted = [f.covariance if f.state is FrameState.TRACKED else None for f in frames]
    sure = [each for each in trusted if each is not None]
    best = min(sure, key=lambda each: float(each.trace()), default=None)
    return [
        best if frame.state is FrameState.KEY else own
        for frame, own in zip(frames, trusted, strict=True)
    ]
