"""The work of a window is copied by itself, and what a crash left behind is offered again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_xreg.session import (
    Autosave,
    LeftBehind,
    Session,
    SessionState,
    autosave_folder,
    in_memory,
    left_behind,
    opening,
)
from napari_xreg.viewer import preferences
from napari_xreg.widgets.jobs.jobs import Jobs
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import show_warning
from napari_xreg.widgets.saving import closing

EVERY_MS = 3000
"""A change is copied this long after it, with whatever followed it meanwhile."""
_WAIT_SECONDS = 5.0  # for a copy on its way, when the window closes

_put_off: set[Path] = set()
"""What the user of this process wants to decide later."""


@dataclass(frozen=True, eq=False)
class _Copy:
    """Keep a state, or nothing; `answer` runs off the main thread."""

    autosave: Autosave
    made: Callable[[], SessionState] | None
    replaced: tuple[Callable[[], None], ...]

    def answer(self) -> None:
        """Write it; then what it was restored from is no longer needed."""
        if self.made is None:
            self.autosave.clear()
        else:
            self.autosave.write(self.made())
        for remove in self.replaced:
            remove()


class Keeping(QObject):
    """Copies the session of a window after every change that is work; at a proper end it goes.

    Parameters
    ----------
    session
        Whose work it is.
    jobs
        Where a session is restored.
    root
        `autosave_folder`.
    """

    def __init__(self, session: Session, jobs: Jobs, root: Path) -> None:
        super().__init__()
        self._session, self._jobs, self._root = session, jobs, root
        self._autosave = Autosave(root)
        self._claimed: list[Callable[[], None]] = []
        self._lane = Lane(lambda _: None, name="Autosave")
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.copy)
        self._kept = False
        self.offer: RestoreOffer | None = None
        session.history_changed.connect(self._changed)

    def copy(self) -> None:
        """Copy the work now, or drop the copy where it was saved."""
        wanted = self._session.unsaved
        if wanted or self._kept:
            made = self._session.capture() if wanted else None
            self._lane.ask(_Copy(self._autosave, made, tuple(self._claimed)))
        self._kept = wanted

    def look_back(self, window: QWidget) -> None:
        """Offer the newest session that was left behind, in a window that somebody sees."""
        if not closing.seen(window) or self.offer is not None:
            return
        left = [entry for entry in left_behind(self._root) if entry.folder not in _put_off]
        if left:
            self.offer = RestoreOffer(left[0], len(left) - 1, window)
            self.offer.answered.connect(self._answered)
            self.offer.show()

    def close(self) -> None:
        """The window closes: its work was saved or is not wanted."""
        self._session.history_changed.disconnect(self._changed, missing_ok=True)
        self._timer.stop()
        if self.offer is not None:
            self.offer.close()
        self._lane.close(wait_seconds=_WAIT_SECONDS)
        self._autosave.clear()

    def _changed(self) -> None:
        if not self._timer.isActive():
            self._timer.start(EVERY_MS)

    def _answered(self, left: LeftBehind, answer: str) -> None:
        self.offer = None
        if answer == "restore":
            self.restore(left)
        elif answer == "delete":
            remove = left.claim()
            if remove is not None:
                remove()
        else:
            _put_off.add(left.folder)

    def restore(self, left: LeftBehind) -> None:
        """Take over what was left behind, as one step."""
        remove = left.claim()
        if remove is None:
            show_warning("Another napari window is restoring that session already.")
            return

        def take(opened: Session) -> None:
            state = in_memory(opened.capture()(), left.folder)
            self._claimed.append(remove)
            self._session.restore(state, f"restore session of {left.words}", saved=False)
            for problem in opened.problems:
                show_warning(problem)

        self._jobs.start("Restoring the session", lambda _: opening(left.file), on_result=take)


class RestoreOffer(QDialog):
    """ "napari ended without saving: restore the session of 14:32?"; nothing waits for it.

    Parameters
    ----------
    left
        What may be restored.
    others
        How many older ones there are.
    parent
        The window.
    """

    answered = Signal(object, str)
    """What was left behind, and "restore", "delete" or "later"."""

    def __init__(self, left: LeftBehind, others: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Restore the session?")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._left = left
        words = f"napari ended without saving. Restore the registration session of {left.words}?"
        if others:
            more = "another one is" if others == 1 else f"{others} others are"
            words += f" ({more} kept too, and offered next time.)"
        label = QLabel(words)
        label.setWordWrap(True)
        buttons = QHBoxLayout()
        self.buttons: dict[str, QPushButton] = {}
        for answer, text in (
            ("restore", "Restore"),
            ("later", "Ask again next time"),
            ("delete", "Delete it"),
        ):
            button = self.buttons[answer] = QPushButton(text)
            button.setAutoDefault(answer == "restore")
            button.clicked.connect(lambda _=False, answer=answer: self._answer(answer))
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(label)
        layout.addLayout(buttons)
        self.resize(440, self.sizeHint().height())

    def reject(self) -> None:
        """Closed without an answer: later."""
        self._answer("later")

    def _answer(self, answer: str) -> None:
        self.done(0)  # `close` would call `reject`, another answer, and leave the dialog on screen
        self.answered.emit(self._left, answer)


def keeping_of(session: Session, jobs: Jobs) -> Keeping | None:
    """What keeps the work of a session; None where it is switched off."""
    root: Any = autosave_folder()
    return Keeping(session, jobs, root) if root is not None and preferences().autosave else None
