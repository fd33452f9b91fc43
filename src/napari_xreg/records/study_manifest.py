"""The manifest of a study: which cases, from which starts, by which methods. Written by people, in TOML.

::

    schema = "napari-xreg/study"
    version = 1

    [[simulated]]                     # 1,000 simulated cases
    cts = ["phantom:10500-10509"]
    views = 100

    [[cases]]                         # a case of one's own
    name = "anna"
    ct = "anna/ct.nii.gz"
    xrays = ["anna/ap.dcm"]
    truth = "anna/truth.json"

    [[starts]]
    name = "usual"
    kind = "truth"

    [[methods]]
    name = "lm"

Paths are relative to the manifest.
"""

import reprlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from napari_xreg.files import STUDY, Flag, Number, ReadError, Record, Text, Whole, read_text

PLAN_FILE = "study.json"
"""In the folder of a study: what was asked for."""

StartKind = Literal[
    "truth", "header", "frontal", "file", "rayemb", "landmarks", "regression", "similarity"
]
"""Where starts come from: the truth, moved by a spread; the radiograph's own file; the angles 0, 0; a
pose of the case's own; or an initialiser of the program."""


def _named(name: str) -> str:
    if not name.strip() or len(name) > 120:
        raise ValueError("should be a name of 1 to 120 characters")
    return name


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("should name at least one")
    return values


Name = Annotated[Text, AfterValidator(_named)]
Texts = tuple[Text, ...]
SomeTexts = Annotated[tuple[Text, ...], AfterValidator(_some)]
Positive = Annotated[Whole, Field(ge=1)]
Size = Annotated[Number, Field(ge=0.0)]


class ByHand(Record):
    """What people write: a name that is not known is a slip of theirs, not something newer."""

    model_config = ConfigDict(extra="forbid")


class OwnCase(ByHand):
    """CT and radiographs by their files.

    Several radiographs move together: their sidecars or headers say how they stand to each other.
    """

    name: Name
    ct: Text
    xrays: SomeTexts
    ct_values: Text | None = None
    labels: Text | None = None
    structures: Texts = ()
    landmarks: Text | None = None
    geometry: Texts = ()
    read_as: Literal["intensity", "line_integral"] | None = None
    bone: Literal["dark", "bright"] | None = None
    start: Text | None = None
    truth: Text | None = None
    subject: Text | None = None
    group: Text = ""
    excluded: Text = ""


class SetCases(ByHand):
    """Radiographs of a data set (`datasets`), each a case; none named: all of them."""

    path: Text
    cases: Texts = ()
    views: Texts = ()
    structures: Texts = ()
    with_excluded: Flag = False
    group: Text = ""


class TrialCases(ByHand):
    """Bones of an Autoscoper trial; `cameras` are numbered from 1, those of a list move together."""

    path: Text
    volumes: SomeTexts
    cameras: tuple[tuple[Positive, ...], ...] = ()
    frame: Whole | None = None
    poses: Text | None = None
    ct_values: Text | None = None
    subject: Text | None = None
    group: Text = ""


class SimulatedCases(ByHand):
    """Radiographs that are simulated of CTs: every CT, in every severity, from so many directions.

    `cts` are files, or phantoms: ``phantom:7``, ``phantom:10500-10509``. Directions are drawn evenly
    within the angles; `seed` is the first of them, of image and direction alike.
    """

    cts: SomeTexts
    views: Positive = 10
    severities: SomeTexts = ("typical",)
    seed: Annotated[Whole, Field(ge=0)] = 10_000
    pixels: Annotated[Whole, Field(ge=32, le=2048)] = 256
    primary_deg: Size = 20.0
    secondary_deg: Size = 15.0
    header_error: Size = 1.5
    phantom_voxel_mm: Annotated[Number, Field(ge=0.2, le=10.0)] = 1.5


class StartEntry(ByHand):
    """One way to start; `repeats` times where chance is in it.

    `spread` times the usual one (3 degrees; 10 mm in the plane, 15 mm in depth), unless the three are
    said. `given` is the start that a learned similarity moves nearer.
    """

    name: Name
    kind: StartKind = "truth"
    given: Literal["truth", "header", "frontal", "file"] = "truth"
    spread: Size = 1.0
    rotation_deg: Size | None = None
    in_plane_mm: Size | None = None
    depth_mm: Size | None = None
    repeats: Positive = 1
    weights: Text | None = None


