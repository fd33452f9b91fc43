"""Work off the main thread: order, errors, cancelling, pausing, closing; and lanes."""

import gc
import threading
import time
import weakref

import pytest

from napari_xreg.widgets.jobs.jobs import Jobs
from napari_xreg.widgets.jobs.lane import Lane


def counting(n, seconds=0.0, trace=None):
    """A computation of n events that obeys its control and returns how far it came."""

    def make(control):
        done = 0
        for k in range(n):
            if not control.proceed():
                break
            time.sleep(seconds)
            if trace is not None:
                trace.append(threading.current_thread() is threading.main_thread())
            yield k
            done += 1
        return done

    return make


@pytest.fixture
def jobs(viewer):
    jobs = Jobs(getattr(viewer, "__wrapped__", viewer))
    yield jobs
    jobs.close()


def test_every_event_arrives_in_order_before_the_result(jobs, qtbot):
    seen, newest, results, threads = [], [], [], []

    def on_event(event, events):
        newest.append(event)
        seen.extend(events)
        threads.append(threading.current_thread() is threading.main_thread())

    def on_result(result):
        results.append((result, len(seen)))

    made = threading.Event()

    def work(control):
        returned = yield from counting(300)(control)
        made.set()
        return returned

    job = jobs.start("Counting", work, on_event=on_event, on_result=on_result, total=300)
    assert made.wait(10)  # this thread, which would hear of them, was busy all the while
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert seen == list(range(300))
    assert results == [(300, 300)]
    assert newest[-1] == 299
    assert len(newest) == 1  # all that came meanwhile in one call
    assert all(threads)
    assert not job.running
    assert jobs.running == ()


def test_an_ended_job_keeps_neither_result_nor_callbacks(jobs, qtbot):
    class Big:
        pass

    def make(control):
        yield 1
        return Big()

    kept = []
    job = jobs.start("Making", make, on_result=lambda big: kept.append(weakref.ref(big)))
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    qtbot.waitUntil(lambda: gc.collect() >= 0 and kept[0]() is None)


def test_the_work_runs_in_another_thread(jobs, qtbot):
    trace = []
    job = jobs.start("Counting", counting(3, trace=trace), on_result=lambda _: None)
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert trace == [False] * 3


def test_cancelling_gives_what_was_reached(jobs, qtbot):
    results = []
    job = jobs.start("Counting", counting(10_000, 0.002), on_result=results.append)
    qtbot.wait(100)
    job.cancel()
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert 0 < results[0] < 10_000


def test_pause_step_resume(jobs, qtbot):
    seen = []
    job = jobs.start(
        "Counting",
        counting(60, 0.01),
        on_event=lambda _, events: seen.extend(events),
        on_result=seen.append,
    )
    qtbot.waitUntil(lambda: len(seen) >= 2, timeout=10_000)
    job.control.pause()
    qtbot.wait(200)
    stood = len(seen)
    qtbot.wait(200)
    assert len(seen) == stood
    job.control.step()
    qtbot.waitUntil(lambda: len(seen) == stood + 1, timeout=5000)
    qtbot.wait(150)
    assert len(seen) == stood + 1
    job.control.resume()
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert seen == [*range(60), 60]


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, KeyError])
@pytest.mark.parametrize("when", ["before the first event", "after it"])
def test_an_error_is_one_notification(jobs, qtbot, notified, kind, when):
    results = []

    def make(control):
        if when == "after it":
            yield 1
        raise kind("the sizes 3 and 4 do not fit\nsecond line")
        yield 2

    job = jobs.start("Refinement", make, on_result=results.append)
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert results == []
    assert len(notified) == 1
    assert notified[0].startswith("Refinement failed: ")
    assert "the sizes 3 and 4 do not fit" in notified[0]
    if kind is not KeyError:  # which quotes its words
        assert "\n" not in notified[0]
    assert jobs.running == ()


def test_an_error_can_be_taken_instead(jobs, qtbot, notified):
    errors = []

    def make(control):
        raise RuntimeError("no")
        yield

    job = jobs.start("Refinement", make, on_result=lambda _: None, on_error=errors.append)
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert [str(error) for error in errors] == ["no"]
    assert notified == []


