"""Where a body was in every frame of a sequence, as a table: CSV, one row a frame."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import TRACK, VERSIONS, ReadError, number, read_text, with_schema, written
from napari_xreg.geometry import CArm, Pose

_HEAD = re.compile(
    rf"# {TRACK} version (\d{{1,9}}); .* about \((\S+ \S+ \S+)\); simulated (yes|no); (\d{{1,9}}) rows$"
)
_FIRST = ("frame", "time_s", "state", "probability", "loss")
_MATRIX = tuple(f"{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3, 4))
_CARM = ("primary_deg", "secondary_deg", "roll_deg", "x_mm", "y_mm", "depth_mm")
_TWIST = ("omega_x_rad", "omega_y_rad", "omega_z_rad", "v_x_mm", "v_y_mm", "v_z_mm")
_POSE = tuple(f"world_from_camera_{place}" for place in _MATRIX)
_SD = tuple(f"sd_{name}" for name in _TWIST)
_PAIRS = torch.tril_indices(6, 6, -1)
_CORRELATIONS = tuple(
    f"corr_{_TWIST[column].rpartition('_')[0]}_{_TWIST[row].rpartition('_')[0]}"
    for row, column in _PAIRS.T.tolist()
)
_EACH = (*_POSE, *_CARM, *_SD, *_CORRELATIONS)
_EACH_BEFORE = (*_POSE, *_CARM, *_SD)
"""Of version 1, which did not say how errors go together."""


def _names(each: tuple[str, ...]) -> tuple[str, ...]:
    return (*_FIRST, *each, *(f"smooth_{name}" for name in each))


@dataclass(frozen=True, eq=False)
class TrackRow:
    """One frame; what it does not have is None.

    Parameters
    ----------
    frame, time_s
        Number; seconds since the first.
    state
        A word: given, tracked, doubtful, open.
    probability, loss
        Of the pose being right; what was minimised.
    world_from_camera, smooth
        As registered, and of the smooth motion.
    covariance, smooth_covariance
        Of the left twist (omega, v) about the pivot, rad and mm.
    """

    frame: int
    time_s: float | None
    state: str
    probability: float | None = None
    loss: float | None = None
    world_from_camera: Pose | None = None
    covariance: Float[Tensor, "6 6"] | None = None
    smooth: Pose | None = None
    smooth_covariance: Float[Tensor, "6 6"] | None = None


@dataclass(frozen=True, eq=False)
class TrackTable:
    """A file of `write_track`: its rows, whether any radiograph was simulated, and the pivot, world mm, that
    covariances turn about.
    """

    rows: tuple[TrackRow, ...]
    simulated: bool
    pivot: Float[Tensor, "3"]


def write_track(
    path: Path | str,
    rows: Sequence[TrackRow],
    carm: CArm,
    pivot: Float[Tensor, "3"],
    *,
    simulated: bool,
) -> None:
    """Write a row for each frame, below one comment line with schema, version, pivot and their number.

    A pose is written as the first three rows of its matrix, and as C-arm angles and offsets about the
    pivot; its covariance as standard deviations and correlations. A cell without a value is empty.

    Parameters
    ----------
    carm
        Of the camera that the poses are of.
    pivot
        World mm.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    about = " ".join(f"{v:.6g}" for v in pivot.tolist())
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(
            f"# {TRACK} version {VERSIONS[TRACK]}; world LPS mm; C-arm terms and standard deviations about "
            f"({about}); simulated {'yes' if simulated else 'no'}; {len(rows)} rows\n"
        )
        writer = csv.writer(stream)
        writer.writerow(_names(_EACH))
        for row in rows:
            first = (row.frame, row.time_s, row.state, row.probability, row.loss)
            found = _cells(row.world_from_camera, row.covariance, carm, pivot)
            smooth = _cells(row.smooth, row.smooth_covariance, carm, pivot)
            writer.writerow([_text(value) for value in (*first, *found, *smooth)])


