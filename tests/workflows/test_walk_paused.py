"""Tracking that is paused, stepped and left, told by looks that go on only where their control lets them."""

import threading

import pytest
import torch
from told_walk import Told, frames

from napari_xreg.images import Volume
from napari_xreg.progress import Control, run
from napari_xreg.workflows import (
    BodiesTrackRequest,
    TrackRequest,
    TrackSettings,
    track,
    track_bodies,
)
from napari_xreg.workflows.tracking import together, tracking

SETTINGS = TrackSettings(smooth=False)


class Asking(Told):
    """Asks before each look whether it may go on; of frame 6 nothing can be had, which is seen as a pause comes."""

    pause = staticmethod(lambda: None)
    paused = threading.Event()
    paused.set()

    def __init__(self, request, control):
        super().__init__()
        self.control = control

    def rough(self, seen, before):
        if self.number_of(seen) == 6:
            Asking.pause()
            self.paused.set()
            raise RuntimeError("of frame 6")
        return super().rough(seen, before)

    def fine(self, seen, before):
        if self.number_of(seen) >= 4:
            self.paused.wait(20.0)
        assert self.control.proceed()
        return super().fine(seen, before)


@pytest.fixture(params=["track", "track_bodies"])
def tracked(request, monkeypatch):
    """What tracks one body, or several, with `Asking`."""
    monkeypatch.setattr(tracking, "OneBody", Asking)
    monkeypatch.setattr(together, "Together", Asking)
    if request.param == "track":
        return lambda start, control: track(
            TrackRequest(
                Volume(torch.zeros(2, 3, 4), torch.eye(4).double()),
                frames(9),
                start,
                settings=SETTINGS,
            ),
            control=control,
        )
    return lambda start, control: track_bodies(
        BodiesTrackRequest((), frames(9), start, settings=SETTINGS), control=control
    )


def in_time(work):
    """Whether something ends; what it raised."""
    raised = []

    def whole():
        try:
            work()
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=whole, daemon=True)
    thread.start()
    thread.join(20.0)
    return not thread.is_alive(), raised


def test_a_step_is_a_frame(tracked):
    control = Control()
    control.pause()
    came, steps = threading.Semaphore(0), tracked(1, control)
    listener = threading.Thread(target=lambda: [came.release() for _ in steps], daemon=True)
    listener.start()
    came_in_time = []
    for _ in range(3):
        control.step()
        came_in_time.append(came.acquire(timeout=20.0))
    more = came.acquire(blocking=False)
    control.cancel()
    listener.join(20.0)
    assert (came_in_time, more) == ([True] * 3, False)
    assert not listener.is_alive()


def test_paused_it_can_be_left(tracked, monkeypatch):
    """Frame 4 is in flight, and goes on after the pause."""
    control = Control()
    monkeypatch.setattr(Asking, "paused", threading.Event())
    steps = tracked(1, control)
    next(steps)
    next(steps)
    control.pause()
    Asking.paused.set()
    ended = in_time(steps.close)
    control.cancel()  # what is held after all would keep the tests from ending
    assert ended == (True, [])


def test_what_goes_wrong_while_it_is_paused_comes_through(tracked, monkeypatch):
    """Frames 4 and 5 are in flight, and go on after the pause."""
    control = Control()
    monkeypatch.setattr(Asking, "pause", control.pause)
    monkeypatch.setattr(Asking, "paused", threading.Event())
    ended = in_time(lambda: run(tracked(1, control)))
    control.cancel()
    assert ended == (True, ["of frame 6"])
