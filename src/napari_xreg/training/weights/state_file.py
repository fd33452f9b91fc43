"""An interrupted training on disk, to go on with later."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, Strict
from torch import Tensor, nn

from napari_xreg.files import (
    TRAINING_STATE,
    Flag,
    Made,
    Number,
    ReadError,
    Record,
    Text,
    Whole,
    schema_head,
    with_schema,
    written,
)
from napari_xreg.training.events import Validation
from napari_xreg.training.weights.checkpoint import CheckpointError
from napari_xreg.training.weights.torch_file import finite_weights, read_torch


def _weights(value: Any) -> Any:
    if not finite_weights(value):
        raise ValueError("should be finite tensors by parameter name")
    return value


def _score(value: float) -> float:
    if value != value:
        raise ValueError("should be a number")
    return value


def _generator(value: Any) -> Tensor:
    try:
        torch.Generator().set_state(value)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError("should be the place of random numbers") from error
    return value


Weights = Annotated[dict[str, Tensor], PlainValidator(_weights)]
Score = Annotated[float, Strict()]
"""May be infinite or no number."""


class ValidationEntry(Record):
    """A `Validation` without its details."""

    model_config = ConfigDict(extra="forbid")
    index: Whole
    seconds: Score
    scores: dict[Text, Score]
    best: Flag


class TrainingState(Record):
    """`Trained.state`."""

    SCHEMA = TRAINING_STATE
    network: Weights
    mean: Weights
    best: Weights
    optimiser: dict[Any, Any]
    task: dict[Any, Any]
    generator: Annotated[Tensor, PlainValidator(_generator)]
    steps: Annotated[Whole, Field(ge=0, lt=2**40)]
    seconds: Annotated[Number, Field(ge=0)]
    best_score: Annotated[Score, AfterValidator(_score)]
    validations: list[Annotated[Validation, Made(ValidationEntry, lambda e: Validation(**dict(e)))]]


def write_state(file: Path, state: Mapping[str, Any]) -> None:
    """Write `Trained.state`; an existing file is replaced in one go.

    Tensors and plain values only, so that reading it runs nothing. The details of validations are
    not kept.

    Raises
    ------
    WriteError
        If it cannot be written; what was there stays.
    """
    validations = [ValidationEntry.model_validate(v).model_dump() for v in state["validations"]]
    content = {**schema_head(TRAINING_STATE), "state": {**state, "validations": validations}}
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
    if not isinstance(content, dict) or content.get("schema") != TRAINING_STATE:
        raise CheckpointError(f"{file} is not the state of a training")
    try:
        with_schema(content, str(file), TRAINING_STATE)
        kept: Any = content.get("state")
        state = TrainingState.of(kept, f"{file} is damaged: the state of the training in it")
    except ReadError as error:
        raise CheckpointError(str(error)) from error
    return {**kept, "validations": tuple(state.validations)}


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
