"""Encoders from files, and the one that comes with the package."""

from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from napari_xreg.rayemb.network.compact import CompactEncoder
from napari_xreg.rayemb.network.encoder import RayEncoder
from napari_xreg.rayemb.network.vit import DinoEncoder, encoder_of_published
from napari_xreg.training import read_network

KINDS: dict[str, type[CompactEncoder] | type[DinoEncoder]] = {
    CompactEncoder.kind: CompactEncoder,
    DinoEncoder.kind: DinoEncoder,
}

SHIPPED = "compact-pelvis.safetensors"


def load_encoder(file: Path) -> tuple[RayEncoder, Mapping[str, Any]]:
    """An encoder in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        ``.safetensors`` of `training.save_network`, or a published ``rayemb-*.ckpt``.

    Raises
    ------
    CheckpointError
        If it is neither, or weights and network do not fit.
    """
    authors = "the authors of RayEmb"
    return read_network(file, KINDS, "RayEmb knows", encoder_of_published, authors)


def shipped_encoder() -> tuple[RayEncoder, Mapping[str, Any]]:
    """The compact encoder that comes with the package: pelves, from simulated patients alone.

    Raises
    ------
    CheckpointError
        If this installation has none.
    """
    resource = files("napari_xreg.rayemb") / "weights" / SHIPPED
    with as_file(resource) as file:
        return load_encoder(file)
