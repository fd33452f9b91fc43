"""An interrupted training on disk, to go on with later."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_xreg.files import ReadError, is_number, with_schema, written
from napari_xreg.training.checkpoint import CheckpointError
from napari_xreg.training.events import Validation
from napari_xreg.training.torch_file import finite_weights, read_torch

SCHEMA = "napari-xreg/training-state"
VERSION = 2
"""2: the optimiser's state is that of `AdamSteps`; version 1 held torch's, which is read too."""


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write `Trained.state`; an existing file is replaced in one go.

    Tensors and plain values only, so that reading it runs nothing. The details of validations are
    not kept.

    Raises
    ------
    WriteError
        If it cannot be written; what was there stays.
    """
    validations = [
        {"index": v.index, "seconds": v.seconds, "scores": dict(v.scores), "best": v.best}
        for v in state["validations"]
    ]
    content = {
        "schema": SCHEMA, "version": VERSION, "state": {**state, "validations": validations},
    }  # fmt: skip
    buffer = io.BytesIO()  # torch's own writer says little of a full disk
    torch.save(content, buffer)
    file.parent.mkdir(parents=True, exist_ok=True)
    with written(file) as beside:
        beside.write_bytes(buffer.getbuffer())


def read_state(file: Path) -> dict[str, Any]:
    """What `write_state` wrote, for the `resume` of `train`.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or something else.
    """
    try:
        content = read_torch(file)
    except ReadError as error:
        raise CheckpointError(f"this is not the state of a training: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{file} is not the state of a training")
    try:
        with_schema(content, str(file), {SCHEMA: VERSION})
    except ReadError as error:
        raise CheckpointError(str(error)) from error
    state = content.get("state")
    wrong = _wrong(state)
    if wrong or not isinstance(state, dict):
        raise CheckpointError(f"{file} is damaged: the state of the training in it {wrong}")
    validations = tuple(Validation(**v) for v in state["validations"])
    return {**state, "validations": validations}


def check_state(state: Mapping[str, Any], network: nn.Module, whose: str = "the state") -> None:
    """Refuse a state of another network.

    Parameters
    ----------
    whose
        Begins the message: the name of the file.

    Raises
    ------
    CheckpointError
        If the names or shapes of its weights are others.
    """
    own = {name: value.shape for name, value in network.state_dict().items()}
    for part in ("network", "mean", "best"):
        kept = {name: value.shape for name, value in state[part].items()}
        if kept != own and (kept or part != "best"):
            raise CheckpointError(
                f"{whose} belongs to another network: keep its weights (.safetensors) beside it"
            )


def _wrong(state: Any) -> str:
    """What is wrong with a state, as the end of a sentence; empty if nothing is."""
    if not isinstance(state, dict):
        return "is missing"
    for part in ("network", "mean", "best"):
        if not finite_weights(state.get(part)):
            return f"has no usable weights ({part})"
    if not isinstance(state.get("optimiser"), dict) or not isinstance(state.get("task"), dict):
        return "lacks the optimiser or the task"
    if not _restorable(state.get("generator")):
        return "lacks the random numbers' place"
    steps, seconds, best = (
        state.get(name, math.nan) for name in ("steps", "seconds", "best_score")
    )
    counted = isinstance(steps, int) and not isinstance(steps, bool) and 0 <= steps < 2**40
    timed = is_number(seconds) and 0 <= seconds < math.inf
    if not counted or not timed or not is_number(best) or math.isnan(best):
        return "has no usable counts"
    validations = state.get("validations")
    if not isinstance(validations, list) or not all(_is_validation(v) for v in validations):
        return "has no usable validations"
    return ""


def _restorable(generator: Any) -> bool:
    if not isinstance(generator, Tensor):
        return False
    try:
        torch.Generator().set_state(generator)
    except (RuntimeError, TypeError, ValueError):
        return False
    return True


def _is_validation(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"index", "seconds", "scores", "best"}:
        return False
    scores = value["scores"]
    return (
        is_number(value["index"])
        and is_number(value["seconds"])
        and isinstance(value["best"], bool)
        and isinstance(scores, dict)
        and "score" in scores
        and all(isinstance(name, str) and is_number(score) for name, score in scores.items())
    )
