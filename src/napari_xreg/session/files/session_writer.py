"""A whole session as one JSON file, ``*.xreg.json``, beside its data.

Data are referred to, not copied: by the path relative to the session file, by the absolute path,
and by the SHA-256 of their contents. What exists in memory only (a simulated or an edited
radiograph) is written as .npz beside the file, under the file's own name. A file that cannot be
found again costs nothing else: the session opens without it, keeps all that was said about it
(`Session.missing`), and takes it when it is supplied.
"""

import datetime as dt
import json
import os
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import napari_xreg
from napari_xreg.files import SESSION, plain, schema_head, written
from napari_xreg.images import write_radiograph
from napari_xreg.progress import run
from napari_xreg.session.files.memory_files import write_grid_labels, write_grid_volume
from napari_xreg.session.files.session_json import (
    exposure_to_json,
    landmark_to_json,
    picked_on_to_json,
    record_to_json,
    result_to_json,
    source_to_json,
)
from napari_xreg.session.files.sources import content_hash
from napari_xreg.session.files.track_json import track_to_json, with_found
from napari_xreg.session.named_poses import PoseRecord
from napari_xreg.session.session import Session
from napari_xreg.session.source import Source
from napari_xreg.session.state import SessionState

SESSION_ENDING = ".xreg.json"


@dataclass(frozen=True)
class FileStep:
    """What saving or opening does now.

    Parameters
    ----------
    text
        In words.
    done, total
        How far it is.
    """

    text: str
    done: int
    total: int


def write_session(path: Path | str, session: Session) -> tuple[Path, ...]:
    """Save a session; the file and what was written beside it.

    Raises
    ------
    ValueError
        If the ending is another than ``.xreg.json``.
    OSError
        If the folder cannot be written to; an older file of the same name is then untouched.
    """
    return run(saving(path, session))


def saving(path: Path | str, session: Session) -> Generator[FileStep, None, tuple[Path, ...]]:
    """`write_session` in steps, for a worker: the session is captured at this call, not later."""
    path = Path(path).absolute()
    if not path.name.lower().endswith(SESSION_ENDING):
        if path.suffix:
            raise ValueError(f"a session is saved as *{SESSION_ENDING}: got {path.name}")
        path = path.with_name(path.name + SESSION_ENDING)
    captured = session.capture()

    def steps() -> Generator[FileStep, None, tuple[Path, ...]]:
        return (yield from saving_state(path, captured(), Beside(path)))

    return steps()


Write = Callable[[Path], object]


class Beside:
    """Keeps what exists in memory only in files of its own, beside a session's file.

    Parameters
    ----------
    path
        The session's file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.made: list[Path] = []

    def keep(self, what: str, value: object, write: Write) -> Source:
        """Where a value can be read again: in a file that is written now."""
        stem = self._path.name[: -len(SESSION_ENDING)]
        beside = self._path.with_name(f"{stem}.{_slug(what, self.made)}.npz")
        with written(beside) as part:
            write(part)
        self.made.append(beside)
        return Source(str(beside), sha256=content_hash(beside))


def saving_state(
    path: Path, state: SessionState, beside: Beside
) -> Generator[FileStep, None, tuple[Path, ...]]:
    """`saving` of a state that was captured; `beside` keeps what exists in memory only."""
    total = 3 + len(state.exposures)
    lost = {gone.name: gone.entry for gone in state.missing}
    names = state.names

    def kept(source: Source | None, what: str, value: object, write: Write) -> Source:
        """Where it can be read again: its own file, or one written beside the session."""
        if source is None:
            return beside.keep(what, value, write)
        hashed = source.built_in or source.sha256 or not Path(source.path).exists()
        return source if hashed else replace(source, sha256=content_hash(Path(source.path)))

    def said(source: Source) -> dict[str, Any] | None:
        return source_to_json(source, lambda target: _relative(target, path))

    yield FileStep("saving the CT", 0, total)
    ct = lost.get("CT")
    if state.volume is not None:
        volume = state.volume
        source = kept(state.volume_source, "ct", volume, lambda to: write_grid_volume(to, volume))
        ct = {"source": said(source)}
    yield FileStep("saving the label map", 1, total)
    labels_entry = lost.get("labels")
    if state.labels is not None:
        labels = state.labels
        source = kept(
            state.labels_source, "labels", labels, lambda to: write_grid_labels(to, labels)
        )
        labels_entry = {"source": said(source), "structures": list(state.structures)}
    entries: list[Any] = []
    for number, exposure in enumerate(state.exposures):
        yield FileStep(f"saving {exposure.name}", 2 + number, total)
        radiograph = exposure.radiograph
        source = kept(
            None if exposure.edited else exposure.source,
            exposure.called,
            radiograph,
            lambda to, radiograph=radiograph: write_radiograph(to, radiograph),  # type: ignore[misc]
        )
        entries.append({**exposure_to_json(exposure), "source": said(source)})
    entries += [gone.entry for gone in state.missing if gone.role == "radiograph"]
    yield FileStep("saving poses and results", total - 1, total)
    isocenter = state.isocenter
    data = {
        **schema_head(SESSION),
        "program": f"napari-xreg {napari_xreg.__version__}",
        "saved": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "frames": "world: patient LPS mm; poses: world_from_camera, 4 x 4, mm; pixels: row, column",
        "ct": ct,
        "labels": labels_entry,
        "isocenter_mm": None if isocenter is None else isocenter.tolist(),
        "radiographs": entries,
        "active": None if state.active is None else names[state.active],
        "rig_locked": state.rig_locked,
        "landmarks": [landmark_to_json(mark) for mark in state.landmarks],
        "named_poses": {
            kept.name: record_to_json(PoseRecord(kept.poses, kept.name).keyed(names))
            for kept in state.named
        },
        "history": {
            "at": state.at,
            "records": [record_to_json(record.keyed(names)) for record in state.records],
        },
        "results": [result_to_json(result.keyed(names)) for result in state.results],
        "of_bones": {
            name: {
                "landmarks": [landmark_to_json(mark) for mark in of.landmarks],
                "isocenter_mm": None if of.isocenter is None else of.isocenter.tolist(),
                "picked": picked_on_to_json(of.picked, names),
            }
            for name, of in state.of_bones.items()
        },
        "track": None if state.track is None else track_to_json(state.track.keyed(names), said),
    }
    text = _compact(json.dumps(plain(data), indent=1, allow_nan=False)) + "\n"
    text = with_found(text, state.track)
    with written(path) as part:
        part.write_text(text, encoding="utf-8")
    return path, *beside.made


def _relative(target: str, path: Path) -> str | None:
    try:
        return Path(os.path.relpath(target, path.parent)).as_posix()
    except ValueError:  # another drive of Windows
        return None


def _slug(name: str, taken: list[Path]) -> str:
    """A name as part of a file's name, unlike those taken."""
    slug = re.sub(r"[^\w-]+", "-", name).strip("-") or "radiograph"
    unique, number = slug, 2
    while any(other.name.lower().endswith(f".{unique.lower()}.npz") for other in taken):
        unique, number = f"{slug}-{number}", number + 1
    return unique


def _compact(text: str) -> str:
    """Rows of numbers on one line: only whitespace outside of strings is touched."""
    # A raw line break never occurs inside a JSON string.
    numbers = re.compile(r"\[\n\s*(-?\d[^\[\]{}\"]*?)\n\s*\]")
    return numbers.sub(lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)
