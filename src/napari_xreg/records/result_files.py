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
from napari_xreg.files import ReadError, is_number, plain, read_json, with_schema, written
from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images.input_files import input_files
from napari_xreg.records.pose_files import four_by_four
from napari_xreg.records.schemas import RESULT, VERSIONS
from napari_xreg.registration.refinement.confidence import carm_covariance
from napari_xreg.registration.refinement.result import Registration, Status
from napari_xreg.registration.refinement.views import View

_FRAMES = {
    "world": "patient axes LPS (x to the left, y to the back, z to the head), mm",
    "camera": "origin at the X-ray source; z from source to detector, y along the rows (down), x = y x z",
    "pixel": "(row, column); an integer is the centre of a pixel",
    "world_from_camera": "maps camera mm to world mm; the 4 x 4 matrix acts on columns",
    "twist": "(omega, v), rad and mm, world axes: T <- exp(twist about the pivot) T",
    "carm": "translate(isocenter) R(primary, secondary, roll) translate(offset - z source_to_isocenter)",
}
_PACKAGES = ("torch", "numpy", "scipy", "numba", "opencv-python", "SimpleITK", "nibabel", "pydicom")


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
    pivot, covariance
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
        `RefineSettings` or `AdamSettings`; every field is written.
    inputs
        What `describe_input` says of each file.
    extra
        More top-level entries (`truth`, `landmarks`).
    """
    first, carm, pivot = views[0], views[0].radiograph.carm, registration.pivot
    covariance = registration.covariance
    data: dict[str, Any] = {
        "schema": RESULT,
        "version": VERSIONS[RESULT],
        "simulated": registration.simulated,
        "status": {
            "name": registration.status.name,
            "message": registration.status.value,
            "trusted": bool(registration),
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
            }
            for view, pose in zip(views, registration.views, strict=True)
        ],
        "candidates": [
            {
                "start": candidate.start,
                "level": candidate.level,
                "loss": candidate.loss,
                "initial": _matrix(candidate.initial),
                "final": _matrix(candidate.final),
            }
            for candidate in registration.candidates
        ],
        "iterations": len(registration.trajectory),
        "seconds": registration.trajectory[-1].seconds if registration.trajectory else 0.0,
        "notes": list(registration.notes),
        "frames": _FRAMES,
        "units": {"length": "mm", "angle": "degrees, radians in twists", "attenuation": "1/mm"},
        "settings": {"kind": type(settings).__name__, **_fields(settings)},
        "inputs": [dict(entry) for entry in inputs],
        "versions": versions(),
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    if covariance is not None:
        terms = carm_covariance(carm, registration.world_from_camera, covariance, pivot)
        deviations = torch.diagonal(terms).clamp_min(0).sqrt().tolist()
        data["covariance"] = {
            "twist": covariance.tolist(),
            "pivot_mm": pivot.tolist(),
            "order": "omega x y z (rad), v x y z (mm), world axes, left, about the pivot",
            "standard_deviation": dict(zip(_DEVIATIONS, deviations, strict=True)),
        }
    made: dict[str, Any] = plain(data | dict(extra or {}))
    return made


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
    name = Path(path).name
    data = with_schema(read_json(path), name, {RESULT: VERSIONS[RESULT]})
    try:
        covariance = data["covariance"]
        twist = None if covariance is None else _numbers(covariance["twist"], (6, 6))
        return SavedRegistration(
            _read_matrix(name, data["pose"]),
            _read_matrix(name, data["start"]),
            carm_from_json(data["geometry"]),
            Status[data["status"]["name"]],
            _numbers(data["pose"]["carm"]["isocenter_mm"], (3,)),
            twist,
            {
                str(term): float("nan") if value is None else _number(value)
                for term, value in data["losses"].items()
            },
            _flag(data["simulated"]),
            data,
        )
    except ReadError:
        raise
    except KeyError as error:
        raise ReadError(f"{name}: the entry {error} is missing or unknown") from error
    except (TypeError, ValueError, AttributeError, IndexError) as error:
        raise ReadError(f"{name}: an entry is damaged: {error}") from error


def _read_matrix(name: str, entry: Mapping[str, Any]) -> Pose:
    matrix = four_by_four(name, entry["world_from_camera"], "world_from_camera")
    return Pose.from_matrix(torch.from_numpy(matrix))


def _number(value: object) -> float:
    if not is_number(value):
        raise ValueError(f"expected a number: got {value!r}")
    return float(value)  # type: ignore[arg-type]


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number: got {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false: got {value!r}")
    return value


def _numbers(value: object, shape: tuple[int, ...]) -> Float[Tensor, "..."]:
    """A list of numbers, or a list of such lists."""
    rows = value if isinstance(value, list) else []
    if len(shape) == 2:
        flat = [number for row in rows if isinstance(row, list) for number in row]
        whole = len(rows) == shape[0] and all(
            isinstance(row, list) and len(row) == shape[1] for row in rows
        )
    else:
        flat, whole = rows, len(rows) == shape[0]
    if not whole:
        raise ValueError(f"expected {' x '.join(map(str, shape))} numbers: got {value!r}")
    return torch.tensor([_number(each) for each in flat], dtype=torch.float64).reshape(shape)


def carm_to_json(carm: CArm) -> dict[str, Any]:
    """Distances, pixel grid and K of a C-arm; `carm_from_json` reads it back."""
    detector = carm.detector
    k = carm.camera_matrix()
    positive = k.clone()
    positive[0, 0] = positive[0, 0].abs()
    return {
        "source_to_detector_mm": carm.source_to_detector,
        "source_to_isocenter_mm": carm.source_to_isocenter,
        "rows": detector.shape[0],
        "columns": detector.shape[1],
        "pixel_spacing_mm": list(detector.spacing),
        "principal_point_px": list(detector.center),
        "mirrored": detector.mirrored,
        "field_diameter_mm": detector.field_diameter,
        "K": k.tolist(),
        "K_of": "(column, row, 1) of the stored image; fx < 0 where mirrored",
        "K_opencv": positive.tolist(),
        "K_opencv_of": "the unmirrored image: u = 2 c_column - column where mirrored",
    }


def carm_from_json(data: Mapping[str, Any]) -> CArm:
    """The C-arm of `carm_to_json`.

    Raises
    ------
    KeyError, ValueError
        If an entry is missing, or of another kind or size than it should be.
    """
    diameter = data["field_diameter_mm"]
    row_spacing, column_spacing = _numbers(data["pixel_spacing_mm"], (2,)).tolist()
    row, column = _numbers(data["principal_point_px"], (2,)).tolist()
    detector = Detector(
        (_whole(data["rows"]), _whole(data["columns"])),
        (row_spacing, column_spacing),
        (row, column),
        _flag(data["mirrored"]),
        None if diameter is None else _number(diameter),
    )
    distances = (data["source_to_detector_mm"], data["source_to_isocenter_mm"])
    return CArm(_number(distances[0]), _number(distances[1]), detector)


def carm_pose_to_json(pose: CArmPose) -> dict[str, Any]:
    """C-arm angles and offsets with their units in the names."""
    return {
        "primary_deg": pose.primary_deg,
        "secondary_deg": pose.secondary_deg,
        "roll_deg": pose.roll_deg,
        "offset_mm": list(pose.offset_mm),
        "isocenter_mm": list(pose.isocenter),
    }


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
        "world_from_camera": _matrix(pose),
        "camera_from_world": _matrix(pose.inverse()),
        "carm": carm_pose_to_json(carm.carm_pose(pose, pivot)),
    }


def _fields(settings: object) -> dict[str, Any]:
    """Its fields where it has some: a test may give anything."""
    return plain(settings) if dataclasses.is_dataclass(settings) else {}


def _matrix(pose: Pose) -> list[list[float]]:
    matrix: list[list[float]] = pose.matrix().detach().cpu().double().tolist()
    return matrix
