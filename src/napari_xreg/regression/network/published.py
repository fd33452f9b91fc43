"""Checkpoints of xvr and of DiffPose, as their authors save them."""

import datetime
import re
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from torch import Tensor

from napari_xreg.files import ReadError
from napari_xreg.regression.frame import PoseFrame, rotation_numbers
from napari_xreg.regression.network.pose_network import Look, PoseNetwork
from napari_xreg.regression.network.resnet import BLOCKS, Norm
from napari_xreg.training import (
    CheckpointError,
    FixedCamera,
    Named,
    built,
    fill,
    finite_weights,
    read_torch,
)

NAMED: tuple[Named, ...] = (
    datetime.datetime,
    *(
        (pure, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for pure, name in ((PurePosixPath, "PosixPath"), (PureWindowsPath, "WindowsPath"))
    ),
)
"""What a checkpoint of xvr may name beside tensors and plain values: its date, and paths as text."""

OF_TEMPLATE = "trained in the frame of a template"
"""Among the words of a checkpoint of which that holds."""
BATCH_NORMS = ("default", "batchnorm", "batchnorm2d", None)
_RANGES = (
    ("first angle", "alphamin", "alphamax", "°"),
    ("second angle", "betamin", "betamax", "°"),
    ("third angle", "gammamin", "gammamax", "°"),
    ("x", "txmin", "txmax", "mm"),
    ("y", "tymin", "tymax", "mm"),
    ("z", "tzmin", "tzmax", "mm"),
)
_BLOCK = re.compile(r"backbone\.(layer\d+)\.(\d+)\.conv1\.weight$")
_DIFFPOSE_PIXELS = 1436  # of DeepFluoro, 0.194 mm each, with 50 cut from every edge


def read_published(file: Path) -> tuple[PoseNetwork, Mapping[str, Any]]:
    """A network in evaluation mode, and what its file says.

    Nothing in the file is run: beside tensors and plain values only the date and paths are let in.

    Parameters
    ----------
    file
        Of xvr (March 2025, February 2026 or the package 0.1.0), or of DiffPose.

    Raises
    ------
    CheckpointError
        If it is something else, another kind of network, or damaged.
    """
    return network_of_published(published_content(file), str(file))


def published_content(file: Path) -> Any:
    """What such a file holds; see `read_published`."""
    try:
        return read_torch(file, named=NAMED)
    except ReadError as error:
        raise CheckpointError(str(error)) from error


def network_of_published(content: Any, called: str) -> tuple[PoseNetwork, Mapping[str, Any]]:
    """As `read_published`, of what a file holds.

    Parameters
    ----------
    called
        The file, for messages.
    """
    weights = content.get("model_state_dict") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not finite_weights(weights):
        raise CheckpointError(
            f"{called} holds no network of xvr or DiffPose: there are no finite weights under "
            "model_state_dict"
        )
    ours = isinstance(content.get("config"), Mapping)
    config = content["config"] if ours else content
    try:
        kind = _trunk(config, weights, called)
        build = _of_xvr if ours else _of_diffpose
        network = built(lambda: build(config, *kind), weights)
        fill(network, dict(weights))
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise CheckpointError(
            f"{called}: its configuration and weights do not fit: {words}"
        ) from error
    about = {
        "source": PurePath(called).name,
        "trained_by": "the authors of xvr" if ours else "the authors of DiffPose",
        "words": published_words(content),
    }
    return network.eval(), about


def published_words(content: Mapping[str, Any]) -> list[str]:
    """What a checkpoint says about itself, in words."""
    ours = isinstance(content.get("config"), Mapping)
    config: Mapping[str, Any] = content["config"] if ours else content
    norm = "batch" if config.get("norm_layer") in BATCH_NORMS else "group"
    network = f"{config.get('model_name')} with {norm} normalisation"
    said = [f"{generation(content)}: {network}, rotation as {config.get('parameterization')}"]
    if ours:
        said.append(
            f"sees {config['height']} x {config['height']} pixels of {config['delx']:g} mm, "
            f"{config['sdd']:g} mm from the source; orientation {config.get('orientation')}"
        )
        ranges = [
            f"{name} {config[low]:g} to {config[high]:g} {unit}"
            for name, low, high, unit in _RANGES
            if low in config and high in config
        ]
        if ranges:
            said.append(f"trained on poses of {', '.join(ranges)}")
        trained_on = config.get("volpath", config.get("inpath"))
        if trained_on:
            # The last two parts: a whole path may name a patient or a person.
            parts = re.split(r"[/\\]", str(trained_on).rstrip("/\\"))
            said.append(f"trained on {'/'.join(parts[-2:])}")
        if config.get("warp"):
            said.append(f"{OF_TEMPLATE}: a CT has to be aligned with it")
    date = content.get("date")
    if isinstance(date, datetime.datetime):
        said.append(f"saved on {date:%d %B %Y}")
    step = content.get("itr", content.get("epoch"))
    if isinstance(step, int):
        said.append(f"after {step} {'iterations' if 'itr' in content else 'epochs'}")
    return said


def generation(content: Mapping[str, Any]) -> str:
    """Which program saved a checkpoint."""
    config = content.get("config")
    if not isinstance(config, Mapping):
        return "DiffPose"
    if "geodesic_only" in config or "weight_haus" in config:
        return "xvr 0.1.0"
    if "unit_conversion_factor" in config or "weight_mvc" in config:
        return "xvr of February 2026"
    return "xvr of March 2025"


def _trunk(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], called: str
) -> tuple[str, Norm]:
    """Which trunk, seen from the weights; the configuration must agree."""
    name = str(config.get("model_name"))
    if name not in BLOCKS:
        raise CheckpointError(
            f"{called} holds a network of kind {name!r}, which is not known here: "
            f"{' and '.join(BLOCKS)} are"
        )
    found = {"".join(block.groups()) for key in weights if (block := _BLOCK.match(key))}
    expected = {f"layer{at + 1}{i}" for at, count in enumerate(BLOCKS[name]) for i in range(count)}
    if found != expected:
        raise CheckpointError(f"{called} says {name}, and has the weights of another network")
    batch = any(key.endswith("running_mean") for key in weights)
    if batch != (config.get("norm_layer") in BATCH_NORMS):
        raise CheckpointError(
            f"{called} says {config.get('norm_layer')!r} for its normalisation, and its weights are "
            f"those of {'batch' if batch else 'group'} normalisation"
        )
    return name, "batch" if batch else "group"


def _of_xvr(config: Mapping[str, Any], trunk: str, norm: Norm) -> PoseNetwork:
    frame = PoseFrame(
        str(config["parameterization"]),
        config["convention"],
        float(config.get("unit_conversion_factor", 1.0)),
        config.get("orientation", "PA"),
        bool(config.get("reverse_x_axis", False)),
        "volume",
    )
    camera = FixedCamera(
        float(config["sdd"]), int(config["height"]), float(config["delx"]), frame.mirrored
    )
    return PoseNetwork(trunk, norm, camera, frame, Look(tone="xvr"))


def _of_diffpose(config: Mapping[str, Any], trunk: str, norm: Norm) -> PoseNetwork:
    name = str(config["parameterization"])
    rotation_numbers(name)
    frame = PoseFrame(name, config.get("convention"), 1.0, None, False, "volume", "diffpose")
    height = int(config["height"])
    camera = FixedCamera(1020.0, height, 0.194 * _DIFFPOSE_PIXELS / height, frame.mirrored)
    return PoseNetwork(trunk, norm, camera, frame, Look(0.3080, 0.1494))
