"""A cancelled tracking: frames that were not reached keep what was tracked before."""

from dataclasses import replace

import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.session import BodiesTrack, FrameState, Track, TrackedFrame
from napari_xreg.workflows.tracking.so_far import reached_any, with_earlier
from napari_xreg.workflows.tracking.walk import CANCELLED

ARM = CArm(1010.0, 620.0, Detector((12, 17), (2.7, 1.9), (5.25, 9.5)))
PIVOT = torch.tensor([1.5, -2.5, 7.0], dtype=torch.float64)


def at(x: float) -> Pose:
    return Pose(torch.eye(3, dtype=torch.float64), torch.tensor([x, 2.0, 600.0]).double())


def tracked(number: int, rig: float, x: float) -> TrackedFrame:
    sure = torch.eye(6, dtype=torch.float64) * 1e-4
    return TrackedFrame(number, None, FrameState.TRACKED, at(rig), at(x), sure)


def left(number: int, rig: float) -> TrackedFrame:
    return TrackedFrame(number, None, FrameState.OPEN, at(rig), words=CANCELLED)


def body(*frames: TrackedFrame, cancelled: bool = False) -> Track:
    return Track(frames, PIVOT, ARM, cancelled=cancelled)


def joint(number: float) -> torch.Tensor:
    return torch.eye(6, dtype=torch.float64) * number


BEFORE = BodiesTrack(
    ("",),
    (body(tracked(4, 10.0, 11.0), tracked(5, 10.0, 12.0), tracked(7, 10.0, 15.0)),),
    (joint(1), joint(2), joint(3)),
)


def test_frames_that_were_not_reached_are_as_before():
    now = BodiesTrack(
        ("",),
        (body(left(4, 13.0), tracked(5, 13.0, 14.0), left(7, 13.0), cancelled=True),),
        (None, joint(9), None),
    )
    assert reached_any(now)
    joined = with_earlier(now, BEFORE, 5, True)
    (track,) = joined.tracks
    assert not track.cancelled
    assert [float(f.world_from_camera.translation[0]) for f in track.frames] == [11.0, 14.0, 15.0]
    # The rig was at 10 mm and is at 13 now: the body's own motion is said from there.
    moved = [float(f.world_from_rig.translation[0]) for f in track.frames]
    assert moved == [-2.0, 1.0, 2.0]
    assert [float(each[0, 0]) for each in joined.covariances] == [1.0, 9.0, 3.0]
    assert track.smoothed is not None
    assert with_earlier(now, BEFORE, 5, False).tracks[0].smoothed is None


def test_what_fits_not_together_stays_as_it_was_found():
    now = BodiesTrack(("",), (body(left(4, 13.0), left(5, 13.0), left(7, 13.0), cancelled=True),))
    assert not reached_any(now)
    others = (
        replace(BEFORE.tracks[0], pivot=PIVOT + 1.0),
        replace(BEFORE.tracks[0], frames=BEFORE.tracks[0].frames[:2]),
        replace(BEFORE.tracks[0], carm=CArm(990.0, 620.0, ARM.detector)),
    )
    for other in others:
        assert with_earlier(now, replace(BEFORE, tracks=(other,)), 5, True) is now


def test_a_frame_that_neither_reached_is_open_and_cancelled():
    before = replace(
        BEFORE, tracks=(body(*BEFORE.tracks[0].frames[:2], left(7, 10.0), cancelled=True),)
    )
    now = BodiesTrack(
        ("",), (body(left(4, 13.0), tracked(5, 13.0, 14.0), left(7, 13.0), cancelled=True),)
    )
    (track,) = with_earlier(now, before, 5, True).tracks
    assert track.cancelled
    assert track.frames[2].state is FrameState.OPEN
