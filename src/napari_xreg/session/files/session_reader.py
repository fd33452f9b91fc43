"""Open a session file: find its data again, and say in words what is not as it was."""

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import SESSION, json_of_text, read_text, with_schema
from napari_xreg.images import LabelMap, ReadError, Volume
from napari_xreg.progress import run
from napari_xreg.session.exposure import Exposure, new_id
from napari_xreg.session.files.session_json import (
    exposure_from_json,
    landmark_from_json,
    picked_on_from_json,
    record_from_json,
    result_from_json,
    source_from_json,
)
from napari_xreg.session.files.session_writer import FileStep
from napari_xreg.session.files.sources import content_hash, read_ct, read_label_map, read_xray
from napari_xreg.session.files.track_json import track_from_json
from napari_xreg.session.named_poses import NamedPose
from napari_xreg.session.sequence_track import SequenceTrack
from napari_xreg.session.session import Session
from napari_xreg.session.source import Source
from napari_xreg.session.state import Missing, OfBone, SessionState
from napari_xreg.session.undo import Moment

_LARGEST = 1 << 30
"""Bytes of a session file: thousands of poses, and covariances of results."""
_DAMAGED = (
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    AttributeError,
    RuntimeError,
    OverflowError,
)


def read_session(
    path: Path | str, *, on_progress: Callable[[FileStep], object] | None = None
) -> Session:
    """Open a session file.

    Parameters
    ----------
    path
        ``*.xreg.json``.
    on_progress
        Called before each file that is read.

    Returns
    -------
    Session
        `Session.problems` says what was amiss: a file that is gone or has changed since.

    Raises
    ------
    ReadError
        If the file is absent, not a session, damaged, or of a later version.
    """
    return run(opening(path), on_progress)


def opening(path: Path | str) -> Generator[FileStep, None, Session]:
    """`read_session` in steps, for a worker; the session it returns is new and nobody else's."""
    path = Path(path).absolute()
    data = _document(path)
    entries = data.get("radiographs")
    if not isinstance(entries, list):
        raise ReadError(f'{path.name}: "radiographs" should be a list: got {entries!r}')
    total = 3 + len(entries)
    missing: list[Missing] = []
    problems: list[str] = []
    yield FileStep("reading the CT", 0, total)
    volume, volume_source = _volume(path, data, missing, problems)
    yield FileStep("reading the label map", 1, total)
    labels, labels_source = _labels(path, data, volume, missing, problems)
    exposures: list[Exposure] = []
    for number, entry in enumerate(entries):
        name = str(entry.get("name")) if isinstance(entry, Mapping) else "?"
        yield FileStep(f"reading {name}", 2 + number, total)
        exposure = _exposure(path, entry, missing, problems)
        if exposure is not None:
            exposures.append(exposure)
    yield FileStep("reading poses and results", total - 1, total)
    with _Sentence(path, "the session"):
        state = _state(
            data, volume, volume_source, labels, labels_source, exposures, missing, problems
        )
    if data.get("track") is not None:
        with _Sentence(path, "the track of the sequence"):
            state = replace(state, track=_track(path, data["track"], state))
    session = Session()
    session.restore(state)
    return session


def supply(session: Session, name: str, value: Any, source: Source | None = None) -> None:
    """Give a session what its file named and could not be read: see `Session.missing`.

    Parameters
    ----------
    name
        Of a `Missing`: "CT", "labels", or a radiograph's name.
    value
        The `Volume`, `LabelMap` or `Radiograph`.
    source
        Where it was found.

    Raises
    ------
    ValueError
        If nothing of that name is missing, or the value does not fit.
    """
    gone = next((entry for entry in session.missing if entry.name == name), None)
    if gone is None:
        raise ValueError(f"nothing called {name!r} is missing from this session")
    exposure, problem = None, ""
    if gone.role == "radiograph":
        exposure, problem = exposure_from_json(gone.entry, value, source)
    else:
        _with_value(session.state, gone, value, source)  # it may be refused: nothing changed yet

    def found(state: SessionState, moment: Moment) -> SessionState:
        if not any(entry is gone for entry in state.missing):
            return state
        if exposure is None:
            state = _with_value(state, gone, value, source)
        else:
            then = {} if moment.absent is None else moment.absent.poses
            pose = then.get(gone.id, exposure.world_from_camera)
            placed = replace(exposure, world_from_camera=pose, id=gone.id)
            active = state.active or gone.id
            state = replace(state, exposures=(*state.exposures, placed), active=active)
        rest = tuple(entry for entry in state.missing if entry is not gone)
        problems = tuple(sentence for sentence in state.problems if sentence != gone.why)
        return replace(state, missing=rest, problems=(*problems, problem) if problem else problems)

    session.complete(found)


