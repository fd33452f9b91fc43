"""The parser of a command, and help that is made up when it is shown."""

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from napari_xreg.cli.console import one_line

# What Python reads as a number below zero. argparse knows -1 and -1.5 and takes -1e-05, as every
# program prints small numbers, for an option.
_NEGATIVE = re.compile(
    r"-(?:(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[-+]?\d+)?|inf(?:inity)?|nan)$", re.IGNORECASE
)


class Parser(argparse.ArgumentParser):
    """Errors in one sentence, exit code 2; numbers below zero in any notation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _NEGATIVE

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """`words` of a command may stand on both sides of an option: argparse takes those before it alone."""
        found, rest = super().parse_known_args(args, namespace)
        words = getattr(found, "words", None)
        if words and not any(word.startswith("-") for word in rest):
            found.words, rest = [*words, *rest], []
        return found, rest

    def error(self, message: str) -> NoReturn:
        sentence = one_line(message)
        self.exit(2, f"napari-xreg: error: {sentence} (see {self.prog} --help)\n")

    def format_help(self) -> str:
        for action in self._actions:
            if words := getattr(action, "words", None):  # asked for only where they are shown
                action.help = words()
        return super().format_help()


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def worded(action: argparse.Action, words: Callable[[], str]) -> None:
    """Numbers of the library, asked for only where help is shown: they take torch to import."""
    action.words = words  # type: ignore[attr-defined]
