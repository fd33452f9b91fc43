"""Frames as they are read and looked at, several at once."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.registration import View
from napari_xreg.session import FrameState, TrackedFrame
from napari_xreg.workflows.tracking.sought import Found, Seen


@dataclass(frozen=True, eq=False)
class Looked:
    """A frame as it was read; without views where it could not be, and why."""

    place: int
    number: int
    views: tuple[View, ...] = ()
    error: str = ""


@dataclass(frozen=True, eq=False)
class Begun:
    """A frame in flight.

    Parameters
    ----------
    looked
        As it was read.
    seen
        With the cameras where the bodies are expected.
    rough
        Where the coarse look ended; None: there was none, or every body went astray.
    near
        Which bodies did not.
    fine
        What looks at it from there, those that went astray from where they are expected; None: nothing does.
    seconds
        That the coarse look took.
    error
        Why there was no look.
    """

    looked: Looked
    seconds: float = 0.0
    seen: Seen = ()
    rough: Found | None = None
    near: tuple[bool, ...] = ()
    fine: "Future[tuple[Found, float]] | None" = None
    error: str = ""


def as_given(frame: TrackedFrame, pose: Pose) -> TrackedFrame:
    return replace(frame, state=FrameState.KEY, world_from_camera=pose.to(dtype=torch.float64))


def rig_of(looked: Looked, world_from_camera: Pose) -> Pose:
    """``world_from_rig`` of a body that the first camera stands so about."""
    rig_from_camera = looked.views[0].world_from_camera.to(dtype=torch.float64)
    return (world_from_camera.to(dtype=torch.float64) @ rig_from_camera.inverse()).orthonormal()


def moved(views: Sequence[View], world_from_rig: Sequence[Pose]) -> list[tuple[View, ...]]:
    """The cameras where they stand about bodies that have moved."""
    return [
        tuple(
            replace(view, world_from_camera=pose @ view.world_from_camera.to(dtype=torch.float64))
            for view in views
        )
        for pose in world_from_rig
    ]


def ended(begun: deque[Begun]) -> deque[Begun]:
    """None is left in flight: what was begun is waited for, and dropped."""
    for each in begun:
        if each.fine is not None:
            each.fine.exception()
    return deque()


def timed(look: Callable[[], Found]) -> tuple[Found, float]:
    """What a look finds, and the seconds that it took."""
    began = time.perf_counter()
    found = look()
    return found, time.perf_counter() - began


def taking(frames: Sequence[TrackedFrame], seconds: float) -> tuple[TrackedFrame, ...]:
    return tuple(replace(frame, seconds=seconds) for frame in frames)
