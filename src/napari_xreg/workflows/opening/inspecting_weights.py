"""What a file of weights says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xreg.datasets import is_xvr_result
from napari_xreg.files import ReadError
from napari_xreg.landmarks import CompactDetector, ResNetUNet
from napari_xreg.rayemb import CompactEncoder, DinoEncoder
from napari_xreg.regression import (
    OF_TEMPLATE,
    PoseNetwork,
    generation,
    network_of_published,
    published_content,
)
from napari_xreg.similarity import SimilarityNetwork
from napari_xreg.training import CheckpointError, FixedCamera, read_checkpoint


def weights_entry(path: Path) -> dict[str, Any]:
    """Which network, who trained it on what, and how good it was.

    Raises
    ------
    ReadError
        If it holds no weights, or they cannot be used.
    """
    if path.suffix != ".safetensors" and is_xvr_result(path):
        raise ReadError(
            f"{path.name}: is a result of xvr, not the weights of a network: register --start takes its pose"
        )
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
    SimilarityNetwork.kind: "similarity",
}


@dataclass(frozen=True)
class NetworkFile:
    """A file of weights, looked at.

    Parameters
    ----------
    file
        Where it is.
    use
        See `weights_use`.
    words
        What it says about itself.
    """

    file: Path
    use: str
    words: str


def speaks_of_template(words: str) -> bool:
    """Whether the words of a `NetworkFile` say that its network was trained in the frame of a template."""
    return OF_TEMPLATE in words


def network_file(file: Path) -> NetworkFile:
    """Look at a file of weights, for a user.

    Raises
    ------
    ReadError
        As `weights_entry`.
    """
    entry = weights_entry(file)
    said = entry.get("words", "")
    # Ours are sentences, of published networks they are a list of phrases.
    sentences, phrases = ([], [*said]) if isinstance(said, list) else ([said], [])
    if entry.get("trained_on") and "trained_on" not in said:
        phrases.insert(0, f"Trained on {entry['trained_on']}")
    phrases += [str(entry[key]) for key in ("sees", "poses") if key in entry]
    sentences.append("; ".join(phrase.strip().rstrip(".") for phrase in phrases if phrase))
    words = " ".join(f"{each.strip().rstrip('.')}." for each in sentences if each)
    return NetworkFile(file, weights_use(entry), words)


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
    if checkpoint.kind == PoseNetwork.kind:
        entry |= _of_pose_network(checkpoint.configuration, about.get("request", {}))
    return entry


def _of_pose_network(
    configuration: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """What it sees, and the poses it was trained on where its file says so."""
    try:
        camera = FixedCamera(**configuration["framing"])
    except (KeyError, TypeError, ValueError):  # whoever uses it is told what is wrong
        return {}
    found = {
        "sees": f"sees {camera.pixels} x {camera.pixels} pixels of {camera.pixel_mm:.1f} mm, "
        f"{camera.source_to_detector:g} mm from the source"
    }
    angles = [
        f"{name} {low:g} to {high:g}°"
        for name in ("primary", "secondary", "roll")
        if len(given := request.get(f"{name}_deg", ())) == 2
        for low, high in [given]
    ]
    if angles:
        found["poses"] = f"trained on poses of {', '.join(angles)}"
    return found


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
