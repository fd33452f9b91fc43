"""A tracked sequence as plain JSON, and back.

Reading raises as `session_json` does.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from pydantic import PlainSerializer, PlainValidator
from torch import Tensor

from napari_xreg.files import Flag, Record, Text, Whole, plain
from napari_xreg.records import (
    CArmField,
    Covariance,
    Matrix,
    Measured,
    Probability,
    Rows,
    Vector,
    carm_to_json,
    in_rows,
)
from napari_xreg.registration import Smoothed
from napari_xreg.session.sequence_track import ALONE, SequenceTrack
from napari_xreg.session.source import Source
from napari_xreg.session.track import BodiesTrack, FrameState, Track, TrackedFrame

Json = dict[str, Any]


def _square(rows: Tensor) -> Tensor:
    size = math.isqrt(rows.numel())
    if size % 6 or size * size != rows.numel():
        raise ValueError("should be 6 x 6 numbers for each pair of bodies")
    return rows.reshape(size, size)


Square = Annotated[Tensor, Rows((None, 6), "rows of 6 numbers", _square)]
"""Of several bodies, row by row, six numbers a row."""
_STATES = tuple(state.value for state in FrameState)


def _state(value: Any) -> FrameState:
    if isinstance(value, FrameState):
        return value
    if value not in _STATES:
        raise ValueError(f"should be one of {', '.join(_STATES)}: got {value!r}")
    return FrameState(value)


StateName = Annotated[
    FrameState,
    PlainValidator(_state, json_schema_input_type=Literal[_STATES]),
    PlainSerializer(lambda state: state.value),
]


class FrameEntry(Record):
    """A `TrackedFrame`."""

    number: Whole
    time_s: Measured | None
    state: StateName
    rig_from_camera: Matrix
    world_from_camera: Matrix | None
    covariance: Covariance | None
    probability: Probability | None
    loss: Measured | None
    seconds: Measured
    words: Text
    seen_by: Whole | None = None


class SmoothEntry(Record):
    """A `Smoothed` motion."""

    poses: tuple[Matrix, ...]
    covariances: tuple[Covariance, ...]
    turn_deg: Measured
    way_mm: Measured


class BodyTrackEntry(Record):
    """The `Track` of one body."""

    frames: tuple[FrameEntry, ...]
    pivot: Vector
    carm: CArmField
    smoothed: SmoothEntry | None
    simulated: Flag
    cancelled: Flag
    notes: tuple[Text, ...]


class FoundEntry(Record):
    """A `BodiesTrack`; the covariance of a body of which nothing is known, NaN, is zero here."""

    tracks: tuple[BodyTrackEntry, ...]
    covariances: tuple[Square | None, ...]


class KeptEntry(Record):
    """Poses of a bone in a frame, by the names of the radiographs, that the user says are right."""

    bone: Text
    frame: Whole
    poses: dict[Text, Matrix]


class SequenceTrackEntry(Record):
    """A `SequenceTrack`."""

    radiographs: tuple[Text, ...]
    start: Whole
    numbers: tuple[Whole, ...]
    bones: dict[Text, tuple[Whole, ...]]
    found: FoundEntry | None
    kept: tuple[KeptEntry, ...]
    chosen: Text = ALONE
    voxels: Text = ""


FOUND = "\0found"
"""Stands for what was found until `with_found` puts its text there."""
_TEXTS: "WeakKeyDictionary[BodiesTrack, str]" = WeakKeyDictionary()


def track_to_json(track: SequenceTrack, said: Callable[[Source], Json | None]) -> Json:
    """What is known of a sequence, without what was found (`FOUND`); `said` tells where its files lie."""
    return {
        "radiographs": list(track.radiographs),
        "sources": [said(source) for source in track.sources],
        "start": track.start,
        "numbers": list(track.numbers),
        "bones": {name: list(ids) for name, ids in track.bones.items()},
        "found": None if track.found is None else FOUND,
        "kept": [
            KeptEntry(bone=bone, frame=number, poses=dict(poses)).model_dump()
            for bone, frames in track.kept.items()
            for number, poses in frames.items()
        ],
        "chosen": track.chosen,
        "voxels": track.voxels,
        "volumes": {name: said(source) for name, source in track.volumes.items()},
    }


def with_found(text: str, track: SequenceTrack | None) -> str:
    """A session's text with what was found in its place.

    It is made once: a copy of the work is written every few seconds, and a thousand frames of three bones take two.
    """
    if track is None or track.found is None:
        return text
    found = _TEXTS.get(track.found)
    if found is None:
        found = _TEXTS[track.found] = json.dumps(
            plain(_found_to_json(track.found)), allow_nan=False, separators=(",", ":")
        )
    return text.replace(json.dumps(FOUND), found, 1)


def track_from_json(data: Mapping[str, Any], source: Callable[[Any], Source]) -> SequenceTrack:
    """What `track_to_json` made; `source` finds a file again."""
    entry = SequenceTrackEntry.of(data, "the track")
    sources = tuple(source(each) for each in data["sources"])
    found = None
    if entry.found is not None:
        if len(entry.found.tracks) != len(entry.bones):
            raise ValueError(f"it has {len(entry.found.tracks)} tracks of {len(entry.bones)} bones")
        found = BodiesTrack(
            tuple(entry.bones),
            tuple(map(_track, entry.found.tracks)),
            tuple(map(_unknown, entry.found.covariances)),
        )
    kept: dict[str, dict[int, Any]] = {}
    for each in entry.kept:
        kept.setdefault(each.bone, {})[each.frame] = each.poses
    return SequenceTrack(
        entry.radiographs,
        sources,
        entry.start,
        entry.numbers,
        entry.bones,
        found,
        kept,
        entry.chosen,
        entry.voxels,
        {name: source(each) for name, each in (data.get("volumes") or {}).items()},
    )


def _found_to_json(found: BodiesTrack) -> Json:
    return {
        "tracks": [_track_to_json(track) for track in found.tracks],
        "covariances": [
            None if each is None else in_rows(each.nan_to_num(0.0, 0.0, 0.0).reshape(-1, 6))
            for each in found.covariances
        ],
    }


def _unknown(covariance: Tensor | None) -> Tensor | None:
    if covariance is None:
        return None
    nothing = covariance.diagonal() == 0
    return covariance.masked_fill(nothing[:, None] | nothing, float("nan"))


def _track_to_json(track: Track) -> Json:
    smooth = track.smoothed
    return {
        "frames": [FrameEntry.model_validate(frame).model_dump() for frame in track.frames],
        "pivot": in_rows(track.pivot),
        "carm": carm_to_json(track.carm),
        "smoothed": None if smooth is None else SmoothEntry.model_validate(smooth).model_dump(),
        "simulated": track.simulated,
        "cancelled": track.cancelled,
        "notes": list(track.notes),
    }


def _track(entry: BodyTrackEntry) -> Track:
    if not entry.frames:
        raise ValueError("a track has a frame at least")
    smooth = None
    if entry.smoothed is not None:
        smooth = Smoothed(**dict(entry.smoothed))
        if not len(smooth.poses) == len(smooth.covariances) == len(entry.frames):
            raise ValueError("a smooth motion has a pose of every frame")
    return Track(
        tuple(TrackedFrame(**dict(frame)) for frame in entry.frames),
        entry.pivot,
        entry.carm,
        smooth,
        entry.simulated,
        entry.cancelled,
        entry.notes,
    )
