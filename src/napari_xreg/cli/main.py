"""Parse, run, and turn what went wrong into one sentence and an exit code.

Nothing heavy is imported here: ``napari-xreg --help`` answers at once.
"""

import contextlib
import importlib
import logging
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from types import ModuleType

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.console import Console, one_line
from napari_xreg.progress import no_collection

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
_NO_MEMORY = "there is not enough memory for this image or volume"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0: done. 1: the registration failed or is not to be trusted, or the program failed. 2: bad
    input, with one sentence on stderr. 130: interrupted (a registration keeps its best result).

    Parameters
    ----------
    argv
        Arguments without the program's name; None: those of the process.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as end:  # argparse has said what there was to say
        return end.code if isinstance(end.code, int) else BAD_INPUT
    console = Console(json=arguments.json, quiet=arguments.quiet)
    debug: bool = arguments.debug
    empty = _empty(arguments)
    if empty is not None:
        console.error(f"{empty.replace('_', '-')} is empty: give a name or a value")
        return BAD_INPUT
    try:
        with warnings.catch_warnings(), _own_log() if debug else contextlib.nullcontext():
            if not debug:
                # What a library thinks of a file is in our notes if it matters to the user.
                warnings.simplefilter("ignore")
                _silence_libraries()
            command = _command(arguments.command, console)
            code: int = command.run(arguments, console)
            return code
    except KeyboardInterrupt:
        console.error("interrupted; files already written stay")
        return INTERRUPTED
    except BrokenPipeError:  # `napari-xreg inspect ... | head`
        sys.stderr.close()
        return OK
    except (ValueError, OSError) as error:
        if debug:
            raise
        from napari_xreg.cli.hints import hint

        console.error(_sentence(error) + hint(error))
        return BAD_INPUT
    except MemoryError:
        if debug:
            raise
        console.error(_NO_MEMORY)
        return BAD_INPUT
    except Exception as error:
        if debug:
            raise
        if "allocate memory" in str(error) or "out of memory" in str(error):  # torch's own
            console.error(_NO_MEMORY)
            return BAD_INPUT
        console.error(
            f"unexpected {type(error).__name__}: {_sentence(error)} (this is a defect: run again "
            "with --debug and report it)"
        )
        return FAILED


def _command(name: str, console: Console) -> ModuleType:
    """The module of a command; a word first where it is the libraries below that are waited for."""
    module = f"napari_xreg.cli.commands.{name}"
    if "torch" not in sys.modules:
        console.step("starting")
    with no_collection():
        return importlib.import_module(module)


def _sentence(error: BaseException) -> str:
    """The message on one line; an OSError as what happened to which file."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return one_line(f"{error.filename}: {error.strerror}")
    return one_line(str(error)) or type(error).__name__


def _empty(arguments: Namespace) -> str | None:
    """The name of an argument that holds no character, mostly a variable of a shell that is not set."""
    for name, value in vars(arguments).items():
        if value == "" or (isinstance(value, list) and "" in value):
            return name
    return None


@contextlib.contextmanager
def _own_log() -> Iterator[None]:
    """What the package logs is on stderr: also failures that cost only a part of the answer."""
    log, handler = logging.getLogger("napari_xreg"), logging.StreamHandler()
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def _silence_libraries() -> None:
    """Python's handler of last resort would print what libraries log."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
