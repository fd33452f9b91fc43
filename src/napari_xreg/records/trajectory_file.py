"""The trajectory of a refinement as a table: CSV, one row an iterate."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.files import (
    TRAJECTORY,
    VERSIONS,
    ReadError,
    number,
    read_text,
    with_schema,
    written,
)
from napari_xreg.geometry import CArm, Pose
from napari_xreg.registration import Registration, step_between

_HEAD = re.compile(rf"# {TRAJECTORY} version (\d{{1,9}})\b")

_FIXED = ("iteration", "start", "level", "accepted", "seconds", "step_mm", "damping")
_TWIST = ("omega_x_rad", "omega_y_rad", "omega_z_rad", "v_x_mm", "v_y_mm", "v_z_mm")
_CARM = ("primary_deg", "secondary_deg", "roll_deg", "x_mm", "y_mm", "depth_mm")


def trajectory_columns(
    registration: Registration, carm: CArm, start: Pose
) -> dict[str, npt.NDArray[np.float64]]:
    """Every iterate in columns.

    ``iteration``, ``start``, ``level``, ``accepted`` (1 or 0), ``seconds``, ``step_mm``,
    ``damping``; every loss term as ``loss`` or ``loss_<term>``; the left twist from `start` about
    the registration's pivot (world axes); the C-arm terms about the same point. A term that an
    iterate does not have is NaN.

    Parameters
    ----------
    registration
        Its trajectory is tabulated.
    carm
        Of the first radiograph.
    start
        Pose from which the twist is measured.
    """
    iterates = registration.trajectory
    pivot = registration.pivot.double()
    terms = list(dict.fromkeys(name for iterate in iterates for name in iterate.losses))
    rows = []
    # All twists at once: one by one they take half a millisecond each.
    ends = [iterate.world_from_camera.to(dtype=torch.float64) for iterate in iterates]
    began = start.to(dtype=torch.float64)
    twists = step_between(began, Pose.stack(ends), pivot).tolist() if ends else []
    for iterate, twist in zip(iterates, twists, strict=True):
        carm_pose = carm.carm_pose(iterate.world_from_camera, pivot)
        angles = (carm_pose.primary_deg, carm_pose.secondary_deg, carm_pose.roll_deg)
        head = (
            iterate.index,
            iterate.start,
            iterate.level,
            float(iterate.accepted),
            iterate.seconds,
            iterate.step,
            iterate.damping,
        )
        losses = [iterate.losses.get(name, float("nan")) for name in terms]
        rows.append([*head, *losses, *twist, *angles, *carm_pose.offset_mm])
    names = (*_FIXED, *(_loss_column(name) for name in terms), *_TWIST, *_CARM)
    table = np.asarray(rows, dtype=np.float64).reshape(len(rows), len(names))
    return {name: table[:, i] for i, name in enumerate(names)}


def write_trajectory(path: Path | str, registration: Registration, carm: CArm, start: Pose) -> None:
    """Write `trajectory_columns` as CSV below one comment line that holds schema, version, rows.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    columns = trajectory_columns(registration, carm, start)
    pivot = " ".join(f"{v:.6g}" for v in registration.pivot.tolist())
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(
            f"# {TRAJECTORY} version {VERSIONS[TRAJECTORY]}; world LPS mm; twist from the start about ({pivot}); "
            f"simulated {'yes' if registration.simulated else 'no'}; "
            f"{len(registration.trajectory)} rows\n"
        )
        writer = csv.writer(stream)
        writer.writerow(columns)
        whole = {"iteration", "start", "level", "accepted"}
        for row in zip(*columns.values(), strict=True):
            cells = (
                int(value) if name in whole else f"{value:.9g}"
                for name, value in zip(columns, row, strict=True)
            )
            writer.writerow(cells)


def read_trajectory(path: Path | str) -> Mapping[str, npt.NDArray[np.float64]]:
    """The columns that `write_trajectory` wrote.

    Raises
    ------
    ReadError
        If the file is absent, of another schema or a later version, or a row is damaged.
    """
    name = Path(path).name
    text = read_text(path, limit=1 << 30)
    lines = text.splitlines()
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        raise ReadError(
            f"{name}: the first line is not '# {TRAJECTORY} version {VERSIONS[TRAJECTORY]}'"
        )
    with_schema({"schema": TRAJECTORY, "version": int(head[1])}, name, TRAJECTORY)
    # Earlier files do not say how many rows they have.
    stated = re.search(r"; (\d{1,9}) rows$", lines[0])
    try:
        names, *rows = list(csv.reader(lines[1:])) or [[]]
    except csv.Error as error:
        raise ReadError(f"{name}: a row is damaged: {error}") from error
    if (stated and int(stated[1]) != len(rows)) or not text.endswith(("\r", "\n")):
        raise ReadError(
            f"{name}: is cut off: {len(rows)} rows came"
            + (f", its first line says {stated[1]}" if stated else ", the last without its end")
        )
    if not names or len(set(names)) < len(names) or any(len(row) != len(names) for row in rows):
        raise ReadError(f"{name}: a row is damaged: every row has a cell for each named column")
    try:
        table = np.asarray([[_cell(cell) for cell in row] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise ReadError(f"{name}: a row is damaged: {error}") from error
    table = table.reshape(len(rows), len(names))
    return {column: table[:, i] for i, column in enumerate(names)}


def _cell(text: str) -> float:
    """A number; what an iterate does not have is written as nan, what it never reached as inf."""
    return float(text) if text in ("nan", "inf", "-inf") else number(text)


def _loss_column(term: str) -> str:
    return term if term == "loss" else f"loss_{term}"
