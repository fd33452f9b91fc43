"""A session is saved from a window, and one with unsaved work asks once before it closes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

from napari_xreg.session import Session, saving
from napari_xreg.widgets.jobs.jobs import Jobs
from napari_xreg.widgets.jobs.telling import show_error, show_info

FILES = "Session (*.xreg.json)"
Answer = Literal["save", "discard", "cancel"]


def save(
    session: Session, jobs: Jobs, path: str | Path, then: Callable[[], object] | None = None
) -> None:
    """Write a session off the main thread, say so, and go on with `then` if all is well."""
    name = Path(path).name
    mark = session.mark()
    try:
        steps = saving(path, session)
    except ValueError as error:
        show_error(f"{error}.")
        return

    def done(_: Any) -> None:
        session.saved(mark)
        show_info(f"{name} is saved")
        if then is not None:
            QTimer.singleShot(0, then)  # not in the middle of the job that ends here

    jobs.start(f"Saving {name}", lambda _: steps, on_result=done)


def may_close(window: QWidget, session: Session, jobs: Jobs, close: Callable[[], object]) -> bool:
    """Whether a window that its user closes may go now, by the ways of napari.

    Whoever answered here is not asked by napari once more: `close` then closes it.

    Parameters
    ----------
    window
        That somebody sees; where nobody does, nobody is asked.
    close
        Closes it without a question: once the work was saved, or is not wanted.
    """
    if not seen(window) or not session.unsaved:
        return True
    answer = ask(window, [job.name for job in jobs.running])
    if answer == "save":
        path = choose_file(window)
        if path:
            save(session, jobs, path, close)
    elif answer == "discard":
        QTimer.singleShot(0, close)  # not within the event that asks whether it may
    return False


def seen(window: QWidget) -> bool:
    """Whether somebody could answer: scripts and tests have windows that are not shown."""
    return window.isVisible()


def ask(window: QWidget, running: Sequence[str] = ()) -> Answer:
    """Save, discard, or stay; `running` names what closing would stop."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("Save the session?")
    box.setText("This registration session holds work that is not saved.")
    words = "Poses, landmarks, masks and results are lost if you close without saving."
    if running:
        words += f" Closing also stops what still runs: {', '.join(running)}."
    box.setInformativeText(words)
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    pressed = box.exec()
    if pressed == buttons.Save:
        return "save"
    return "discard" if pressed == buttons.Discard else "cancel"


def choose_file(window: QWidget) -> str:
    """Where to; empty: nowhere."""
    path, _ = QFileDialog.getSaveFileName(window, "Save session", "work.xreg.json", FILES)
    return path
