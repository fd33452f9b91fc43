"""The result of a registration as one JSON file: everything needed to use and to repeat it."""

import dataclasses
import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import napari_xreg
from napari_xreg.files import (
    RESULT,
    Flag,
    Record,
    Text,
    plain,
    read_json,
    schema_head,
    written,
)
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import input_files
from napari_xreg.records.entries import (
    CArmField,
    CArmPoseField,
    Covariance,
    Matrix,
    Measured,
    Probability,
    StatusName,
    Twist,
    carm_pose_to_json,
    carm_to_json,
    in_rows,
)
from napari_xreg.registration import CAUTION, Registration, Status, View, carm_covariance

_FRAMES = {
    "world": "patient axes LPS (x to the left, y to the back, z to the head), mm",
    "camera": "origin at the X-ray source; z from source to detector, y along the rows (down), x = y x z",
    "pixel": "(row, column); an integer is the centre of a pixel",
    "world_from_camera": "maps camera mm to world mm; the 4 x 4 matrix acts on columns",
    "twist": "(omega, v), rad and mm, world axes: T <- exp(twist about the pivot) T",
    "carm": "translate(isocenter) R(primary, secondary, roll) translate(offset - z source_to_isocenter)",
}
_PACKAGES = ("torch", "numpy", "scipy", "numba", "opencv-python", "SimpleITK", "nibabel", "pydicom")


class PlacedEntry(Record):
    """A pose, as a matrix and in the terms of the C-arm, whose isocenter is the pivot of twists."""

    world_from_camera: Matrix
    carm: CArmPoseField


class StatusEntry(Record):
    """How a registration ended.

    `as_seen_in` is the radiograph, from 1, as seen in which the pose was judged: one alone shows enough, or there is one.
    None: in space, or older files.
    """

    name: StatusName
    message: Text = ""
    trusted: Flag = False
    probability: Probability | None = None
    as_seen_in: int | None = None


class CovarianceEntry(Record):
    """Of the left twist (omega, v), rad and mm, world axes, about the pivot.

    `scale`, a twist too, is what the CT's scale has in it, as `Registration.scale`; older files do not say it.
    """

    twist: Covariance
    scale: Twist | None = None


class ResultFile(Record):
    """A registration of the first radiograph; losses that were no number are null."""

    SCHEMA = RESULT
    simulated: Flag
    status: StatusEntry
    pose: PlacedEntry
    start: PlacedEntry
    losses: dict[str, Measured]
    covariance: CovarianceEntry | None
    geometry: CArmField


@dataclasses.dataclass(frozen=True, eq=False)
class SavedRegistration:
    """What `read_result` gives back.

    Parameters
    ----------
    world_from_camera, start
        Final and starting pose of the first radiograph, float64.
    carm
        Of the first radiograph.
    status
        How it ended.
    pivot, covariance, scale
        As in `Registration`.
    losses
        At the final pose.
    simulated
        True if any radiograph was simulated.
    data
        The whole file.
    """

    world_from_camera: Pose
    start: Pose
    carm: CArm
    status: Status
    pivot: Float[Tensor, "3"]
    covariance: Float[Tensor, "6 6"] | None
    scale: Float[Tensor, "6"] | None
    losses: Mapping[str, float]
    simulated: bool
    data: Mapping[str, Any]


