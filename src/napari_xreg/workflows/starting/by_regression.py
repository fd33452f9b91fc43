"""A starting pose that a network says from the radiograph alone."""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, UnknownValues, Volume, read_volume
from napari_xreg.progress import Control
from napari_xreg.rayemb import bone_center
from napari_xreg.registration import Attention, Spread, View
from napari_xreg.regression import (
    OF_TEMPLATE,
    OneView,
    Place,
    PoseNetwork,
    join_views,
    load_pose_network,
    predict,
)
from napari_xreg.workflows.opening.radiographs import further_views
from napari_xreg.workflows.preparing import WeightsRead
from napari_xreg.workflows.starting.initialisers import NoStart
from napari_xreg.workflows.starting.little_seen import little_seen
from napari_xreg.workflows.starting.starting import InitialiseRequest, StartingPose
from napari_xreg.workflows.starting.starts_by_method import REGRESSION_SPREAD, REGRESSION_STARTS
from napari_xreg.workflows.starting.template import align_to_template, read_warp

CONTRADICTION = 0.01
"""Predictions of several radiographs are not joined that differ as rarely as this by their errors alone."""
_NOTHING_BESIDE = (
    "the network sees nothing of the other radiographs, or nobody knows how they stand to the first: the "
    "first alone counts"
)
_LEAST = 0.05
"""Degrees and mm: no network is surer than that."""
_USUAL = (
    *[REGRESSION_SPREAD.rotation_deg] * 3,
    *[REGRESSION_SPREAD.in_plane_mm] * 2,
    REGRESSION_SPREAD.depth_mm,
)


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
        bone = _bone_or_middle(request.volume, request.labels)
    of_template = any(OF_TEMPLATE in each for each in about.get("words", ()))
    place, aligned = _place(network, request, bone, of_template=of_template)
    try:
        said = predict(network, request.radiograph, place)
    except ValueError as error:
        raise NoStart(f"The network gives no start: {error}") from error
    camera_from_world = said.world_from_camera.inverse()
    if not float(camera_from_world.apply(bone.double())[2]) > 0:
        raise NoStart(
            "The network gives no start: at the pose that it says, the patient lies behind the source. "
            "Were the weights trained for this part of the body?"
        )
    notes = [aligned] if aligned else []
    if not aligned and of_template:
        notes.append(
            "the network was trained in the frame of a template: without its warp, or the template, its pose is off by "
            "how the CT lies to that (--warp, --template)"
        )
    notes += little_seen(said.seen_share)
    evidence = {
        "method": "regression",
        "weights": dict(about),
        "seen_share": said.seen_share,
        "errors": None if network.errors is None else list(network.errors),
    }
    pose, spread = said.world_from_camera, spread_of(network.errors)
    if request.beside:
        pose, spread, words = _with_others(request, network, place, pose, bone)
        notes.append(words)
    return StartingPose(
        pose, bone.double(), "a pose network", tuple(notes), words_of(network, about),
        {"init": evidence}, REGRESSION_STARTS, spread, Attention(said.activation, said.seen.carm),
    )  # fmt: skip


def _with_others(
    request: InitialiseRequest,
    network: PoseNetwork,
    place: Place,
    first: Pose,
    bone: Float[Tensor, "3"],
) -> tuple[Pose, Spread, str]:
    """The pose that all radiographs support, how sure it is, and what is said of that."""
    errors = tuple(max(error, _LEAST) for error in network.errors or _USUAL)
    views = [OneView(first, Pose.identity(dtype=torch.float64), errors)]
    for radiograph, first_from_camera in request.beside:
        # One that shows the network nothing says nothing, nor one that nobody knows the place of.
        with suppress(ValueError):
            if first_from_camera is None:
                stands = View(request.radiograph, first)
                known = request.isocenter is not None
                (there,) = further_views(stands, (radiograph,), bone.double(), overrule=known)
                first_from_camera = first.inverse() @ there.world_from_camera
            other = predict(network, radiograph, place).world_from_camera
            if bool(other.matrix().isfinite().all()):
                views.append(OneView(other, first_from_camera, errors))
    alone = spread_of(network.errors)
    if len(views) == 1:
        return first, alone, _NOTHING_BESIDE
    found = join_views(views, bone)
    apart = f"up to {found.apart_deg:.0f}° and {found.apart_mm:.0f} mm"
    if found.chance < CONTRADICTION:
        return first, alone, (
            f"what the network says of the radiographs is off what they have in common by {apart}, more than it errs: "
            "the first alone counts. The network may not have been trained for views such as the others."
        )  # fmt: skip
    widened = spread_of(tuple(error * max(1.0, found.misfit) for error in found.errors))
    return (
        found.world_from_camera,
        widened,
        (
            f"predictions of {len(views)} radiographs joined; they are off what they have in common by {apart}"
        ),
    )