def _with_value(
    state: SessionState, gone: Missing, value: Any, source: Source | None
) -> SessionState:
    if gone.role == "ct":
        if not isinstance(value, Volume):
            raise ValueError(f"a CT is missing: got {type(value).__name__}")
        return replace(state, volume=value, volume_source=source)
    if not isinstance(value, LabelMap) or state.volume is None:
        raise ValueError("a label map belongs to a CT: supply the CT first, then the labels")
    value = value.onto(state.volume)
    structures = _present(value, gone.entry.get("structures") or ())
    return replace(state, labels=value, labels_source=source, structures=structures)


def _volume(
    path: Path, data: Mapping[str, Any], missing: list[Missing], problems: list[str]
) -> tuple[Volume | None, Source | None]:
    entry = data.get("ct")
    if entry is None:
        return None, None
    source = _found(path, entry, "the CT", problems)
    try:
        return read_ct(source), source
    except (ValueError, OSError) as error:
        why = _gone("The CT", source, error)
        missing.append(Missing("ct", "CT", source, why, entry))
        problems.append(why)
        return None, None


def _labels(
    path: Path,
    data: Mapping[str, Any],
    volume: Volume | None,
    missing: list[Missing],
    problems: list[str],
) -> tuple[LabelMap | None, Source | None]:
    entry = data.get("labels")
    if entry is None:
        return None, None
    source = _found(path, entry, "the label map", problems)
    try:
        labels = read_label_map(source)
        if volume is None:
            raise ReadError(f"{source.path}: it belongs to the CT, which is missing")
        labels = labels.onto(volume)
        return labels, source
    except (ValueError, OSError) as error:
        why = _gone("The label map", source, error)
        missing.append(Missing("labels", "labels", source, why, entry))
        problems.append(why)
        return None, None


def _exposure(
    path: Path, entry: Any, missing: list[Missing], problems: list[str]
) -> Exposure | None:
    with _Sentence(path, "an entry of radiographs"):
        name = entry["name"]
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"a radiograph needs a name: got {name!r}")
    changed: list[str] = []
    source = _found(path, entry, name, changed)
    try:
        radiograph = read_xray(source)
    except (ValueError, OSError) as error:
        why = _gone(f"The radiograph {name}", source, error)
        id = str(entry.get("id") or new_id())
        missing.append(Missing("radiograph", name, source, why, entry, id))
        problems.append(why)
        return None
    problems += changed
    with _Sentence(path, f"the radiograph {name}"):
        exposure, problem = exposure_from_json(entry, radiograph, source)
    if problem:
        problems.append(problem)
    return exposure


def _state(
    data: Mapping[str, Any],
    volume: Volume | None,
    volume_source: Source | None,
    labels: LabelMap | None,
    labels_source: Source | None,
    exposures: list[Exposure],
    missing: list[Missing],
    problems: list[str],
) -> SessionState:
    isocenter = _isocenter(data)
    there = {entry.name: entry.id for entry in exposures}
    ids = {gone.name: gone.id for gone in missing if gone.role == "radiograph"} | there
    active = there.get(data["active"], next(iter(there.values()), None))
    structures: tuple[int, ...] = ()
    if labels is not None:
        structures = _present(labels, data["labels"].get("structures") or ())
    return SessionState(
        volume,
        volume_source,
        labels,
        labels_source,
        structures,
        isocenter,
        tuple(exposures),
        active,
        bool(data["rig_locked"]),
        tuple(landmark_from_json(mark) for mark in data["landmarks"]),
        tuple(record_from_json(record).keyed(ids) for record in data["history"]["records"]),
        int(data["history"]["at"]),
        tuple(
            NamedPose(name, record_from_json(record).keyed(ids).poses)
            for name, record in data["named_poses"].items()
        ),
        tuple(result_from_json(result).keyed(ids) for result in data["results"]),
        tuple(missing),
        tuple(problems),
        of_bones={
            str(name): OfBone(
                tuple(map(landmark_from_json, of["landmarks"])),
                _isocenter(of),
                picked_on_from_json(of.get("picked", ()), ids),
            )
            for name, of in data.get("of_bones", {}).items()
        },
    )


