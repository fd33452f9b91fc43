"""What the user is doing: the CT, the radiographs, the poses, the landmarks, the results.

One `Session` per viewer holds the truth; layers and widgets show it and ask it to change. It knows
no napari and no Qt: a script uses it in the same way. Every change is announced by a signal after
it was made, in the thread that made it; only the main thread should change a session.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

from napari_xreg.session.exposures import Exposures
from napari_xreg.session.landmarks import Landmarks
from napari_xreg.session.patient import Patient
from napari_xreg.session.poses import Poses
from napari_xreg.session.ray_points import RayPoints
from napari_xreg.session.results import Results
from napari_xreg.session.sequence import Sequence
from napari_xreg.session.state import Missing, SessionState, alike
from napari_xreg.session.store import Store
from napari_xreg.session.trained_networks import TrainedWeights
from napari_xreg.session.undo import History, Moment


class Session:
    """One piece of work: parts that show and change one `SessionState`, with undo of everything."""

    def __init__(self) -> None:
        self._store = store = Store()
        # Signals come in this order.
        self.ray_points = RayPoints()
        """Points that RayEmb looks for."""
        store.tell(self.ray_points.ct_changed, lambda old, new: old.volume is not new.volume)
        self.patient = Patient(store)
        self.landmarks = Landmarks(store)
        self.exposures = Exposures(store)
        self.poses = Poses(store)
        self.results = Results(store)
        self.sequence = Sequence(store)
        self.weights = TrainedWeights()
        self.history_changed = store.changed
        """A step was made, undone or done again: whatever can be undone was changed."""

    @property
    def state(self) -> SessionState:
        """All of it now, as a value."""
        return self._store.state

    # ------------------------------------------------------------------ steps

    def one_step(
        self, why: str, *, since_recorded: bool = False, work: bool = True
    ) -> AbstractContextManager[None]:
        """Whatever is changed inside is one step of undo; if it fails, nothing was changed.

        Parameters
        ----------
        why
            What it is, as undo will say it: "load sample".
        since_recorded
            Moves that were not recorded yet belong to it too.
        work
            False for what can be made again by loading the same files: it is nothing to be saved.
        """
        return self._store.step(why, settle=not since_recorded, work=work)

    def look(self) -> AbstractContextManager[None]:
        """Whatever is changed inside belongs to the last step: undo takes back what was changed, not what was looked at.

        If it fails, nothing was changed. Only for what can be had again without undo.
        """
        return self._store.look()

    def amend(self) -> None:
        """What changed since the last step belongs to it: undo takes both back."""
        self._store.amend()

    @property
    def history(self) -> History:
        """To look at; changed by what changes the session, by `undo` and `redo` only."""
        return self._store.history

    def undo(self) -> str | None:
        """Back to before the last step, whatever it changed; what is undone, or None.

        What was moved and not recorded is recorded first, so that redo brings it back.
        """
        return self._store.undo()

    def redo(self) -> str | None:
        """Forth by a step that was undone; what is done again, or None."""
        return self._store.redo()

    # ------------------------------------------------------------------ as a whole

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that could be lost."""
        return alike(self.state, SessionState())

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the session file names and could not be read; `supply` brings it."""
        return self.state.missing

    @property
    def problems(self) -> tuple[str, ...]:
        """What was amiss when the session file was read: sentences for the user."""
        return self.state.problems

    def capture(self) -> Callable[[], SessionState]:
        """The state of this moment, with the poses that can be gone back to.

        To be made in any thread: the poses of a long history take time.
        """
        return self._store.capture()

    @property
    def unsaved(self) -> bool:
        """Whether there is work that no file holds; what was merely loaded is none."""
        return self._store.unsaved

    def mark(self) -> int:
        """A mark of the present, to be given to `saved` once a file holds it."""
        return self._store.mark()

    def saved(self, mark: int) -> None:
        """A file holds what was there at that mark."""
        self._store.saved(mark)

    def restore(
        self, state: SessionState, why: str = "open session", *, saved: bool = True
    ) -> None:
        """Become this state, whatever was here before.

        In place of other work it is a step, and undo brings that work back. In an empty session
        undo goes through the poses that the state remembers.
        """
        self._store.restore(state, why, saved=saved)

    def complete(self, found: Callable[[SessionState, Moment], SessionState]) -> None:
        """What the session's file names was found: it was there all along, at every moment.

        Parameters
        ----------
        found
            A state with it, made of one that lacks it.
        """
        self._store.rewrite(found)
