"""Whole computations off the main thread.

What runs elsewhere is a generator that has captured its inputs; what comes back is taken in the main
thread. Errors travel as values: a `RuntimeError`, which torch raises for nearly everything, would
vanish inside a generator worker of napari (0.9), its progress bar left spinning.
"""

import io
import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import progress
from napari.viewer import current_viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_xreg.progress import Control
from napari_xreg.widgets.jobs.telling import report

_log = logging.getLogger(__name__)

POLL_MS = 40
"""How often events are handed to the main thread."""

BAR_SECONDS = 1.0
"""Shortest time between two moves of a progress bar."""


class _Work:
    """What the worker calls: exhausts a generator, its events into the queue; never raises."""

    def __init__(
        self,
        name: str,
        make: Callable[[Control], Generator[Any, None, Any]],
        control: Control,
        queue: deque[Any],
    ) -> None:
        self._name, self._queue = name, queue
        self._make: Callable[[Control], Generator[Any, None, Any]] | None = make
        self.control = control

    def __repr__(self) -> str:
        return self._name  # napari names it when it asks before closing the window

    def __call__(self) -> tuple[Any, Exception | None]:
        # Once: whoever keeps the worker keeps neither a request nor, through it, a viewer.
        make, self._make = self._make, None
        try:
            assert make is not None
            events = make(self.control)
            make = None
            while True:
                try:
                    self._queue.append(next(events))
                except StopIteration as end:
                    return end.value, None
        except Exception as error:
            _log.debug("%s failed", self._name, exc_info=error)
            return None, error


class _Worker(FunctionWorker):  # type: ignore[misc]
    """Asked to quit by napari, it ends like a cancelled job: with the best result so far."""

    @property
    def quit(self) -> Callable[[], None]:
        """Cancels the job.

        napari (0.9) keeps this function of every worker as long as the program runs: as a method it
        would keep the worker, and its signals keep the viewer.
        """
        cancel: Callable[[], None] = self._func.control.cancel
        return cancel


class Job(QObject):
    """One running computation.

    Attributes
    ----------
    name
        As the user reads it.
    control
        Cancel, pause, resume, step.
    finished
        Qt signal, in the main thread: after the last event and the result were handed over.
    """

    finished = Signal()

    def __init__(
        self,
        name: str,
        *,
        on_event: Callable[[Any, list[Any]], None] | None,
        on_result: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        super().__init__()
        self.name = name
        self.control = Control()
        self.queue: deque[Any] = deque()  # filled by the worker, emptied by the timer
        self._on_event, self._on_result, self._on_error = on_event, on_result, on_error
        self._bar: progress | None = None
        self._running = True
        self._handing = False
        self._uncounted, self._bar_moved = 0, 0.0
        self._outcome: tuple[Any, Exception | None] | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._poll)

    @property
    def running(self) -> bool:
        """False once the result was handed over, or the viewer closed."""
        return self._running

    def cancel(self) -> None:
        """End after the present iteration; the result still arrives, marked as cancelled."""
        self.control.cancel()

    def abandon(self) -> None:
        """Cancel, and hand nothing over any more."""
        self._on_event = self._on_error = None
        self._on_result = _ignore
        self.control.cancel()
        self._end()

    def begin(self, total: int | None, description: str) -> None:
        """Show progress and start handing over events."""
        # Without a file of its own the bar would also be drawn in the terminal.
        self._bar = progress(total=total or 0, desc=description, file=io.StringIO())
        self._timer.start(POLL_MS)

    def _poll(self) -> None:
        """Hand over what came, then the result if that came too.

        napari's progress bar runs the event loop whenever it moves, so this may be entered again
        from within: the order of what is handed over must not depend on that.
        """
        if self._handing:
            return
        self._handing = True
        try:
            while self._running:
                if self._outcome is None and self._move_bar():
                    break  # as much work as an event's: those wait for the next turn
                events = [self.queue.popleft() for _ in range(len(self.queue))]
                if events:
                    if self._on_event is not None:
                        self._on_event(events[-1], events)
                    self._uncounted += len(events)
                elif self._outcome is not None:
                    self._conclude(*self._outcome)
                if self._outcome is None:
                    break  # the worker goes on; so does the timer
        finally:
            self._handing = False

    def take_result(self, outcome: tuple[Any, Exception | None]) -> None:
        """The worker's answer, in the main thread."""
        if self._running:
            self._outcome = outcome
            self._poll()

    def _move_bar(self) -> bool:
        """Now and then: each move repaints the window, as much work as drawing an image."""
        bar, now = self._bar, time.perf_counter()
        if bar is None or not bar.total or not self._uncounted:
            return False
        if now - self._bar_moved < BAR_SECONDS:
            return False
        bar.update(min(self._uncounted, bar.total - bar.n))
        self._uncounted, self._bar_moved = 0, time.perf_counter()
        return True

    def _conclude(self, result: Any, error: Exception | None) -> None:
        self._end()
        try:
            if error is None:
                self._on_result(result)
            elif self._on_error is not None:
                self._on_error(error)
            else:
                report(self.name, error)
        finally:
            self.finished.emit()
            # Whoever keeps the job keeps neither its result nor, through callbacks, its viewer.
            self._on_event = self._on_error = self._outcome = None
            self._on_result = _ignore

    def _end(self) -> None:
        self._running = False
        self._timer.stop()
        bar, self._bar = self._bar, None
        if bar is not None:
            try:
                bar.close()
            except RuntimeError:
                _log.debug("the progress bar went with its window")