def _isocenter(data: Mapping[str, Any]) -> Float[Tensor, "3"] | None:
    said = data["isocenter_mm"]
    if said is None:
        return None
    found = torch.tensor(said, dtype=torch.float64)
    if tuple(found.shape) != (3,):
        raise ValueError("isocenter_mm is three numbers")
    return found


def _track(path: Path, data: Any, state: SessionState) -> SequenceTrack:
    """Where its files are looked for is no problem yet: it is said when one of them is shown."""
    track = track_from_json(
        data, lambda entry: _found(path, {"source": entry}, "a frame of the sequence", [])
    )
    ids = {name: id for id, name in state.names.items()}
    unknown = [name for name in track.radiographs if name not in ids]
    if unknown or len(track.sources) != len(track.radiographs):
        raise ValueError(f"it is of radiographs that are not there: {', '.join(unknown) or 'none'}")
    return track.keyed(ids)


def _document(path: Path) -> Mapping[str, Any]:
    text = read_text(path, limit=_LARGEST)
    try:
        data = json_of_text(text, path.name)
    except ReadError as error:
        raise ReadError(f"{error}: it is damaged or cut off, take an older copy") from error
    return with_schema(data, path.name, SESSION)


def _found(path: Path, entry: Any, what: str, problems: list[str]) -> Source:
    """Where the data of an entry lie now: beside the session, or where they were."""
    with _Sentence(path, f"where {what} lies"):
        source = source_from_json(entry["source"])
        if source.built_in:
            return source
        there = _there(path, entry["source"])
        trials = _there(path, entry["source"]["trial"]) if source.trial else []
        if trials:
            source = replace(source, trial=os.path.normpath(trials[0]))
    if not there:
        return source
    if source.sha256:
        for candidate in there:
            if _hash(candidate) == source.sha256:
                return replace(source, path=os.path.normpath(candidate))
        problems.append(
            f"{there[0]}: the file has changed since the session was saved; poses and results may "
            "no longer belong to it"
        )
        return replace(source, path=os.path.normpath(there[0]), sha256=_hash(there[0]))
    return replace(source, path=os.path.normpath(there[0]))


def _there(path: Path, said: Mapping[str, Any]) -> list[Path]:
    """Where a file or folder may be that a session's file names."""
    candidates = [Path(said["path"])]
    if said.get("relative") is not None:
        candidates.insert(0, path.parent / str(said["relative"]))
    there: list[Path] = []
    for candidate in candidates:
        # What is neither file nor folder might never end: /dev/zero, a pipe.
        if (candidate.is_file() or candidate.is_dir()) and candidate not in there:
            there.append(candidate)
    return there


def _hash(path: Path) -> str:
    """Of the contents; empty where they cannot be read: the reader will say why."""
    try:
        return content_hash(path)
    except (OSError, ReadError):
        return ""


def _gone(what: str, source: Source, error: Exception) -> str:
    found = source.built_in or Path(source.path).exists()
    said = " ".join(str(error).split()) if found else f"there is no {source.path}"
    return (
        f"{what} could not be opened: {said}. Put the file back, or load it again from elsewhere; "
        "everything else of the session is kept"
    )


class _Sentence:
    """Turns what a damaged entry causes into one sentence that names file and entry."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, KeyError):
            said = f"the entry {error} is missing or unknown"
        elif isinstance(error, _DAMAGED):
            said = " ".join(str(error).split())
        else:
            return
        raise ReadError(f"{self._path.name}: {self._what} is damaged: {said}") from error


def _present(labels: LabelMap, ids: Any) -> tuple[int, ...]:
    there = set(labels.present())
    return tuple(sorted(int(i) for i in ids if int(i) in there))
