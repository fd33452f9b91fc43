"""Poses in files: our JSON, ITK transforms, and plain 4 x 4 matrices with their frame named."""

import json
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch

from napari_xreg.geometry import Pose
from napari_xreg.geometry.frames import lps_from_ras
from napari_xreg.images import ReadError

PoseFrame = Literal[
    "world_from_camera", "camera_from_world", "opencv", "ras_from_camera", "camera_from_ras"
]
"""What a 4 x 4 matrix maps. World is patient LPS mm, camera as in `CArm`; ``opencv`` is
``camera_from_world`` (of the unmirrored image), as cv2.solvePnP gives it; ``ras`` is the world of
NIfTI and 3D Slicer."""

SCHEMA = "napari-xreg/pose"
VERSION = 1

# Where the poses of other files of ours stand.
_HOLDERS = {
    SCHEMA: ("world_from_camera",),
    "napari-xreg/registration": ("pose", "world_from_camera"),
    "napari-xreg/simulated-truth": ("world_from_camera",),
}
_FRAME_MARK = "napari-xreg/pose version"


def write_pose(path: Path | str, world_from_camera: Pose) -> None:
    """Write one pose; the ending chooses: ``.json``, ``.tfm`` (ITK) or ``.txt`` (4 x 4).

    The transform and the matrix map camera coordinates to patient LPS mm; a comment in the file
    says so, and `read_pose` reads it back without being told the frame.

    Raises
    ------
    ValueError
        If the ending is another, or there is more than one pose.
    """
    path = Path(path)
    if world_from_camera.batch_shape != ():
        raise ValueError(f"one pose a file: got a batch {world_from_camera.batch_shape}")
    matrix = world_from_camera.matrix().detach().cpu().double().numpy()
    mark = f"{_FRAME_MARK} {VERSION}: world_from_camera, patient LPS mm from camera mm"
    suffix = path.suffix.lower()
    if suffix == ".json":
        path.write_text(pose_text(world_from_camera), encoding="utf-8")
    elif suffix == ".txt":
        rows = [" ".join(repr(float(v)) for v in row) for row in matrix]
        path.write_text("\n".join([f"# {mark}", *rows]) + "\n", encoding="utf-8")
    elif suffix == ".tfm":
        # Affine, because its twelve numbers are the matrix itself, and every ITK program reads it.
        numbers = [*matrix[:3, :3].ravel(), *matrix[:3, 3]]
        lines = [
            "#Insight Transform File V1.0",
            f"# {mark}",
            "#Transform 0",
            "Transform: AffineTransform_double_3_3",
            "Parameters: " + " ".join(repr(float(v)) for v in numbers),
            "FixedParameters: 0 0 0",
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        raise ValueError(f"a pose is written as .json, .tfm or .txt: got {path.name}")


def pose_text(world_from_camera: Pose) -> str:
    """One pose as the text of our JSON: for a clipboard."""
    matrix = world_from_camera.matrix().detach().cpu().double()
    data = {"schema": SCHEMA, "version": VERSION, "world_from_camera": matrix.tolist()}
    return json.dumps(data, indent=2) + "\n"


def pose_of_text(text: str, *, called: str = "the clipboard") -> Pose:
    """``world_from_camera`` of the text of our JSON (a pose, a registration, a simulated truth).

    Raises
    ------
    ReadError
        If it is not one, in a sentence about what it is `called`.
    """
    try:
        return Pose.from_matrix(torch.from_numpy(_from_json(Path(called), text)))
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"{called}: {error}") from error


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
        If the file is not one of these, its matrix is not a rigid motion, or its frame is unknown.
    """
    path = Path(path)
    try:
        text = "" if path.suffix.lower() == ".h5" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ReadError(
            f"{path.name}: is not a text file; a pose is read from .json, .tfm, .h5 or .txt"
        ) from error
    stated: PoseFrame | None = None
    if path.suffix.lower() == ".json":
        matrix, stated = _from_json(path, text), "world_from_camera"
    elif text.startswith("#Insight Transform") or path.suffix.lower() in (".tfm", ".h5"):
        matrix = _from_itk(path)
        stated = _stated_frame(text)
    else:
        matrix = _from_text(path, text)
        stated = _stated_frame(text)
    if frame is None and stated is None:
        raise ReadError(
            f"{path.name}: does not say what its matrix maps; name it: --pose-frame "
            + " | ".join(get_args(PoseFrame))
        )
    if frame is not None and stated is not None and frame != stated:
        raise ReadError(f"{path.name}: says that it is {stated}, not {frame}: leave the frame out")
    try:
        return pose_of_matrix(torch.from_numpy(matrix), frame or stated or "world_from_camera")
    except ValueError as error:
        raise ReadError(f"{path.name}: {error}") from error


def pose_of_matrix(matrix: torch.Tensor, frame: PoseFrame) -> Pose:
    """``world_from_camera`` of a 4 x 4 matrix in a named frame.

    Raises
    ------
    ValueError
        If the frame is unknown or the matrix is not a rigid motion.
    """
    if frame not in get_args(PoseFrame):
        raise ValueError(f"the frame of a pose is one of {', '.join(get_args(PoseFrame))}")
    pose = Pose.from_matrix(matrix.double())
    if frame == "world_from_camera":
        return pose
    if frame in ("camera_from_world", "opencv"):
        return pose.inverse()
    ras_from_camera = pose if frame == "ras_from_camera" else pose.inverse()
    return Pose.from_matrix(lps_from_ras(ras_from_camera.matrix()))


def read_json(path: Path | str) -> dict[str, Any]:
    """A JSON object of one of our schemas, its version checked.

    Raises
    ------
    ReadError
        If it is absent, not JSON, without a schema of ours, or of a later version.
    """
    path = Path(path)
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be opened ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ReadError(f"{path.name}: is not a text file") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ReadError(f"{path.name}: is not valid JSON ({error})") from error
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema not in _HOLDERS:
        raise ReadError(
            f'{path.name}: expected a JSON object whose "schema" is one of '
            f"{', '.join(_HOLDERS)}: got {schema!r}"
        )
    version = data.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise ReadError(
            f"{path.name}: has version {version!r} of {schema}, this program reads versions 1 to "
            f"{VERSION}: update napari-xreg"
        )
    result: dict[str, Any] = data
    return result


def _from_json(path: Path, text: str) -> npt.NDArray[np.float64]:
    value: Any = _parsed(path, text)
    keys = _HOLDERS[value["schema"]]
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return _four_by_four(path, value, ".".join(keys))


def _from_itk(path: Path) -> npt.NDArray[np.float64]:
    try:
        transform = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        raise ReadError(f"{path.name}: ITK cannot read it as a transform") from error
    if not transform.IsLinear() or transform.GetDimension() != 3:
        raise ReadError(
            f"{path.name}: expected a rigid 3D transform: got {transform.GetName()} in "
            f"{transform.GetDimension()} dimensions"
        )
    # Any linear transform is known by where it puts the origin and the axes.
    origin = np.asarray(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.asarray(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3)]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(axes, 1), origin
    return matrix


def _from_text(path: Path, text: str) -> npt.NDArray[np.float64]:
    rows = [line.split("#")[0].replace(",", " ").split() for line in text.splitlines()]
    return _four_by_four(path, [row for row in rows if row], "text")


def _four_by_four(path: Path, value: object, where: str) -> npt.NDArray[np.float64]:
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (4, 4):
        raise ReadError(f"{path.name}: {where} is not four rows of four numbers")
    return matrix


def _stated_frame(text: str) -> PoseFrame | None:
    """The frame that a comment of ours states."""
    for line in text.splitlines():
        if line.startswith("#") and _FRAME_MARK in line:
            name = line.split(":", 1)[1].split(",")[0].strip()
            for frame in get_args(PoseFrame):
                if name == frame:
                    known: PoseFrame = frame
                    return known
    return None
