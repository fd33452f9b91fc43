"""Files and folders that the user chose or dropped, as frozen requests; see `answers`.

Each `answer` runs off the main thread and touches neither layers nor session.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from napari_xreg.datasets import open_data_set
from napari_xreg.images import (
    FrameUnknown,
    GeometryRecord,
    IncompleteRadiograph,
    ReadError,
    SeveralFrames,
    SeveralSeries,
    UnknownValues,
    formats_in_words,
    image_title,
    read_landmarks,
    read_radiograph,
)
from napari_xreg.progress import run
from napari_xreg.session import (
    SESSION_ENDING,
    Source,
    file_source,
    opening,
    read_ct,
    read_label_map,
    read_xray,
)
from napari_xreg.viewer import each_once, get_radiograph_reader, read_bare_arrays
from napari_xreg.widgets.data.answers import (
    CT,
    Choice,
    Found,
    Labelled,
    Marks,
    Requests,
    SessionFile,
    StudyFolder,
    Unfinished,
    Unscaled,
    Xray,
)
from napari_xreg.workflows import (
    CaseRequest,
    SeveralTrialFrames,
    SeveralVolumes,
    TrialRequest,
    file_kind,
    network_file,
    open_case,
    trial_files,
)

Kind = Literal[
    "ct", "labels", "radiograph", "landmarks", "session", "study", "trial", "weights", "data set"
]

FRAMES = {
    "LPS: x to the patient's left, y to the back, as DICOM and ITK": "LPS",
    "RAS: x to the patient's right, y to the front, as NIfTI and 3D Slicer": "RAS",
}
"""The axes that landmarks may have, in words."""


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
    trial
        Of Autoscoper that a CT is a bone of; empty: of none.
    """

    path: str
    kind: Kind | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    trial: str = ""

    @property
    def words(self) -> str:
        """For a progress bar."""
        return f"Reading {Path(self.path).name}"

    def answer(self) -> Any:
        """Read it.

        Raises
        ------
        ReadError
            One sentence that names the file.
        """
        kind = self.kind or _kind(Path(self.path))
        if kind == "grid":
            name = Path(self.path).name
            ct, labels = replace(self, kind="ct"), replace(self, kind="labels")
            options = (
                {"Label map": labels, "CT": ct}
                if called_labels(name)
                else {"CT": ct, "Label map": labels}
            )
            return Choice(f"What is {name}?", options)
        if kind == "stack":
            name = Path(self.path).name
            return Choice(
                f"{name} holds several images. What is it?",
                {
                    "a CT, slice by slice": replace(self, kind="ct"),
                    "a radiograph of several frames": replace(self, kind="radiograph"),
                },
            )
        if kind == "weights":
            return network_file(Path(self.path))
        if kind == "session":
            return SessionFile(run(opening(self.path)), Path(self.path).name)
        if kind == "study":
            return StudyFolder(Path(self.path))
        if kind == "trial":
            return self._trial()
        if kind == "data set":
            return self._case()
        if kind == "landmarks":
            return self._landmarks()
        if kind == "labels":
            source = file_source(self.path, **self.options)
            return Labelled(read_label_map(source), source)
        if kind == "ct":
            return self._ct()
        return self._radiograph()

    def _landmarks(self) -> Any:
        name = Path(self.path).name
        try:
            return Marks(tuple(read_landmarks(self.path, **self.options)), name)
        except FrameUnknown:
            return Choice(
                f"{name} does not say which axes its x, y, z have. Which?",
                {words: self._with("landmarks", frame=frame) for words, frame in FRAMES.items()},
            )

    def _ct(self) -> Any:
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
        found = replace(file_source(self.path, **self.options), trial=self.trial)
        return CT(volume, found, volume.notes)

    def _trial(self) -> Any:
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
        trial = str(path.absolute())
        volume = ReadFile(str(files.volume.path), "ct", files.volume.options, trial)
        return Requests((volume, *radiographs), files.notes)

    def _case(self) -> Any:
        path, said = Path(self.path), self.options
        found = open_data_set(path)
        if "case" not in said and len(found.entries) > 1:
            cases = {each.name: self._with("data set", case=each.name) for each in found.entries}
            return Choice(
                f"{path.name} ({found.title}) holds {len(cases)} cases. Which one?", cases
            )
        entry = next((e for e in found.entries if said.get("case") in (None, e.name)), None)
        if entry is not None and "view" not in said and len(entry.views) > 1:
            views = {
                f"{view} (left out of published evaluations)"
                if view in entry.exclusions
                else view: (self._with("data set", view=view))
                for view in entry.views
            }
            return Choice(f"{entry.name} has {len(views)} radiographs. Which one?", views)
        return open_case(CaseRequest(path, **said))

    def _radiograph(self) -> Any:
        path = Path(self.path)
        if get_radiograph_reader(self.path) is read_bare_arrays:
            read_bare_arrays(self.path)  # raises, with what the file is
        if path.suffix.lower() == ".json":  # the sidecar of a picture was chosen
            path = path.with_suffix("")
        try:
            radiograph = read_radiograph(path, **self.options)
        except SeveralFrames as several:
            if "mask_frame" in self.options:
                return Choice(
                    f"Which of the {several.frames} images shows the vessels?",
                    {
                        f"frame {number}": self._with("radiograph", frame=number)
                        for number in range(1, several.frames + 1)
                        if number != self.options["mask_frame"]
                    },
                )
            options: dict[str, Any] = {"mean of all frames": self._with("radiograph", frame="mean")}
            options[_SUBTRACT] = MaskFrame(self._with("radiograph"), several.frames)
            for number in range(1, several.frames + 1):
                options[f"frame {number}"] = self._with("radiograph", frame=number)
            return Choice(f"{path.name} holds {several.frames} images. Which one?", options)
        except IncompleteRadiograph as incomplete:
            return Unfinished(incomplete.stored, replace(self, kind="radiograph"))
        return Xray(radiograph, file_source(path, **self.options), image_title(path))

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


