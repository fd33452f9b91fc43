"""Errors, warnings and successes, told where one looks; what went wrong stays until the next action.

napari's notification goes after a few seconds. So the same sentence is kept in the widget in front.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from napari.utils import notifications
from napari.viewer import current_viewer
from qtpy.QtCore import QThread
from qtpy.QtWidgets import QApplication

from napari_xreg.files import missing_words

_log = logging.getLogger(__name__)


@runtime_checkable
class KeepsWords(Protocol):
    """A widget that can keep a sentence in sight."""

    def keep_words(self, words: str, *, error: bool) -> None:
        """Until the next action."""
        ...

    def isVisible(self) -> bool: ...
    def visibleRegion(self) -> Any: ...


def show_error(words: str) -> None:
    """What went wrong: a notification, and words that stay."""
    words = reason_first(words)
    notifications.show_error(words)
    _keep(words, error=True)


def show_warning(words: str) -> None:
    """What the user should know: a notification, and words that stay."""
    words = reason_first(words)
    notifications.show_warning(words)
    _keep(words, error=False)


def show_info(words: str) -> None:
    """What was done: a notification and the status bar, once."""
    notifications.show_info(words)
    viewer = current_viewer()
    if viewer is not None and _in_main_thread():
        viewer.status = words


def tell_written(words: str, missing: Mapping[str, str]) -> None:
    """What was written; and an error where some files could not be, with why."""
    if missing:
        words = f"{words}. But {missing_words(missing)}"
        show_error(words)
    else:
        show_info(words)


def report(name: str, error: Exception) -> None:
    """One notification, in words; the traceback goes to the log."""
    _log.info("%s failed", name, exc_info=error)
    show_error(f"{name} failed: {sentence(error)}")


def sentence(error: Exception) -> str:
    """The first line of an error, or its kind where it says nothing; of a file its name and the reason, without a number."""
    told = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        told = f"{error.filename}: {error.strerror}"
    lines = told.strip().splitlines()
    return lines[0].rstrip(".") + "." if lines else f"{type(error).__name__}."


def reason_first(words: str) -> str:
    """A sentence that begins with a file says the reason first, and ends with the file.

    Examples
    --------
    >>> reason_first("/data/knee.nii: holds NaN or infinite values.")
    'Holds NaN or infinite values. File: /data/knee.nii'
    >>> reason_first("Reading knee.nii failed: /data/knee.nii: is empty.")
    'Reading knee.nii failed: is empty. File: /data/knee.nii'
    >>> reason_first("The pose cannot be pasted: no JSON.")
    'The pose cannot be pasted: no JSON.'
    """
    before, mark, rest = words.partition("failed: ")
    head, sentence = (before + mark, rest) if mark else ("", words)
    file, colon, reason = sentence.partition(": ")
    if not colon or not reason or not _is_path(file):
        return words
    if not head:
        reason = reason[0].upper() + reason[1:]
    return f"{head}{reason.rstrip('.')}. File: {file}"


def _is_path(text: str) -> bool:
    return Path(text).is_absolute() or (
        bool({"/", "\\"} & set(text)) and "." in text.split(" ")[-1]
    )


def _keep(words: str, *, error: bool) -> None:
    viewer = current_viewer()
    if viewer is None or not _in_main_thread():
        return
    for widget in dict(viewer.window.dock_widgets).values():
        in_front = isinstance(widget, KeepsWords) and widget.isVisible()
        if in_front and not widget.visibleRegion().isEmpty():
            widget.keep_words(words, error=error)
            return


def _in_main_thread() -> bool:
    app = QApplication.instance()
    return app is not None and QThread.currentThread() is app.thread()
