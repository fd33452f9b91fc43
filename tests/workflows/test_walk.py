"""The way through a sequence, told by a body that says itself where it is found."""

import math
from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control
from napari_xreg.registration import Registration, Status, View
from napari_xreg.workflows import Frames, FrameState, TrackSettings
from napari_xreg.workflows.tracking.sought import Found
from napari_xreg.workflows.tracking.walk import IN_FLIGHT, STEADY, TOO_FAR, Walk

ARM = CArm(1000.0, 700.0, Detector((3, 5), (2.0, 2.5)))
PIVOT = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)


def at(x: float) -> Pose:
    return Pose(torch.eye(3, dtype=torch.float64), torch.tensor([x, 0.0, 0.0]).double())


def frames(count):
    def views(number):
        picture = torch.full((3, 5), float(number))
        return (View(Radiograph(picture, ARM), at(100.0)),)

    return Frames(tuple(range(1, count + 1)), views)


class Told:
    """A body at 2 mm a frame; the coarse look is 0.25 mm off. Numbers of frames that are found otherwise."""

    pivots = (PIVOT,)
    starts = (Pose.identity(),)

    def __init__(self, doubtful=(), jumped=(), lost=()):
        self.doubtful, self.jumped, self.lost = doubtful, jumped, lost
        self.roughly, self.widely = [], []

    def _found(self, seen, off, status=Status.CONVERGED):
        ((view,),) = seen
        number = float(view.radiograph.line_integrals[0, 0])
        pose = at(100.0 + 2.0 * (number - 1.0) + off)
        return Found(
            (Registration(pose, status, {"loss": 0.1}, (), PIVOT, torch.eye(6).double(), (pose,)),)
        )

    def _number(self, seen):
        return int(seen[0][0].radiograph.line_integrals[0, 0])

    def first(self, seen):
        return self._found(seen, 0.0)

    def rough(self, seen, before):
        expected = float(seen[0][0].world_from_camera.translation[0]) - 100.0
        self.roughly.append((self._number(seen), round(expected, 6)))
        if self._number(seen) in self.lost:
            return self._found(seen, 50.0)
        return self._found(seen, 0.25)

    def fine(self, seen, before):
        doubtful = self._number(seen) in (*self.doubtful, *self.jumped)
        return self._found(seen, 0.0, Status.NOT_TRUSTED if doubtful else Status.CONVERGED)

    def wide(self, seen):
        number = self._number(seen)
        self.widely.append(number)
        if number in self.jumped:
            return self._found(seen, 5.0)
        return self._found(seen, 50.0 if number in self.lost else 0.5, Status.NOT_TRUSTED)


def walked(sought, count=6, **settings):
    walk = Walk(sought, frames(count), 1, {}, TrackSettings(smooth=False, **settings), Control())
    order = [frame.number for (frame,) in walk.through()]
    return walk.tracks()[0], order


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
    walk = Walk(told, frames(9), 1, {}, TrackSettings(smooth=False), Control())
    begun = {frame.number: told.roughly[-1][0] for (frame,) in walk.through() if told.roughly}
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


def test_whoever_stops_listening_leaves_nothing_in_flight():
    told = Told()
    ended = []

    def slow(seen, before):
        ended.append(seen)
        return Told.fine(told, seen, before)

    told.fine = slow
    walk = Walk(told, frames(9), 1, {}, TrackSettings(smooth=False), Control())
    steps = walk.through()
    assert [next(steps)[0].number for _ in range(2)] == [1, 2]
    steps.close()
    assert len(ended) == 3


@pytest.mark.parametrize("count", [2, 7])
def test_a_turn_is_expected_to_go_on_about_the_pivot(count):
    """A body that turns by a degree a frame about its pivot is expected there, not beside it."""
    turn = torch.tensor([0.0, 0.0, math.radians(1.0), 0.0, 0.0, 0.0], dtype=torch.float64)

    class Turning(Told):
        def _found(self, seen, off, status=Status.CONVERGED):
            pose = at(100.0).left_perturb(turn * (self._number(seen) - 1), PIVOT)
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
