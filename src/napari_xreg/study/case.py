"""A case of a study before anything of it is read, and after."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.rayemb import bone_center
from napari_xreg.records import PLAN_FILE, describe_input
from napari_xreg.registration import View
from napari_xreg.session import Source
from napari_xreg.workflows import Patient, bone_points, further_views

FIDUCIALS = 50
"""Bone points that errors are measured at, where nobody says better ones."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case, read.

    Parameters
    ----------
    patient
        The CT, and what of it is registered.
    radiographs
        They move together.
    isocenter
        Rotations are taken about it, world mm.
    truth
        World from camera of the first radiograph; None where nobody knows it.
    fiducials
        Points that errors are measured at, world mm; None without a truth.
    start
        A pose of the case's own, of the first radiograph.
    sources
        Where CT ("ct"), labels ("labels") and radiographs ("0", "1" ...) can be read again; what is
        absent exists in memory only.
    notes
        What was assumed on reading.
    """

    patient: Patient
    radiographs: tuple[Radiograph, ...]
    isocenter: Float[Tensor, "3"]
    truth: Pose | None = None
    fiducials: Float[Tensor, "n 3"] | None = None
    start: Pose | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def views(self, pose: Pose) -> tuple[View, ...]:
        """All radiographs, the first at a pose."""
        first = View(self.radiographs[0], pose)
        return (first, *further_views(first, self.radiographs[1:], self.isocenter))


@runtime_checkable
class Described(Protocol):
    """Of what a case consists: small, and sent to whoever computes it."""

    def described(self) -> dict[str, Any]:
        """All that its results depend on, files by what they hold."""
        ...

    def prepare(self) -> Prepared:
        """Read or simulate it."""
        ...


@dataclass(frozen=True)
class StudyCase:
    """A case of a study.

    Parameters
    ----------
    name
        Unique in the study.
    subject
        Whose: cases of one subject are not independent.
    described
        Of what it consists.
    group
        Tables are made for each group by itself (a severity, a bone); "": none.
    excluded
        Why published evaluations leave it out, or its owner does; "": nobody does.
    truth_known
        Whether its description holds a truth: said of it where it cannot be read.
    """

    name: str
    subject: str
    described: Described
    group: str = ""
    excluded: str = ""
    truth_known: bool = True


def fiducials_of(
    patient: Patient, radiograph: Radiograph, truth: Pose, seed: int
) -> Float[Tensor, "n 3"]:
    """The patient's landmarks, else points in bone that the radiograph shows.

    Raises
    ------
    ValueError
        If there is nothing to measure an error at.
    """
    places = [mark.position for mark in patient.landmarks if mark.position is not None]
    if places:
        return torch.tensor(places, dtype=torch.float64)
    points = bone_points(
        patient.rendering.volume(), radiograph.carm, truth, count=FIDUCIALS, seed=seed
    )
    if not len(points):
        raise ValueError(
            "the radiograph shows no bone at its true pose: is the truth in this frame?"
        )
    return points.double()


def middle_of(patient: Patient) -> Float[Tensor, "3"]:
    """The mean of the landmarks, else the middle of the bone, else of the CT: world mm."""
    places = [mark.position for mark in patient.landmarks if mark.position is not None]
    if places:
        return torch.tensor(places, dtype=torch.float64).mean(0)
    try:
        chosen = patient.rendering.volume() if patient.structures else patient.volume
        return bone_center(chosen).double()
    except ValueError:  # vessels, say
        return patient.volume.center.double()


def placed(marks: tuple[Landmark, ...]) -> tuple[Landmark, ...]:
    """Those with a position."""
    return tuple(mark for mark in marks if mark.position is not None)


def content(path: Path) -> str:
    """What a file or folder holds, as a digest; "absent" where nothing is.

    Folders of studies in a folder are left out: the study itself may be written there.
    """
    try:
        inside = _files(path) if path.is_dir() else [path]
        stamps = [(file, file.stat()) for file in inside]
    except OSError:
        return "absent"
    return _content(path, tuple((file, at.st_size, at.st_mtime_ns) for file, at in stamps))


def _files(folder: Path) -> list[Path]:
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    studies = {file.parent for file in found if file.name == PLAN_FILE} - {folder}
    return [file for file in found if not studies.intersection(file.parents)]


@lru_cache(maxsize=4096)
def _content(path: Path, stamps: tuple[tuple[Path, int, int], ...]) -> str:
    if not path.is_dir():
        of_file: str = describe_input(path, "")["sha256"]
        return of_file
    whole = hashlib.sha256()
    for file, size, _ in stamps:
        whole.update(f"{file.relative_to(path).as_posix()} {size} ".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()


def digest(value: Any) -> str:
    """Of plain values, whatever the order of their names."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_of(*parts: object) -> int:
    """A seed that depends on what it is for, not on when it is drawn."""
    return int(digest([str(part) for part in parts])[:8], 16)
