"""Detectors from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.landmarks.compact import CompactDetector
from napari_xreg.landmarks.detector import LandmarkDetector
from napari_xreg.landmarks.resnet_unet import ResNetUNet, resnet_unet_of_published
from napari_xreg.training import read_network

KINDS: dict[str, type[CompactDetector] | type[ResNetUNet]] = {
    CompactDetector.kind: CompactDetector,
    ResNetUNet.kind: ResNetUNet,
}


def load_detector(file: Path) -> tuple[LandmarkDetector, Mapping[str, Any]]:
    """A detector in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        ``.safetensors`` of `training.save_network`, or a published ``.pth`` (taken as one trained on
        renderings; import it with `resnet_unet_of_published` to say otherwise).

    Raises
    ------
    CheckpointError
        If it is something else, or weights and network do not fit.
    """
    knows = "landmark detectors are"
    return read_network(file, KINDS, knows, resnet_unet_of_published, "others")
