"""The values of a session as plain JSON, and back: poses, masks, landmarks, registrations.

Reading raises ReadError, KeyError, TypeError or ValueError on what is damaged; `session_reader`
makes one sentence of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Bool
from pydantic import ConfigDict, Field, PlainValidator
from torch import Tensor

from napari_xreg.files import Flag, Made, Number, Pair, Record, Text, Triple, Whole
from napari_xreg.images import (
    GeometryRecord,
    Landmark,
    Radiograph,
    geometry_from_json,
    geometry_to_json,
    operation_from_json,
    operation_to_json,
)
from napari_xreg.records import (
    CArmField,
    CArmPoseField,
    Covariance,
    Matrix,
    Measured,
    Probability,
    StatusName,
    Twist,
    Vector,
    carm_pose_to_json,
    carm_to_json,
    in_rows,
)
from napari_xreg.registration import Candidate, Iterate, Registration
from napari_xreg.session.exposure import Exposure, Picked
from napari_xreg.session.named_poses import PoseRecord
from napari_xreg.session.result import Result
from napari_xreg.session.source import Source
from napari_xreg.session.state import PickedOn

Json = dict[str, Any]


class RecordEntry(Record):
    """Poses of radiographs by their names, and why they were taken."""

    why: Text
    poses: dict[Text, Matrix]


class MaskEntry(Record):
    """Lengths of runs of equal pixels, row by row; the first run is of True (it may be empty)."""

    rows: Whole
    columns: Whole
    runs: list[Whole]


class LandmarkEntry(Record):
    """A `Landmark`."""

    model_config = ConfigDict(populate_by_name=True)
    name: Text
    position: Triple | None = Field(None, alias="position_mm")
    pixel: Pair | None = Field(None, alias="pixel_row_column")
    visible: Flag = True
    covariance: Triple | None = Field(None, alias="covariance_px2")


class TrialEntry(Record):
    """The trial of a `Source`; and its path from the session's file."""

    path: Text
    relative: Text | None = None


class SourceEntry(Record):
    """A `Source`; and its path from the session's file."""

    path: Text
    relative: Text | None = None
    built_in: Flag = False
    options: dict[str, Any] | None = None
    sha256: Text | None = None
    trial: TrialEntry | None = None


class SaidEntry(Record):
    """What a file said of its geometry: values, where each came from, and why others are unknown."""

    values: dict[str, Any]
    provenance: dict[str, Text]
    problems: dict[str, Text]
    notes: tuple[Text, ...]


class IterateEntry(Record):
    """An `Iterate` without its image."""

    index: Whole
    start: Whole
    level: Whole
    world_from_camera: Matrix
    losses: dict[str, Measured]
    accepted: Flag
    damping: Measured
    step: Measured
    seconds: Measured


class CandidateEntry(Record):
    """A `Candidate`."""

    start: Whole
    initial: Matrix
    final: Matrix
    level: Whole
    loss: Measured
    antipode: Flag = False
    winner_loss: Measured | None = None


class ResultEntry(Record):
    """A `Result`; numbers that were not finite are null."""

    name: Text
    radiographs: tuple[Text, ...]
    settings: dict[str, Any]
    status: StatusName
    world_from_camera: Matrix
    views: tuple[Matrix, ...]
    losses: dict[str, Measured]
    pivot_mm: Vector
    covariance: Covariance | None
    scale: Twist | None = None
    candidates: tuple[CandidateEntry, ...]
    simulated: Flag
    notes: tuple[Text, ...]
    probability: Probability | None = None
    shown: tuple[Number, ...] = ()
    seen_by: Whole | None = None
    trajectory: tuple[IterateEntry, ...]


def mask_of(entry: MaskEntry) -> Tensor:
    lengths = torch.tensor(entry.runs, dtype=torch.int64)
    if bool((lengths < 0).any()) or int(lengths.sum()) != entry.rows * entry.columns:
        raise ValueError(
            f"the runs of a mask must add up to its {entry.rows} x {entry.columns} pixels"
        )
    values = torch.arange(len(lengths)) % 2 == 0
    return values.repeat_interleave(lengths).reshape(entry.rows, entry.columns)


