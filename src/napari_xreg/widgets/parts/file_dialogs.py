"""Files and folders chosen by the user; where none is, nothing happens."""

from collections.abc import Callable

from qtpy.QtWidgets import QFileDialog, QWidget

Then = Callable[[str], object]
"""What is done with the path."""


def open_file(over: QWidget, title: str, files: str, then: Then, *, at: str = "") -> None:
    """A file that is there.

    Parameters
    ----------
    over
        The dialog's parent.
    files
        Qt's filter: ``Words (*.one *.other)``.
    at
        Path where the dialog begins.
    """
    path, _ = QFileDialog.getOpenFileName(over, title, at, files)
    if path:
        then(path)


def file_to_save(over: QWidget, title: str, name: str, files: str, then: Then) -> None:
    """Where to write; `name` is what is offered. The dialog asks before a file is replaced."""
    path, _ = QFileDialog.getSaveFileName(over, title, name, files)
    if path:
        then(path)


def choose_folder(over: QWidget, title: str, then: Then, *, at: str = "") -> None:
    """A folder that is there."""
    path = QFileDialog.getExistingDirectory(over, title, at)
    if path:
        then(path)
