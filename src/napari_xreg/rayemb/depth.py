"""The depth of a pose from correspondences, judged by the image."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.rayemb.found import FoundPoints
from napari_xreg.rayemb.likeness import likenesses
from napari_xreg.rayemb.trust import NEAR_MM, detector_pixel_mm
from napari_xreg.rendering import at_voxel_size

SPAN_MM, STEP_MM = 120.0, 10.0
"""How far, and how finely, depths are tried."""

KEPT_SHARE = 0.95
"""Of the points that agree with the pose, so many must agree with it at another depth."""

VOXEL_MM = 3.0
"""Of the CT that is rendered for it."""


def at_likely_depth(
    found: FoundPoints, radiograph: Radiograph, volume: Volume, world_from_camera: Pose
) -> Pose:
    """The pose moved along the beam to where the CT looks most like the radiograph.

    Correspondences tell depth by scale alone, so least of all; and a network's errors are not
    independent, which no solver knows. The points must go on to agree (`KEPT_SHARE`), and where
    the likeness is largest at an end of `SPAN_MM`, the pose stays as it is
    (docs/decisions/0009-rayemb.md).

    Parameters
    ----------
    found
        What the pose was solved from; the middle of the points stays where it is in the image.
    """
    pose = world_from_camera.to(dtype=torch.float64)
    ray = found.points.double().mean(0) - pose.translation
    ray = ray / ray.norm()
    count = round(SPAN_MM / STEP_MM)
    steps = STEP_MM * torch.arange(-count, count + 1, dtype=torch.float64)
    poses = Pose(pose.rotation.expand(len(steps), 3, 3), pose.translation + steps[:, None] * ray)
    shares = _near_shares(found, radiograph, poses)
    coarse = at_voxel_size(volume.to(dtype=torch.float32), VOXEL_MM)
    likely = likenesses(radiograph, coarse, poses)
    likely[shares < KEPT_SHARE * shares[count]] = -2.0  # below every correlation
    best = int(likely.argmax())
    # At an end it is no maximum: where the CT is cut off, likeness grows with distance.
    return pose if best in (0, 2 * count) else poses[best]


def _near_shares(found: FoundPoints, radiograph: Radiograph, poses: Pose) -> Float[Tensor, "n"]:
    """`PoseEvidence.near_share` at every pose."""
    pixels = torch.stack(
        [radiograph.carm.project(found.points, poses[i]) for i in range(len(poses.translation))]
    )
    mm = (pixels - found.pixels).norm(dim=2) * detector_pixel_mm(radiograph)
    return (mm.nan_to_num(torch.inf) < NEAR_MM).double().mean(1)
