"""Errors as earlier authors' released code computes them, under names that say so.

For comparing with published tables only. They differ from what their papers call them; use
`pose_error` for anything new.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.metrics.pose_error import mean_projection_error, mean_reprojection_error


def diffpose_legacy_mtre(
    predicted: Pose,
    true: Pose,
    fiducials: Float[Tensor, "*points 3"],
    carm: CArm,
    *,
    pixel_spacing: float = 0.194,
) -> Float[Tensor, "*batch"]:
    r"""What DiffPose's evaluator reports as mTRE: xvr's mRPE times the pixel spacing.

    .. math:: s \cdot \frac1M \sum_i \|\hat T\, \hat q_i - T\, q_i\|, \qquad q_i = f \frac{C p_i}{(C p_i)_z}

    The distances are already in mm when they are multiplied by s = 0.194 mm per pixel, so the
    figure is about a fifth of a reprojection error and no target registration error at all:
    published sub-millimetre rates based on it do not compare with camera-frame mTRE.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    fiducials
        World, mm, of shape (..., M, 3).
    carm
        Gives the source-to-detector distance.
    pixel_spacing
        The factor; 0.194 in the released code.
    """
    return pixel_spacing * mean_reprojection_error(predicted, true, fiducials, carm)


def rayemb_legacy_mpd(
    predicted: Pose,
    true: Pose,
    fiducials: Float[Tensor, "*points 3"],
    carm: CArm,
    *,
    pixels_assumed: int = 1536,
    pixels_imaged: int = 1436,
) -> Float[Tensor, "*batch"]:
    r"""What RayEmb's evaluator reports as mPD on real radiographs: 7 % too large.

    .. math:: \frac{1536}{1436} \cdot \frac1M \sum_i \| S (\hat\pi(p_i) - \pi(p_i)) \|

    Pixels of a raster that spans 1436 detector pixels are scaled as if it spanned 1536.
    """
    scale = pixels_assumed / pixels_imaged
    return scale * mean_projection_error(predicted, true, fiducials, carm)


def xvr_legacy_mpe(
    predicted: Pose, true: Pose, fiducials: Float[Tensor, "*points 3"], carm: CArm
) -> Float[Tensor, "*batch"]:
    r"""What xvr's evaluator reports as mPE: both axes scaled by the column spacing.

    .. math:: \frac{s_{column}}M \sum_i \|\hat\pi(p_i) - \pi(p_i)\|

    The same as `mean_projection_error` where pixels are square.
    """
    pixels = carm.project(fiducials, predicted) - carm.project(fiducials, true)
    return carm.detector.spacing[1] * torch.linalg.vector_norm(pixels, dim=-1).mean(-1)


def xvr_legacy_mtre(
    predicted: Pose,
    true: Pose,
    fiducials: Float[Tensor, "*points 3"],
    carm: CArm,
    *,
    origin: Float[Tensor, "3"],
) -> Float[Tensor, "*batch"]:
    r"""What xvr reports as mTRE: camera-to-world poses, applied to points of the world.

    .. math:: \frac1M \sum_i \|(\hat A - A)(p_i - o) + \hat c - c\|, \qquad A = R R_0^T

    with the source c, the camera's axes R, and R0 those of a view from straight in front (xvr's
    "AP"). That is equation 22 of the paper and its code. No inverse is taken: a source that turns
    by 2 degrees about the patient at 800 mm counts 28 mm, though the patient appears 3 mm aside.

    Parameters
    ----------
    predicted, true
        ``world_from_camera``; leading dimensions broadcast.
    fiducials
        World, mm, of shape (..., M, 3).
    carm
        Says the axes of that view.
    origin
        o, world mm: in xvr the middle of the CT. The figure depends on it.
    """
    at = origin.to(true.translation)
    upright = carm.world_from_camera(180.0, 0.0, isocenter=at).rotation.to(true.rotation)
    turn = (predicted.rotation - true.rotation) @ upright.mT
    moved = (fiducials.to(at) - at) @ turn.mT
    shift = (predicted.translation - true.translation)[..., None, :]
    return torch.linalg.vector_norm(moved + shift, dim=-1).mean(-1)


def suh_legacy_translation_rmse(predicted: Pose, true: Pose) -> Float[Tensor, "*batch"]:
    r"""What the uncertainty-weighted PnP code reports as translation error, mm.

    .. math:: \|\hat c - c\| / \sqrt 3

    A root mean square over the three coordinates of the ``camera_from_world`` translation c: the
    Euclidean distance that the paper names, divided by 1.73.
    """
    difference = predicted.inverse().translation - true.inverse().translation
    return difference.square().mean(-1).sqrt()
