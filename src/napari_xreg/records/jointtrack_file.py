"""Poses as JointTrack keeps them (``.jts``, ``.jtk``): six numbers for each frame, of one bone.

Its source is the origin, x goes to the right of the picture, y up and z towards the viewer, so that bones lie at negative z;
a rotation is a turn about z, then x, then y, each about the axes as turned so far, in degrees.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from napari_xreg.files import ReadError, number, read_text, written
from napari_xreg.geometry import Pose, euler_from_matrix, matrix_from_euler

_HEADS = {".jts": "JT_EULER_312", ".jtk": "JTA_EULER_KINEMATICS"}
JOINTTRACK_ENDINGS = tuple(_HEADS)
_TITLE = "x_tran,y_tran,z_tran,z_rot,x_rot,y_rot"
_NONE = "NOT_OPTIMIZED"
_ORDER = "ZXY"


def read_jointtrack(path: Path | str) -> list[Pose | None]:
    """The pose of a bone in each frame; None where it was not found.

    Returns
    -------
    list
        Frame by frame ``viewer_from_body``: JointTrack's camera (see above) from the axes of the bone's mesh; mm.

    Raises
    ------
    ReadError
        If it is no such file, or a line holds no pose.
    """
    path = Path(path)
    lines = [line.strip() for line in read_text(path).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines or lines[0] not in _HEADS.values():
        raise ReadError(
            f"{path.name}: its first line should be {' or '.join(_HEADS.values())}: it holds no poses of JointTrack"
        )
    return [_pose(path, at, line) for at, line in enumerate(lines[2:], start=3)]


def write_jointtrack(path: Path | str, frames: Sequence[Pose | None]) -> None:
    """Write poses as `read_jointtrack` gives them.

    Parameters
    ----------
    path
        Its ending, ``.jts`` or ``.jtk``, says which of the two first lines it has.
    frames
        ``viewer_from_body``, mm; None: not found.

    Raises
    ------
    ValueError
        If it has another ending.
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    path = Path(path)
    head = _HEADS.get(path.suffix.lower())
    if head is None:
        raise ValueError(f"{path.name}: poses of JointTrack are written as {' or '.join(_HEADS)}")
    lines = [head, _TITLE, *(_NONE if pose is None else _line(pose) for pose in frames)]
    with written(path) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def viewer_from_camera() -> Pose:
    """JointTrack's camera from ours, which looks along z with y down: half a turn about x.

    Of a picture that is not mirrored. A mirrored one is to be shown to JointTrack with its columns the other way round, where
    x goes with them: the pose is the same.
    """
    return Pose(torch.diag(torch.tensor([1.0, -1.0, -1.0]).double()), torch.zeros(3).double())


def _line(pose: Pose) -> str:
    turns = torch.rad2deg(euler_from_matrix(pose.rotation.double(), _ORDER))
    return ",".join(f"{value:.9g}" for value in (*pose.translation.tolist(), *turns.tolist()))


def _pose(path: Path, at: int, line: str) -> Pose | None:
    if line.upper().startswith(_NONE):
        return None
    parts = [part for part in line.replace("\t", ",").split(",") if part.strip()]
    try:
        values = [number(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != len(_TITLE.split(",")):
        raise ReadError(
            f"{path.name}: line {at} should be x, y, z in mm and the turns about z, x and y in degrees, or {_NONE}: got {line!r}"
        )
    numbers = torch.tensor(values, dtype=torch.float64)
    return Pose(matrix_from_euler(torch.deg2rad(numbers[3:]), _ORDER), numbers[:3])
