"""Poses in files: our JSON, ITK transforms, and plain 4 x 4 matrices with their frame named."""

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from napari_xreg.files import (
    POSE,
    RESULT,
    TRUTH,
    VERSIONS,
    ReadError,
    Record,
    json_of_text,
    number,
    read_bytes,
    read_text,
    with_schema,
    written,
)
from napari_xreg.geometry import Pose
from napari_xreg.images import FrameUnknown
from napari_xreg.records.entries import FOUR_BY_FOUR, Matrix
from napari_xreg.records.itk_transform import itk_text, matrix_of_itk
from napari_xreg.records.pose_frames import (
    POSE_FRAMES,
    PoseFrame,
    matrix_of_pose,
    pose_of_matrix,
)

_MARK = re.compile(r"# *napari-xreg/pose version (\d{1,9}): (\w+)")


class PoseFile(Record):
    """One pose: where the X-ray source stands and looks, in the patient."""

    SCHEMA = POSE
    world_from_camera: Matrix


def write_pose(
    path: Path | str, world_from_camera: Pose, *, frame: PoseFrame = "world_from_camera"
) -> None:
    """Write one pose; the ending chooses: ``.json``, ``.tfm`` (ITK) or ``.txt`` (4 x 4).

    Parameters
    ----------
    frame
        What the transform or matrix maps (`PoseFrame`). A comment in the file says so, and
        `read_pose` reads it back without being told. For 3D Slicer write a ``.tfm`` with
        ``frame="slicer"``: its transform node then takes camera coordinates to the patient.

    Raises
    ------
    ValueError
        If the ending is another, there is more than one pose, or JSON is asked for in another frame.
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    path = Path(path)
    if world_from_camera.batch_shape != ():
        raise ValueError(f"one pose a file: got a batch {world_from_camera.batch_shape}")
    matrix = matrix_of_pose(world_from_camera, frame).numpy()
    mark = f"{POSE} version {VERSIONS[POSE]}: {frame}, patient LPS mm and camera mm"
    suffix = path.suffix.lower()
    if suffix == ".json":
        if frame != "world_from_camera":
            raise ValueError("our JSON holds world_from_camera: write .tfm or .txt in other frames")
        text = pose_text(world_from_camera)
    elif suffix == ".txt":
        rows = [" ".join(repr(float(v)) for v in row) for row in matrix]
        text = "\n".join([f"# {mark}", *rows]) + "\n"
    elif suffix == ".tfm":
        text = itk_text(matrix, mark)
    else:
        raise ValueError(f"a pose is written as .json, .tfm or .txt: got {path.name}")
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")


def pose_text(world_from_camera: Pose) -> str:
    """One pose as the text of our JSON: for a clipboard."""
    data = PoseFile(world_from_camera=world_from_camera).as_json()
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def pose_of_text(text: str, *, called: str = "the clipboard") -> Pose:
    """``world_from_camera`` of the text of our JSON (a pose, a registration, a simulated truth).

    Raises
    ------
    ReadError
        If it is not one, in a sentence about what it is `called`.
    """
    data = with_schema(json_of_text(text, called), called, POSE, RESULT, TRUTH)
    if data["schema"] == RESULT:
        return PoseFile.of(data.get("pose"), f"{called}: pose").world_from_camera
    return PoseFile.of(data, called).world_from_camera


def read_pose(path: Path | str, *, frame: PoseFrame | None = None) -> Pose:
    """``world_from_camera`` of a file, float64.

    Parameters
    ----------
    path
        JSON of ours (a pose, a registration, a simulated truth), an ITK transform (``.tfm``,
        ``.h5``), or text of four rows of four numbers.
    frame
        What the transform or matrix maps. Needed unless the file says it, as ours do; then it must
        agree.

    Raises
    ------
    ReadError
        If the file is not one of these, is damaged or cut off, or its matrix is not a rigid motion.
    FrameUnknown
        If the file does not say what its matrix maps, and nobody else does.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".h5":
        read_bytes(path)  # refuses what is no file before ITK opens it
        return _in_frame(path.name, torch.from_numpy(matrix_of_itk(path, None)), None, frame)
    text = read_text(path)
    if suffix == ".json":
        matrix = pose_of_text(text, called=path.name).matrix()
        return _in_frame(path.name, matrix, "world_from_camera", frame)
    stated = _stated_frame(path.name, text)
    if text.startswith("#Insight Transform") or suffix == ".tfm":
        return _in_frame(path.name, torch.from_numpy(matrix_of_itk(path, text)), stated, frame)
    return _in_frame(path.name, _from_text(path.name, text), stated, frame)


def is_pose_text(text: str) -> bool:
    """Whether a text is a pose: an ITK transform, our comment, or four rows of four numbers."""
    if text.startswith("#Insight Transform") or any(map(_MARK.match, text.splitlines())):
        return True
    try:
        _from_text("", text)
    except ReadError:
        return False
    return True


def _in_frame(name: str, matrix: Tensor, stated: PoseFrame | None, given: PoseFrame | None) -> Pose:
    frame = given or stated
    if frame is None:
        raise FrameUnknown(
            f"{name}: does not say what its matrix maps; say which frame it is: "
            + ", ".join(POSE_FRAMES),
            POSE_FRAMES,
        )
    if stated is not None and frame != stated:
        raise ReadError(f"{name}: says that it is {stated}, not {frame}: leave the frame out")
    try:
        return pose_of_matrix(matrix, frame)
    except ValueError as error:
        raise ReadError(f"{name}: {error}") from error


def _from_text(name: str, text: str) -> Tensor:
    rows = [line.split("#")[0].replace(",", " ").split() for line in text.splitlines()]
    try:
        numbers = [[number(word) for word in row] for row in rows if row]
    except ValueError:
        numbers = []
    try:
        return FOUR_BY_FOUR(numbers).matrix()
    except ValueError as error:
        raise ReadError(f"{name}: {error}") from error


def _stated_frame(name: str, text: str) -> PoseFrame | None:
    """The frame that a comment of ours states.

    Raises
    ------
    ReadError
        If a later version of this program wrote the comment, or it names no frame.
    """
    for line in text.splitlines():
        marked = _MARK.match(line)
        if marked is None:
            continue
        with_schema({"schema": POSE, "version": int(marked[1])}, name, POSE)
        for frame in POSE_FRAMES:
            if marked[2] == frame:
                return frame
        raise ReadError(f"{name}: its first lines name a frame that is unknown: {marked[2]}")
    return None
