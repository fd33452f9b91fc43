"""What the Data widget asks to have read or made, as frozen requests; and their answers.

Each `answer` runs off the main thread and touches neither layers nor session. What leaves a choice
to the user is an answer too (`Choice`, `Unfinished`): the main thread asks, and sends the request
that the user chose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_xreg.geometry import Pose
from napari_xreg.images import (
    FrameUnknown,
    GeometryRecord,
    IncompleteRadiograph,
    LabelMap,
    Landmark,
    Radiograph,
    ReadError,
    SeveralFrames,
    SeveralSeries,
    StoredImage,
    UnknownValues,
    Volume,
    count_tiff_pages,
    formats_in_words,
    is_trial,
    named,
    radiograph_from_stored,
    read_landmarks,
    read_radiograph,
)
from napari_xreg.session import Source, file_source, read_ct, read_label_map
from napari_xreg.viewer import (
    CapturedLayer,
    Carried,
    Values,
    as_edited,
    each_once,
    get_radiograph_reader,
    get_session_reader,
    get_volume_reader,
    read_bare_arrays,
)
from napari_xreg.workflows import (
    Sample,
    SampleData,
    SeveralTrialFrames,
    SeveralVolumes,
    SimulateRequest,
    TrialRequest,
    simulate,
    trial_files,
)

Kind = Literal["ct", "labels", "radiograph", "landmarks", "session", "trial"]

FRAMES = {
    "LPS: x to the patient's left, y to the back, as DICOM and ITK": "LPS",
    "RAS: x to the patient's right, y to the front, as NIfTI and 3D Slicer": "RAS",
}
"""The axes that landmarks may have, in words."""


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


@dataclass(frozen=True, eq=False)
class Marks:
    """Landmarks to take over."""

    landmarks: tuple[Landmark, ...]
    file: str


@dataclass(frozen=True, eq=False)
class SessionFile:
    """A file that holds a session: opened by the widget itself."""

    path: str


@dataclass(frozen=True, eq=False)
class Choice:
    """The user has to choose one of these requests, by its words."""

    question: str
    options: Mapping[str, "ReadFile"]


@dataclass(frozen=True, eq=False)
class Unfinished:
    """A radiograph of which not enough is known; `request` can be asked again with the rest."""

    stored: StoredImage
    request: "ReadFile | AdoptImage"


@dataclass(frozen=True, eq=False)
class Unscaled:
    """A CT of which nobody knows what its values mean; `request` can be asked again with a scale."""

    question: UnknownValues
    request: "ReadFile"


@dataclass(frozen=True, eq=False)
class Found:
    """Something that a session file named and did not find, found."""

    name: str
    answer: Any


Answer: TypeAlias = (
    "CT | Labelled | Xray | Marks | SessionFile | Choice | Unfinished | Unscaled | SampleData | Found "
    "| Requests"
)


@dataclass(frozen=True)
class ReadFile:
    """Read a file or folder.

    Parameters
    ----------
    path
        What the user chose or dropped.
    kind
        What it is; None: look.
    options
        Keywords for the reader.
    """

    path: str
    kind: Kind | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """For a progress bar."""
        return f"Reading {Path(self.path).name}"

    def answer(self) -> Answer:
        """Read it.

        Raises
        ------
        ReadError
            One sentence that names the file.
        """
        kind = self.kind or kind_of(self.path)
        if kind == "grid":
            name = Path(self.path).name
            return Choice(
                f"What is {name}?",
                {"CT": replace(self, kind="ct"), "Label map": replace(self, kind="labels")},
            )
        if kind == "stack":
            name = Path(self.path).name
            return Choice(
                f"{name} holds several images. What is it?",
                {
                    "a CT, slice by slice": replace(self, kind="ct"),
                    "a radiograph of several frames": replace(self, kind="radiograph"),
                },
            )
        if kind == "session":
            return SessionFile(self.path)
        if kind == "trial":
            return self._trial()
        if kind == "landmarks":
            return self._landmarks()
        if kind == "labels":
            source = file_source(self.path, **self.options)
            return Labelled(read_label_map(source), source)
        if kind == "ct":
            return self._ct()
        return self._radiograph()

    def _landmarks(self) -> Answer:
        name = Path(self.path).name
        try:
            return Marks(tuple(read_landmarks(self.path, **self.options)), name)
        except FrameUnknown:
            return Choice(
                f"{name} does not say which axes its x, y, z have. Which?",
                {words: self._with("landmarks", frame=frame) for words, frame in FRAMES.items()},
            )

    def _ct(self) -> Answer:
        source = Source(self.path, options=self.options)
        try:
            volume = read_ct(source)
        except SeveralSeries as several:
            return Choice(
                f"{Path(self.path).name} holds {len(several.series)} CT series. Which one?",
                {words: self._with("ct", series_uid=uid) for uid, words in _unlike(several.series)},
            )
        except UnknownValues as unknown:
            return Unscaled(unknown, replace(self, kind="ct"))
        return CT(volume, file_source(self.path, **self.options), volume.notes)

    def _trial(self) -> Answer:
        path = Path(self.path)
        try:
            files = trial_files(TrialRequest(path, **self.options))
        except SeveralTrialFrames as several:
            options = {f"frame {n}": self._with("trial", frame=n) for n in several.numbers}
            return Choice(f"{path.name} holds {len(options)} frames. Which one?", options)
        except SeveralVolumes as several:
            options = {name: self._with("trial", volume=name) for name in several.names}
            return Choice(f"{path.name} holds {len(options)} bones. Which one?", options)
        except UnknownValues as unknown:
            return Unscaled(unknown, replace(self, kind="trial"))
        radiographs = (
            ReadFile(str(each.path), "radiograph", each.options) for each in files.radiographs
        )
        volume = ReadFile(str(files.volume.path), "ct", files.volume.options)
        return Requests((volume, *radiographs), files.notes)

    def _radiograph(self) -> Answer:
        path = Path(self.path)
        if get_radiograph_reader(self.path) is read_bare_arrays:
            read_bare_arrays(self.path)  # raises, with what the file is
        if path.suffix.lower() == ".json":  # the sidecar of a picture was chosen
            path = path.with_suffix("")
        try:
            radiograph = read_radiograph(path, **self.options)
        except SeveralFrames as several:
            options = {"mean of all frames": self._with("radiograph", frame="mean")}
            for number in range(1, several.frames + 1):
                options[f"frame {number}"] = self._with("radiograph", frame=number)
            return Choice(f"{path.name} holds {several.frames} images. Which one?", options)
        except IncompleteRadiograph as incomplete:
            return Unfinished(incomplete.stored, replace(self, kind="radiograph"))
        return Xray(radiograph, file_source(path, **self.options), path.stem)

    def _with(self, kind: Kind, **options: Any) -> "ReadFile":
        return replace(self, kind=kind, options={**self.options, **options})

    def scaled(self, said: Mapping[str, Any]) -> "ReadFile":
        """The same with what the user said of its values, and of its spacing."""
        return self._with(self.kind or "ct", **said)

    def completed(
        self, geometry: GeometryRecord, read_as: str | None, bone: str | None
    ) -> "ReadFile":
        """The same with what the user said."""
        more: dict[str, Any] = {"geometry": geometry}
        more |= {k: v for k, v in (("read_as", read_as), ("bone", bone)) if v is not None}
        return replace(self, options={**self.options, **more})


@dataclass(frozen=True, eq=False)
class Requests:
    """What several files come to, in order, and what was assumed of them."""

    files: tuple[ReadFile, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeveralFiles:
    """Files chosen or dropped together: all slices of a series are one CT.

    Parameters
    ----------
    paths
        In the order to be read.
    kind
        What they are; None: look.
    """

    paths: tuple[str, ...]
    kind: Kind | None = None

    @property
    def words(self) -> str:
        """For a progress bar."""
        return f"Looking at {len(self.paths)} files"

    def answer(self) -> Requests:
        """Look at their headers."""
        return Requests(tuple(ReadFile(p, self.kind) for p in each_once(self.paths)))


@dataclass(frozen=True)
class Supply:
    """Read what a session misses.

    Parameters
    ----------
    name
        What the session calls it.
    file
        Where the user found it.
    """

    name: str
    file: ReadFile

    @property
    def words(self) -> str:
        return self.file.words

    def answer(self) -> Answer:
        """Read it."""
        return Found(self.name, self.file.answer())


@dataclass(frozen=True, eq=False)
class AdoptOwn:
    """Take over a layer that was made from a CT, label map or radiograph, as it was edited.

    Parameters
    ----------
    carry
        What it was made from.
    data, attributes
        Of the layer now.
    """

    carry: Carried
    data: Any
    attributes: Mapping[str, Any]

    @property
    def words(self) -> str:
        return f"Taking over {self.attributes.get('name', '')}"

    def answer(self) -> Answer:
        """The value it was made from, or one with what was edited, which no file holds.

        Raises
        ------
        ValueError
            If it was cropped, moved, scaled or turned.
        """
        value = as_edited(self.carry, self.data, self.attributes)
        source = self.carry.source if value is self.carry.value else None
        if isinstance(value, Volume):
            return CT(value, source)
        if isinstance(value, LabelMap):
            return Labelled(value, source)
        assert isinstance(value, Radiograph)
        truth = None if self.carry.case is None else self.carry.case.truth
        return Xray(value, source, str(self.attributes.get("name", "radiograph")), truth)


@dataclass(frozen=True, eq=False)
class AdoptVolume:
    """Make a CT of a layer."""

    layer: CapturedLayer
    values: Values

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> Answer:
        """Convert it."""
        return CT(self.layer.volume(self.values), None, self.layer.notes)


@dataclass(frozen=True, eq=False)
class AdoptLabels:
    """Make a label map of a layer."""

    layer: CapturedLayer

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> Answer:
        """Convert it."""
        return Labelled(self.layer.labels(), None)


@dataclass(frozen=True, eq=False)
class AdoptImage:
    """Make a radiograph of a layer; what a layer cannot say is asked for."""

    layer: CapturedLayer
    stored: StoredImage | None = None

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> Answer:
        """Convert it, or say what is missing."""
        stored = self.stored or self.layer.image()
        try:
            radiograph = radiograph_from_stored(
                stored, i0=None, find_collimator=True, source=stored.file
            )
        except IncompleteRadiograph as incomplete:
            return Unfinished(incomplete.stored, replace(self, stored=incomplete.stored))
        return Xray(radiograph, None, self.layer.name)

    def completed(self, geometry: GeometryRecord, read_as: Any, bone: Any) -> "AdoptImage":
        """The same with what the user said."""
        assert self.stored is not None
        stored = replace(self.stored, geometry=self.stored.geometry.override(geometry))
        return replace(
            self,
            stored=replace(stored, meaning=read_as or stored.meaning, bone=bone or stored.bone),
        )


@dataclass(frozen=True, eq=False)
class LoadSample:
    """Make or read a sample."""

    sample: Sample

    @property
    def words(self) -> str:
        return f"Loading {self.sample.title}"

    def answer(self) -> Answer:
        """Load it."""
        return self.sample.load()


@dataclass(frozen=True, eq=False)
class Simulate:
    """Simulate a radiograph of the CT."""

    request: SimulateRequest

    @property
    def words(self) -> str:
        return "Simulating a radiograph"

    def answer(self) -> Answer:
        """Simulate it."""
        made = simulate(self.request)
        return Xray(
            made.radiograph, None, f"simulated {self.request.settings.severity}", made.truth
        )


Request = (
    ReadFile | Supply | AdoptOwn | AdoptVolume | AdoptLabels | AdoptImage | LoadSample | Simulate
)


def _several(file: Path) -> bool:
    """Whether a picture without a geometry beside it is a stack of them."""
    found = named(file, "volume")
    return found is not None and found.asks and file.is_file() and count_tiff_pages(file) > 1


def kind_of(path: str) -> Kind | Literal["grid", "stack"]:
    """What a file or folder is, by a look at it.

    "grid" is a CT or a label map, "stack" a CT or a radiograph of several frames: nobody can tell.

    Raises
    ------
    ReadError
        If it is nothing this program reads.
    """
    file = Path(path)
    if not file.exists():
        raise ReadError(f"{path}: there is no such file or folder: check the path")
    if get_session_reader(path) is not None:
        return "session"
    if is_trial(file):
        return "trial"
    if named(file, "landmarks") is not None:
        return "landmarks"
    if get_radiograph_reader(path) is None and _several(file):
        return "stack"
    if get_radiograph_reader(path) is not None or named(file, "radiograph") is not None:
        return "radiograph"
    if file.is_dir():
        return "ct"
    volume = named(file, "volume")
    if get_volume_reader(path) is not None:
        return "ct" if volume is None else "grid"
    if volume is not None and volume.shared:
        return "ct"
    raise ReadError(
        f"{file.name}: is none of CT: {formats_in_words('volume')}; radiograph: "
        f"{formats_in_words('radiograph')}; landmarks: {formats_in_words('landmarks')}; "
        f"{formats_in_words('trial')}; session "
        "(.xreg.json)"
    )


def _unlike(series: Mapping[str, str]) -> list[tuple[str, str]]:
    """UID and words of each series; words that occur twice get the end of their UID."""
    words = list(series.values())
    return [
        (uid, text if words.count(text) == 1 else f"{text} (…{uid[-8:]})")
        for uid, text in series.items()
    ]