def test_closing_ends_the_work_and_hands_nothing_over(jobs, qtbot):
    calls, ended = [], threading.Event()

    def make(control):
        try:
            while control.proceed():
                time.sleep(0.005)
                yield 1
        finally:
            ended.set()

    job = jobs.start("Long", make, on_event=lambda *a: calls.append(a), on_result=calls.append)
    qtbot.wait(100)
    count = len(calls)
    jobs.close()
    assert ended.wait(5.0)
    qtbot.wait(150)
    assert len(calls) == count
    assert not job.running


def test_a_paused_job_ends_when_closed(jobs, qtbot):
    ended = threading.Event()

    def make(control):
        while control.proceed():
            yield 1
        ended.set()

    job = jobs.start("Long", make, on_result=lambda _: None)
    job.control.pause()
    qtbot.wait(50)
    jobs.close()
    assert ended.wait(5.0)


def test_no_progress_bar_is_left(jobs, qtbot):
    from napari.utils import progress

    before = len(progress._all_instances)
    job = jobs.start("Counting", counting(5), on_result=lambda _: None, total=5)
    assert len(progress._all_instances) == before + 1
    qtbot.waitSignal(job.finished, timeout=10_000).wait()
    assert len(progress._all_instances) == before


# ---------------------------------------------------------------------- lanes


class Slow:
    """A request that says which it is, when allowed to."""

    def __init__(self, number, gate=None, error=None):
        self.number, self.gate, self.error = number, gate, error

    def answer(self):
        if self.gate is not None:
            assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        return self.number, threading.current_thread()


@pytest.fixture
def lane(viewer):
    answers = []
    lane = Lane(answers.append, name="Test")
    lane.answers = answers
    yield lane
    lane.close(wait_seconds=5)


def test_the_newest_request_wins(lane, qtbot):
    gate = threading.Event()
    lane.ask(Slow(0, gate))
    qtbot.wait(50)
    for number in range(1, 50):
        lane.ask(Slow(number))
    gate.set()
    qtbot.waitUntil(lambda: len(lane.answers) == 2, timeout=5000)
    qtbot.waitUntil(lambda: not lane.busy)
    assert [number for number, _ in lane.answers] == [0, 49]
    assert threading.main_thread() not in {thread for _, thread in lane.answers}


def test_what_was_dropped_is_never_handed_over(lane, qtbot):
    gate = threading.Event()
    lane.ask(Slow(0, gate))
    qtbot.wait(50)
    lane.ask(Slow(1))
    lane.drop()
    lane.ask(Slow(2))
    gate.set()
    qtbot.waitUntil(lambda: bool(lane.answers), timeout=5000)
    qtbot.wait(100)
    assert [number for number, _ in lane.answers] == [2]


def test_an_answer_dropped_before_it_was_taken_is_not_handed_over(lane, qtbot):
    lane.ask(Slow(0))
    time.sleep(0.2)  # answered, while Qt has not looked
    lane.drop()
    qtbot.wait(100)
    assert lane.answers == []
    lane.ask(Slow(1))
    qtbot.waitUntil(lambda: [number for number, _ in lane.answers] == [1], timeout=5000)


def test_errors_of_a_lane_are_said_once_until_it_works_again(lane, qtbot, notified):
    for error in (RuntimeError("out of memory"), RuntimeError("out of memory")):
        lane.ask(Slow(0, error=error))
        qtbot.waitUntil(lambda: not lane.busy, timeout=5000)
    assert notified == ["Test failed: out of memory."]
    lane.ask(Slow(1))
    qtbot.waitUntil(lambda: len(lane.answers) == 1, timeout=5000)
    lane.ask(Slow(0, error=RuntimeError("out of memory")))
    qtbot.waitUntil(lambda: len(notified) == 2, timeout=5000)


def test_a_closed_lane_has_no_thread(lane, qtbot):
    lane.ask(Slow(0))
    qtbot.waitUntil(lambda: len(lane.answers) == 1, timeout=5000)
    assert any(thread.name == "xreg Test" for thread in threading.enumerate())
    lane.close(wait_seconds=5)
    assert not any(thread.name == "xreg Test" for thread in threading.enumerate())
    lane.ask(Slow(1))
    qtbot.wait(50)
    assert len(lane.answers) == 1
