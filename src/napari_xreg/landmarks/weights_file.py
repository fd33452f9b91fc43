"""Detectors from files and to files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.landmarks.compact import CompactDetector
from napari_xreg.landmarks.detector import LandmarkDetector
from napari_xreg.landmarks.resnet_unet import ResNetUNet, resnet_unet_of_published
from napari_xreg.training import (
    Checkpoint,
    read_network,
    read_torch_weights,
    write_checkpoint,
)

KINDS: dict[str, type[CompactDetector] | type[ResNetUNet]] = {
    CompactDetector.kind: CompactDetector,
    ResNetUNet.kind: ResNetUNet,
}


def save_detector(
    file: Path, detector: LandmarkDetector, about: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write a detector; `about` says how it was trained and what it can do."""
    weights = detector.state_dict()
    checkpoint = Checkpoint(detector.kind, detector.configuration(), weights, about)
    write_checkpoint(file, checkpoint, half=half)


def load_detector(file: Path) -> tuple[LandmarkDetector, Mapping[str, Any]]:
    """A detector in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        ``.safetensors`` of `save_detector`, or a published ``.pth`` (taken as one trained on
        renderings; import it with `resnet_unet_of_published` to say otherwise).

    Raises
    ------
    CheckpointError
        If it is something else, or weights and network do not fit.
    """
    if file.suffix in (".ckpt", ".pth", ".pt"):
        published = resnet_unet_of_published(read_torch_weights(file))
        return published, {"source": file.name, "trained_by": "others"}
    return read_network(file, KINDS, "landmark detectors are")
