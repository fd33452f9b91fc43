"""The values of a session as plain JSON, and back: poses, masks, landmarks, registrations.

Reading raises KeyError, TypeError or ValueError on what is damaged; `session_file` makes one
sentence of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import (
    GeometryRecord,
    Landmark,
    Radiograph,
    geometry_from_json,
    geometry_to_json,
    operation_from_json,
    operation_to_json,
)
from napari_xreg.records import carm_from_json, carm_pose_to_json, carm_to_json, pose_of_matrix
from napari_xreg.registration import Candidate, Iterate, Registration, Status
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseRecord
from napari_xreg.session.result import Result
from napari_xreg.session.source import Source

Json = dict[str, Any]


def pose_to_json(pose: Pose) -> list[list[float]]:
    """The 4 x 4 matrix ``world_from_camera``, row by row."""
    rows: list[list[float]] = pose.matrix().detach().cpu().double().tolist()
    return rows


def pose_from_json(rows: Any) -> Pose:
    """What `pose_to_json` made; a matrix that is no rigid motion is refused."""
    matrix = torch.tensor(rows, dtype=torch.float64)
    if tuple(matrix.shape) != (4, 4):
        raise ValueError(f"a pose is four rows of four numbers: got shape {tuple(matrix.shape)}")
    return pose_of_matrix(matrix, "world_from_camera")


def record_to_json(record: PoseRecord) -> Json:
    poses = {name: pose_to_json(pose) for name, pose in record.poses.items()}
    return {"why": record.why, "poses": poses}


def record_from_json(data: Mapping[str, Any]) -> PoseRecord:
    poses = {_text(name): pose_from_json(rows) for name, rows in data["poses"].items()}
    return PoseRecord(poses, _text(data["why"]))


def mask_to_json(mask: Bool[Tensor, "rows columns"]) -> Json:
    """Lengths of runs of equal pixels, row by row; the first run is of True (it may be empty)."""
    flat = mask.detach().cpu().flatten()
    edges = (flat[1:] != flat[:-1]).nonzero().flatten() + 1
    ends = torch.cat([edges.new_zeros(1), edges, edges.new_tensor([len(flat)])])
    runs: list[int] = ends.diff().tolist()
    rows, columns = mask.shape
    return {"rows": rows, "columns": columns, "runs": runs if bool(flat[0]) else [0, *runs]}


def mask_from_json(data: Mapping[str, Any]) -> Bool[Tensor, "rows columns"]:
    """What `mask_to_json` made."""
    rows, columns, runs = int(data["rows"]), int(data["columns"]), data["runs"]
    lengths = torch.tensor(runs, dtype=torch.int64)
    if lengths.ndim != 1 or bool((lengths < 0).any()) or int(lengths.sum()) != rows * columns:
        raise ValueError(f"the runs of a mask must add up to its {rows} x {columns} pixels")
    values = torch.arange(len(lengths)) % 2 == 0
    return values.repeat_interleave(lengths).reshape(rows, columns)


def landmark_to_json(mark: Landmark) -> Json:
    data: Json = {"name": mark.name}
    if mark.position is not None:
        data["position_mm"] = list(mark.position)
    if mark.pixel is not None:
        data["pixel_row_column"] = list(mark.pixel)
    if not mark.visible:
        data["visible"] = False
    if mark.covariance is not None:
        data["covariance_px2"] = list(mark.covariance)
    return data


def landmark_from_json(data: Mapping[str, Any]) -> Landmark:
    position, pixel = data.get("position_mm"), data.get("pixel_row_column")
    covariance = data.get("covariance_px2")
    return Landmark(
        _text(data["name"]),
        None if position is None else _three(position),
        None if pixel is None else _two(pixel),
        bool(data.get("visible", True)),
        None if covariance is None else _three(covariance),
    )


def source_to_json(source: Source | None, relative: str | None) -> Json | None:
    if source is None:
        return None
    return {
        "path": source.path,
        "relative": relative,
        "built_in": source.built_in,
        "options": dict(source.options),
        "sha256": source.sha256,
    }


def source_from_json(data: Mapping[str, Any]) -> Source:
    options = data.get("options") or {}
    if not isinstance(options, Mapping):
        raise TypeError(f"the options of a source are a JSON object: got {options!r}")
    return Source(
        _text(data["path"]), bool(data.get("built_in")), options, _text(data.get("sha256") or "")
    )


def exposure_to_json(entry: Exposure) -> Json:
    """All that the session says about a radiograph but its pixels; `source` is added by the file."""
    radiograph, nominal = entry.radiograph, entry.radiograph.nominal
    truth, record = entry.truth, entry.radiograph.geometry
    return {
        "name": entry.name,
        "id": entry.id,
        "used": entry.used,
        "world_from_camera": pose_to_json(entry.world_from_camera),
        "start": pose_to_json(entry.start),
        "truth": None if truth is None else pose_to_json(truth),
        "geometry": carm_to_json(radiograph.carm),
        "geometry_said": None if record is None else _record_to_json(record),
        "nominal": None if nominal is None else carm_pose_to_json(nominal),
        "simulated": radiograph.simulated,
        "read_as": radiograph.read_as,
        "photometric": radiograph.photometric,
        "i0": radiograph.i0,
        "from": radiograph.source,
        "operations": [operation_to_json(done) for done in radiograph.operations],
        "notes": list(radiograph.notes),
        "painted": None if entry.painted is None else mask_to_json(entry.painted),
        "landmarks": [landmark_to_json(mark) for mark in entry.landmarks],
        "left_out": list(entry.left_out),
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
    carm = carm_from_json(data["geometry"])
    painted = None if data["painted"] is None else mask_from_json(data["painted"])
    marks = tuple(landmark_from_json(mark) for mark in data["landmarks"])
    shape, problem = radiograph.carm.detector.shape, ""
    if carm.detector.shape == shape:
        radiograph = _described(radiograph, data, carm_pose_from_json(data["nominal"]))
        radiograph = replace(radiograph, carm=carm)
    else:
        painted, marks = None, ()
        was, now = (f"{rows} x {columns}" for rows, columns in (carm.detector.shape, shape))
        problem = (
            f"{data['name']}: the image has {now} pixels now, and had {was} when the session was "
            "saved: its geometry is taken from the file, what was painted and picked is left out"
        )
    truth = data.get("truth")
    exposure = Exposure(
        _text(data["name"]),
        radiograph,
        pose_from_json(data["world_from_camera"]),
        pose_from_json(data["start"]),
        used=bool(data["used"]),
        painted=painted,
        landmarks=marks,
        left_out=tuple(_text(name) for name in data.get("left_out", ())),
        source=source,
        truth=None if truth is None else pose_from_json(truth),
    )
    if data.get("id"):  # files of before have none
        exposure = replace(exposure, id=_text(data["id"]))
    return exposure, problem


def carm_pose_from_json(data: Mapping[str, Any] | None) -> CArmPose | None:
    """What `carm_pose_to_json` made."""
    if data is None:
        return None
    return CArmPose(
        float(data["primary_deg"]),
        float(data["secondary_deg"]),
        float(data["roll_deg"]),
        _three(data["offset_mm"]),
        _three(data["isocenter_mm"]),
    )


def result_to_json(result: Result) -> Json:
    """A registration with its trajectory, without images; not finite numbers become null."""
    found = result.registration
    covariance = found.covariance
    return {
        "name": result.name,
        "radiographs": list(result.radiographs),
        "settings": dict(result.settings),
        "status": found.status.name,
        "world_from_camera": pose_to_json(found.world_from_camera),
        "views": [pose_to_json(pose) for pose in found.views],
        "losses": dict(found.losses),
        "pivot_mm": found.pivot.tolist(),
        "covariance": None if covariance is None else covariance.tolist(),
        "candidates": [
            {
                "start": candidate.start,
                "initial": pose_to_json(candidate.initial),
                "final": pose_to_json(candidate.final),
                "level": candidate.level,
                "loss": candidate.loss,
            }
            for candidate in found.candidates
        ],
        "simulated": found.simulated,
        "notes": list(found.notes),
        "trajectory": [
            {
                "index": iterate.index,
                "start": iterate.start,
                "level": iterate.level,
                "world_from_camera": pose_to_json(iterate.world_from_camera),
                "losses": dict(iterate.losses),
                "accepted": iterate.accepted,
                "damping": iterate.damping,
                "step": iterate.step,
                "seconds": iterate.seconds,
            }
            for iterate in found.trajectory
        ],
    }


def result_from_json(data: Mapping[str, Any]) -> Result:
    """What `result_to_json` made."""
    covariance = data["covariance"]
    registration = Registration(
        pose_from_json(data["world_from_camera"]),
        Status[data["status"]],
        _losses(data["losses"]),
        tuple(_iterate(entry) for entry in data["trajectory"]),
        _tensor(data["pivot_mm"], (3,)),
        None if covariance is None else _tensor(covariance, (6, 6)),
        tuple(pose_from_json(rows) for rows in data["views"]),
        tuple(
            Candidate(
                int(entry["start"]),
                pose_from_json(entry["initial"]),
                pose_from_json(entry["final"]),
                int(entry["level"]),
                _number(entry["loss"]),
            )
            for entry in data["candidates"]
        ),
        bool(data["simulated"]),
        tuple(_text(note) for note in data["notes"]),
    )
    names = tuple(_text(name) for name in data["radiographs"])
    return Result(_text(data["name"]), names, registration, dict(data["settings"]))


def _iterate(data: Mapping[str, Any]) -> Iterate:
    return Iterate(
        int(data["index"]),
        int(data["start"]),
        int(data["level"]),
        pose_from_json(data["world_from_camera"]),
        _losses(data["losses"]),
        bool(data["accepted"]),
        _number(data["damping"]),
        _number(data["step"]),
        _number(data["seconds"]),
    )


def _described(
    radiograph: Radiograph, data: Mapping[str, Any], nominal: CArmPose | None
) -> Radiograph:
    """What a reader cannot know, or an .npz does not keep: how the image came about."""
    said, i0 = data["geometry_said"], data["i0"]
    return replace(
        radiograph,
        nominal=nominal,
        simulated=bool(data["simulated"]),
        read_as="intensity" if data["read_as"] == "intensity" else "line_integral",
        photometric=None if data["photometric"] is None else _text(data["photometric"]),
        i0=None if i0 is None else float(i0),
        source=_text(data["from"]),
        operations=tuple(operation_from_json(done) for done in data["operations"]),
        notes=tuple(_text(line) for line in data["notes"]),
        geometry=None if said is None else _record_from_json(said),
    )


def _record_to_json(record: GeometryRecord) -> Json:
    return {
        "values": geometry_to_json(record),
        "provenance": dict(record.provenance),
        "problems": dict(record.problems),
        "notes": list(record.notes),
    }


def _record_from_json(data: Mapping[str, Any]) -> GeometryRecord:
    return replace(
        geometry_from_json(data["values"], "the session's geometry"),
        provenance=dict(data["provenance"]),
        problems=dict(data["problems"]),
        notes=tuple(_text(note) for note in data["notes"]),
    )


def _losses(data: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(value) for name, value in data.items()}


def _number(value: Any) -> float:
    """JSON has no NaN: it was written as null."""
    return float("nan") if value is None else float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text: got {value!r}")
    return value


def _tensor(value: Any, shape: tuple[int, ...]) -> Tensor:
    tensor = torch.tensor(value, dtype=torch.float64)
    if tuple(tensor.shape) != shape:
        raise ValueError(f"expected numbers of shape {shape}: got {tuple(tensor.shape)}")
    return tensor


def _two(values: Sequence[Any]) -> tuple[float, float]:
    a, b = (float(value) for value in values)
    return a, b


def _three(values: Sequence[Any]) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c
