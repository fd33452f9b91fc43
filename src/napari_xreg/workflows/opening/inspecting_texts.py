"""Texts that belong to a radiograph or a label map: calibrations, poses, names of labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from napari_xreg.files import ReadError, read_text
from napari_xreg.images import (
    FrameUnknown,
    has_letter,
    is_calibration,
    is_jointtrack,
    jointtrack_record,
    read_calibration,
    read_label_names,
)
from napari_xreg.records import is_pose_text, read_pose

TextKind = Literal["calibration", "pose", "label names"]

_CALIBRATIONS = (".txt", ".csv", ".yaml", ".yml")
_POSES = (".txt", ".tfm")
_NAMES = (".txt", ".label", ".ctbl", ".tsv")
_LIMIT = 2**20
"""Bytes; none of these is larger."""


def text_kind(path: Path) -> TextKind | None:
    """What a text is, by its ending and a look at it; None: none of these."""
    suffix = path.suffix.lower()
    if suffix not in {*_CALIBRATIONS, *_POSES, *_NAMES} or not path.is_file():
        return None
    try:
        text = read_text(path, limit=_LIMIT, legacy=True)
    except ReadError:
        return None
    if suffix in _CALIBRATIONS and (is_calibration(text) or is_jointtrack(text)):
        return "calibration"
    if suffix in _POSES and is_pose_text(text):
        return "pose"
    if suffix in _NAMES:
        try:
            names = read_label_names(path)
        except ReadError:
            return None
        return "label names" if suffix != ".txt" or _as_of_labels(names) else None
    return None


def _as_of_labels(names: Mapping[int, str]) -> bool:
    """Whether lines of a number and words name labels: those of a log repeat the words, a lone one counts something.

    A name begins with a word: after the number of a point come its coordinates.
    """
    different = len(set(names.values())) == len(names)
    return (
        different
        and (len(names) > 1 or 1 in names)
        and all(has_letter(name.split()[0]) for name in names.values())
    )


def text_entry(path: Path, kind: str) -> dict[str, Any]:
    """What it says, as plain values.

    Raises
    ------
    ReadError
        If it is damaged.
    """
    if kind == "calibration":
        return _calibration_entry(path)
    if kind == "label names":
        names = read_label_names(path)
        return {"kind": "names of labels", "labels": {str(i): names[i] for i in sorted(names)}}
    try:
        pose = read_pose(path)
    except FrameUnknown as unknown:
        return {"kind": "pose in an unknown frame", "warning": str(unknown)}
    return {"kind": "pose", "world_from_camera": pose.matrix().tolist()}


def _calibration_entry(path: Path) -> dict[str, Any]:
    text = read_text(path, legacy=True)
    if is_jointtrack(text):
        known = jointtrack_record(text, path.name, None).known()
        return {"kind": "calibration of an X-ray camera", "version": "JointTrack", **known}
    camera = read_calibration(path)
    (focal_x, _, column), (_, focal_y, row), _ = camera.camera_matrix
    axes, where = camera.rotation, camera.translation_mm
    return {
        "kind": "calibration of an X-ray camera",
        "version": camera.layout,
        "image_size": f"{camera.pixels[0]} and {camera.pixels[1]} pixels",
        "focal_length_row_column_px": [focal_y, focal_x],
        "principal_point_row_column_px": [row, column],
        # x_camera = R x + t: the source is where x_camera is 0.
        "source_in_calibration_mm": [
            -sum(axes[i][j] * where[i] for i in range(3)) for j in range(3)
        ],
        "lengths": "taken for cm" if camera.in_cm else "mm",
    }
