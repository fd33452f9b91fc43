"""What a registration of several bones leaves behind: a folder for each, and how they lie to each other."""

import hashlib
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xreg.files import EachFile, check_folder
from napari_xreg.records import bones_in, write_bones
from napari_xreg.registration import BodiesRegistration, View
from napari_xreg.workflows.bodies import BodiesRequest
from napari_xreg.workflows.exporting import Drawn, ExportRequest, export

BETWEEN = "between.csv"
"""How the bones lie to each other."""

_LETTERS = 60
"""Of a name that a folder is called by: 24 ribs that are one bone would be more than a file system takes."""


@dataclass(frozen=True, eq=False)
class BonesExport:
    """What is written, and where.

    Parameters
    ----------
    out
        The folder of the folders; it is made where it does not exist.
    request, found
        What was asked and what was found.
    inputs
        Of every body, the files it came from: see `records.result_files.describe_input`.
    notes
        What was assumed.
    with_radiographs
        Write the radiographs too: of images that stand in no file.
    truth
        Of the bones whose true pose is known, what `errors_against` says.
    """

    out: Path
    request: BodiesRequest
    found: BodiesRegistration
    inputs: tuple[Sequence[Mapping[str, Any]], ...]
    notes: tuple[str, ...] = ()
    with_radiographs: bool = False
    truth: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def folder_name(name: str) -> str:
    """What the folder of a bone, or of a result, is called: letters, digits, ``_`` and ``-``; a long one is cut short."""
    plain = re.sub(r"[^\w-]+", "-", name)
    if len(plain) <= _LETTERS:
        return plain
    return f"{plain[:_LETTERS]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def bone_folders(out: Path, names: Sequence[str]) -> list[Path]:
    """Where the results of every bone shall stand; found out now whether they can.

    Raises
    ------
    ValueError
        If two would stand in one, or the folder holds those of other bones.
    WriteError
        If one cannot be written.
    """
    folders = [out / folder_name(name) for name in names]
    alike = [folder.name.casefold() for folder in folders]
    if len(set(alike)) < len(alike):
        raise ValueError(f"results of two bones would stand in one folder: got {', '.join(names)}")
    table = out / BETWEEN
    others = sorted(bones_in(table) - set(names)) if table.is_file() else []
    if others:
        raise ValueError(
            f"{out} holds results of other bones ({', '.join(others)}): name another folder, or remove it"
        )
    for folder in folders:
        check_folder(folder)
    return folders


def _known(asked: BonesExport, name: str) -> dict[str, Any]:
    return {"truth": asked.truth[name]} if name in asked.truth else {}


@dataclass(frozen=True)
class BonesExported:
    """The files, and those that could not be written: name below the folder, and why."""

    files: tuple[Path, ...]
    missing: Mapping[str, str]


def export_bones(asked: BonesExport) -> Generator[Drawn, None, BonesExported]:
    """Write the folder of every bone, as `export` does without its film, and `BETWEEN`.

    What cannot be written of one bone costs the others nothing.

    Yields
    ------
    Drawn
        What takes time.

    Raises
    ------
    ValueError, WriteError
        As `bone_folders`, or if no file could be written.
    """
    request, found = asked.request, asked.found
    folders = bone_folders(asked.out, found.names)
    written: list[Path] = []
    missing: dict[str, str] = {}
    each = EachFile(asked.out)
    for folder, body, registration, inputs in zip(
        folders, request.bodies, found.bodies, asked.inputs, strict=True
    ):
        views = tuple(map(View, request.radiographs, body.world_from_camera))
        one = ExportRequest(
            folder, body.volume, views, registration, f"{body.name}, one of {len(found.names)} bones",
            request.settings, inputs, {"assumptions": list(asked.notes), **_known(asked, body.name)}, "none",
            asked.with_radiographs, kind="bones",
        )  # fmt: skip
        with each.file(folder.name):
            exported = yield from export(one)
            written += [folder / name for name in exported.files]
            missing |= {f"{folder.name}/{name}": why for name, why in exported.missing.items()}
    with each.file(BETWEEN) as path:
        write_bones(path, found)
        written.append(path)
    each.check()
    return BonesExported(tuple(written), each.missing | missing)