def result_to_json(
    registration: Registration,
    views: Sequence[View],
    *,
    settings: object,
    inputs: Sequence[Mapping[str, Any]] = (),
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The contents of a result file.

    Parameters
    ----------
    registration
        The result.
    views
        The radiographs and starts it was asked with.
    settings
        `RefineSettings` or `AdamSettings`, every field of which is written; or what stands for them
        in a session, as plain values.
    inputs
        What `describe_input` says of each file.
    extra
        More top-level entries (`truth`, `landmarks`).
    """
    first, carm, pivot = views[0], views[0].radiograph.carm, registration.pivot
    covariance = registration.covariance
    data: dict[str, Any] = {
        **schema_head(RESULT),
        "simulated": registration.simulated,
        "status": {
            "name": registration.status.name,
            "message": registration.status.value,
            "trusted": bool(registration),
            "probability": registration.probability,
            "as_seen_in": _numbered(registration.as_seen_in),
        },
        "pose": _pose_entry(registration.world_from_camera, carm, pivot),
        "start": _pose_entry(first.world_from_camera, carm, pivot),
        "losses": dict(registration.losses),
        "covariance": None,
        "geometry": carm_to_json(carm),
        "views": [
            {
                "source": view.radiograph.source,
                "simulated": view.radiograph.simulated,
                "pose": _pose_entry(pose, view.radiograph.carm, pivot),
                "start": _pose_entry(view.world_from_camera, view.radiograph.carm, pivot),
                "geometry": carm_to_json(view.radiograph.carm),
                "operations": [str(done) for done in view.radiograph.operations],
                "notes": list(view.radiograph.notes),
                "shown": shown,
            }
            for view, pose, shown in zip(
                views, registration.views, registration.shown or (None,) * len(views), strict=True
            )
        ],
        "candidates": [
            {
                "start": candidate.start,
                "level": candidate.level,
                "loss": candidate.loss,
                "winner_loss": candidate.winner_loss,
                "antipode": candidate.antipode,
                "initial": in_rows(candidate.initial),
                "final": in_rows(candidate.final),
            }
            for candidate in registration.candidates
        ],
        "iterations": len(registration.trajectory),
        "seconds": registration.trajectory[-1].seconds if registration.trajectory else 0.0,
        "notes": list(registration.notes),
        "frames": _FRAMES,
        "units": {"length": "mm", "angle": "degrees, radians in twists", "attenuation": "1/mm"},
        "settings": dict(settings)
        if isinstance(settings, Mapping)
        else {"kind": type(settings).__name__, **_fields(settings)},
        "inputs": [dict(entry) for entry in inputs],
        "versions": versions(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    if covariance is not None:
        terms = carm_covariance(carm, registration.world_from_camera, covariance, pivot)
        deviations = torch.diagonal(terms).clamp_min(0).sqrt().tolist()
        data["covariance"] = {
            "twist": covariance.tolist(),
            "scale": None if registration.scale is None else registration.scale.tolist(),
            "pivot_mm": pivot.tolist(),
            "order": "omega x y z (rad), v x y z (mm), world axes, left, about the pivot",
            "standard_deviation": dict(zip(_DEVIATIONS, deviations, strict=True)),
            "caution": None if registration else CAUTION,
        }
    made: dict[str, Any] = plain(data | dict(extra or {}))
    return made


def _numbered(view: int | None) -> int | None:
    """As people count."""
    return None if view is None else view + 1


_DEVIATIONS = ("primary_deg", "secondary_deg", "roll_deg", "x_mm", "y_mm", "depth_mm")


def write_result(path: Path | str, data: Mapping[str, Any]) -> None:
    """Write what `result_to_json` made.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")


def read_result(path: Path | str) -> SavedRegistration:
    """Read a result file of this or an earlier version.

    Raises
    ------
    ReadError
        If the file is absent, not JSON, of another schema or a later version, or an entry is
        missing or damaged.
    """
    data = read_json(path)
    file = ResultFile.read(data, Path(path).name)
    return SavedRegistration(
        file.pose.world_from_camera,
        file.start.world_from_camera,
        file.geometry,
        file.status.name,
        torch.tensor(file.pose.carm.isocenter, dtype=torch.float64),
        None if file.covariance is None else file.covariance.twist,
        None if file.covariance is None else file.covariance.scale,
        file.losses,
        file.simulated,
        data,
    )


def describe_input(path: Path | str, role: str) -> dict[str, Any]:
    """Role, name, size and SHA-256 of a file.

    Of a folder, and of a file that stands for several (a slice of a CT, a header beside its
    voxels), over the names and contents of all.

    Raises
    ------
    ReadError
        If it is neither a file nor a folder.
    """
    path = Path(path)
    files: Sequence[Path] = (
        sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else input_files(path)
    )
    folder = path if path.is_dir() else path.parent
    digest, size = hashlib.sha256(), 0
    for file in files:
        if list(files) != [path]:
            digest.update(Path(os.path.relpath(file, folder)).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
                size += len(block)
    return {"role": role, "path": str(path), "bytes": size, "sha256": digest.hexdigest()}


def versions() -> dict[str, str]:
    """Of this program and of what it computes with."""
    found = {"napari-xreg": napari_xreg.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # another flavour of OpenCV, for one
            found[name] = "not installed under this name"
    return found | {"platform": platform.platform()}


def _pose_entry(pose: Pose, carm: CArm, pivot: Float[Tensor, "3"]) -> dict[str, Any]:
    pose = pose.to(dtype=torch.float64)
    return {
        "world_from_camera": in_rows(pose),
        "camera_from_world": in_rows(pose.inverse()),
        "carm": carm_pose_to_json(carm.carm_pose(pose, pivot)),
    }


def _fields(settings: object) -> dict[str, Any]:
    """Its fields where it has some, but for pictures: a test may give anything."""
    if not dataclasses.is_dataclass(settings):
        return {}
    shown = (field.name for field in dataclasses.fields(settings) if field.repr)
    return {name: plain(getattr(settings, name)) for name in shown}