class Jobs(QObject):
    """The computations of one viewer.

    Parameters
    ----------
    viewer
        Asks before it is closed while a job runs.
    """

    def __init__(self, viewer: object) -> None:
        super().__init__()
        self._viewer = viewer
        self._running: list[Job] = []

    @property
    def running(self) -> tuple[Job, ...]:
        """Jobs that have not ended, oldest first."""
        return tuple(job for job in self._running if job.running)

    def start(
        self,
        name: str,
        make: Callable[[Control], Generator[Any, None, Any]],
        *,
        on_event: Callable[[Any, list[Any]], None] | None = None,
        on_result: Callable[[Any], None],
        on_error: Callable[[Exception], None] | None = None,
        total: int | None = None,
        description: str | None = None,
    ) -> Job:
        """Run a generator of events in napari's thread pool.

        All callbacks are called in the main thread.

        Parameters
        ----------
        name
            As the user reads it: "Refinement".
        make
            Called in the other thread with the job's `Control`; must have captured its inputs and
            must not touch layers, widgets or the session.
        on_event
            ``on_event(newest, events)`` every few hundredths of a second: all events since the
            last call in order, the last of them first. Draw the newest, keep them all.
        on_result
            Called with what the generator returned.
        on_error
            None: the error becomes one notification.
        total
            Events expected, for the progress bar; None where it is not known.
        description
            Beside the progress bar; None: the name.
        """
        job = Job(name, on_event=on_event, on_result=on_result, on_error=on_error)
        work = _Work(name, make, job.control, job.queue)
        # create_worker registers the work with the window in front, which asks before it is closed;
        # that must not be another viewer's.
        if current_viewer() is self._viewer:
            worker = create_worker(work, _worker_class=_Worker)
        else:
            worker = _Worker(work)
        worker.returned.connect(job.take_result)
        self._running.append(job)
        job.finished.connect(self._forget_ended)
        job.begin(total, description or name)
        worker.start()
        return job

    def _forget_ended(self) -> None:
        self._running = [job for job in self._running if job.running]

    def close(self) -> None:
        """Cancel everything; nothing more is handed over."""
        for job in self._running:
            job.abandon()
        self._running.clear()


def without_events(work: Callable[[], Any]) -> Callable[[Control], Generator[Any, None, Any]]:
    """A plain function as what `Jobs.start` runs; it cannot be cancelled on its way."""

    def make(_: Control) -> Generator[Any, None, Any]:
        yield from ()
        return work()

    return make


def _ignore(_: Any) -> None:
    pass