def _said(entry: SaidEntry) -> GeometryRecord:
    values = geometry_from_json(entry.values, "the session's geometry")
    return replace(values, provenance=entry.provenance, problems=entry.problems, notes=entry.notes)


Mark = Annotated[Landmark, Made(LandmarkEntry, lambda entry: Landmark(**dict(entry)))]


class PickedEntry(Record):
    """What was picked on a frame of a sequence."""

    landmarks: tuple[Mark, ...]
    left_out: tuple[Text, ...] = ()


class PickedOnEntry(PickedEntry):
    """What was picked for one bone of several on a frame; `frame` None: the radiograph is of no sequence."""

    radiograph: Text
    frame: int | None


class ExposureEntry(Record):
    """All that a session says about a radiograph but its pixels; earlier files have no `id`."""

    name: Text
    id: Text = ""
    used: Flag
    world_from_camera: Matrix
    start: Matrix
    truth: Matrix | None = None
    geometry: CArmField
    geometry_said: Annotated[GeometryRecord, Made(SaidEntry, _said)] | None
    nominal: CArmPoseField | None
    simulated: Flag
    subtracted: Flag = False
    read_as: Literal["intensity", "line_integral"]
    photometric: Text | None
    i0: Number | None
    origin: Text = Field(alias="from")
    operations: tuple[Annotated[Any, PlainValidator(operation_from_json)], ...]
    notes: tuple[Text, ...]
    painted: Annotated[Tensor, Made(MaskEntry, mask_of)] | None
    landmarks: tuple[Mark, ...]
    left_out: tuple[Text, ...] = ()
    of_frames: dict[str, PickedEntry] = Field(default_factory=dict)


def record_to_json(record: PoseRecord) -> Json:
    return RecordEntry.model_validate(record).model_dump()


def record_from_json(data: Any) -> PoseRecord:
    return PoseRecord(**dict(RecordEntry.of(data, "a pose")))


def mask_to_json(mask: Bool[Tensor, "rows columns"]) -> Json:
    """Lengths of runs of equal pixels, row by row; the first run is of True (it may be empty)."""
    flat = mask.detach().cpu().flatten()
    edges = (flat[1:] != flat[:-1]).nonzero().flatten() + 1
    ends = torch.cat([edges.new_zeros(1), edges, edges.new_tensor([len(flat)])])
    runs: list[int] = ends.diff().tolist()
    rows, columns = mask.shape
    return {"rows": rows, "columns": columns, "runs": runs if bool(flat[0]) else [0, *runs]}


def landmark_to_json(mark: Landmark) -> Json:
    return LandmarkEntry.model_validate(mark).model_dump(by_alias=True, exclude_defaults=True)


def landmark_from_json(data: Any) -> Landmark:
    return Landmark(**dict(LandmarkEntry.of(data, "a landmark")))


def source_to_json(source: Source | None, relative: Callable[[str], str | None]) -> Json | None:
    """`relative` says of a path how it is reached from the session's file; None: it is not."""
    if source is None:
        return None
    entry = {
        "path": source.path,
        "relative": None if source.built_in else relative(source.path),
        "built_in": source.built_in,
        "options": dict(source.options),
        "sha256": source.sha256,
    }
    if source.trial:
        entry["trial"] = {"path": source.trial, "relative": relative(source.trial)}
    return entry


def source_from_json(data: Any) -> Source:
    entry = SourceEntry.of(data, "the source")
    trial = "" if entry.trial is None else entry.trial.path
    return Source(entry.path, entry.built_in, entry.options or {}, entry.sha256 or "", trial)


def _said_to_json(record: GeometryRecord) -> Json:
    values = {**vars(record), "values": geometry_to_json(record)}
    return SaidEntry.model_validate(values).model_dump()


