"""How much a CT, rendered at poses, looks like a radiograph."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.rayemb.local_contrast import band_between, normalised_in, z_scores
from napari_xreg.rendering import render_drr
from napari_xreg.training import Framing


def likeness(radiograph: Radiograph, volume: Volume, world_from_camera: Pose) -> float:
    """Correlation of a radiograph with the CT rendered at a pose, of detail about 20 to 70 mm wide.

    Coarse on purpose: a start may be off by centimetres, and depth hardly matters.
    """
    poses = Pose.stack([world_from_camera])
    return float(likenesses(radiograph, volume, poses)[0])


def likenesses(radiograph: Radiograph, volume: Volume, poses: Pose) -> Float[Tensor, "n"]:
    """`likeness` at a batch of poses, -1 to 1 each; compared on the CPU.

    Parameters
    ----------
    radiograph
        Line integrals.
    volume
        The CT, on any device.
    poses
        ``world_from_camera``, a batch [n].
    """
    small = Framing().resample(radiograph)
    drrs = render_drr(
        volume.to(dtype=torch.float32), small.carm, poses.to(dtype=torch.float64), method="joseph"
    )
    usable = small.usable.float()
    seen = torch.where(small.usable, small.line_integrals, 0.0).float()[None]
    scores = z_scores(torch.cat([seen, drrs.float().cpu()]), usable)
    detail = z_scores(band_between(scores, usable, 5, 21), usable)
    normal = normalised_in(detail, usable)
    return (normal[1:] * normal[0]).sum((1, 2))
