"""The registrations run in a session."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_xreg.geometry import Pose
from napari_xreg.registration import Registration
from napari_xreg.session.poses import moved
from napari_xreg.session.result import Result
from napari_xreg.session.store import Store


class Results:
    """Registrations; each is held on to by its `Result.id`, its name is for people."""

    changed = Signal()
    """A registration came or went."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.tell(self.changed, lambda old, new: old.results != new.results)

    @property
    def all(self) -> tuple[Result, ...]:
        """All of them, oldest first."""
        return self._store.state.results

    def __getitem__(self, id: str) -> Result:
        """By id; KeyError if it is gone."""
        found = self.find(id)
        if found is None:
            raise KeyError(f"the session has no result of the id {id!r}")
        return found

    def find(self, id: str | None) -> Result | None:
        """By id; None: it is gone."""
        return next((result for result in self.all if result.id == id), None)

    def named(self, name: str) -> Result:
        """What is called so; KeyError if nothing is."""
        for result in self.all:
            if result.name == name:
                return result
        raise KeyError(f"no result of the session is called {name!r}")

    def add(
        self,
        registration: Registration,
        radiographs: Sequence[str],
        settings: Mapping[str, Any],
        *,
        name: str = "result",
    ) -> str:
        """Keep a registration of these radiographs (`Exposure.id`); its id.

        It gets `name` and a number. It changes no pose: see `accept`.

        Raises
        ------
        KeyError
            If a radiograph is not there.
        """
        for radiograph in radiographs:
            self._store.state.exposure(radiograph)
        taken, number = {result.name for result in self.all}, 1
        while f"{name} {number}" in taken:
            number += 1
        new = Result(f"{name} {number}", tuple(radiographs), registration, dict(settings))
        self._store.change(new.name, lambda s: replace(s, results=(*s.results, new)))
        return new.id

    def accept(self, id: str, *, poses: Mapping[str, Pose] | None = None, what: str = "") -> None:
        """Take over the poses of a result, recorded in the history.

        With `Poses.rig_locked` radiographs that it did not use follow.

        Parameters
        ----------
        id
            Of the result.
        poses
            Of one of its iterations, by `Exposure.id`; None: those it ended with.
        what
            What that is called: "iteration 12 of result 1"; empty: the name of the result.
        """
        result, there = self[id], self._store.state.poses
        taken = result.poses if poses is None else poses
        poses = {key: pose for key, pose in taken.items() if key in there}
        if poses:
            why = f"{what or result.name} accepted"
            self._store.change(why, lambda s: moved(s, poses), settle=False)

    def discard(self, id: str) -> None:
        """Forget a result."""
        self._store.change(
            f"discard {self[id].name}",
            lambda s: replace(s, results=tuple(one for one in s.results if one.id != id)),
        )
