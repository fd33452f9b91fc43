"""Points of the patient that are looked for on a radiograph by RayEmb, and where they were found.

It belongs to one CT and one radiograph and lives as long as they do; a session's file does not
hold it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from psygnal import Signal
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import Volume
from napari_xreg.rayemb import Embedded, Found, Polarity, Posterior, RayEncoder, Templates
from napari_xreg.session.exposure import Exposure

Point = tuple[float, float, float]


@dataclass(frozen=True)
class WeightsFile:
    """Which weights to use.

    Parameters
    ----------
    file
        ``.safetensors`` or ``rayemb-*.ckpt``; None: those that come with the package.
    """

    file: Path | None = None

    @property
    def words(self) -> str:
        """As the user reads it."""
        return "compact-pelvis" if self.file is None else self.file.name

    @property
    def key(self) -> object:
        """Other weights have another one, also where a file was overwritten."""
        if self.file is None:
            return None
        try:
            return self.file, self.file.stat().st_mtime_ns
        except OSError:
            return self.file, 0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A CT and a radiograph as one encoder sees them: every heatmap is then a small product.

    Parameters
    ----------
    encoder, about
        The network, and what its file says about it.
    weights
        Which ones.
    key
        Of weights and settings of the templates; another key means other templates.
    volume
        Of which the templates were rendered.
    templates
        Embedded.
    exposure
        The radiograph as it was then, with what was masked by hand.
    embedded
        The radiograph, embedded.
    polarity
        Whether bone is bright in it; None: nobody looked.
    """

    encoder: RayEncoder
    about: Mapping[str, Any]
    weights: WeightsFile
    key: object
    volume: Volume
    templates: Templates
    exposure: Exposure
    embedded: Embedded
    polarity: Polarity | None = None

    @property
    def carm(self) -> CArm:
        """Of the radiograph."""
        return self.exposure.radiograph.carm

    def shows(self, exposure: Exposure | None) -> bool:
        """Whether this radiograph was embedded, as it is now; its pose does not matter."""
        mine = self.exposure
        return (
            exposure is not None
            and exposure.id == mine.id
            and exposure.radiograph is mine.radiograph
            and exposure.painted is mine.painted
        )


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
    found: Found | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(self.positions) != count or (self.found is not None and len(self.found) != count):
            raise ValueError(f"{count} names need as many positions and as many rows of `found`")

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, rows: Sequence[int]) -> "PointList":
        """Some of them, in this order."""
        index = torch.tensor(list(rows), dtype=torch.long)
        found = None if self.found is None else found_rows(self.found, index)
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
            found = joined_found(self.found, other.found)
        return PointList(
            (*self.names, *names), torch.cat([self.positions, other.positions.double()]), found
        )

    def looked_for(self, found: Found) -> "PointList":
        """The same, found again; `found.index` says which row is which."""
        return PointList(self.names, self.positions, found_rows(found, found.index.argsort()))

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

    prepared_changed = Signal()
    """Other templates, another radiograph, or none of them."""
    points_changed = Signal()
    """The list, or where its points were found."""
    look_changed = Signal()
    """The point looked at, or where it was found; many times a second while it is dragged."""

    def __init__(self) -> None:
        self._prepared: Prepared | None = None
        self._points = PointList()
        self._look: Look | None = None

    @property
    def prepared(self) -> Prepared | None:
        """What heatmaps are made of; None: nothing was prepared."""
        return self._prepared

    @property
    def points(self) -> PointList:
        """The list."""
        return self._points

    @property
    def look(self) -> Look | None:
        """The point looked at."""
        return self._look

    def set_prepared(self, prepared: Prepared | None) -> None:
        """Other templates or another radiograph: what was found before holds no longer."""
        self._prepared = prepared
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


def found_rows(found: Found, index: Tensor) -> Found:
    """Some rows of `Found`, numbered anew."""
    return Found(
        found.points[index], torch.arange(len(index)), found.pixels[index],
        found.covariances[index], found.posterior[index.to(found.posterior.peak.device)],
        found.score[index.to(found.score.device)],
    )  # fmt: skip


def joined_found(first: Found, second: Found) -> Found:
    """The rows of both."""
    posterior = Posterior(
        **{
            part.name: torch.cat(
                [getattr(first.posterior, part.name), getattr(second.posterior, part.name)]
            )
            for part in fields(Posterior)
        }
    )
    return Found(
        torch.cat([first.points, second.points]),
        torch.arange(len(first) + len(second)),
        torch.cat([first.pixels, second.pixels]),
        torch.cat([first.covariances, second.covariances]),
        posterior,
        torch.cat([first.score, second.score]),
    )
