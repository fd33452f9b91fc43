"""Answers off the main thread, the newest request first."""

import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from qtpy.QtCore import QObject, Signal

from napari_xreg.widgets.jobs.telling import report


@runtime_checkable
class Request(Protocol):
    """Something that can be answered in any thread."""

    def answer(self) -> Any:
        """The answer; an exception is one too."""
        ...


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


def _answer(request: Request) -> Any:
    return request.answer()
