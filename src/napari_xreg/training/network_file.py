"""A network from the file that holds its weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from napari_xreg.training.checkpoint import CheckpointError, read_checkpoint
from napari_xreg.training.framing import Framing

Network = TypeVar("Network", bound=nn.Module)


def read_network(
    file: Path, kinds: Mapping[str, Callable[..., Network]], knows: str
) -> tuple[Network, Mapping[str, Any]]:
    """A network in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        Of `write_checkpoint`.
    kinds
        What builds each kind, from the stored configuration with its framing.
    knows
        Begins the list of these kinds in the message, such as "RayEmb knows".

    Raises
    ------
    CheckpointError
        If it is another kind of file or of network, or weights and network do not fit.
    """
    checkpoint = read_checkpoint(file)
    if checkpoint.kind not in kinds:
        raise CheckpointError(
            f"{file} holds a network of kind {checkpoint.kind!r}: {knows} {', '.join(kinds)}"
        )
    try:
        configuration = dict(checkpoint.configuration)
        configuration["framing"] = _framing(configuration["framing"])
        network = kinds[checkpoint.kind](**configuration)
        network.load_state_dict(dict(checkpoint.weights))
    except (RuntimeError, TypeError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"the weights in {file} do not fit the network they name: {error}"
        ) from error
    return network.eval(), checkpoint.about


def _framing(stored: Mapping[str, Any]) -> Framing:
    shape = stored["shape"]
    return Framing(**{**stored, "shape": None if shape is None else tuple(shape)})
