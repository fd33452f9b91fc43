"""Manifests: of a file, of whatever can be a study by itself, and as text to change."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_xreg.datasets import is_data_set
from napari_xreg.files import ReadError, schema_head
from napari_xreg.images import read_trial
from napari_xreg.records import (
    SetCases,
    SimulatedCases,
    StartEntry,
    StudyFile,
    TrialCases,
    read_manifest,
)
from napari_xreg.session import PHANTOM
from napari_xreg.study.trial_cases import has_poses
from napari_xreg.workflows import file_kind, trial_frames

EXAMPLE = ("phantom:10000-10002",)

_HEAD = """# What this study does: every case, from every start, by every method. `napari-xreg study THIS_FILE --out DIR`
# Paths are relative to this file.
#
# [[simulated]]  cts = ["phantom:10000-10009", "ct.nii.gz"]  views = 100  severities = ["typical", "hard"]
# [[sets]]       path = "ipcai_2020_full_res_data.h5"  cases = [...]  views = [...]
# [[trials]]     path = "trial.cfg"  volumes = ["radius"]  cameras = [[1], [2], [1, 2]]  poses = "radius.tra"
# [[cases]]      name = "anna"  ct = "ct.nii.gz"  xrays = ["ap.dcm"]  truth = "truth.json"  landmarks = "points.fcsv"
# [[starts]]     name = "far"  kind = "truth" (with spread = 3.0), "header", "frontal", "file", "rayemb",
#                "landmarks", "regression" or "similarity" (with weights = "...")  repeats = 3
# [[methods]]    name = "128 starts"  solver = "lm"  starts = 128  spread = 4.0
# [[methods]]    name = "xvr"  results = "xvr/{subject}/{radiograph}.pth"

"""


def opened_manifest(path: Path | str) -> tuple[StudyFile, Path]:
    """A manifest, or the one that a data set or a trial is by itself; and the folder of its paths.

    Raises
    ------
    ReadError
        If it is none of these.
    """
    path = Path(path)
    if path.suffix.lower() == ".toml":
        return read_manifest(path), path.parent
    if not path.exists() and not _is_phantom(str(path)):
        raise ReadError(f"{path}: there is no such manifest or data set")
    return manifest_of([str(path)]), Path()


def manifest_of(sources: Sequence[str]) -> StudyFile:
    """The plain study of data sets, trials, CTs and phantoms: the usual start, the usual method.

    Parameters
    ----------
    sources
        Paths, or phantoms ("phantom:7-12"); none: a few phantoms. Of CTs and phantoms radiographs are
        simulated.

    Raises
    ------
    ReadError
        If something is nothing of the kind.
    """
    starts: tuple[StartEntry, ...] = (StartEntry(name="usual"),)
    sets, trials, cts = [], [], []
    for source in sources or EXAMPLE:
        path = Path(source).absolute()
        if _is_phantom(source) and not path.exists():
            cts.append(source)
        elif path.suffix.lower() == ".cfg":
            trial = read_trial(path)
            names = tuple(volume.name for volume in trial.volumes)
            numbers = trial_frames(trial)
            frame = numbers[0] if len(numbers) > 1 else None  # people change it
            trials.append(TrialCases(path=str(path), volumes=names, frame=frame))
            if not has_poses(trial):  # no truth that a start could be near
                starts = (StartEntry(name="header", kind="header"),)
        elif is_data_set(path):
            sets.append(SetCases(path=str(path)))
        elif path.exists():
            kind = file_kind(path)
            if kind not in ("ct", "grid", "stack"):
                what = "nothing that can be read" if kind is None else f"of the kind {kind}"
                raise ReadError(
                    f"{source}: is {what}, no CT to simulate radiographs of: your own radiographs are named in "
                    "[[cases]] of a manifest"
                )
            cts.append(str(path))
        else:
            raise ReadError(f"{source}: there is no such data set, trial or CT")
    simulated = (SimulatedCases(cts=tuple(cts)),) if cts else ()
    return StudyFile(
        title="; ".join(Path(source).name for source in sources),
        sets=tuple(sets),
        trials=tuple(trials),
        simulated=simulated,
        starts=starts,
    )


def manifest_text(manifest: StudyFile) -> str:
    """The manifest as a file that people change; what is as usual is left out."""
    head = schema_head(StudyFile.SCHEMA)
    lines = [f"{name} = {_value(value)}" for name, value in head.items()]
    whole = manifest.model_dump()
    lines += [f"{k} = {_value(v)}" for k, v in whole.items() if v and not isinstance(v, tuple)]
    for name in ("cases", "sets", "trials", "simulated", "starts", "methods"):
        for entry in getattr(manifest, name):
            fields = type(entry).model_fields
            said = {k: v for k, v in entry if v is not None and v != fields[k].get_default()}
            lines += ["", f"[[{name}]]", *(f"{k} = {_value(v)}" for k, v in said.items())]
    return _HEAD + "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    # A text, a number or a truth value of JSON is one of TOML.
    return json.dumps(value)


def _is_phantom(source: str) -> bool:
    return source.partition(":")[0] == PHANTOM