class MethodEntry(ByHand):
    """How a pose is refined: a solver of the program and what it is asked for.

    0 `starts`: auto; none said: as the start needs. Further ones lie within `spread` times the usual.
    `results` are poses that xvr found, in place of a solver: files by a pattern in which ``{case}``,
    ``{subject}`` and ``{radiograph}`` (the first one's name without its ending) stand for a case's own.
    """

    name: Name
    solver: Text = "lm"
    compare: Text | None = None
    starts: Annotated[Whole, Field(ge=0)] | None = None
    spread: Size = 1.0
    pixels: tuple[Positive, ...] = ()
    iterations: Positive | None = None
    near_bone_mm: Size = 5.0
    locked: Texts = ()
    results: Text | None = None
    orientation: Literal["AP", "PA"] = "AP"


class StudyFile(ByHand):
    """A whole manifest."""

    SCHEMA = STUDY
    title: Text = ""
    seed: Annotated[Whole, Field(ge=0)] = 0
    cases: tuple[OwnCase, ...] = ()
    sets: tuple[SetCases, ...] = ()
    trials: tuple[TrialCases, ...] = ()
    simulated: tuple[SimulatedCases, ...] = ()
    starts: tuple[StartEntry, ...] = (StartEntry(name="usual"),)
    methods: tuple[MethodEntry, ...] = (MethodEntry(name="lm"),)

    @model_validator(mode="after")
    def _sound(self) -> "StudyFile":
        if not (self.cases or self.sets or self.trials or self.simulated):
            raise ValueError(
                "the manifest names no case: add [[cases]], [[sets]], [[trials]] or [[simulated]]"
            )
        for what, rows in (("starts", self.starts), ("methods", self.methods)):
            names = [row.name for row in rows]
            if not names:
                raise ValueError(f"{what}: there should be at least one")
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"{what}: {min(twice)!r} is the name of two of them")
        return self


def read_manifest(path: Path | str) -> StudyFile:
    """The manifest in a file.

    Raises
    ------
    ReadError
        If it is absent, not TOML, or an entry is missing, unknown, of another kind, or says what
        nothing would use.
    """
    path = Path(path)
    try:
        data = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ReadError(f"{path.name}: is no manifest in TOML: {error}") from error
    except RecursionError as error:
        raise ReadError(f"{path.name}: nests too deeply to be a manifest") from error
    if data.get("schema") != STUDY or "version" not in data:
        came = f": got schema = {reprlib.repr(data['schema'])}" if "schema" in data else ""
        raise ReadError(
            f'{path.name}: begin the manifest with schema = "{STUDY}" and version = 1{came}'
        )
    manifest = StudyFile.read(data, path.name)
    if unused := _unused(manifest):
        raise ReadError(f"{path.name}: {unused}")
    return manifest


_FOUND = ("rayemb", "landmarks", "regression", "similarity")
_KINDS_THAT_USE = {
    "given": ("similarity",),
    "repeats": ("truth", *_FOUND),
    "weights": _FOUND,
    **dict.fromkeys(("spread", "rotation_deg", "in_plane_mm", "depth_mm"), ("truth", "similarity")),
}
_USED_WITH_RESULTS = {"name", "results", "orientation"}


def _unused(manifest: StudyFile) -> str:
    """What somebody wrote that would be ignored, in a sentence; "" where all is used.

    Of what was read of a file alone: `study.json` says every entry, also those that nobody wrote.
    """
    for start in manifest.starts:
        for name in sorted(start.model_fields_set):
            kinds = _KINDS_THAT_USE.get(name, (start.kind,))
            if start.kind not in kinds:
                return (
                    f"starts, {start.name}: {name} is of starts of the kind {_or(kinds)}, this one is "
                    f"of the kind {start.kind}: leave it out"
                )
    for method in manifest.methods:
        said = method.model_fields_set
        if method.results is None and "orientation" in said:
            return f"methods, {method.name}: orientation is that of results: leave it out, or name results"
        beside = [name for name in MethodEntry.model_fields if name in said - _USED_WITH_RESULTS]
        if method.results is not None and beside:
            return (
                f"methods, {method.name}: {', '.join(beside)}: nothing is computed where results of another "
                "program are named: leave it out, or make a method of its own of it"
            )
    return ""


def _or(names: tuple[str, ...]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
