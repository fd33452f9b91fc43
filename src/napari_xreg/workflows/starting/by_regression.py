"""A starting pose that a network says from the radiograph alone."""

from collections.abc import Generator, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.rayemb import bone_center
from napari_xreg.registration import Spread
from napari_xreg.regression import Place, PoseNetwork, load_pose_network, predict
from napari_xreg.workflows.preparing import WeightsRead
from napari_xreg.workflows.starting.how_many_starts import REGRESSION_SPREAD, REGRESSION_STARTS
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose

LITTLE_SEEN = 0.5
"""Share of the network's picture below which the user is told."""


def find_start(
    request: InitialiseRequest, *, control: Control | None = None
) -> Generator[WeightsRead, None, StartingPose | None]:
    """Read the weights and ask the network: see `INITIALISERS`."""
    assert request.weights is not None
    network, about = load_pose_network(request.weights)
    yield WeightsRead(request.weights.name, about)
    if control is not None and control.cancelled:
        return None
    bone = request.isocenter
    if bone is None:
        bone = _bone_or_middle(request)
    place = place_of(network, request.volume, bone)
    try:
        said = predict(network, request.radiograph, place)
    except ValueError as error:
        raise NoStart(f"The network gives no start: {error}") from error
    camera_from_world = said.world_from_camera.inverse()
    if not float(camera_from_world.apply(bone.double())[2]) > 0:
        raise NoStart(
            "The network gives no start: in the pose that it says the patient lies behind the source. "
            "Were the weights trained for this part of the body?"
        )
    notes = []
    if said.seen_share < LITTLE_SEEN:
        notes.append(
            f"the radiograph fills {100 * said.seen_share:.0f} % of what the network looks at: "
            "its pose is less certain"
        )
    evidence = {
        "method": "regression",
        "weights": dict(about),
        "seen_share": said.seen_share,
        "errors": None if network.errors is None else list(network.errors),
    }
    return StartingPose(
        said.world_from_camera, bone.double(), "a pose network", tuple(notes), words_of(network, about),
        {"init": evidence}, REGRESSION_STARTS, spread_of(network),
    )  # fmt: skip


def place_of(network: PoseNetwork, volume: Volume, bone: Float[Tensor, "3"]) -> Place:
    """Where a CT lies, as a network means it.

    Parameters
    ----------
    bone
        Middle of the bone, world mm.

    Raises
    ------
    NoStart
        If the network was trained on a patient whose bones lie outside this CT.
    """
    center = network.frame.center
    if center == "volume":
        return Place.of_volume(volume)
    if center == "bone":
        return Place.of_volume(volume, bone)
    point = torch.tensor(center, dtype=torch.float64)
    index = volume.index_from_world.double().cpu()
    at = index[:3, :3] @ point + index[:3, 3]
    size = at.new_tensor(volume.shape[::-1])
    if not bool(((at >= -0.5) & (at <= size - 0.5)).all()):
        raise NoStart(
            "The network was trained on another CT: the middle of that one's bones lies outside this CT. "
            "Train it on this one (finetuning takes minutes)."
        )
    return Place.of_volume(volume, point)


def spread_of(network: PoseNetwork) -> Spread:
    """Of the starts about its pose, from its errors on the images of its validation."""
    if network.errors is None:
        return REGRESSION_SPREAD
    about_x, about_y, about_z, x, y, depth = network.errors
    return Spread(max(about_x, about_y, about_z), max(x, y), depth)


def words_of(network: PoseNetwork, about: Mapping[str, Any]) -> str:
    """How good it is known to be."""
    if network.errors is not None:
        spread = spread_of(network)
        return (
            "pose network: on simulated radiographs of its training off by "
            f"{spread.rotation_deg:.1f}°, {spread.in_plane_mm:.0f} mm in the image and "
            f"{spread.depth_mm:.0f} mm in depth (1 sigma)"
        )
    return "; ".join(about.get("words", ()) or ("pose network: its accuracy is not known",))


def _bone_or_middle(request: InitialiseRequest) -> Float[Tensor, "3"]:
    try:
        return bone_center(request.volume, labels=request.labels)
    except ValueError:  # a volume without bone, such as vessels
        return request.volume.center.double()
