"""A CT or label map that exists in memory only, kept as .npz beside a session file."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from napari_xreg.files import GRID, Record, Text, json_of_text, read_npz
from napari_xreg.images import LabelMap, ReadError, Volume

# Kinds of number that each array may hold (signed, unsigned, floating), and how many axes it has.
_ARRAYS = {"lac": ("f", 3), "hu": ("iuf", 3), "ids": ("iu", 3), "world_from_index": ("f", 2)}


class GridAbout(Record):
    """What an archive holds; the names of labels, by their ids."""

    SCHEMA = GRID
    kind: Literal["ct", "labels"]
    names: dict[str, Text] = Field(default_factory=dict)


def write_grid_volume(path: Path, volume: Volume) -> None:
    """Attenuation, HU if known, and place of a CT; `read_grid_volume` gives the same back."""
    arrays = {"lac": volume.lac.detach().cpu().numpy()}
    if volume.hu is not None:
        arrays["hu"] = volume.hu.detach().cpu().numpy()
    _write(path, "ct", volume.world_from_index, {}, arrays)


def write_grid_labels(path: Path, labels: LabelMap) -> None:
    """Ids, names and place of a label map."""
    arrays = {"ids": labels.ids.detach().cpu().numpy()}
    names = {str(key): name for key, name in labels.names.items()}
    _write(path, "labels", labels.world_from_index, names, arrays)


def holds_grid(path: str | Path) -> bool:
    """Whether the name is one that the writers above are given."""
    return Path(path).suffix.lower() == ".npz"


def read_grid_volume(path: str | Path) -> Volume:
    """What `write_grid_volume` wrote.

    Raises
    ------
    ReadError
        If the file is absent, damaged, or holds something else.
    """
    arrays, _ = _read(Path(path), "ct", "lac")
    hu = arrays.get("hu")
    try:
        return Volume(
            torch.from_numpy(arrays["lac"]),
            torch.from_numpy(arrays["world_from_index"]),
            None if hu is None else torch.from_numpy(hu),
        )
    except (TypeError, ValueError) as error:
        raise ReadError(f"{path}: {error}") from error


def read_grid_labels(path: str | Path) -> LabelMap:
    """What `write_grid_labels` wrote.

    Raises
    ------
    ReadError
        If the file is absent, damaged, or holds something else.
    """
    arrays, names = _read(Path(path), "labels", "ids")
    try:
        return LabelMap(
            torch.from_numpy(arrays["ids"]),
            torch.from_numpy(arrays["world_from_index"]),
            {int(key): str(name) for key, name in names.items()},
        )
    except (TypeError, ValueError) as error:
        raise ReadError(f"{path}: {error}") from error


def _write(
    path: Path,
    kind: Literal["ct", "labels"],
    world_from_index: torch.Tensor,
    names: dict[str, str],
    arrays: dict[str, Any],
) -> None:
    about = GridAbout(kind=kind, names=names).as_json()
    matrix = world_from_index.detach().cpu().numpy()
    # Not compressed: zlib takes seconds for a CT and gains a third.
    np.savez(path, about=np.array(json.dumps(about)), world_from_index=matrix, **arrays)


def _read(path: Path, kind: str, needed: str) -> tuple[dict[str, Any], dict[str, str]]:
    arrays = read_npz(path)
    if "about" not in arrays:
        raise ReadError(f"{path}: is not an archive of napari-xreg: it does not say what it holds")
    text = str(arrays.pop("about"))
    about = GridAbout.read(json_of_text(text, f"{path}: its description"), str(path))
    if about.kind != kind:
        raise ReadError(
            f"{path}: does not hold {'a CT' if kind == 'ct' else 'labels'} of a session"
        )
    for name in (needed, "world_from_index"):
        if name not in arrays:
            raise ReadError(f"{path}: the array {name} is missing: save it again")
    for name, (kinds, axes) in _ARRAYS.items():
        values = arrays.get(name)
        if values is not None and (values.dtype.kind not in kinds or values.ndim != axes):
            raise ReadError(
                f"{path}: the array {name} is damaged ({values.dtype}, {values.ndim} axes): save it again"
            )
    return arrays, about.names
