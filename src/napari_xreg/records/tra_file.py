"""Poses as Autoscoper keeps them (``.tra``): a line for each frame, all volumes side by side.

Nothing in such a file says whether its 4 x 4 matrices stand by rows or by columns, which unit its lengths
have, or that six numbers are x, y, z, yaw, pitch, roll: the first shows, the others are for who knows where
the volumes are seen.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import ReadError, number, read_text, written
from napari_xreg.geometry import Pose, matrix_from_euler

_MATRIX, _SIX = 16, 6
_TURN = 2 * math.pi


def read_tra(path: Path | str, volumes: int) -> list[list[Pose | None]]:
    """The pose of each volume in each frame; None where it was not tracked.

    Parameters
    ----------
    path
        The file.
    volumes
        How many stand side by side in a line.

    Returns
    -------
    list of list
        Frame by frame, volume by volume: the rig from Autoscoper's axes of the volume (see
        `autoscoper_from_world`), lengths as the file has them.

    Raises
    ------
    ReadError
        If it is no such file, or a line has another number of values or holds no pose.
    """
    path = Path(path)
    rows = [_values(path, i, line) for i, line in enumerate(_lines(path), start=1)]
    each = {len(row) / volumes for row in rows}
    if each == {_SIX}:
        of_degrees = any(abs(v) > _TURN for row in rows for v in _angles(row))
        return [[_six(row[i : i + 6], of_degrees) for i in range(0, len(row), 6)] for row in rows]
    if each != {_MATRIX}:
        raise ReadError(
            f"{path.name}: a pose is {_MATRIX} or {_SIX} numbers for each of {volumes} "
            f"volume{'s' * (volumes != 1)} in a line: got {', '.join(sorted({str(len(r)) for r in rows}))}"
        )
    return [
        [_matrix(path, i, row[j : j + 16]) for j in range(0, len(row), 16)]
        for i, row in enumerate(rows, start=1)
    ]


def write_tra(path: Path | str, frames: Sequence[Sequence[Pose | None]]) -> None:
    """Write poses as `read_tra` reads them: 4 x 4 by rows, a line for each frame.

    Parameters
    ----------
    path
        The file.
    frames
        Frame by frame, volume by volume: the rig from Autoscoper's axes of the volume, lengths in the
        unit of the calibration. None, a frame that was not tracked, is written as NaN, which Autoscoper
        reads as no key frame.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    nothing = [math.nan] * _MATRIX
    lines = [
        ",".join(
            f"{value:.12g}"
            for pose in volumes
            for value in (nothing if pose is None else pose.matrix().flatten().tolist())
        )
        for volumes in frames
    ]
    with written(path) as beside:
        beside.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def autoscoper_from_world(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Pose:
    """Autoscoper's axes of a volume from the world that `read_tiff_volume` gives it.

    Its origin is the corner of the first voxel of the last row of the first page; x runs along the
    rows, y up the columns and z against the pages: half a turn about x, and half the size.

    Parameters
    ----------
    shape
        Voxels (z, y, x).
    spacing
        x, y, z.
    """
    size = torch.tensor(
        [n * s for n, s in zip(shape[::-1], spacing, strict=True)], dtype=torch.float64
    )
    turn = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return Pose(turn, size / 2 * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))


def _lines(path: Path) -> list[str]:
    lines = [line for line in read_text(path, legacy=True).splitlines() if line.strip()]
    if not lines:
        raise ReadError(f"{path.name}: holds no line of poses")
    return lines


def _values(path: Path, index: int, line: str) -> list[float]:
    """NaN, of a frame that was not tracked, is the one word that is no number."""
    try:
        return [
            math.nan if word.lower() in ("nan", "-nan") else number(word)
            for word in line.replace(",", " ").split()
        ]
    except ValueError as error:
        raise ReadError(
            f"{path.name}: line {index} holds no poses of Autoscoper: {error}"
        ) from error


def _angles(row: list[float]) -> list[float]:
    return [v for i, v in enumerate(row) if i % _SIX >= 3 and math.isfinite(v)]


def _six(values: list[float], of_degrees: bool) -> Pose | None:
    if not all(map(math.isfinite, values)):
        return None
    x, y, z, *turns = values
    angles = torch.tensor(turns, dtype=torch.float64)
    angles = torch.deg2rad(angles) if of_degrees else angles
    return Pose(matrix_from_euler(angles, "ZYX"), torch.tensor([x, y, z], dtype=torch.float64))


def _matrix(path: Path, index: int, values: list[float]) -> Pose | None:
    if not all(map(math.isfinite, values)):
        return None
    matrix = torch.tensor(values, dtype=torch.float64).reshape(4, 4)
    last: Float[Tensor, "4"] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    if not torch.allclose(matrix[3], last, atol=1e-6):
        matrix = matrix.mT
    try:
        return Pose.from_matrix(matrix)
    except ValueError as error:
        raise ReadError(f"{path.name}: line {index} holds no pose: {error}") from error
