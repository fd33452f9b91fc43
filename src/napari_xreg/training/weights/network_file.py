"""Networks to the files that hold their weights, and back."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from napari_xreg.training.draws import drawn_from
from napari_xreg.training.images.fixed_camera import FixedCamera
from napari_xreg.training.images.framing import Framing
from napari_xreg.training.network import RadiographNetwork
from napari_xreg.training.weights.checkpoint import (
    Checkpoint,
    CheckpointError,
    read_checkpoint,
    read_torch_weights,
    write_checkpoint,
)

Network = TypeVar("Network", bound=nn.Module)
PUBLISHED = (".ckpt", ".pth", ".pt")
"""Files that others publish."""


def save_network(
    file: Path, network: RadiographNetwork, about: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write a network; `about` says how it was trained and what it can do.

    Parameters
    ----------
    half
        See `write_checkpoint`.
    """
    weights = network.state_dict()
    checkpoint = Checkpoint(network.kind, network.configuration(), weights, about)
    write_checkpoint(file, checkpoint, half=half)


def read_network(
    file: Path,
    kinds: Mapping[str, Callable[..., Network]],
    knows: str,
    published: Callable[[Mapping[str, Tensor]], Network],
    trained_by: str,
) -> tuple[Network, Mapping[str, Any]]:
    """A network in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        Of `save_network`, or a published ``.ckpt``, ``.pth`` or ``.pt``.
    kinds
        What builds each kind, from the stored configuration with its framing.
    knows
        Begins the list of these kinds in the message, such as "RayEmb knows".
    published, trained_by
        What builds a network of published weights, and whose they are.

    Raises
    ------
    CheckpointError
        If it is another kind of file or of network, or weights and network do not fit.
    """
    if file.suffix in PUBLISHED:
        network = published(read_torch_weights(file))
        return network, {"source": file.name, "trained_by": trained_by}
    checkpoint = read_checkpoint(file)
    if checkpoint.kind not in kinds:
        raise CheckpointError(
            f"{file} holds a network of kind {checkpoint.kind!r}: {knows} {', '.join(kinds)}"
        )
    try:
        configuration = dict(checkpoint.configuration)
        configuration["framing"] = _framing(configuration["framing"])
        network = built(lambda: kinds[checkpoint.kind](**configuration), checkpoint.weights)
        fill(network, checkpoint.weights)
    except (
        RuntimeError, TypeError, KeyError, ValueError, AttributeError, IndexError, ArithmeticError,
    ) as error:  # fmt: skip
        words = " ".join(str(error).split())
        raise CheckpointError(
            f"the weights in {file} do not fit the network they name: {words[:300]}"
        ) from error
    return network.eval(), checkpoint.about


def built(build: Callable[[], Network], weights: Mapping[str, Tensor]) -> Network:
    """A network that takes no more memory than the weights it is built for.

    What it begins with is drawn from a generator of its own.

    Raises
    ------
    ValueError
        If it would be larger: of another configuration than the weights.
    """
    numbers = sum(value.numel() for value in weights.values())
    with _Allowance(numbers), drawn_from(torch.Generator()):
        return build()


def fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights into a network.

    Raises
    ------
    ValueError
        If names, shapes or kinds of number are others.
    """
    own = network.state_dict()
    names = sorted(set(own) ^ set(weights))
    if names:
        whose = "has" if names[0] in own else "does not have"
        raise ValueError(f"the network {whose} {names[0]}, unlike the file")
    for name, value in own.items():
        given = weights[name]
        same_kind = given.is_floating_point() == value.is_floating_point()
        if given.shape != value.shape or not same_kind:
            raise ValueError(
                f"{name} is {tuple(value.shape)} of {value.dtype} in the network and "
                f"{tuple(given.shape)} of {given.dtype} in the file"
            )
    network.load_state_dict(dict(weights))


class _Allowance(TorchFunctionMode):
    """Refuses new tensors beyond so many numbers in all."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        # Buffers that are not stored, such as a calibration, are small.
        self.left = numbers + 10_000

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in (torch.empty, torch.zeros, torch.ones):
            size = (kwargs or {}).get("size", args)
            shape = size[0] if size and isinstance(size[0], Sequence) else size
            self.left -= math.prod(int(side) for side in shape)
            if self.left < 0:
                raise ValueError("its configuration asks for a larger network than the file holds")
        return func(*args, **(kwargs or {}))


def _framing(stored: Mapping[str, Any]) -> Framing | FixedCamera:
    if "pixels" in stored:
        return FixedCamera(**stored)
    shape = stored["shape"]
    return Framing(**{**stored, "shape": None if shape is None else tuple(shape)})
