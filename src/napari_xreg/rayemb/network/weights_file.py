"""Encoders from files, and the one that comes with the package."""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class WeightsFile:
    """Which weights to use.

    Parameters
    ----------
    file
        ``.safetensors`` or ``rayemb-*.ckpt``; None: those that come with the package.
    """

    file: Path | None = None

    @property
    def words(self) -> str:
        """As the user reads it."""
        return "compact-pelvis" if self.file is None else self.file.name

    @property
    def key(self) -> object:
        """Other weights have another one, also where a file was overwritten."""
        if self.file is None:
            return None
        try:
            return self.file, self.file.stat().st_mtime_ns
        except OSError:
            return self.file, 0

    def load(self) -> tuple[RayEncoder, Mapping[str, Any]]:
        """See `load_encoder`."""
        return shipped_encoder() if self.file is None else load_encoder(self.file)
