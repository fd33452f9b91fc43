"""What a table of this program says: the course of a refinement, the motion over a sequence."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from napari_xreg.files import TRACK, TRAJECTORY, ReadError, plain
from napari_xreg.records import read_track, read_trajectory

_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?# (napari-xreg/[a-z-]+) version ")
_NEEDED = ("start", "level", "accepted", "seconds", "loss")


def table_schema(path: Path) -> str | None:
    """The schema that the first line of a table names; None: it is no table of this program."""
    try:
        with path.open("rb") as stream:
            head = _HEAD.match(stream.read(80))
    except OSError:
        return None
    return None if head is None else head[1].decode()


def table_entry(path: Path) -> dict[str, Any]:
    """What a table of this program holds, as plain values.

    Raises
    ------
    ReadError
        If it is of a later version, cut off or damaged.
    """
    schema = table_schema(path)
    if schema == TRAJECTORY:
        return plain(_trajectory_entry(path))  # a loss may be infinite
    if schema == TRACK:
        return _track_entry(path)
    return {"kind": "table", "schema": schema}


def _trajectory_entry(path: Path) -> dict[str, Any]:
    columns = read_trajectory(path)
    absent = [name for name in _NEEDED if name not in columns]
    if absent:
        raise ReadError(f"{path.name}: has no column {', '.join(absent)}")
    start, level, accepted, seconds, loss = (columns[name] for name in _NEEDED)
    if not np.isfinite([start, level, accepted, seconds]).all():
        raise ReadError(f"{path.name}: a row is damaged: it does not say its start, level or time")
    return {
        "kind": "trajectory of a refinement",
        "iterations": len(loss),
        "accepted": int(accepted.sum()),
        "starts": len(np.unique(start)),
        "seconds": float(seconds.max(initial=0.0)),
        # Losses of different levels do not compare.
        "levels": [
            {
                "level": int(each),
                "iterations": int((level == each).sum()),
                "first_loss": float(loss[level == each][0]),
                "lowest_loss": float(loss[level == each].min()),
            }
            for each in np.unique(level)
        ],
    }


def _track_entry(path: Path) -> dict[str, Any]:
    table = read_track(path)
    frames = [row.frame for row in table.rows]
    return {
        "kind": "motion over a sequence",
        "simulated": table.simulated,
        "frames": len(frames),
        "first_and_last_frame": [frames[0], frames[-1]] if frames else None,
        "states": dict(Counter(row.state for row in table.rows)),
        "smoothed": any(row.smooth is not None for row in table.rows),
    }
