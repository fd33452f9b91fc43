"""A case of a data set, whatever its layout: what is registered to what, and what is known of it.

Opening a set reads names only; a case reads its CT when it is asked for, a view its radiograph. The
largest of the sets has 366 radiographs of 9 MB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume


@dataclass(frozen=True)
class Terms:
    """What a set may be used for, and who is to be named.

    Parameters
    ----------
    licence
        As its owners state it; what nobody states is said to be unknown.
    citation
        The publication that they ask to be cited.
    """

    licence: str
    citation: str


@dataclass(frozen=True)
class CaseEntry:
    """What is known of a case before anything large of it is read.

    Parameters
    ----------
    name
        As its owners call it.
    views
        Names of its radiographs, in order.
    exclusions
        Of radiographs that published evaluations leave out: why.
    """

    name: str
    views: tuple[str, ...]
    exclusions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CaseView:
    """One radiograph of a case.

    Parameters
    ----------
    name
        Of `CaseEntry.views`.
    radiograph
        Line integrals with their geometry; `Radiograph.operations` says what was done since it was
        stored. It holds no nominal pose that was taken from the truth.
    truths
        Structure -> world from camera, world being the LPS of the case's CT: where the radiograph as
        it is now was taken. A structure whose pose nobody knows is absent.
    landmarks
        With their pixels on the radiograph as it is now, which may lie outside of it.
    excluded
        Why published evaluations leave it out; "" where they do not.
    files
        Those that were read for it.
    notes
        What a reader decided or passed over.
    """

    name: str
    radiograph: Radiograph
    truths: Mapping[str, Pose] = field(default_factory=dict)
    landmarks: tuple[Landmark, ...] = ()
    excluded: str = ""
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """A CT and the radiographs that belong to it.

    Parameters
    ----------
    entry
        Its name and the names of its views.
    volume
        The CT, in LPS mm.
    numbers
        What the voxels of the file are: "Hounsfield units", or what they were taken for.
    target
        The structure whose pose is the truth of the case: a key of `CaseView.truths`.
    labels
        On the grid of the CT.
    structures
        Structure -> ids of the labels it consists of; of `target` those that are to be rendered.
    landmarks
        With their positions, LPS mm.
    read_view
        Reads one of the views.
    files
        Those of the CT and its labels.
    attenuation
        Of `images.ATTENUATIONS`: of vessels in a subtracted picture all of it counts, not only what
        stands out from water.
    notes
        What the layout's reader decided or passed over; the CT has notes of its own.
    """

    entry: CaseEntry
    volume: Volume
    numbers: str
    target: str
    read_view: Callable[[str], CaseView]
    labels: LabelMap | None = None
    structures: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    landmarks: tuple[Landmark, ...] = ()
    files: tuple[Path, ...] = ()
    attenuation: str = "auto"
    notes: tuple[str, ...] = ()

    def view(self, name: str | None = None) -> CaseView:
        """A radiograph by its name, or the only one.

        Raises
        ------
        SeveralCaseViews
            If there are several and none was chosen.
        ReadError
            If there is none of this name, or it is damaged.
        """
        views = self.entry.views
        if not views:
            raise ReadError(f"{self.entry.name}: has no radiograph")
        if name is None and len(views) != 1:
            raise SeveralCaseViews(
                f"{self.entry.name}: has {len(views)} radiographs, {_shown(views)}: choose one"
            )
        return self.read_view(_one_of(views, name, f"{self.entry.name}: its radiographs are"))


@dataclass(frozen=True, eq=False)
class DataSet:
    """A file or folder in one of the layouts.

    Parameters
    ----------
    title
        What the set is called.
    layout
        In which of its layouts it came.
    path
        The file or folder.
    terms
        Licence and citation.
    entries
        Its cases.
    read_case
        Reads one of them.
    notes
        What was decided for the whole set.
    """

    title: str
    layout: str
    path: Path
    terms: Terms
    entries: tuple[CaseEntry, ...]
    read_case: Callable[[str], Case]
    notes: tuple[str, ...] = ()

    def case(self, name: str | None = None) -> Case:
        """A case by its name, or the only one.

        Raises
        ------
        SeveralCases
            If there are several and none was chosen.
        ReadError
            If there is none of this name, or its files are damaged.
        """
        names = tuple(entry.name for entry in self.entries)
        if not names:
            raise ReadError(f"{self.path.name}: holds no case")
        if name is None and len(names) != 1:
            raise SeveralCases(
                f"{self.path.name}: holds {len(names)} cases, {_shown(names)}: choose one"
            )
        return self.read_case(_one_of(names, name, f"{self.path.name}: its cases are"))


class SeveralCases(ReadError):
    """A set holds several cases and none was chosen."""


class SeveralCaseViews(ReadError):
    """A case has several radiographs and none was chosen."""


def _one_of(names: tuple[str, ...], wanted: str | None, words: str) -> str:
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise ReadError(f"{words} {_shown(names)}: got {wanted!r}")
    return wanted


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= 12 else f"{names[0]}, {names[1]} ... {names[-1]}"