def exposure_to_json(entry: Exposure) -> Json:
    """All that the session says about a radiograph but its pixels; `source` is added by the file."""
    radiograph, nominal = entry.radiograph, entry.radiograph.nominal
    truth, record = entry.truth, entry.radiograph.geometry
    return {
        "name": entry.name,
        "id": entry.id,
        "used": entry.used,
        "world_from_camera": in_rows(entry.world_from_camera),
        "start": in_rows(entry.start),
        "truth": None if truth is None else in_rows(truth),
        "geometry": carm_to_json(radiograph.carm),
        "geometry_said": None if record is None else _said_to_json(record),
        "nominal": None if nominal is None else carm_pose_to_json(nominal),
        "simulated": radiograph.simulated,
        "subtracted": radiograph.subtracted,
        "read_as": radiograph.read_as,
        "photometric": radiograph.photometric,
        "i0": radiograph.i0,
        "from": radiograph.source,
        "operations": [operation_to_json(done) for done in radiograph.operations],
        "notes": list(radiograph.notes),
        "painted": None if entry.painted is None else mask_to_json(entry.painted),
        **_picked_to_json(entry),
        "of_frames": {str(n): _picked_to_json(each) for n, each in entry.of_frames.items()},
    }


def _picked_to_json(picked: Exposure | Picked) -> Json:
    return {
        "landmarks": [landmark_to_json(mark) for mark in picked.landmarks],
        "left_out": list(picked.left_out),
    }


def picked_on_to_json(picked: Mapping[PickedOn, Picked], names: Mapping[str, str]) -> list[Json]:
    """Radiographs by their names, without those that are gone."""
    return [
        {"radiograph": names[id], "frame": frame, **_picked_to_json(each)}
        for (id, frame), each in picked.items()
        if id in names
    ]


def picked_on_from_json(data: Any, ids: Mapping[str, str]) -> dict[PickedOn, Picked]:
    """`ids` is `Exposure.id` by name."""
    entries = [PickedOnEntry.of(each, "what was picked for a bone") for each in data]
    return {
        (ids[each.radiograph], each.frame): Picked(each.landmarks, each.left_out)
        for each in entries
        if each.radiograph in ids
    }


def exposure_from_json(
    data: Mapping[str, Any], radiograph: Radiograph, source: Source | None
) -> tuple[Exposure, str]:
    """A radiograph just read, with all that was said about it.

    Returns
    -------
    Exposure, str
        And a sentence on what does not fit any more; empty where all does.
    """
    said = ExposureEntry.of(data, "the entry")
    painted, marks, of_frames = said.painted, said.landmarks, said.of_frames
    shape, problem = radiograph.carm.detector.shape, ""
    if said.geometry.detector.shape == shape:
        # What a reader cannot know, or an .npz does not keep: how the image came about.
        radiograph = replace(
            radiograph,
            carm=said.geometry,
            nominal=said.nominal,
            simulated=said.simulated,
            subtracted=said.subtracted,
            read_as=said.read_as,
            photometric=said.photometric,
            i0=said.i0,
            source=said.origin,
            operations=said.operations,
            notes=said.notes,
            geometry=said.geometry_said,
        )
    else:
        painted, marks, of_frames = None, (), {}
        was, now = (
            f"{rows} x {columns}" for rows, columns in (said.geometry.detector.shape, shape)
        )
        problem = (
            f"{said.name}: the image has {now} pixels now, and had {was} when the session was "
            "saved: its geometry is taken from the file, what was painted and picked is left out"
        )
    exposure = Exposure(
        said.name,
        radiograph,
        said.world_from_camera,
        said.start,
        used=said.used,
        painted=painted,
        landmarks=marks,
        left_out=said.left_out,
        of_frames={int(n): Picked(each.landmarks, each.left_out) for n, each in of_frames.items()},
        source=source,
        truth=said.truth,
    )
    return replace(exposure, id=said.id) if said.id else exposure, problem


def result_to_json(result: Result) -> Json:
    """A registration with its trajectory, without images."""
    found = result.registration
    values = {**vars(found), **vars(result), "pivot_mm": found.pivot}
    return ResultEntry.model_validate(values).model_dump()


def result_from_json(data: Any) -> Result:
    """What `result_to_json` made."""
    entry = ResultEntry.of(data, "a result")
    registration = Registration(
        entry.world_from_camera,
        entry.status,
        entry.losses,
        tuple(Iterate(**dict(each)) for each in entry.trajectory),
        entry.pivot_mm,
        entry.covariance,
        entry.views,
        tuple(Candidate(**dict(each)) for each in entry.candidates),
        entry.simulated,
        entry.notes,
        entry.probability,
        entry.scale,
        shown=entry.shown,
        seen_by=entry.seen_by,
    )
    return Result(entry.name, entry.radiographs, registration, entry.settings)
