"""What reading, adopting and making come to: values for the session, or a question to the user.

What leaves a choice to the user is an answer too (`Choice`, `Unfinished`, `Unscaled`): the main thread
asks, and sends the request that the user chose.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from napari_xreg.geometry import Pose
from napari_xreg.images import (
    GeometryRecord,
    LabelMap,
    Landmark,
    Radiograph,
    StoredImage,
    UnknownValues,
    Volume,
)
from napari_xreg.session import Session, Source
from napari_xreg.widgets.data.load_queue import Loadable


@runtime_checkable
class Completable(Protocol):
    """A request that can be asked again with what the user knows of a radiograph."""

    def completed(self, geometry: GeometryRecord, read_as: Any, bone: Any) -> Loadable:
        """The same with what the user said."""
        ...


@runtime_checkable
class Scalable(Protocol):
    """A request that can be asked again with what the user knows of a CT's values."""

    def scaled(self, said: Mapping[str, Any]) -> Loadable:
        """The same with what the user said."""
        ...


@dataclass(frozen=True, eq=False)
class CT:
    """A CT to take over."""

    volume: Volume
    source: Source | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Labelled:
    """A label map to take over."""

    labels: LabelMap
    source: Source | None


@dataclass(frozen=True, eq=False)
class Xray:
    """A radiograph to add, with the truth where it is simulated."""

    radiograph: Radiograph
    source: Source | None
    name: str
    truth: Pose | None = None
    edited: bool = False
    """Its pixels are no longer those of its source."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Landmarks to take over."""

    landmarks: tuple[Landmark, ...]
    file: str


@dataclass(frozen=True, eq=False)
class SessionFile:
    """The session of a file."""

    session: Session
    name: str


@dataclass(frozen=True, eq=False)
class StudyFolder:
    """A folder of a study, or its study.json: for the Study tool."""

    path: Path


@dataclass(frozen=True, eq=False)
class Choice:
    """The user has to choose one of these requests, by its words."""

    question: str
    options: Mapping[str, Loadable]


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A radiograph of which not enough is known; `request` can be asked again with the rest."""

    stored: StoredImage
    request: Completable


@dataclass(frozen=True, eq=False)
class Unscaled:
    """A CT of which nobody knows what its values mean; `request` can be asked again with a scale."""

    question: UnknownValues
    request: Scalable


@dataclass(frozen=True, eq=False)
class Found:
    """Something that a session file named and did not find, found."""

    name: str
    value: Any
    source: Source


@dataclass(frozen=True, eq=False)
class Requests:
    """What several files come to, in order, what was assumed of them, and their licence."""

    files: tuple[Loadable, ...]
    notes: tuple[str, ...] = ()
    licence: str = ""
