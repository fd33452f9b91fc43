"""Which landmarks there are and where, what a table shows of each, and which is picked next."""

from dataclasses import dataclass
from typing import Literal

from psygnal import Signal

from napari_xreg.session import Session
from napari_xreg.workflows.landmarks.solving import LandmarkVerdict, Solved, sigma_px

Side = Literal["patient", "radiograph"]


@dataclass(frozen=True)
class Places:
    """Which landmarks have a place where.

    Parameters
    ----------
    names
        In the order they are to be picked.
    patient, radiograph
        Names that have one there.
    """

    names: tuple[str, ...]
    patient: frozenset[str]
    radiograph: frozenset[str]

    def complete(self, name: str) -> bool:
        """Both are known."""
        return name in self.patient and name in self.radiograph


def places_of(session: Session, template: tuple[str, ...], *, usual: bool = False) -> Places:
    """Names of the template, then others of the patient and of the active radiograph.

    A template that is only the usual one gives way to a patient with names of its own.
    """
    active = session.exposures.active
    patient = [mark.name for mark in session.landmarks.all]
    picked = [] if active is None else [mark.name for mark in active.landmarks]
    if usual and patient and not set(template) & set(patient):
        template = ()
    order = tuple(dict.fromkeys([*template, *patient, *picked]))
    return Places(order, frozenset(patient), frozenset(picked))


@dataclass(frozen=True)
class LandmarkRow:
    """One landmark.

    Parameters
    ----------
    name
        Of it.
    ticked
        Whether the pose may be fitted to it.
    in_patient, on_radiograph
        Where it has a place.
    visible
        False where it is marked invisible on this radiograph.
    sigma_px, by_hand
        Of its pixel, and whether that is the σ of picks by hand; None where it has no pixel.
    verdict
        Of the present solution; None where there is none.
    """

    name: str
    ticked: bool = True
    in_patient: bool = False
    on_radiograph: bool = False
    visible: bool = True
    sigma_px: float | None = None
    by_hand: bool = True
    verdict: LandmarkVerdict | None = None


def landmark_rows(
    session: Session, places: Places, solved: Solved | None, hand_sigma_px: float
) -> tuple[LandmarkRow, ...]:
    """The table of the active radiograph."""
    active = session.exposures.active
    picked = {} if active is None else {mark.name: mark for mark in active.landmarks}
    left_out = () if active is None else active.left_out
    hidden = {mark.name for mark in session.landmarks.all if not mark.visible}
    verdicts = {} if solved is None else solved.verdicts
    rows = []
    for name in places.names:
        mark = picked.get(name)
        rows.append(
            LandmarkRow(
                name,
                name not in left_out,
                name in places.patient,
                mark is not None,
                name not in hidden and (mark is None or mark.visible),
                None if mark is None else sigma_px(mark, hand_sigma_px),
                mark is None or mark.covariance is None,
                verdicts.get(name),
            )
        )
    return tuple(rows)


class PickGuide:
    """Click here, then there: one landmark after the other. It knows no mouse and no session."""

    changed = Signal()

    def __init__(self) -> None:
        self._name: str | None = None
        self._skipped: set[str] = set()

    @property
    def name(self) -> str | None:
        """What is being picked; None where nothing is."""
        return self._name

    def start(self, places: Places, name: str | None = None) -> None:
        """Pick this one, or the first that lacks a place."""
        self._skipped.clear()
        self._go(name or self._next(places, after=None))

    def stop(self) -> None:
        """Pick nothing."""
        self._go(None)

    def skip(self, places: Places) -> None:
        """Leave this one for later; after the last comes the end."""
        if self._name is not None:
            self._skipped.add(self._name)
            self._go(self._next(places, after=self._name))

    def clicked(self, side: Side, before: Places, after: Places) -> None:
        """A place was set: stay with the landmark until it has both, then go on."""
        name = self._name
        if name is None:
            return
        done = after.complete(name) and (side == "radiograph" or not before.complete(name))
        self._go(self._next(after, after=name) if done else name)

    def wanted(self, places: Places) -> Side | None:
        """Where to click next: the CT comes first."""
        if self._name is None:
            return None
        return "radiograph" if self._name in places.patient else "patient"

    def _next(self, places: Places, after: str | None) -> str | None:
        names = list(places.names)
        if after in names:
            at = names.index(after) + 1
            names = names[at:] + names[:at]
        open_ones = (n for n in names if not places.complete(n) and n not in self._skipped)
        return next(open_ones, None)

    def _go(self, name: str | None) -> None:
        self._name = name
        self.changed.emit()
