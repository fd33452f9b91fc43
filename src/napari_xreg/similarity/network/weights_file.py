"""Networks of a learned similarity from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.similarity.network.encoder import SimilarityNetwork, network_of_configuration
from napari_xreg.training import CheckpointError, read_network


def load_similarity(file: Path) -> tuple[SimilarityNetwork, Mapping[str, Any]]:
    """A network in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        ``.safetensors`` of `training.save_network`.

    Raises
    ------
    CheckpointError
        If it is something else, or weights and network do not fit.
    """
    kinds = {SimilarityNetwork.kind: network_of_configuration}
    return read_network(file, kinds, "learned similarities are of kind", _never, "others")


def _never(weights: Mapping[str, Any]) -> SimilarityNetwork:
    raise CheckpointError("no file of a learned similarity has been published")
