"""Long work off the main thread: whole computations (`Jobs`) and newest-wins answers (`Lane`).

What runs elsewhere is a value or a generator that has captured its inputs; what comes back is taken
in the main thread. Errors travel as values: a `RuntimeError`, which torch raises for nearly
everything, would vanish inside a generator worker of napari (0.9), its progress bar left spinning.
"""

import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Protocol, runtime_checkable

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import progress
from napari.viewer import current_viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_xreg.progress import Control
from napari_xreg.widgets.jobs.telling import show_error

_log = logging.getLogger(__name__)

POLL_MS = 40
"""How often events are handed to the main thread."""

BAR_SECONDS = 1.0
"""Shortest time between two moves of a progress bar."""


@runtime_checkable
class Request(Protocol):
    """Something that can be answered in any thread."""

    def answer(self) -> Any:
        """The answer; an exception is one too."""
        ...


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


class Lane(QObject):
    """Answers requests one at a time in a thread of its own; the newest request wins.

    While one is being answered at most one waits: a newer one takes its place. The next request is
    begun when the main thread has taken the answer, so answers never queue up.

    Parameters
    ----------
    on_answer
        Called in the main thread with each answer, in the order of the requests.
    work
        The workflow that answers a request, in any thread; None: its own `Request.answer`.
    on_error
        Called in the main thread with what that raised. None: one notification, and
        the same sentence is not repeated.
    name
        Of the thread, and in the words of a notification.
    """

    _ready = Signal()

    def __init__(
        self,
        on_answer: Callable[[Any], None],
        work: Callable[[Any], Any] | None = None,
        *,
        on_error: Callable[[Exception], None] | None = None,
        name: str = "Preview",
    ) -> None:
        super().__init__()
        self._on_answer, self._on_error, self._name = on_answer, on_error, name
        self._work = _answer if work is None else work
        self._said = ""
        self._change = threading.Condition()
        self._waiting: Any = None
        self._answer: tuple[int, Any, Exception | None] | None = None
        self._answering = self._closed = False
        self._turn = 0
        self._thread: threading.Thread | None = None
        self._ready.connect(self._deliver)

    @property
    def busy(self) -> bool:
        """Whether something is being answered, waits, or was not taken yet."""
        with self._change:
            return self._answering or self._waiting is not None or self._answer is not None

    def ask(self, request: Any) -> None:
        """Answer this as soon as possible, instead of what still waits."""
        with self._change:
            if self._closed:
                return
            self._waiting = request
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name=f"xreg {self._name}", daemon=True
                )
                self._thread.start()
            self._change.notify()

    def drop(self) -> None:
        """What was asked so far no longer matters: no answer to it will be handed over."""
        with self._change:
            self._turn += 1
            self._waiting = None

    def close(self, *, wait_seconds: float = 0.0) -> None:
        """End the thread after the request it works on."""
        with self._change:
            self._closed = True
            self._turn += 1
            self._waiting = self._answer = None
            self._change.notify()
        if self._thread is not None and wait_seconds > 0:
            self._thread.join(wait_seconds)

    def _serve(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: self._closed or (self._waiting is not None and self._answer is None)
                )
                if self._closed:
                    return
                request, self._waiting = self._waiting, None
                self._answering, turn = True, self._turn
            answer, error = None, None
            try:
                assert request is not None
                answer = self._work(request)
            except Exception as raised:
                error = raised
            request = None  # a CT is not to be kept alive by an idle thread
            with self._change:
                self._answering = False
                if self._closed:
                    return
                if turn != self._turn:
                    continue
                self._answer = (turn, answer, error)
            answer = error = None
            try:
                self._ready.emit()
            except RuntimeError:  # Qt has ended
                return

    def _deliver(self) -> None:
        with self._change:
            taken, self._answer = self._answer, None
            self._change.notify()
            if taken is None or taken[0] != self._turn:
                return
        _, answer, error = taken
        if error is None:
            self._said = ""
            self._on_answer(answer)
        elif self._on_error is not None:
            self._on_error(error)
        elif str(error) != self._said:
            self._said = str(error)
            report(self._name, error)


def report(name: str, error: Exception) -> None:
    """One notification, in words; the traceback goes to the log."""
    _log.info("%s failed", name, exc_info=error)
    show_error(f"{name} failed: {sentence(error)}")


def sentence(error: Exception) -> str:
    """The first line of an error, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else f"{type(error).__name__}."


def _answer(request: Request) -> Any:
    return request.answer()


def _ignore(_: Any) -> None:
    pass
