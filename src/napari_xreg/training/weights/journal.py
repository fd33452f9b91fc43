"""The journal of a training: a line of JSON for every step and every validation."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from napari_xreg.files import plain
from napari_xreg.training.events import Step, Validation
from napari_xreg.training.weights.event_file import EventFile


class Journal:
    """Written while a training runs; one that is taken up again goes on in the same file.

    Parameters
    ----------
    file
        Lines of JSON; the first of each session says what is trained.
    about
        Of that line.
    tensorboard
        Folder of an event file with the same numbers; None: none.
    anew
        Whether an earlier journal is written over.

    Raises
    ------
    OSError
        If something cannot be written; so does `add`.
    """

    def __init__(
        self, file: Path, about: Mapping[str, Any], *, tensorboard: Path | None, anew: bool
    ) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._events = None if tensorboard is None else EventFile(tensorboard)
        try:
            if not anew and file.exists():  # a program that was killed left half a line
                kept = file.read_bytes()
                file.write_bytes(kept[: kept.rfind(b"\n") + 1])
            self._stream: TextIO = file.open("w" if anew else "a", encoding="utf-8")
        except OSError:
            if self._events is not None:
                self._events.close()
            raise
        self._line(about)

    def add(self, event: Step | Validation) -> None:
        """A step; of a validation its scores, without weights and state."""
        if isinstance(event, Step):
            numbers = {f"loss/{name}": value for name, value in event.losses.items()}
            numbers["learning rate"] = event.learning_rate
            self._line({"step": event.index, "seconds": event.seconds, **numbers})
        else:
            numbers = {f"validation/{name}": value for name, value in event.scores.items()}
            head = {"step": event.index, "seconds": event.seconds, "best": event.best}
            self._line(head | numbers)
        if self._events is not None:
            self._events.add(event.index, numbers)
        if isinstance(event, Validation):
            self._stream.flush()
            if self._events is not None:
                self._events.flush()

    def close(self) -> None:
        """No more is added; what cannot be written any more is lost."""
        for open_file in (self._stream, self._events):
            if open_file is not None:
                with contextlib.suppress(OSError):
                    open_file.close()

    def _line(self, content: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(plain(dict(content)), allow_nan=False) + "\n")
