"""An interrupted training on disk, to go on with later."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from napari_xreg.training.checkpoint import CheckpointError
from napari_xreg.training.events import Validation

SCHEMA = "napari-xreg/training-state"
VERSION = 1


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write `Trained.state`; an existing file is replaced in one go.

    Tensors and plain values only, so that reading it runs nothing. The details of validations are
    not kept.
    """
    validations = [
        {"index": v.index, "seconds": v.seconds, "scores": dict(v.scores), "best": v.best}
        for v in state["validations"]
    ]
    content = {
        "schema": SCHEMA, "version": VERSION, "state": {**state, "validations": validations},
    }  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    torch.save(content, part)
    part.replace(file)


def read_state(file: Path) -> dict[str, Any]:
    """What `write_state` wrote, for the `resume` of `train`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or something else.
    """
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{file} is not the state of a training: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{file} is not the state of a training")
    if content["version"] > VERSION:
        raise CheckpointError(
            f"{file} was written by a later version of napari-xreg: update the package"
        )
    state: dict[str, Any] = dict(content["state"])
    state["validations"] = tuple(Validation(**v) for v in state["validations"])
    return state
