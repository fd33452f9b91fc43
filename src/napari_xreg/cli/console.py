"""What a command says: results on stdout, progress and errors on stderr."""

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

_LONGEST = 200  # characters of a word: a path that a system takes, with its folders, is shorter


def one_line(text: str) -> str:
    """A message on one line, with the middle of words left out that nobody reads to their end.

    Examples
    --------
    >>> one_line("no\\n file " + 10000 * "a")[-20:]
    'aaaaaaaa...aaaaaaaaa'
    """
    half = _LONGEST // 2
    return " ".join(
        word if len(word) <= _LONGEST else f"{word[: half - 3]}...{word[-half:]}"
        for word in text.split()
    )


class Console:
    """Where a command writes.

    Parameters
    ----------
    json
        stdout holds one JSON document and nothing else.
    quiet
        No progress, no words; errors and JSON stay.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json, self.quiet = json, quiet
        self.noted: set[str] = set()
        """What `notes` has said: nobody reads it twice."""
        self._progress_shown = False
        self._last = 0.0
        self._tty = sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        """A line for the reader; nothing with --json or --quiet."""
        self._end_progress()
        if not self.json and not self.quiet:
            print(text)

    def notes(self, sentences: Iterable[str]) -> None:
        """What was assumed or passed over, a line each."""
        for sentence in sentences:
            self.noted.add(sentence)
            self.say(f"note: {sentence}")

    def answer(self, document: Mapping[str, Any]) -> None:
        """The machine-readable answer; nothing without --json."""
        self._end_progress()
        if self.json:
            print(json.dumps(document, indent=2, allow_nan=False))

    def error(self, sentence: str) -> None:
        """One line on stderr."""
        self._end_progress()
        print(f"napari-xreg: error: {sentence}", file=sys.stderr)

    def progress(self, share: float, text: str, *, last: bool = False) -> None:
        """How far a task is: a bar on a terminal, else a line a second."""
        if self.quiet:
            return
        now = time.monotonic()
        if not last and now - self._last < (0.08 if self._tty else 1.0):
            return
        self._last = now
        percent = round(100 * min(max(share, 0.0), 1.0))
        if self._tty:
            bar = "#" * (percent // 5)
            print(f"\r\x1b[K[{bar:<20}] {percent:3d} %  {text}", end="", file=sys.stderr)
            sys.stderr.flush()
            self._progress_shown = True
        else:
            print(f"{percent:3d} %  {text}", file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """What begins now; a line on stderr."""
        self._end_progress()
        if not self.quiet:
            print(f"{text} ...", file=sys.stderr, flush=True)
        self._last = 0.0

    def _end_progress(self) -> None:
        if self._progress_shown:
            print(file=sys.stderr)
            self._progress_shown = False
