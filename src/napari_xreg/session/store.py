"""The one state of a session: how a change becomes a step that can be undone, and is announced."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from psygnal import Signal, SignalInstance

from napari_xreg.session.pose_records import pose_records
from napari_xreg.session.state import SessionState, alike
from napari_xreg.session.undo import History, Moment, bare

Change = Callable[[SessionState], SessionState]
Differs = Callable[[SessionState, SessionState], bool]
"""Whether what a signal speaks of is another in the second state than in the first."""


class Store:
    """Holds the `SessionState` of now and those before; the parts of a session change it here.

    A change is complete, and can be undone, before the first signal says so. Signals follow from
    what differs between two states: each comes once a change, in the order of `tell`.
    """

    changed = Signal()
    """A step was made, undone or done again: whatever can be undone was changed."""

    def __init__(self) -> None:
        self.state = SessionState()
        self.history = History(self.state)
        self._told: list[tuple[SignalInstance, Differs]] = []
        self._depth = 0
        self._saved = 0

    def tell(self, signal: SignalInstance, differs: Differs) -> None:
        """Emit this after every change in which this differs."""
        self._told.append((signal, differs))

    def _say(self, before: SessionState) -> None:
        if self._depth or self.state is before:
            return
        now = self.state
        for signal in [signal for signal, differs in self._told if differs(before, now)]:
            signal.emit()

    # ------------------------------------------------------------------ changes

    def hold(self, change: Change) -> None:
        """Change it without a step: what is being dragged, and what no undo brings back."""
        before = self.state
        self.state = change(before)
        self._say(before)

    def change(self, why: str, change: Change, *, settle: bool = True, work: bool = True) -> None:
        """Change it as a step; see `step`."""
        with self.step(why, settle=settle, work=work):
            self.state = change(self.state)

    @contextmanager
    def step(self, why: str, *, settle: bool = True, work: bool = True) -> Iterator[None]:
        """Whatever is changed inside is one step; if it fails, nothing was changed.

        Parameters
        ----------
        why
            What undo calls it.
        settle
            What was moved before and not recorded is a step of its own; False: it belongs to this
            one.
        work
            See `Moment.work`.
        """
        if settle:
            self.settle()
        before = self.state
        with self._whole():
            yield
        recorded = self._record(why, work=work)
        self._say(before)
        if recorded:
            self.changed.emit()

    @contextmanager
    def look(self) -> Iterator[None]:
        """Whatever is changed inside belongs to the last step; if it fails, nothing was changed.

        What was moved before and not recorded is a step of its own.
        """
        self.settle()
        before = self.state
        with self._whole():
            yield
        differs = not self._depth and not alike(self.history.now.state, self.state)
        if differs:
            self.history.amend(self.state)
        self._say(before)
        if differs:
            self.changed.emit()

    @contextmanager
    def _whole(self) -> Iterator[None]:
        before = self.state
        self._depth += 1
        try:
            yield
        except BaseException:
            self.state = before
            raise
        finally:
            self._depth -= 1

    def _record(self, why: str, *, work: bool = True) -> bool:
        if self._depth or alike(self.history.now.state, self.state):
            return False
        self.history.record(why, self.state, work=work)
        return True

    def record(self, why: str) -> None:
        """Remember the present as a step, where anything changed since the last one."""
        if self._record(why):
            self.changed.emit()

    def settle(self) -> None:
        """What was moved and not recorded is a step of its own, before another is made."""
        self.record("move")

    def amend(self) -> None:
        """What changed since the last step belongs to it: undo takes both back."""
        if not self._depth and not alike(self.history.now.state, self.state):
            self.history.amend(self.state)
            self.changed.emit()

    # ------------------------------------------------------------------ back and forth

    def undo(self) -> str | None:
        """Back to before the last step; what is undone, or None."""
        if self._depth:
            return None  # in the middle of a step
        self._record("move")  # so that redo brings it back
        undone = self.history.undoes
        return self._return_to(self.history.undo(), undone)

    def redo(self) -> str | None:
        """Forth by a step that was undone; what is done again, or None."""
        if self._depth:
            return None
        self.settle()  # where something was moved since, there is nothing to do again
        again = self.history.redoes
        return self._return_to(self.history.redo(), again)

    def _return_to(self, moment: Moment | None, why: str) -> str | None:
        if moment is None:
            return None
        self.hold(lambda now: _shown_as(moment.state, now))
        self.changed.emit()
        return why

    # ------------------------------------------------------------------ as a whole

    def capture(self) -> Callable[[], SessionState]:
        """The state of this moment with its records, to be made in any thread: they take time."""
        now, moments, at = self.state, self.history.records, self.history.at

        def made() -> SessionState:
            records, index = pose_records(moments, at)
            return replace(now, records=records, at=index)

        return made

    @property
    def unsaved(self) -> bool:
        """Whether there is work that no file holds; what was merely loaded is none."""
        moment = self.history.now
        return moment.work != self._saved or not alike(moment.state, self.state)

    def mark(self) -> int:
        """A mark of the present, to be given to `saved` once a file holds it."""
        self.settle()
        return self.history.now.work

    def saved(self, mark: int) -> None:
        """A file holds what was there at that mark."""
        self._saved = mark
        self.changed.emit()

    def restore(self, state: SessionState, why: str, *, saved: bool = True) -> None:
        """Become this state, whatever was here before.

        In place of other work it is a step, and undo brings that work back. In an empty session
        undo goes through the poses that the state remembers.
        """
        self.settle()
        before = self.state
        self.state = bare(state)
        if alike(before, SessionState()):
            self.history.begin(state)
        else:
            self.history.record(why, state)
        self._saved = self.history.now.work if saved else -1
        self._say(before)
        self.changed.emit()

    def rewrite(self, found: Callable[[SessionState, Moment], SessionState]) -> None:
        """Every moment becomes another, and so does now: what was there all along was found."""
        self.settle()
        self.history.rewrite(lambda moment: replace(moment, state=found(moment.state, moment)))
        self.hold(lambda now: _shown_as(self.history.now.state, now))
        self.changed.emit()


def _shown_as(state: SessionState, now: SessionState) -> SessionState:
    """A state of the past, with the settings of now; the radiograph shown stays if it can."""
    same = {entry.id for entry in state.exposures} == {entry.id for entry in now.exposures}
    active = now.active if same else state.active
    return replace(bare(state), active=active, rig_locked=now.rig_locked)
