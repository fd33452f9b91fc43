"""How much a CT, rendered at poses, looks like a radiograph; and the depth at which it does most."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.rayemb.local_contrast import band_between, normalised_in, z_scores
from napari_xreg.rendering import at_voxel_size, render_drr
from napari_xreg.training.framing import Framing

SPAN_MM, STEP_MM = 120.0, 10.0
"""How far, and how finely, depths are tried."""

VOXEL_MM = 3.0
"""Of the CT whose depth is looked for: 3 mm are a pixel there."""


def likeness(radiograph: Radiograph, volume: Volume, world_from_camera: Pose) -> float:
    """Correlation of a radiograph with the CT rendered at a pose, of detail about 20 to 70 mm wide.

    Coarse on purpose: a start may be off by centimetres, and depth hardly matters.
    """
    poses = Pose.stack([world_from_camera])
    return float(likenesses(radiograph, volume, poses)[0])


def likenesses(radiograph: Radiograph, volume: Volume, poses: Pose) -> Float[Tensor, "n"]:
    """`likeness` at a batch of poses."""
    small = Framing().resample(radiograph)
    drrs = render_drr(
        volume.to(dtype=torch.float32), small.carm, poses.to(dtype=torch.float64), method="joseph"
    )
    usable = small.usable.float()
    seen = torch.where(small.usable, small.line_integrals, 0.0).float()[None].to(drrs)
    scores = z_scores(torch.cat([seen, drrs.float()]), usable.to(drrs))
    detail = z_scores(band_between(scores, usable, 5, 21), usable)
    normal = normalised_in(detail, usable)
    return (normal[1:] * normal[0]).sum((1, 2))


def at_likely_depth(
    radiograph: Radiograph, volume: Volume, world_from_camera: Pose, point: Float[Tensor, "3"]
) -> Pose:
    """The pose moved along the ray through a point, to where the CT looks most like the radiograph.

    Correspondences tell depth by scale alone, so least of all; and a network's errors are not
    independent, which no solver knows. Where the likeness is largest at an end of `SPAN_MM`, the
    pose stays as it is.

    Parameters
    ----------
    world_from_camera
        From correspondences.
    point
        Stays where it is in the image: the middle of what was found, world mm.
    """
    pose = world_from_camera.to(dtype=torch.float64)
    ray = point.double() - pose.translation
    ray = ray / ray.norm()
    steps = torch.arange(-SPAN_MM, SPAN_MM + STEP_MM / 2, STEP_MM, dtype=torch.float64)
    poses = Pose(pose.rotation.expand(len(steps), 3, 3), pose.translation + steps[:, None] * ray)
    coarse = at_voxel_size(volume.to(dtype=torch.float32), VOXEL_MM)
    best = int(likenesses(radiograph, coarse, poses).argmax())
    # At an end it is no maximum: where the CT is cut off, likeness grows with distance.
    return pose if best in (0, len(steps) - 1) else poses[best]