def read_track(path: Path | str) -> TrackTable:
    """What `write_track` wrote; of a table of version 1 without covariances.

    Raises
    ------
    ReadError
        If the file is absent, of another schema or a later version, cut off, or a row is damaged.
    """
    name = Path(path).name
    text = read_text(path, limit=1 << 30)
    lines = text.splitlines()
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        raise ReadError(f"{name}: the first line is not '# {TRACK} version {VERSIONS[TRACK]}; ...'")
    with_schema({"schema": TRACK, "version": int(head[1])}, name, TRACK)
    try:
        names, *rows = list(csv.reader(lines[1:])) or [[]]
    except csv.Error as error:
        raise ReadError(f"{name}: a row is damaged: {error}") from error
    each = _EACH_BEFORE if head[1] == "1" else _EACH
    if tuple(names) != _names(each):
        raise ReadError(
            f"{name}: its columns are not those of a track: got {', '.join(names)[:80]}"
        )
    if len(rows) != int(head[4]) or not text.endswith("\n"):
        raise ReadError(f"{name}: is cut off: {len(rows)} rows came, its first line says {head[4]}")
    try:
        pivot = torch.tensor([number(v) for v in head[2].split()], dtype=torch.float64)
        return TrackTable(tuple(_row(cells, each) for cells in rows), head[3] == "yes", pivot)
    except ValueError as error:
        raise ReadError(f"{name}: a row is damaged: {error}") from error


def _cells(
    pose: Pose | None,
    covariance: Float[Tensor, "6 6"] | None,
    carm: CArm,
    pivot: Float[Tensor, "3"],
) -> list[float | None]:
    """Matrix, C-arm terms, standard deviations and correlations; nothing where there is no pose."""
    if pose is None:
        return [None] * len(_EACH)
    terms = carm.carm_pose(pose, pivot)
    angles = (terms.primary_deg, terms.secondary_deg, terms.roll_deg)
    found = [*pose.matrix()[:3].flatten().tolist(), *angles, *terms.offset_mm]
    if covariance is None:
        return [*found, *[None] * (len(_SD) + len(_CORRELATIONS))]
    deviation = covariance.double().diagonal().clamp_min(0).sqrt()
    # What was locked has no error, and no part in those of others.
    scale = torch.where(deviation > 0, 1 / deviation, 0.0)
    correlation = (covariance.double() * scale.outer(scale))[_PAIRS[0], _PAIRS[1]].clamp(-1, 1)
    return [*found, *deviation.tolist(), *correlation.tolist()]


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _row(cells: list[str], each: tuple[str, ...]) -> TrackRow:
    if len(cells) != len(_names(each)):
        raise ValueError(f"it has {len(cells)} cells for {len(_names(each))} columns")
    frame, time_s, state, probability, loss = cells[: len(_FIRST)]
    found = cells[len(_FIRST) : len(_FIRST) + len(each)]
    smooth = cells[len(_FIRST) + len(each) :]
    return TrackRow(
        int(frame), _number(time_s), state, _number(probability), _number(loss),
        *_pose(found), *_pose(smooth),
    )  # fmt: skip


def _pose(cells: list[str]) -> tuple[Pose | None, Float[Tensor, "6 6"] | None]:
    placed = _tensor(cells[: len(_POSE)])
    unsure = _tensor(cells[len(_POSE) + len(_CARM) :])
    if placed is None:
        return None, None
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3] = placed.reshape(3, 4)
    return Pose.from_matrix(matrix), None if unsure is None else _covariance(unsure)


def _covariance(unsure: Tensor) -> Float[Tensor, "6 6"] | None:
    """Of standard deviations and correlations; None without the latter."""
    deviation, correlations = unsure[:6], unsure[6:]
    if not len(correlations):
        return None
    if not (deviation.min() >= 0 and correlations.abs().max() <= 1 + 1e-9):
        raise ValueError("a standard deviation is negative, or a correlation beyond 1")
    matrix = torch.eye(6, dtype=torch.float64)
    matrix[_PAIRS[0], _PAIRS[1]] = matrix[_PAIRS[1], _PAIRS[0]] = correlations
    return matrix * deviation.outer(deviation)


def _tensor(cells: Sequence[str]) -> Tensor | None:
    """All of them, or none."""
    if not any(cells):
        return None
    return torch.tensor([number(cell) for cell in cells], dtype=torch.float64)


def _number(cell: str) -> float | None:
    return number(cell) if cell else None
