"""The way through a sequence, told by a body that says itself where it is found."""

import math
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from told_walk import PIVOT, Told, at, frames

from napari_xreg.cli.tracked_bones import frames_told
from napari_xreg.progress import Control
from napari_xreg.registration import Status
from napari_xreg.session import FrameState
from napari_xreg.workflows import TrackSettings
from napari_xreg.workflows.tracking import in_flight
from napari_xreg.workflows.tracking.sought import Found
from napari_xreg.workflows.tracking.walk import CANCELLED, IN_FLIGHT, STEADY, TOO_FAR, Walk


def walked(sought, count=6, **settings):
    way = Walk(sought, frames(count), 1, {}, TrackSettings(smooth=False, **settings), Control())
    order = [frame.number for (frame,) in way.through()]
    return way.tracks()[0], order


def test_the_next_frames_are_begun_from_where_the_coarse_looks_ended():
    told = Told()
    found, order = walked(told)
    assert order == [1, 2, 3, 4, 5, 6]
    # Nothing is known of the velocity at 2; then the last two poses say where it will be, where they are known
    # finely those, else coarse ones: 0 and 2.25 lead to 4.5, 2.25 and 4.25 to 6.25, 4.25 and 6.25 to 8.25.
    assert told.roughly == [(2, 0.0), (3, 4.5), (4, 6.25), (5, 8.25), (6, 10.25)]
    assert [float(f.world_from_camera.translation[0]) for f in found.frames] == [
        100.0, 102.0, 104.0, 106.0, 108.0, 110.0,
    ]  # fmt: skip
    assert {frame.state for frame in found.frames} == {FrameState.TRACKED}
    assert told.widely == []


def test_what_was_begun_from_a_pose_that_did_not_hold_is_begun_anew():
    """Frame 3 lies 5 mm off the way, which only a wider look finds."""
    told = Told(jumped=(3,))
    found, _ = walked(told, 5)
    assert told.widely == [3]
    assert [number for number, _ in told.roughly] == [2, 3, 4, 5, 4, 5]
    assert told.roughly[4] == (4, 16.0)  # from 2 and 9 on
    assert float(found.frames[2].world_from_camera.translation[0]) == 109.0


def test_no_more_than_a_few_frames_are_in_flight():
    told = Told()
    way = Walk(told, frames(9), 1, {}, TrackSettings(smooth=False), Control())
    begun = {frame.number: told.roughly[-1][0] for (frame,) in way.through() if told.roughly}
    assert IN_FLIGHT == 3
    assert begun == {2: 4, 3: 5, 4: 6, 5: 7, 6: 8, 7: 9, 8: 9, 9: 9}


def test_after_some_looks_in_vain_no_wider_one_is_taken():
    """Doubtful frames count as tracked on from; those that lie too far are open."""
    told = Told(doubtful=range(2, 12))
    found, _ = walked(told, 11)
    assert told.widely == list(range(2, 2 + STEADY))
    assert {frame.state for frame in found.frames[1:]} == {FrameState.DOUBTFUL}
    told = Told(lost=(3, 4))
    found, _ = walked(told, 5)
    assert told.widely == [3, 4]
    assert [frame.state for frame in found.frames] == [
        FrameState.TRACKED, FrameState.TRACKED, FrameState.OPEN, FrameState.OPEN, FrameState.TRACKED,
    ]  # fmt: skip
    assert found.frames[2].words == TOO_FAR


def test_frames_that_one_radiograph_alone_shows_are_counted():
    told = Told()

    def fine(seen, before):
        found = Told.fine(told, seen, before)
        (body,) = found.bodies
        alone = {3: 0, 4: 1, 5: 1}.get(told.number_of(seen))
        return replace(found, bodies=(replace(body, seen_by=alone),))

    told.fine = fine
    found, _ = walked(told, 6)
    assert [frame.seen_by for frame in found.frames] == [None, None, 0, 1, 1, None]
    first, second = found.notes[:2]
    assert first.startswith("In 1 of 6 frames radiograph 1 alone shows enough of it")
    assert second.startswith("In 2 of 6 frames radiograph 2 alone shows enough of it")
    assert frames_told(found)["as_seen_in"] == [
        {"frame": 3, "radiograph": 1}, {"frame": 4, "radiograph": 2}, {"frame": 5, "radiograph": 2},
    ]  # fmt: skip


def through(told, count=9, keys=None, control=None):
    settings = TrackSettings(smooth=False)
    return Walk(told, frames(count), 1, keys or {}, settings, control or Control())


def test_whoever_stops_listening_leaves_nothing_in_flight():
    told, closing, closed = Told(), threading.Event(), threading.Event()
    gone_on = []

    def held(seen, before):
        if told.number_of(seen) > 2:
            closing.wait(60.0)
            gone_on.append(closed.wait(0.2))  # waited for, or left alone
        return Told.fine(told, seen, before)

    told.fine = held
    steps = through(told).through()
    assert [next(steps)[0].number for _ in range(2)] == [1, 2]
    closing.set()
    steps.close()
    closed.set()
    assert gone_on == [False, False]


