"""Points of the patient that are looked for on a radiograph by RayEmb, and where they were found.

It belongs to one CT and one radiograph and lives as long as they do; a session's file does not
hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from psygnal import Signal
from torch import Tensor

from napari_xreg.rayemb import FoundPoints, PreparedNetwork
from napari_xreg.session.exposure import Exposure, same_picture

Point = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class PointList:
    """Named points of the patient, in the order they came.

    Parameters
    ----------
    names
        Unique.
    positions
        World (LPS), mm.
    found
        Where they were found, row by row; None: not looked for on this radiograph yet.
    """

    names: tuple[str, ...] = ()
    positions: Float[Tensor, "n 3"] = field(
        default_factory=lambda: torch.zeros(0, 3, dtype=torch.float64)
    )
    found: FoundPoints | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(self.positions) != count or (self.found is not None and len(self.found) != count):
            raise ValueError(f"{count} names need as many positions and as many rows of `found`")

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, rows: Sequence[int]) -> "PointList":
        """Some of them, in this order."""
        index = torch.tensor(list(rows), dtype=torch.long)
        found = None if self.found is None else self.found.rows(index)
        return PointList(tuple(self.names[i] for i in rows), self.positions[index], found)

    def without(self, rows: Sequence[int]) -> "PointList":
        """All but these."""
        gone = set(rows)
        return self.rows([i for i in range(len(self)) if i not in gone])

    def joined(self, other: "PointList") -> "PointList":
        """These, then the others; a name that is taken gets a number."""
        taken = set(self.names)
        names = []
        for name in other.names:
            unique, number = name, 2
            while unique in taken:
                unique, number = f"{name} {number}", number + 1
            taken.add(unique)
            names.append(unique)
        if not len(self):
            found = other.found
        elif self.found is None or other.found is None:
            found = self.found if not len(other) else None
        else:
            found = self.found.joined(other.found)
        return PointList(
            (*self.names, *names), torch.cat([self.positions, other.positions.double()]), found
        )

    def looked_for(self, found: FoundPoints) -> "PointList":
        """The same, found again; `found.index` says which row is which."""
        return PointList(self.names, self.positions, found.rows(found.index.argsort()))

    def not_looked_for(self) -> "PointList":
        """The same, of which nothing is known on the radiograph."""
        return PointList(self.names, self.positions)


@dataclass(frozen=True, eq=False)
class Look:
    """The point that is looked at.

    Parameters
    ----------
    position
        World (LPS), mm.
    radiograph
        `Exposure.id` of the one on which it was looked for.
    pixel
        (row, column) of the peak; None where it was not looked for yet.
    """

    position: Point
    radiograph: str = ""
    pixel: tuple[float, float] | None = None


class RayPoints:
    """What is known of a session's points; changed in the main thread only."""

    ct_changed = Signal()
    """There is another CT, or none: said before anybody else hears of it."""
    prepared_changed = Signal()
    """Other templates, another radiograph, or none of them."""
    points_changed = Signal()
    """The list, or where its points were found."""
    look_changed = Signal()
    """The point looked at, or where it was found; many times a second while it is dragged."""

    def __init__(self) -> None:
        self._prepared: PreparedNetwork | None = None
        self._exposure: Exposure | None = None
        self._points = PointList()
        self._look: Look | None = None
        # Whoever hears of the new CT first must not find a point of the old one.
        self.ct_changed.connect(lambda: self.set_look(None))

    @property
    def prepared(self) -> PreparedNetwork | None:
        """What heatmaps are made of; None: nothing was prepared."""
        return self._prepared

    @property
    def exposure(self) -> Exposure | None:
        """The radiograph that was prepared, as it was then."""
        return self._exposure

    def shows(self, exposure: Exposure | None) -> bool:
        """Whether this radiograph was prepared, as it is now; its pose does not matter."""
        return same_picture(self._exposure, exposure)

    @property
    def points(self) -> PointList:
        """The list."""
        return self._points

    @property
    def look(self) -> Look | None:
        """The point looked at."""
        return self._look

    def set_prepared(
        self, prepared: PreparedNetwork | None, exposure: Exposure | None = None
    ) -> None:
        """Other templates or another radiograph: what was found before holds no longer.

        Parameters
        ----------
        exposure
            Whose radiograph it is.
        """
        self._prepared, self._exposure = prepared, None if prepared is None else exposure
        self.prepared_changed.emit()
        if self._points.found is not None:
            self.set_points(self._points.not_looked_for())

    def set_points(self, points: PointList) -> None:
        """Another list."""
        self._points = points
        self.points_changed.emit()

    def set_look(self, look: Look | None) -> None:
        """Look at another point, or at none."""
        self._look = look
        self.look_changed.emit()

    def clear(self) -> None:
        """Another patient: nothing of this holds."""
        self.set_prepared(None)
        self.set_points(PointList())
        self.set_look(None)
