"""Ask a pose network about a radiograph."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.regression.frame import Place
from napari_xreg.regression.network.pose_network import PoseNetwork
from napari_xreg.regression.xvr_steps import xvr_channel


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a radiograph.

    Parameters
    ----------
    world_from_camera
        The pose, float64.
    seen
        The radiograph as the network saw it.
    activation
        Sum of the trunk's last maps, between 0 and 1: what it looked at, coarsely.
    seen_share
        Of the network's picture that the radiograph covers.
    """

    world_from_camera: Pose
    seen: Radiograph
    activation: Float[Tensor, "h w"]
    seen_share: float


@torch.no_grad()
def predict(
    network: PoseNetwork, radiograph: Radiograph, place: Place, *, as_xvr: bool = False
) -> Prediction:
    """The pose of the C-arm.

    Parameters
    ----------
    network
        In evaluation mode.
    radiograph
        Of any C-arm: it is resampled to the network's camera (`FixedCamera`).
    place
        Of the CT that the pose is to be relative to.
    as_xvr
        Bring the image before a residual network by the steps of xvr 0.1.0 (`xvr_channel`) instead of
        one resampling: for comparisons with it. Masks are not heeded.

    Raises
    ------
    ValueError
        If the network sees nothing of the radiograph; with `as_xvr`, if its pixels are not square.
    """
    seen = network.see(radiograph)
    usable = seen.usable
    share = float(usable.double().mean())
    if share == 0:
        raise ValueError(
            f"the network sees nothing: its camera ({network.framing}) looks past the radiograph"
        )
    device = network.device
    if as_xvr:
        toned = network.look.toned(radiograph)
        upright = (
            toned
            if toned.carm.detector.mirrored == seen.carm.detector.mirrored
            else toned.flip_columns()
        )
        inputs = xvr_channel(upright.line_integrals, upright.carm, network.framing, network.look)
    else:
        images = seen.line_integrals[None].float()
        inputs = network.inputs(images, usable[None], seen.carm)
    maps = network.backbone.maps(inputs.to(device))
    pose = network.poses(network.said(maps), place)[0]
    where = maps[0].sum(0)
    low, high = where.aminmax()
    activation = ((where - low) / (high - low).clamp_min(1e-12)).cpu()
    return Prediction(pose.to(device="cpu"), seen, activation, share)
