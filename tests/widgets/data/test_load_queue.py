"""Requests one after the other, also where starting one runs the event loop."""

from dataclasses import dataclass

import pytest
from qtpy.QtCore import QObject

from napari_xreg.widgets.data.load_queue import LoadQueue
from napari_xreg.widgets.jobs.jobs import Jobs


@dataclass(frozen=True)
class Request:
    words: str

    def answer(self):
        return self.words


class ByHand(Jobs):
    """Those started, not ended; `meanwhile` is what the user does while the progress bar is made."""

    def __init__(self):
        super().__init__(None)
        self.meanwhile, self.begun = [], []

    def start(self, name, make, *, on_result, on_error):
        while self.meanwhile:
            self.meanwhile.pop(0)()
        job = Begun(name, on_result)
        self.begun.append(job)
        return job

    def end(self):
        job = self.begun.pop(0)
        job.on_result(job.name)


class Begun:
    def __init__(self, name, on_result):
        self.name, self.on_result, self.cancelled = name, on_result, False

    def cancel(self):
        self.cancelled = True


@pytest.fixture
def jobs():
    return ByHand()


@pytest.fixture
def queue(jobs, qtbot):
    parent, taken = QObject(), []
    made = LoadQueue(jobs, taken.append, parent)
    made.taken, made.owner = taken, parent
    return made


def test_what_is_asked_while_another_begins_is_taken_after_it(queue, jobs):
    """A radiograph opened while the CT's progress bar was made was lost."""
    jobs.meanwhile.append(lambda: queue.ask(Request("radiograph")))
    queue.ask(Request("ct"))
    assert [job.name for job in jobs.begun] == ["ct"]
    jobs.end()
    assert [job.name for job in jobs.begun] == ["radiograph"]
    jobs.end()
    assert queue.taken == ["ct", "radiograph"]
    assert not queue.busy


def test_what_is_cancelled_while_it_begins_is_not_taken(queue, jobs):
    jobs.meanwhile.append(queue.cancel)
    queue.ask(Request("ct"))
    assert jobs.begun[0].cancelled
    assert not queue.busy
    jobs.end()
    assert queue.taken == []
    queue.ask(Request("another"))
    jobs.end()
    assert queue.taken == ["another"]


def test_one_that_cannot_begin_keeps_nothing_waiting(queue, jobs):
    def breaks():
        raise RuntimeError("no thread")

    jobs.meanwhile.append(breaks)
    with pytest.raises(RuntimeError, match="no thread"):
        queue.ask(Request("ct"))
    assert (queue.busy, queue.words) == (False, "")
    queue.ask(Request("another"))
    jobs.end()
    assert queue.taken == ["another"]
