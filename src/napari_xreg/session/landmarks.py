"""The landmarks of a session: of the patient, and where they were picked on its radiographs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from psygnal import Signal

from napari_xreg.images import Landmark
from napari_xreg.session.exposures import some_differ
from napari_xreg.session.state import SessionState
from napari_xreg.session.store import Store

_picked = attrgetter("landmarks", "left_out")


class Landmarks:
    """Landmarks; those of the patient and those picked belong together by their name."""

    changed = Signal()
    """Landmarks of the patient or on a radiograph."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.tell(self.changed, _differ)

    @property
    def all(self) -> tuple[Landmark, ...]:
        """Of the patient: each with a position (LPS mm)."""
        return self._store.state.landmarks

    def set(self, landmarks: Sequence[Landmark]) -> None:
        """All landmarks of the patient.

        Raises
        ------
        ValueError
            If one has no position, or two share a name.
        """
        missing = [mark.name for mark in landmarks if mark.position is None]
        if missing:
            raise ValueError(f"landmarks of the patient need a position (mm): {', '.join(missing)}")
        new = _by_name(landmarks)
        why = landmark_words(_by_name(self.all), new)
        self._store.change(why, lambda s: replace(s, landmarks=tuple(landmarks)))

    def set_picked(self, exposure: str, landmarks: Sequence[Landmark]) -> None:
        """All landmarks picked on a radiograph (`Exposure.id`): each with a pixel.

        Raises
        ------
        ValueError
            If one has no pixel, or two share a name.
        """
        old = self._store.state.exposure(exposure)
        why = landmark_words(_by_name(old.landmarks), _by_name(landmarks), on=old.name)
        new = replace(old, landmarks=tuple(landmarks))
        self._store.change(why, lambda s: s.with_exposures([new]))

    def set_left_out(self, exposure: str, names: Sequence[str]) -> None:
        """Names of the landmarks that a pose of this radiograph is not to use."""
        old = self._store.state.exposure(exposure)
        new = replace(old, left_out=tuple(names))
        self._store.change(f"landmarks used on {old.name}", lambda s: s.with_exposures([new]))


def _differ(old: SessionState, new: SessionState) -> bool:
    picked = some_differ(old, new, _picked)
    return picked or old.landmarks != new.landmarks


def _by_name(landmarks: Sequence[Landmark]) -> dict[str, Landmark]:
    named = {mark.name: mark for mark in landmarks}
    if len(named) < len(landmarks):
        names = [mark.name for mark in landmarks]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"landmark names must be unique: {', '.join(twice)} came twice")
    return named


def landmark_words(
    old: Mapping[str, Landmark], new: Mapping[str, Landmark], *, on: str = ""
) -> str:
    """What became of some, as undo says it: which one came, went or changed, or how many.

    Parameters
    ----------
    old, new
        By name.
    on
        The radiograph they are picked on; empty: they are of the patient.
    """
    came = [name for name in new if name not in old]
    went = [name for name in old if name not in new]
    changed = [name for name in new if name in old and new[name] != old[name]]
    where = f" on {on}" if on else " in the CT"
    if len(came) == 1 and len(went) == 1 and not changed:
        return f"rename landmark {went[0]} to {came[0]}"
    kinds = (("add", came), ("remove", went), ("change", changed))
    told = [(verb, names) for verb, names in kinds if names]
    if len(told) != 1:
        return f"landmarks{where}"
    verb, names = told[0]
    said = f"landmark {names[0]}" if len(names) == 1 else f"{len(names)} landmarks"
    return f"{verb} {said}{where}"
