"""Weights on disk: safetensors with a JSON header that names what is needed to use them again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

SCHEMA = "napari-xreg/weights"
VERSION = 1


class CheckpointError(ValueError):
    """A file of weights that cannot be used; the message names it and says why."""


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
    """
    weights = {}
    for name, value in checkpoint.weights.items():
        stored = value.detach().cpu()
        if half and stored.dtype == torch.float32:
            stored = stored.half()
        if stored.is_floating_point() and not bool(torch.isfinite(stored).all()):
            raise CheckpointError(f"weights not written to {file}: {name} is not finite")
        weights[name] = stored.contiguous()
    header = {
        "schema": SCHEMA,
        "version": VERSION,
        "kind": checkpoint.kind,
        "configuration": dict(checkpoint.configuration),
        "about": dict(checkpoint.about),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    save_file(weights, part, metadata={"napari-xreg": json.dumps(header, sort_keys=True)})
    part.replace(file)


def read_checkpoint(file: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote; half precision becomes float32.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or not weights of this package.
    """
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}")
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is not a readable safetensors file: {error}") from error
    try:
        header = json.loads(metadata["napari-xreg"])
    except (KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{file} has no napari-xreg header: it holds weights of another program"
        ) from error
    if header.get("schema") != SCHEMA or not isinstance(header.get("version"), int):
        raise CheckpointError(
            f"{file} is not a file of weights: its schema is {header.get('schema')}"
        )
    if header["version"] > VERSION:
        raise CheckpointError(
            f"{file} was written by a later version of napari-xreg (format {header['version']}, "
            f"this one reads up to {VERSION}): update the package"
        )
    full = {
        name: value.float() if value.dtype == torch.float16 else value
        for name, value in weights.items()
    }
    return Checkpoint(header["kind"], header["configuration"], full, header["about"])


def read_torch_weights(file: Path) -> dict[str, Tensor]:
    """The state dict of a published ``.ckpt`` or ``.pth``, without running anything in it.

    A Lightning file keeps it under ``state_dict``; a bare one is taken as it is.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, holds more than tensors and plain values, or no weights.
    """
    if not file.is_file():
        raise CheckpointError(f"there is no file {file}")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{file} cannot be read as plain weights; files that hold program objects are refused, "
            f"since loading them would run code: {str(error).splitlines()[0]}"
        ) from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise CheckpointError(f"{file} holds no state dict: expected tensors by parameter name")
    return dict(weights)
