"""Pose networks from files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.regression.network.pose_network import PoseNetwork, network_of_configuration
from napari_xreg.regression.network.published import read_published
from napari_xreg.training import PUBLISHED, CheckpointError, read_network


def load_pose_network(file: Path) -> tuple[PoseNetwork, Mapping[str, Any]]:
    """A network in evaluation mode, on the CPU, and what its file says about it.

    Parameters
    ----------
    file
        ``.safetensors`` of `training.save_network`, or a ``.pth``, ``.pt`` or ``.ckpt`` of xvr or DiffPose.

    Raises
    ------
    CheckpointError
        If it is something else, or weights and network do not fit.
    """
    if file.suffix in PUBLISHED:
        return read_published(file)
    kinds = {PoseNetwork.kind: network_of_configuration}
    return read_network(file, kinds, "pose networks are of kind", _never, "others")


def _never(weights: Mapping[str, Any]) -> PoseNetwork:
    raise CheckpointError("a published file is read by read_published")
