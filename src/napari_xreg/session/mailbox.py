"""A one-slot mailbox between a computing thread and the one that draws."""

import threading
from typing import Generic, TypeVar

Frame = TypeVar("Frame")
Line = TypeVar("Line")


class Mailbox(Generic[Frame, Line]):
    """The latest frame wins; every line is kept.

    A worker that hands every frame to the drawing thread queues them without bound when drawing
    is slower. Here a frame not yet taken is replaced, while the lines (a row of losses: small) all
    arrive, in order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self._lines: list[Line] = []

    def put(self, line: Line, frame: Frame | None = None) -> None:
        """From the computing thread. The frame must be the receiver's own copy."""
        with self._lock:
            self._lines.append(line)
            if frame is not None:
                self._frame = frame

    def take(self) -> tuple[Frame | None, list[Line]]:
        """The newest frame since the last call, if any, and every line since then."""
        with self._lock:
            frame, lines = self._frame, self._lines
            self._frame, self._lines = None, []
        return frame, lines
