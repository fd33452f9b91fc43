"""Weights on disk: safetensors with a JSON header that names what is needed to use them again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from napari_xreg.files import (
    WEIGHTS,
    ReadError,
    Record,
    Text,
    check_file,
    json_of_text,
    plain,
    written,
)
from napari_xreg.training.weights.torch_file import finite_weights, read_torch


class CheckpointError(ValueError):
    """A file of weights that cannot be used; the message names it and says why."""


class WeightsHeader(Record):
    """What a file of weights says of itself: see `Checkpoint`."""

    SCHEMA = WEIGHTS
    kind: Text
    configuration: dict[str, Any]
    about: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights and what they belong to.

    Parameters
    ----------
    kind
        Which network.
    configuration
        Arguments that build it.
    weights
        By parameter name, float32.
    about
        How it was trained and what it can do: anything JSON holds.
    """

    kind: str
    configuration: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    about: Mapping[str, Any]


def write_checkpoint(file: Path, checkpoint: Checkpoint, *, half: bool = False) -> None:
    """Write weights; an existing file is replaced in one go.

    Parameters
    ----------
    half
        Store in half precision, for half the size. Reading gives float32 again.

    Raises
    ------
    CheckpointError
        If a weight is not finite, or too large for half precision.
    WriteError
        If the file cannot be written; what was there stays.
    """
    weights = {}
    for name, value in checkpoint.weights.items():
        stored = value.detach().cpu()
        if half and stored.dtype == torch.float32:
            stored = stored.half()
        if stored.is_floating_point() and not bool(torch.isfinite(stored).all()):
            raise CheckpointError(f"weights not written to {file}: {name} is not finite")
        weights[name] = stored.contiguous()
    header = WeightsHeader.model_validate(checkpoint).as_json()
    # As bytes: what then fails is an OSError that names the file, not safetensors' own.
    content = save(weights, metadata={"napari-xreg": json.dumps(header, sort_keys=True)})
    file.parent.mkdir(parents=True, exist_ok=True)
    with written(file) as beside:
        beside.write_bytes(content)


def read_checkpoint(file: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote; half precision becomes float32.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, not weights of this package, or holds a weight that is not
        finite.
    """
    try:
        check_file(file)
    except ReadError as error:
        raise CheckpointError(str(error)) from error
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{file} is not a readable safetensors file: {error}") from error
    called = "its header"
    if "napari-xreg" not in metadata:
        raise CheckpointError(
            f"{file} has no napari-xreg header: it holds weights of another program"
        )
    try:
        # Scores that were no numbers were once written as such, which JSON has not.
        text = json.dumps(plain(json.loads(metadata["napari-xreg"])))
        header = WeightsHeader.read(json_of_text(text, called), called)
    except RecursionError as error:
        raise CheckpointError(
            f"{file} is not a file of weights: {called} nests too deeply"
        ) from error
    except (ReadError, ValueError) as error:
        raise CheckpointError(f"{file} is not a file of weights: {error}") from error
    full = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in weights.items()
    }
    for name, value in full.items():
        if not finite_weights({name: value}):
            raise CheckpointError(
                f"{file} cannot be used: its weights {name} are not finite numbers; train again"
            )
    return Checkpoint(header.kind, header.configuration, full, header.about)


def read_torch_weights(file: Path) -> dict[str, Tensor]:
    """The state dict of a published ``.ckpt`` or ``.pth``, without running anything in it.

    A Lightning file keeps it under ``state_dict``; a bare one is taken as it is.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, holds more than tensors and plain values, or no weights.
    """
    try:
        content = read_torch(file)
    except ReadError as error:
        raise CheckpointError(str(error)) from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not weights or not finite_weights(weights):
        raise CheckpointError(
            f"{file} holds no state dict: expected finite tensors by parameter name"
        )
    return dict(weights)
