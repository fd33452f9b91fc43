"""``napari-xreg joint``: how two tracked bones moved against each other."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

from napari_xreg.cli.console import Console
from napari_xreg.files import JOINT, check_writable, schema_head
from napari_xreg.geometry import Pose
from napari_xreg.images import read_landmarks
from napari_xreg.records import JointRow, read_track, write_joint
from napari_xreg.registration import JOINT_MOTIONS, bone_axes
from napari_xreg.workflows import TRACK_TABLE, JointBone, JointRequest, joint_rows


def run(arguments: Namespace, console: Console) -> int:
    """Write the table; the exit code."""
    out = Path(arguments.out)
    check_writable(out)
    tables = [_table(arguments.proximal), _table(arguments.distal)]
    points = [Path(file) for file in (arguments.landmarks, arguments.distal_landmarks) if file]
    if out.exists() and any(file.exists() and out.samefile(file) for file in [*tables, *points]):
        raise ValueError(f"--out {out} is one of the files that are read: give another name")
    proximal, distal = map(read_track, tables)
    request = JointRequest(
        JointBone(proximal, _axes(arguments, proximal=True)),
        JointBone(distal, _axes(arguments, proximal=False)),
        arguments.side or "right",
        arguments.bends,
        arguments.reference,
    )
    rows = joint_rows(request)
    simulated = proximal.simulated or distal.simulated
    write_joint(out, rows, simulated=simulated)
    both = [row for row in rows if row.helical is not None]
    sure = [row for row in both if row.sure]
    console.say(
        f"{len(both)} of {len(rows)} frames have both bones; {len(sure)} are trusted or given"
    )
    if simulated:
        console.say("the radiographs are SIMULATED")
    ranges = _ranges(sure)
    for name, (low, high) in ranges.items():
        what, _, unit = name.rpartition("_")
        console.say(f"{what.replace('_', ' ')}: {low:.1f} to {high:.1f} {unit}")
    console.say(f"written: {out}")
    console.answer(
        {
            **schema_head(JOINT),
            "simulated": simulated,
            "frames": len(both),
            "trusted": len(sure),
            "ranges": ranges,
            "files": [str(out)],
        }
    )
    return 0 if sure else 1


def _table(path: str) -> Path:
    file = Path(path)
    return file / TRACK_TABLE if file.is_dir() else file


def _axes(arguments: Namespace, *, proximal: bool) -> Pose | None:
    """Of one bone, by the names of three landmarks."""
    given = arguments.proximal_axes, arguments.distal_axes
    if given == (None, None):
        return None
    if None in given:
        raise ValueError(
            "anatomical angles need the axes of both bones: --proximal-axes and --distal-axes"
        )
    if arguments.side is None:
        raise ValueError("--side right or --side left: medial and lateral change places with it")
    file = arguments.landmarks if proximal else arguments.distal_landmarks or arguments.landmarks
    if file is None:
        raise ValueError("the points of the axes are named in a file: give --landmarks FILE")
    marks = {
        mark.name: mark.position
        for mark in read_landmarks(file, frame=arguments.landmark_frame)
        if mark.position is not None
    }
    names = given[0] if proximal else given[1]
    absent = [name for name in names if name not in marks]
    if absent:
        raise ValueError(f"{Path(file).name} has no point {absent[0]!r}: it has {', '.join(marks)}")
    medial, lateral, far = (torch.tensor(marks[name], dtype=torch.float64) for name in names)
    return bone_axes(medial, lateral, far, proximal=proximal, side=arguments.side)


def _ranges(rows: Sequence[JointRow]) -> dict[str, tuple[float, float]]:
    """Least and most of each motion, of what was registered."""
    columns = {
        name: [float(row.motion[place]) for row in rows if row.motion is not None]
        for place, name in enumerate(JOINT_MOTIONS)
    }
    columns["helical_deg"] = [row.helical[0] for row in rows if row.helical is not None]
    return {name: (min(values), max(values)) for name, values in columns.items() if values}