def test_what_a_look_raises_comes_through_and_nothing_is_left_in_flight():
    told, failed = Told(), threading.Event()
    gone_on = []

    def failing(seen, before):
        number = told.number_of(seen)
        if number == 2:
            raise RuntimeError("of frame 2")
        gone_on.append(failed.wait(0.2))
        return Told.fine(told, seen, before)

    told.fine = failing
    steps = through(told).through()
    next(steps)
    with pytest.raises(RuntimeError, match="of frame 2"):
        next(steps)
    failed.set()
    assert gone_on == [False, False]


def test_a_frame_whose_finer_look_finds_nothing_is_open_and_says_why():
    told = Told()

    def black(seen, before):
        if told.number_of(seen) == 3:
            raise ValueError("nothing shows")
        return Told.fine(told, seen, before)

    told.fine = black
    found, _ = walked(told, 5)
    assert [frame.state for frame in found.frames] == [
        FrameState.TRACKED, FrameState.TRACKED, FrameState.OPEN, FrameState.TRACKED, FrameState.TRACKED,
    ]  # fmt: skip
    assert found.frames[2].words == "nothing shows"


def test_cancelled_with_frames_in_flight_it_ends_with_those_that_are_done():
    told, control = Told(), Control()
    begun, ended = [], []

    def cancelling(seen, before):
        begun.append(told.number_of(seen))
        if told.number_of(seen) == 3:
            control.cancel()
        found = Told.fine(told, seen, before)
        ended.append(told.number_of(seen))
        return found

    told.fine = cancelling
    way = through(told, control=control)
    done = [frame.number for (frame,) in way.through()]
    # 3 is begun while 2 is looked at: whether 2 comes before the word does not matter.
    assert done in ([1], [1, 2])
    assert sorted(begun) == sorted(ended)
    (found,) = way.tracks()
    assert found.cancelled
    assert {frame.words for frame in found.frames[2:]} == {CANCELLED}


def test_frames_that_are_doubtful_where_a_wider_look_finds_no_more_are_looked_at_once():
    told = Told(doubtful=(3, 4))
    told.wide = lambda seen: told._found(seen, 50.0, Status.NOT_TRUSTED)
    found, _ = walked(told)
    assert [number for number, _ in told.roughly] == [2, 3, 4, 5, 6]
    assert [frame.number for frame in found.frames if not frame.state.sure] == [3, 4]


def test_another_way_goes_on_from_the_poses_that_were_kept():
    """A second look at a frame ends 1 mm off and is not taken: it is no better than the first."""

    class Again(Told):
        def fine(self, seen, before):
            off = float(self.seen.count(self.number_of(seen)))
            self.seen.append(self.number_of(seen))
            return self._found(seen, off, Status.NOT_TRUSTED)

    told = Again()
    told.seen = []
    way = Walk(
        told, frames(6), 1, {6: (at(110.0),)}, TrackSettings(smooth=False, retry_starts=0), Control()
    )  # fmt: skip
    assert [frame.number for (frame,) in way.through()] == [1, 6, 2, 3, 4, 5]
    assert told.seen[4:] == [5, 4, 3, 2]
    # From 10 at 6 back: the 8, 6 and 4 of the first look lead to 6, 4 and 2.
    assert told.roughly[4:] == [(5, 10.0), (4, 6.0), (3, 4.0), (2, 2.0)]


def test_the_seconds_of_a_frame_are_those_of_its_own_looks(monkeypatch):
    """A clock for each thread: a coarse look takes 1, a fine one 10, a wide one 100."""
    clock = threading.local()

    def passing(seconds, look):
        def longer(*asked):
            clock.now = getattr(clock, "now", 0.0) + seconds
            return look(*asked)

        return longer

    told = Told(doubtful=(3,))
    told.rough, told.fine = passing(1.0, told.rough), passing(10.0, told.fine)
    told.wide = passing(100.0, lambda seen: told._found(seen, 50.0))
    monkeypatch.setattr(
        in_flight, "time", SimpleNamespace(perf_counter=lambda: getattr(clock, "now", 0.0))
    )
    found, _ = walked(told, 5)
    assert [frame.seconds for frame in found.frames] == [0.0, 11.0, 111.0, 11.0, 11.0]


@pytest.mark.parametrize("count", [2, 7])
def test_a_turn_is_expected_to_go_on_about_the_pivot(count):
    """A body that turns by a degree a frame about its pivot is expected there, not beside it."""
    turn = torch.tensor([0.0, 0.0, math.radians(1.0), 0.0, 0.0, 0.0], dtype=torch.float64)

    class Turning(Told):
        def _found(self, seen, off, status=Status.CONVERGED):
            pose = at(100.0).left_perturb(turn * (self.number_of(seen) - 1), PIVOT)
            return Found(
                tuple(
                    replace(each, world_from_camera=pose, views=(pose,))
                    for each in super()._found(seen, 0.0).bodies
                )
            )

        def rough(self, seen, before):
            self.roughly.append(seen[0][0].world_from_camera)
            return self._found(seen, 0.0)

    told = Turning()
    walked(told, count)
    for number, pose in enumerate(told.roughly[1:], 3):
        expected = at(100.0).left_perturb(turn * (number - 1), PIVOT)
        torch.testing.assert_close(pose.matrix(), expected.matrix())
