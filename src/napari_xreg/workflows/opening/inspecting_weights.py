"""What a file of weights says about itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.files import ReadError
from napari_xreg.landmarks import CompactDetector, ResNetUNet
from napari_xreg.rayemb import CompactEncoder, DinoEncoder
from napari_xreg.regression import (
    PoseNetwork,
    generation,
    network_of_published,
    published_content,
)
from napari_xreg.training import CheckpointError, read_checkpoint


def weights_entry(path: Path) -> dict[str, Any]:
    """Which network, who trained it on what, and how good it was.

    Raises
    ------
    ReadError
        If it holds no weights, or they cannot be used.
    """
    try:
        return _own(path) if path.suffix == ".safetensors" else _published(path)
    except CheckpointError as error:
        raise ReadError(str(error)) from error


def weights_use(entry: Mapping[str, Any]) -> str:
    """What weights are for, a kind of `RECIPES`; empty where their file does not say.

    Parameters
    ----------
    entry
        Of `weights_entry`.
    """
    network = str(entry.get("network", "")).partition(",")[0]
    return _USES.get(network, "")


_USES = {
    PoseNetwork.kind: "pose",
    CompactEncoder.kind: "rayemb",
    DinoEncoder.kind: "rayemb",
    CompactDetector.kind: "landmarks",
    ResNetUNet.kind: "landmarks",
}


def _own(path: Path) -> dict[str, Any]:
    checkpoint = read_checkpoint(path)
    about = checkpoint.about
    entry: dict[str, Any] = {
        "kind": "network weights",
        "network": checkpoint.kind,
        "parameters": sum(value.numel() for value in checkpoint.weights.values()),
        "trained_on": about.get("trained_on", about.get("trained_by")),
        "scores": about.get("scores", {}),
        "measured_on": about.get("measured_on"),
    }
    if about.get("words"):
        entry["words"] = about["words"]
    return entry


def _published(path: Path) -> dict[str, Any]:
    content = published_content(path)
    weights = content.get("model_state_dict") if isinstance(content, dict) else None
    if weights is None:
        holds = len(content.get("state_dict", content)) if isinstance(content, dict) else 0
        return {
            "kind": "network weights",
            "words": f"a published file of {holds} tensors; it does not say which network it is",
        }
    network, about = network_of_published(content, path.name)
    return {
        "kind": "network weights",
        "network": f"pose, {generation(content)}",
        "parameters": sum(value.numel() for value in network.parameters()),
        "trained_by": about["trained_by"],
        "words": list(about["words"]),
    }