_SUBTRACT = "vessels alone: one frame less a frame before the contrast agent (DSA)"


@dataclass(frozen=True)
class MaskFrame:
    """Ask which frame of a run is subtracted; which one it is taken from is asked next.

    Parameters
    ----------
    read
        The run.
    frames
        How many it has.
    """

    read: ReadFile
    frames: int

    @property
    def words(self) -> str:
        """For a progress bar."""
        return self.read.words

    def answer(self) -> Choice:
        """A request for each frame."""
        said: Mapping[str, int | str] = {
            "the one that the file names, else the first": "auto",
            **{f"frame {number}": number for number in range(1, self.frames + 1)},
        }
        choices = {
            words: replace(self.read, options={**self.read.options, "mask_frame": frame})
            for words, frame in said.items()
        }
        return Choice("Which image was taken before the contrast agent?", choices)


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
    """Read what a session misses, as it was read before the session was saved.

    Parameters
    ----------
    name, role
        As of `session.Missing`.
    source
        Where the user found it, with what was said to its reader.
    """

    name: str
    role: Literal["ct", "labels", "radiograph"]
    source: Source

    @property
    def words(self) -> str:
        """For a progress bar."""
        return f"Reading {Path(self.source.path).name}"

    def answer(self) -> Found:
        """Read it.

        Raises
        ------
        ReadError
            One sentence that names the file.
        """
        value = _READ[self.role](self.source)
        found = file_source(self.source.path, **self.source.options)
        return Found(self.name, value, replace(found, trial=self.source.trial))


_READ: Mapping[str, Callable[[Source], Any]] = {
    "ct": read_ct, "labels": read_label_map, "radiograph": read_xray,
}  # fmt: skip


def called_labels(name: str) -> bool:
    """Whether a file is called as label maps are: a first guess, and an order."""
    return "label" in name.lower() or "seg" in name.lower()


def _unlike(series: Mapping[str, str]) -> list[tuple[str, str]]:
    """UID and words of each series; words that occur twice get the end of their UID."""
    words = list(series.values())
    return [
        (uid, text if words.count(text) == 1 else f"{text} (…{uid[-8:]})")
        for uid, text in series.items()
    ]


_ELSEWHERE: Mapping[str, str] = {
    "calibration": "the calibration of an X-ray camera: load the radiograph, then the calibration in its "
    "geometry (Load…)",
    "pose": "a pose: Paste in the Pose tab takes JSON from the clipboard, register --start a file",
    "label names": "a list of names of labels: keep it beside the label map, called like that, and load the label map",
}


def _kind(file: Path) -> Kind | Literal["grid", "stack"]:
    """What can be read of what there is."""
    if not file.exists():
        raise ReadError(f"{file}: there is no such file or folder: check the path")
    kind = file_kind(file)
    if kind is None or kind == "result" or kind == "table":
        raise ReadError(
            f"{file.name}: is none of CT: {formats_in_words('volume')}; radiograph: "
            f"{formats_in_words('radiograph')}; landmarks: {formats_in_words('landmarks')}; "
            f"{formats_in_words('trial')}; session ({SESSION_ENDING}); weights of a network"
        )
    if kind == "calibration" or kind == "pose" or kind == "label names":
        raise ReadError(f"{file.name}: is {_ELSEWHERE[kind]}")
    return kind
