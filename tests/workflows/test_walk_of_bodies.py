"""The way of two bodies through a sequence, of which one is lost: told by bodies that say where they are found."""

import pytest
import torch
from told_walk import PIVOT, Told, at, frames

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration import Registration, Status
from napari_xreg.session import FrameState
from napari_xreg.workflows import BodiesTrackRequest, Frames, TrackSettings, track_bodies
from napari_xreg.workflows.tracking.sought import Found
from napari_xreg.workflows.tracking.walk import STEADY, TOO_FAR, Walk


class Two(Told):
    """As `Told`: A at 2 mm a frame; B stays where it is, 30 mm beside, and is astray from some frame on."""

    pivots = (PIVOT, PIVOT)

    def __init__(self, astray, doubtful=(), found_finely=()):
        super().__init__(doubtful=doubtful)
        self.astray, self.found_finely = astray, found_finely
        self.finely = []

    def starts(self, first):
        return (Pose.identity(), at(30.0))

    def _both(self, seen, off, status=Status.CONVERGED, lost=True):
        (a,) = self._found(seen[:1], off, status).bodies
        astray = lost and self.number_of(seen) >= self.astray
        pose = at(180.0 if astray else 130.0)
        sure = Status.NOT_TRUSTED if astray else Status.CONVERGED
        b = Registration(pose, sure, {"loss": 0.1}, (), PIVOT, torch.eye(6).double(), (pose,))
        return Found((a, b))

    def first(self, seen):
        return self._both(seen, 0.0)

    def rough(self, seen, before):
        self.roughly.append(self.number_of(seen))
        return self._both(seen, 0.25)

    def fine(self, seen, before):
        number = self.number_of(seen)
        begun = [float(views[0].world_from_camera.translation[0]) for views in seen]
        self.finely.append((number, *begun))
        status = Status.NOT_TRUSTED if number in self.doubtful else Status.CONVERGED
        return self._both(seen, 0.0, status, lost=number not in self.found_finely)

    def wide(self, seen):
        self.widely.append(self.number_of(seen))
        status = Status.NOT_TRUSTED if self.number_of(seen) in self.doubtful else Status.CONVERGED
        return self._both(seen, 0.0, status)


def walked(told, count):
    walk = Walk(told, frames(count), 1, {}, TrackSettings(smooth=False), Control())
    order = [both[0].number for both in walk.through()]
    return walk.tracks(), order


def test_a_body_that_is_lost_takes_the_other_not_with_it():
    told = Two(astray=4)
    (a, b), order = walked(told, 20)
    assert order == list(range(1, 21))
    assert {frame.state for frame in a.frames} == {FrameState.TRACKED}
    assert [float(f.world_from_camera.translation[0]) for f in a.frames] == [
        100.0 + 2.0 * k for k in range(20)
    ]
    assert [frame.state for frame in b.frames] == [FrameState.TRACKED] * 3 + [FrameState.OPEN] * 17
    assert {frame.words for frame in b.frames[3:]} == {TOO_FAR}
    # A from where the coarse look ended, B from where it is expected.
    assert (20, 138.25, 130.0) in told.finely
    # In vain for B so often, and no frame is begun twice after that.
    assert told.widely == list(range(4, 4 + STEADY))
    after = [number for number in told.roughly if number > 4 + STEADY + 1]
    assert after == list(range(4 + STEADY + 2, 21))


def test_a_body_that_stays_lost_takes_no_wider_look_from_the_other():
    told = Two(astray=4, doubtful=(15,))
    (a, _), _ = walked(told, 17)
    assert told.widely == [*range(4, 4 + STEADY), 15]
    assert [frame.number for frame in a.frames if not frame.state.sure] == [15]


def test_what_the_finer_look_finds_again_counts():
    told = Two(astray=4, found_finely=range(6, 20))
    (_, b), _ = walked(told, 9)
    assert [frame.state.sure for frame in b.frames] == [True] * 3 + [False] * 2 + [True] * 4
    assert told.widely == [4, 5]


def test_of_two_looks_the_one_counts_that_trusts_more_of_what_is_near():
    """That B is sure of a place far off is worth nothing."""
    told = Two(astray=3)

    def sure_far_off(seen):
        a, b = Two.wide(told, seen).bodies
        a.__dict__["status"], b.__dict__["status"] = Status.NOT_TRUSTED, Status.CONVERGED
        return Found((a, b))

    told.wide = sure_far_off
    (a, _), _ = walked(told, 5)
    assert {frame.state for frame in a.frames} == {FrameState.TRACKED}


def test_a_start_that_is_no_frame_is_refused_before_anything_is_read():
    read = []
    few = Frames((1, 2, 3), lambda number: read.append(number) or ())
    with pytest.raises(ValueError, match="there is no frame 9: the frames are 1 to 3"):
        next(track_bodies(BodiesTrackRequest((), few, 9)))
    assert read == []


# ------------------------------------------------------------------ poses that are given of one of them


def walked_with(told, keys, count, start=1):
    walk = Walk(told, frames(count), start, keys, TrackSettings(smooth=False), Control())
    list(walk.through())
    return walk


def test_a_body_that_is_given_stays_and_the_other_is_looked_for():
    """B is said to be at 140 mm in frame 4; it is astray from frame 3 on, and A goes on as before."""
    told = Two(astray=3)
    walk = walked_with(told, {4: (None, at(140.0))}, 6)
    a, b = walk.tracks()
    assert {frame.state for frame in a.frames} == {FrameState.TRACKED}
    assert [float(f.world_from_camera.translation[0]) for f in a.frames] == [
        100.0 + 2.0 * k for k in range(6)
    ]
    states = [frame.state for frame in b.frames]
    assert states == [
        FrameState.TRACKED, FrameState.TRACKED, FrameState.OPEN, FrameState.KEY, FrameState.OPEN,
        FrameState.OPEN,
    ]  # fmt: skip
    assert float(b.frames[3].world_from_camera.translation[0]) == 140.0
    assert b.frames[3].covariance is None
    assert {frozenset(held) for held in told.held} == {frozenset({1})}
    assert float(told.held[0][1].translation[0]) == 140.0
    # Expected where it was given, there and in the frames after it: no velocity from before. What was begun before that
    # frame was done, from where the body was lost, is begun anew.
    for number in (5, 6):
        assert {b for n, _, b in told.finely if n == number} == {130.0, 140.0}


def test_bodies_that_are_all_given_are_not_looked_for_and_the_start_may_be_given_of_one():
    told = Two(astray=9)
    walk = walked_with(told, {2: (at(100.5), at(131.0)), 1: (at(99.0), None)}, 3)
    a, b = walk.tracks()
    assert [frame.state for frame in a.frames] == [
        FrameState.KEY, FrameState.KEY, FrameState.TRACKED,
    ]  # fmt: skip
    assert [frame.state for frame in b.frames] == [
        FrameState.TRACKED, FrameState.KEY, FrameState.TRACKED,
    ]  # fmt: skip
    assert next(held for held in told.held if 0 in held)[0].translation[0] == 99.0
    assert 2 not in told.roughly


def test_a_given_body_says_nothing_of_how_it_errs():
    told, first = Two(astray=9), Two.first

    def both(seen):
        found = first(told, seen)
        return Found(found.bodies, torch.eye(12, dtype=torch.float64))

    told.first = both
    (covariance, *_) = walked_with(told, {1: (at(99.0), None)}, 2).together()
    assert bool(covariance[:6].isnan().all())
    assert bool(covariance[:, :6].isnan().all())
    assert torch.equal(covariance[6:, 6:], torch.eye(6, dtype=torch.float64))