def _place(
    network: PoseNetwork,
    request: InitialiseRequest,
    bone: Float[Tensor, "3"],
    *,
    of_template: bool,
) -> tuple[Place, str]:
    """Where the CT lies as the network means it; of one that speaks of a template, how that was aligned."""
    if request.warp is None and request.template is None:
        return place_of(network, request.volume, bone), ""
    template = None if request.template is None else _read_template(request.template)
    of = place_in_template(network, template, of_template=of_template)
    if request.warp is not None:
        found = read_warp(request.warp, request.volume)
    else:
        assert template is not None
        found = align_to_template(request.volume, template)
    return replace(of, world_from_template=found.world_from_template), found.words


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
    if not _within(point, volume):
        raise NoStart(
            "The network was trained on another CT: the middle of that one's bones lies outside this CT. "
            "Train it on this one (finetuning takes minutes)."
        )
    return Place.of_volume(volume, point)


def place_in_template(network: PoseNetwork, template: Volume | None, *, of_template: bool) -> Place:
    """Where a template lies, in its own world, as a network means it.

    A network of xvr that was trained with warps speaks about the origin of the template's world: its
    training moves every patient's poses there, wherever the template's grid has its middle. One that was
    trained on the template alone speaks about what `PoseFrame.center` says of it.

    Parameters
    ----------
    template
        None: only its warp is there.
    of_template
        Whether the network was trained with warps.

    Raises
    ------
    NoStart
        If the template is needed and not there, or is not the CT that the network was trained on.
    """
    center, meant = network.frame.center, network.frame.meant
    if template is None and (center == "bone" or meant == "diffpose"):
        what = "the size of its grid" if meant == "diffpose" else "the middle of its bones"
        raise NoStart(
            f"The network speaks about {what}, which the warp does not say: give the template itself too."
        )
    if center == "volume":
        # Of a warp alone the same is taken: xvr has no other rule.
        at_origin = of_template or template is None
        point = torch.zeros(3, dtype=torch.float64) if at_origin else None
    elif center == "bone":
        assert template is not None
        point = _bone_or_middle(template)
    else:
        point = torch.tensor(center, dtype=torch.float64)
        if template is not None and not _within(point, template):
            raise NoStart(
                "The network was trained on another CT than this template: the middle of that one's bones lies "
                "outside it."
            )
    if template is not None:
        return Place.of_volume(template, point)
    assert point is not None
    return Place(point)


def _read_template(path: Path) -> Volume:
    try:
        return read_volume(path)
    except UnknownValues as error:
        # What the user says of the CT's values is not said of these, and no hint may send them there.
        why = str(error).partition(". ")[0]
        raise ReadError(
            f"the template {why}. Convert it to Hounsfield units first: what is said of the CT's values "
            "does not count for it"
        ) from error


def _within(point: Float[Tensor, "3"], volume: Volume) -> bool:
    index = volume.index_from_world.double().cpu()
    at = index[:3, :3] @ point + index[:3, 3]
    size = at.new_tensor(volume.shape[::-1])
    return bool(((at >= -0.5) & (at <= size - 0.5)).all())


def spread_of(errors: tuple[float, ...] | None) -> Spread:
    """Of the starts about a pose, from its standard deviations; None: they are not known."""
    if errors is None:
        return REGRESSION_SPREAD
    about_x, about_y, about_z, x, y, depth = errors
    return Spread(max(about_x, about_y, about_z), max(x, y), depth)


def words_of(network: PoseNetwork, about: Mapping[str, Any]) -> str:
    """How good it is known to be."""
    if network.errors is not None:
        spread = spread_of(network.errors)
        return (
            "pose network: on simulated radiographs of its training off by "
            f"{spread.rotation_deg:.1f}°, {spread.in_plane_mm:.0f} mm in the image and "
            f"{spread.depth_mm:.0f} mm in depth (1 sigma)"
        )
    return "; ".join(about.get("words", ()) or ("pose network: its accuracy is not known",))


def _bone_or_middle(volume: Volume, labels: LabelMap | None = None) -> Float[Tensor, "3"]:
    try:
        return bone_center(volume, labels=labels)
    except ValueError:  # a volume without bone, such as vessels
        return volume.center.double()
