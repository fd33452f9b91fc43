"""One thing is loaded after the other, off the main thread."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from qtpy.QtCore import QObject, Signal

from napari_xreg.widgets.jobs.jobs import Job, Jobs, without_events
from napari_xreg.widgets.jobs.telling import report


@runtime_checkable
class Loadable(Protocol):
    """A frozen request."""

    @property
    def words(self) -> str:
        """What is being done, for the progress bar."""
        ...

    def answer(self) -> Any:
        """The answer, from any thread; an exception is a sentence for the user."""
        ...


class LoadQueue(QObject):
    """Requests in the order they came; a failure is told and does not stop the others.

    Parameters
    ----------
    jobs
        Where they run.
    on_answer
        Called in the main thread.
    """

    changed = Signal()
    """Something began or ended."""
    began = Signal()
    """The first of what was asked for together; what is said from now on is of it."""

    def __init__(self, jobs: Jobs, on_answer: Callable[[Any], None], parent: QObject) -> None:
        super().__init__(parent)
        self._jobs, self._on_answer = jobs, on_answer
        self._waiting: list[Any] = []
        self._job: Job | None = None
        self._starting = self._held = self._taking = False
        self.words = ""

    def hold(self, held: bool) -> None:
        """Begin nothing more: what comes next may depend on what the user is asked now."""
        self._held = held
        self._next()

    @property
    def busy(self) -> bool:
        """Whether something is being loaded."""
        return self._starting or self._job is not None

    @property
    def at_work(self) -> bool:
        """Whether something is being loaded, waits, or is being taken."""
        return self.busy or self._taking or bool(self._waiting)

    def ask(self, request: Any) -> None:
        """Load this after what already waits."""
        if not self.at_work and not self._held:
            self.began.emit()
        self._waiting.append(request)
        self._next()

    def ask_next(self, *requests: Any) -> None:
        """Load these before what already waits: what was loaded last came to them."""
        self._waiting[:0] = requests
        self._next()

    def cancel(self) -> None:
        """Drop what waits; what is being read comes to nothing when it ends."""
        self._waiting.clear()
        if self._job is not None:
            self._job.cancel()
            # A file cannot be let go in the middle: its thread ends it, and nobody takes the answer.
            self._job = None
        self._starting = False
        self.words = ""
        self.changed.emit()

    def _next(self) -> None:
        if self._held or self.busy or not self._waiting:
            return
        # napari's progress bar runs the event loop when it is made: more may be asked meanwhile.
        self._starting = True
        request = self._waiting.pop(0)
        self.words = request.words

        jobs: list[Job] = []

        def mine() -> bool:
            return bool(jobs) and self._job is jobs[0]

        def take(answer: Any) -> None:
            if mine():
                self._taking = True
                self._end()
                try:
                    self._on_answer(answer)
                except ValueError as error:  # the session refuses it: a sentence for the user
                    report(request.words, error)
                finally:
                    self._taking = False
                self._next()

        def fail(error: Exception) -> None:
            if mine():
                self._end()
                report(request.words, error)
                self._next()

        try:
            job = self._jobs.start(
                request.words, without_events(request.answer), on_result=take, on_error=fail
            )
        except BaseException:  # nothing began: what is asked next must not wait for it
            self._starting = False
            self._end()
            raise
        jobs.append(job)
        if not self._starting:  # cancelled meanwhile
            job.cancel()
            return
        self._starting, self._job = False, job
        self.changed.emit()

    def _end(self) -> None:
        self._job = None
        self.words = ""
        self.changed.emit()
